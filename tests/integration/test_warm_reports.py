# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Warm reports: pages made by a fork of a process that has loaded asciidoctor-pdf are those of the program itself."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import matplotlib as mpl
import nbformat
import psutil
import pytest
from matplotlib import pyplot as plt
from nbformat import v4

from autoflow.child.asciidoctor import SERVER, Line, ruby_of
from autoflow.jobs.jobs import Jobs, Reply
from autoflow.warm_process import START
from tests.clock import PATIENCE, until

mpl.use("Agg")

REAL = shutil.which("asciidoctor-pdf") or ""

PROGRAM = """#!{ruby}
# who runs it is written down
line = File.read('/proc/self/cmdline').tr("\\0", ' ')
File.write('{log}', line + "\\n", mode: 'a')
{action}
"""


class Trial:
    """Reports of one notebook, made with an asciidoctor-pdf that tells on itself."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory / "log.txt"
        self.program = directory / "bin" / "asciidoctor-pdf"
        self.program.parent.mkdir()
        self.be(f"load '{REAL}'")
        environment = {**os.environ, "PATH": f"{self.program.parent}:{os.environ['PATH']}"}
        self.jobs = Jobs(directory / "work", f"reports{os.getpid()}", environment, interrupt_grace=1.0)
        self.notebook = directory / "executed.ipynb"
        nbformat.write(_notebook(), self.notebook)

    def be(self, action: str, *, ruby: str = "/usr/bin/env ruby") -> None:
        """Let the program do something else."""
        self.program.unlink(missing_ok=True)
        self.program.write_text(PROGRAM.format(ruby=ruby, log=self.log, action=action))
        self.program.chmod(0o755)

    def forks(self) -> list[bool]:
        """Say of each time the program ran whether a fork did it."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [SERVER.name in line for line in lines]

    def wait_until_it_runs(self) -> None:
        until(self.log.exists)

    async def make(self) -> tuple[Reply, bytes]:
        with self.jobs.workspace() as workspace:
            made = workspace / "report.pdf"
            request = {
                "notebook": str(self.notebook),
                "formats": ["pdf"],
                "outputs": [{"format": "pdf", "path": str(made), "template": None, "theme": None, "code": False}],
                "manifest": None,
                "inputs_dir": str(self.directory),
                "title_fallback": "x",
            }
            reply = await self.jobs.call("report", request, workspace, timeout=60)
            return reply, made.read_bytes() if made.exists() else b""

    def run(self, *, warm: bool = True) -> tuple[Reply, bytes]:
        async def make() -> tuple[Reply, bytes]:
            async with self.jobs.warmth(()) if warm else nullcontext():
                return await self.make()

        return asyncio.run(make())


def _notebook() -> Any:
    figure, axes = plt.subplots()
    axes.plot([1, 3, 2])
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    plt.close(figure)
    outputs = [
        v4.new_output("display_data", {"image/png": base64.b64encode(picture.getvalue()).decode()}),
        v4.new_output("display_data", {"text/html": "<table><tr><th>a</th></tr><tr><td>1</td></tr></table>"}),
    ]
    text = "# Title\n\n**strong** `code` $x^2$ 漢字 \U0001fbf0\n\n> quoted\n\n```python\ncode = 1\n```\n"
    return v4.new_notebook(cells=[v4.new_markdown_cell(text), v4.new_code_cell("", outputs=outputs)])


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    trial = Trial(tmp_path)
    yield trial
    trial.jobs.close()
    assert not gone_in_time(str(trial.program))


def processes(words: str) -> list[psutil.Process]:
    found = psutil.process_iter(["cmdline"])
    return [process for process in found if words in " ".join(process.info["cmdline"] or ())]


def gone_in_time(words: str, seconds: float = PATIENCE, *, all_but: int = 0) -> list[psutil.Process]:
    """Give the processes that are still there when that time is over."""
    end = time.monotonic() + seconds
    while len(left := processes(words)) > all_but and time.monotonic() < end:
        time.sleep(0.02)
    return left


def oom_scores(found: list[psutil.Process]) -> dict[bool, str]:
    """Give the score of the one that forks, under True, and of its forks."""
    pids = {process.pid for process in found}
    return {
        process.ppid() not in pids: Path(f"/proc/{process.pid}/oom_score_adj").read_text().strip() for process in found
    }


def without_times(pdf: bytes) -> bytes:
    return re.sub(rb"/(CreationDate|ModDate) \(.*?\)|/ID \[.*?\]", b"", pdf, flags=re.DOTALL)


def test_the_pages_and_the_warnings_are_those_of_the_program_itself(trial: Trial) -> None:
    (forked, pages), (ordinary, same) = trial.run(), trial.run(warm=False)
    assert trial.forks() == [True, False]
    assert forked.cause == ordinary.cause == "done"
    assert forked.value["warnings"] == ordinary.value["warnings"]
    assert any("no installed font has the characters" in warning["message"] for warning in forked.value["warnings"])
    assert pages.startswith(b"%PDF")
    assert len(pages) > 10_000
    assert without_times(pages) == without_times(same)


