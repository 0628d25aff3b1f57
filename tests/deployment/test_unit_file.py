# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The unit file, as systemd itself reads it; tests/deployment/systemd.sh boots it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parent.parent.parent / "config" / "autoflow.service"

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed: the unit file is NOT checked"
)


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def test_systemd_understands_every_line(tmp_path: Path) -> None:
    # the program is not where the unit will find it; unknown keys and bad values are told, but are no error
    copy = tmp_path / "autoflow.service"
    copy.write_text(UNIT.read_text().replace("/opt/autoflow/bin/python", shutil.which("true") or "/bin/true"))
    outcome = analyze("verify", str(copy))
    assert (outcome.returncode, outcome.stdout) == (0, "")


def test_it_is_exposed_to_little() -> None:
    outcome = analyze("security", "--offline=true", "--threshold=25", str(UNIT))
    assert outcome.returncode == 0, outcome.stdout
