# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Man pages say what the parsers say, in a form that man takes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from autoflow.commands.examples import EXAMPLES
from tests.man_pages import _text, pages, write


def test_each_command_has_a_page_with_its_options_and_examples() -> None:
    made = pages()
    assert made.keys() == {"autoflow.1", *(f"autoflow-{name}.1" for name in EXAMPLES)}
    for name, examples in EXAMPLES.items():
        assert all(_text(line) in made[f"autoflow-{name}.1"] for line, _ in examples)
    assert "\\fB\\-\\-tolerance\\fR \\fIFRACTION\\fR" in made["autoflow-diff.1"]
    assert ".SH EXIT STATUS" in made["autoflow.1"]
    assert "FLOWAPI_TOKEN" in made["autoflow.1"]


def test_no_text_is_markup() -> None:
    assert _text(".TH a\\fB\n'b --c") == "\\&.TH a\\efB\n\\&'b \\-\\-c"


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_groff_has_nothing_to_say_about_them(tmp_path: Path) -> None:
    write(tmp_path)
    command = ["groff", "-man", "-ww", "-Tutf8", "-z", *map(str, sorted(tmp_path.iterdir()))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""