def test_reports_at_a_time_and_one_after_another_are_forked(trial: Trial) -> None:
    async def several() -> list[tuple[Reply, bytes]]:
        async with trial.jobs.warmth(()):
            return [*await asyncio.gather(*(trial.make() for _ in range(3))), await trial.make()]

    made = asyncio.run(several())
    assert [reply.cause for reply, _ in made] == ["done"] * 4
    assert trial.forks() == [True] * 4
    assert len({without_times(pages) for _, pages in made}) == 1


def test_what_the_program_says_of_its_failure_is_told(trial: Trial) -> None:
    trial.be("warn 'no ink'; exit 3")
    reply, _ = trial.run()
    assert reply.error["message"] == "asciidoctor-pdf failed (exit code 3): no ink"
    trial.be("raise 'out of paper'")
    reply, _ = trial.run()
    assert "failed (exit code 1)" in reply.error["message"]
    assert "out of paper" in reply.error["message"]
    trial.be("$stderr.sync = true; Process.kill(:KILL, Process.pid)")
    reply, _ = trial.run()
    assert reply.error["message"].startswith("asciidoctor-pdf failed (exit code -9)")
    assert trial.forks() == [True] * 3


@pytest.mark.parametrize("action", ["sleep 600", "loop {}", "trap('TERM', 'IGNORE'); trap('INT', 'IGNORE'); sleep 600"])
def test_a_conversion_ends_with_its_job(trial: Trial, action: str) -> None:
    trial.be(action)

    async def stopped() -> list[psutil.Process]:
        async with trial.jobs.warmth(()):
            making = asyncio.create_task(trial.make())
            await asyncio.to_thread(trial.wait_until_it_runs)
            making.cancel()
            with suppress(asyncio.CancelledError):
                await making
            # the process that forks stays for other reports
            return await asyncio.to_thread(gone_in_time, str(trial.program), all_but=1)

    assert len(asyncio.run(stopped())) == 1
    assert trial.forks() == [True]


def test_reports_are_made_when_the_process_that_forks_is_killed(trial: Trial) -> None:
    async def killed_between() -> list[Reply]:
        async with trial.jobs.warmth(()):
            first, _ = await trial.make()
            (server,) = processes(str(trial.program))
            server.kill()
            second, pages = await trial.make()
            assert pages
            return [first, second]

    assert [reply.cause for reply in asyncio.run(killed_between())] == ["done", "done"]
    assert trial.forks() == [True, False]


def test_a_report_is_made_when_the_process_that_forks_is_killed_meanwhile(trial: Trial) -> None:
    # only a fork is slow
    trial.be(f"sleep 600 if line.include?('{SERVER.name}'); load '{REAL}'")

    async def killed_meanwhile() -> tuple[Reply, bytes]:
        async with trial.jobs.warmth(()):
            making = asyncio.create_task(trial.make())
            await asyncio.to_thread(trial.wait_until_it_runs)
            for process in processes(str(trial.program)):
                process.kill()
            return await making

    reply, pages = asyncio.run(killed_meanwhile())
    assert reply.cause == "done"
    assert pages
    assert trial.forks() == [True, False]


def test_where_memory_runs_out_the_process_that_forks_goes_first_and_a_conversion_in_its_turn(trial: Trial) -> None:
    trial.be("sleep 600")

    async def scores() -> dict[bool, str]:
        async with trial.jobs.warmth(()):
            making = asyncio.create_task(trial.make())
            await asyncio.to_thread(trial.wait_until_it_runs)
            read = oom_scores(processes(str(trial.program)))
            making.cancel()
            with suppress(asyncio.CancelledError):
                await making
            return read

    usual = Path("/proc/self/oom_score_adj").read_text().strip()
    assert asyncio.run(scores()) == {True: "1000", False: usual}


@pytest.mark.usefixtures("warm_parent_from_nothing")
def test_it_ends_with_the_warm_parent_also_when_that_is_killed(trial: Trial) -> None:
    trial.be("sleep 600")

    async def killed() -> Reply:
        async with trial.jobs.warmth(()):
            making = asyncio.create_task(trial.make())
            await asyncio.to_thread(trial.wait_until_it_runs)
            (parent,) = (process for process in processes(f"{START} --warm") if process.ppid() == os.getpid())
            parent.send_signal(signal.SIGKILL)
            return (await making)[0]

    assert asyncio.run(killed()).cause == "died"
    assert not gone_in_time(str(trial.program))


def test_a_program_that_is_replaced_is_used_from_then_on(trial: Trial) -> None:
    async def replaced() -> list[Reply]:
        async with trial.jobs.warmth(()):
            first, _ = await trial.make()
            trial.be("warn 'I am new'; exit 3")
            second, _ = await trial.make()
            return [first, second]

    first, second = asyncio.run(replaced())
    assert first.cause == "done"
    assert second.error["message"].endswith("I am new")
    assert trial.forks() == [True, False]


