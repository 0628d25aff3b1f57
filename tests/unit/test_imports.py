# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""A module is missing for a while, and never for longer."""

from __future__ import annotations

import sys

import pytest

from autoflow.imports import without


def test_a_module_is_missing_and_then_there_again() -> None:
    sys.modules.pop("cmd", None)
    with without("cmd"), pytest.raises(ImportError):
        import cmd
    import cmd

    assert cmd.Cmd


def test_a_module_that_is_loaded_stays() -> None:
    loaded = sys.modules["sys"]
    with without("sys"):
        import sys as again
    assert again is loaded is sys.modules["sys"]
