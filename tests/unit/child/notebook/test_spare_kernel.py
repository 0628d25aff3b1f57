# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What beside a notebook keeps it from a kernel that has imported modules already."""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from autoflow.child.notebook.spare_kernel import hides_modules


@pytest.mark.parametrize("name", ["json.py", f"json{EXTENSION_SUFFIXES[0]}", "json.so", "json/__init__.py"])
def test_a_module_with_the_name_of_one_that_is_imported_hides_it(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    assert hides_modules(tmp_path)


@pytest.mark.parametrize("name", ["token.txt", "json.ipynb", "json.csv", "json/data.csv", "my_own_module.py"])
def test_other_files_with_its_name_and_modules_with_another_do_not(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    assert not hides_modules(tmp_path)
