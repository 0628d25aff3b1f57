# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The commands of pages of docs, typed into a shell one after the other, and what the pages say that they print.

``autoflow`` is a process there, as ever, whose warm parents are forked from one that has made its imports already. The
home directory of the pages is one of the test, and the stand-in has a free port and answers queries at once.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.clock import until
from tests.conftest import ROOT
from tests.receivers import free_port
from tests.warm_parents import WarmParents

ENDED = "<ended>\n"

PROGRAM = """#!{python}
import socket, sys
sys.path[0] = {root!r}
from tests import forking
from tests.warm_parents import one_more
with socket.socket(fileno={connection}) as shared:
    sys.argv[1:1] = [str(one_more(shared).detach()), "in ticks"]
sys.exit(forking.main())
"""


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


def sections_of(page: Path) -> dict[str, str]:
    """Part a page of docs by its headings."""
    parts = re.split(r"^## (.*)\n", (ROOT / "docs" / page).read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


class Shell:
    """A bash that is given one command after the other, as somebody types them."""

    def __init__(self, home: Path, warm_parents: WarmParents, ports: Sequence[int]) -> None:
        self._home, self._ports = home, {port: free_port() for port in ports}
        self._said = home / "said"
        with self._said.open("wb") as output, warm_parents.connect() as connection:
            program = home / "bin" / "autoflow"
            program.parent.mkdir()
            program.write_text(PROGRAM.format(python=sys.executable, root=str(ROOT), connection=connection.fileno()))
            program.chmod(0o755)
            environment = {name: value for name, value in os.environ.items() if "AUTOFLOW" not in name}
            environment["PATH"] = f"{program.parent}:{os.environ['PATH']}"
            assert warm_parents.fits(environment)
            self.process = subprocess.Popen(
                ["bash", "--noprofile", "--norc"],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=ROOT,
                pass_fds=[connection.fileno()],
                start_new_session=True,
                text=True,
            )

    def type_all(self, page: str) -> None:
        """Type the commands of a page, or of a part of it."""
        for port, free in self._ports.items():
            page = page.replace(f":{port}", f":{free}")
        page = page.replace("demo-flowapi ", f"demo-flowapi --port {next(iter(self._ports.values()))} ")
        page = page.replace("--days ", "--poll-seconds 0 --days ").replace("~/", f"{self._home}/")
        for step in steps_of(page):
            self._type(step)

    def _type(self, step: Step) -> None:
        """Give it a command, and wait until it has said what the page shows."""
        before = self._said.stat().st_size
        assert self.process.stdin
        # $? stays as the command has left it, for the next one
        self.process.stdin.write(f"{step.command}\n(code=$?; printf '<%s>\\n' ended; exit $code)\n")
        self.process.stdin.flush()
        until(lambda: ENDED in self._said_since(before) or self.process.poll() is not None)
        if re.search(r"&\s*(#.*)?$", step.command):
            # it says it in its own time
            with suppress(AssertionError):
                until(lambda: bool(step.pattern.fullmatch(self._said_since(before).replace(ENDED, ""))))
        said = self._said_since(before).replace(ENDED, "")
        assert step.pattern.fullmatch(said), f"{step.command}\n{said}\nis not\n{step.output}"

    def _said_since(self, before: int) -> str:
        return self._said.read_bytes()[before:].decode()


@contextmanager
def shell(home: Path, warm_parents: WarmParents, *ports: int) -> Iterator[Shell]:
    """Open a shell.

    Parameters
    ----------
    ports
        Those that the pages have; a free one is taken in the place of each. The first is that of the stand-in.
    """
    it = Shell(home, warm_parents, ports)
    try:
        yield it
    finally:
        with suppress(ProcessLookupError):
            os.killpg(it.process.pid, signal.SIGKILL)
        it.process.communicate()
