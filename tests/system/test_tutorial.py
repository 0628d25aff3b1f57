# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The tutorial does what it says: its commands, read out of the page, one after the other in one shell.

Those that install AutoFlow are run by tests/deployment/wheel.sh.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.clock import until
from tests.conftest import ROOT
from tests.receivers import free_port

PAGE = ROOT / "docs" / "tutorial" / "first-date.md"
ENDED = "<ended>\n"
FIRST_RUN_HERE = "mkdir -p ~/first-date && cd ~/first-date"


@dataclass(frozen=True)
class Step:
    command: str
    output: str
    """As the page shows it, with ``...`` for what it leaves out: within a line, or any lines where it stands alone."""

    @property
    def pattern(self) -> re.Pattern[str]:
        parts = (re.escape(part) for part in re.sub(r"^\.\.\.\n", "...", self.output, flags=re.MULTILINE).split("..."))
        return re.compile(r"\s*" + ".*?".join(parts) + r"\s*", re.DOTALL)


def steps_of(page: str) -> list[Step]:
    """Return the commands of a page with their output."""
    blocks = re.findall(r"^```console\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    steps = []
    for block in blocks:
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            steps.append(Step(command, output))
    return steps


class Shell:
    """A bash that is given one command after the other, as somebody types them."""

    def __init__(self, home: Path) -> None:
        environment = {name: value for name, value in os.environ.items() if "AUTOFLOW" not in name}
        environment |= {"HOME": str(home), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        self.said = home / "said"
        with self.said.open("wb") as output:
            self.process = subprocess.Popen(
                ["bash", "--noprofile", "--norc"],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=home,
                start_new_session=True,
                text=True,
            )

    def do(self, step: Step) -> None:
        """Give it a command, and wait until it has said what the page shows."""
        before = self.said.stat().st_size
        assert self.process.stdin
        # $? stays as the command has left it, for the next one
        self.process.stdin.write(f"{step.command}\n(code=$?; printf '<%s>\\n' ended; exit $code)\n")
        self.process.stdin.flush()
        until(lambda: ENDED in self.said_since(before) or self.process.poll() is not None)
        if step.command.endswith("&"):
            # it says it in its own time
            with suppress(AssertionError):
                until(lambda: bool(step.pattern.fullmatch(self.said_since(before).replace(ENDED, ""))))
        said = self.said_since(before).replace(ENDED, "")
        assert step.pattern.fullmatch(said), f"{PAGE.name}: {step.command}\n{said}\nis not\n{step.output}"

    def said_since(self, before: int) -> str:
        return self.said.read_bytes()[before:].decode()


@contextmanager
def shell(home: Path) -> Iterator[Shell]:
    it = Shell(home)
    try:
        yield it
    finally:
        with suppress(ProcessLookupError):
            os.killpg(it.process.pid, signal.SIGKILL)
        it.process.communicate()


def test_every_command_of_the_tutorial_does_what_the_page_says(tmp_path: Path) -> None:
    page = PAGE.read_text()
    for port in ("9090", "8080"):
        page = page.replace(f":{port}", f":{(free := free_port())}")
        page = page.replace("demo-flowapi --days", f"demo-flowapi --port {free} --days")
    steps = steps_of(page)
    first = [step.command for step in steps].index(FIRST_RUN_HERE)
    with shell(tmp_path) as bash:
        for step in steps[first:]:
            bash.do(step)
    assert not (tmp_path / "first-date").exists()


def test_a_page_that_says_something_else_is_found() -> None:
    (step,) = steps_of("```console\n$ autoflow plan\n...\n1 run\n```\n")
    assert step.pattern.fullmatch("a table\n1 run\n")
    assert not step.pattern.fullmatch("a table\n2 runs\n")
    assert not step.pattern.fullmatch("a table\n1 run\nand more\n")