def test_what_a_report_needs_is_loaded_while_the_notebook_before_it_runs(trial: Trial) -> None:
    sleeps = v4.new_notebook(
        cells=[v4.new_code_cell("import time; time.sleep(60)")],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python", "language": "python"}},
    )
    nbformat.write(sleeps, trial.directory / "sleeps.ipynb")

    async def loaded_meanwhile(formats: list[str]) -> bool:
        request = {"notebook": str(trial.directory / "sleeps.ipynb"), "parameters": {}, "final": "", "formats": formats}
        async with trial.jobs.warmth(()):
            with trial.jobs.workspace() as workspace:
                running = asyncio.create_task(trial.jobs.call("notebook", request, workspace, timeout=60))
                while not (workspace / "notebook.ipynb").exists():  # noqa: ASYNC110  # nothing tells of it
                    await asyncio.sleep(0.02)
                loaded = bool(processes(str(trial.program)))
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running
                return loaded

    assert asyncio.run(loaded_meanwhile(["html", "pdf"]))
    assert not asyncio.run(loaded_meanwhile(["html"]))


@pytest.mark.parametrize("ruby", ["/bin/sh", "/nonexistent/ruby"])
def test_a_program_that_is_no_ruby_or_whose_ruby_is_missing_is_started(trial: Trial, ruby: str) -> None:
    trial.be("", ruby=ruby)
    if ruby == "/bin/sh":
        trial.program.write_text(f'#!/bin/sh\nexec {REAL} "$@"\n')
        assert trial.run()[0].cause == "done"
    else:
        # as without warmth
        assert trial.run()[0].error == trial.run(warm=False)[0].error


def test_a_process_that_can_not_load_the_program_is_done_without(trial: Trial) -> None:
    ruby = trial.program.with_name("ruby")
    ruby.write_text(f'#!/bin/sh\ncase "$*" in *{SERVER.name}*) exit 1 ;; esac\nexec {shutil.which("ruby")} "$@"\n')
    ruby.chmod(0o755)
    reply, pages = trial.run()
    assert (reply.cause, bool(pages)) == ("done", True)
    assert trial.forks() == [False]


def test_a_process_that_hangs_is_waited_for_no_longer_than_patience(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        line = Line(ours, patience=0.1)
        assert line.convert(["a"], tmp_path / "said", 60.0) is None
        assert json.loads(theirs.recv(1000)) == {"arguments": ["a"], "messages": str(tmp_path / "said")}
        # it learns that nobody wants it any more
        assert theirs.recv(1000) == b""


def test_an_end_that_nobody_tells_of_is_noticed(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs, subprocess.Popen(["true"]) as ended:
        theirs.send(str(ended.pid).encode())
        assert Line(ours, patience=0.1).convert([], tmp_path / "said", 60.0) is None
        theirs.recv(1000)
        assert theirs.recv(1000) == b""


def test_a_conversion_has_its_time_and_no_more(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        theirs.send(str(os.getpid()).encode())
        with pytest.raises(TimeoutError):
            Line(ours).convert([], tmp_path / "said", 0.1)
        theirs.recv(1000)
        assert theirs.recv(1000) == b""


@pytest.mark.parametrize(
    ("first", "found"),
    [
        ("#!/usr/bin/ruby", ["/usr/bin/ruby"]),
        ("#! /opt/ruby3.3 -w", ["/opt/ruby3.3", "-w"]),
        ("#!/usr/bin/env ruby", ["/usr/bin/env", "ruby"]),
        ("#!/bin/sh", None),
        ("#!/usr/bin/env -S ruby -w", None),
        ("\x7fELF", None),
        ("", None),
    ],
)
def test_the_ruby_of_a_program_is_read_from_its_first_line(tmp_path: Path, first: str, found: list[str] | None) -> None:
    program = tmp_path / "program"
    program.write_text(f"{first}\n# ruby\n")
    assert ruby_of(program) == found


@pytest.mark.parametrize(
    "text",
    [
        "require 'rubygems'\nload Gem.activate_bin_path('asciidoctor-pdf', 'asciidoctor-pdf', version)",
        "gem 'asciidoctor-pdf', '= 2.3.4'",
        "require 'bundler/setup'",
        "ENV['GEM_PATH'] = '/opt/gems'",
        "$LOAD_PATH.unshift '/opt/lib'",
    ],
)
def test_a_program_that_chooses_its_own_library_is_started(tmp_path: Path, text: str) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/usr/bin/env ruby\n{text}\n")
    assert ruby_of(program) is None


def test_a_program_with_its_library_beside_it_is_started(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "program"
    library = tmp_path / "lib" / "asciidoctor" / "pdf.rb"
    for file in (program, library):
        file.parent.mkdir(parents=True)
    program.write_text("#!/usr/bin/env ruby\n")
    assert ruby_of(program) == ["/usr/bin/env", "ruby"]
    library.write_text("")
    assert ruby_of(program) is None


def test_a_line_that_has_failed_once_is_not_tried_again(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.close()
    line = Line(ours)
    assert line.convert([], tmp_path / "said", 60.0) is None
    assert line.convert([], tmp_path / "said", 60.0) is None
