# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""At Tab, a shell offers what may come next: commands, options, and what is in workflows.yml and in the record."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from autoflow.model.store import RunStore
from autoflow.settings.places import Places
from tests.conftest import Deployment, Outcome

SEPARATOR = "\013"


@pytest.fixture
def offered(deployment: Deployment, tmp_path: Path) -> Callable[[str], list[str]]:
    """Ask as the script of bash does."""

    def ask(line: str) -> list[str]:
        answer = tmp_path / "answer"
        answer.unlink(missing_ok=True)
        asking = {
            "_ARGCOMPLETE": "1",
            "_ARGCOMPLETE_SHELL": "bash",
            "_ARGCOMPLETE_IFS": SEPARATOR,
            "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
            "COMP_LINE": line,
            "COMP_POINT": str(len(line)),
        }
        command = [str(Path(sys.executable).with_name("autoflow"))]
        done = subprocess.run(command, env=deployment.environment | asking, capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == ("", "")
        return [word.strip() for word in answer.read_text().split(SEPARATOR)]

    return ask


def test_commands_options_and_names_are_offered(deployment: Deployment, offered: Callable[[str], list[str]]) -> None:
    deployment.write_simple("glues", "reads")
    deployment.outputs.mkdir()
    with closing(RunStore(deployment.outputs / "autoflow.db", Places.below(deployment.outputs))):
        pass
    assert offered("autoflow calen") == ["calendar"]
    assert offered("autoflow runs --sta") == ["--state"]
    assert offered("autoflow why ") == ["w"]
    assert offered("autoflow try w 2016-01-01 --notebook ") == ["glues", "reads"]
    assert offered("autoflow show ") == [""]


@pytest.mark.parametrize("text", [None, "", "workflows: 1", "a: [", "workflows: [{name: 2016-01-01}]"])
def test_what_cannot_be_read_disturbs_nobody(
    deployment: Deployment, offered: Callable[[str], list[str]], text: str | None
) -> None:
    if text is not None:
        deployment.write(text)
    assert offered("autoflow why ") == (["2016-01-01"] if text and "2016" in text else [""])


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_are_such(typed: Callable[..., Outcome], tmp_path: Path, shell: str) -> None:
    script = tmp_path / "script"
    script.write_text(typed("completion", shell).answer)
    assert "autoflow" in script.read_text()
    if shutil.which(shell):
        subprocess.run([shell, "-n", str(script)], check=True)


def test_nothing_of_it_is_imported_otherwise() -> None:
    code = "import sys; from autoflow.cli import build_parser; build_parser().format_help();"
    code += " print([name for name in sys.modules if 'argcomplete' in name or name == 'yaml'])"
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"
