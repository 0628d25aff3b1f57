# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What an installation has: the checkout's packages, all of them."""

from __future__ import annotations

import configparser
from pathlib import Path

import autoflow

ROOT = Path(autoflow.__file__).parent


def test_a_wheel_has_every_package() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT.parent / "setup.cfg")
    declared = set(setup["options"]["packages"].split())
    there = {".".join(path.parent.relative_to(ROOT.parent).parts) for path in ROOT.rglob("__init__.py")}
    assert declared == there | {"autoflow.config"}
