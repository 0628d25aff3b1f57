# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Whichever way a notebook fails or takes too long, it is told so, and the cell is named as the analyst counts."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest

from autoflow.jobs.jobs import Jobs, Reply
from tests.clock import PATIENCE
from tests.overtime import Overtime


@pytest.fixture(scope="module", params=[True, False], ids=["warm", "cold"])
def warm(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@dataclass(frozen=True)
class Cells:
    """Executes notebooks that are made of some cells' sources."""

    jobs: Jobs
    directory: Path
    warm: bool

    def run(self, *sources: str | tuple[str, str]) -> tuple[Reply, dict[str, Any]]:
        """Execute one notebook of some cells, whose sources may come with a tag."""
        (ended,) = self.run_all([sources])
        return ended

    def run_all(self, notebooks: Sequence[Any]) -> list[tuple[Reply, dict[str, Any]]]:
        """Execute notebooks, a few at a time; the time of one that says `HANGS` is over then."""
        overtime = Overtime(self.jobs, self.directory)

        async def all_of_them() -> list[tuple[Reply, dict[str, Any]]]:
            # most of them wait for the end of the grace time, all at once
            slots = asyncio.Semaphore(16)
            async with self.jobs.warmth(()) if self.warm else nullcontext():
                return await asyncio.gather(*(self._execute(sources, overtime, slots) for sources in notebooks))

        return overtime.run(all_of_them())

    async def _execute(
        self, sources: Any, overtime: Overtime, slots: asyncio.Semaphore
    ) -> tuple[Reply, dict[str, Any]]:
        tagged = [source if isinstance(source, tuple) else (source, "untagged") for source in sources]
        kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
        async with slots:
            with self.jobs.workspace() as workspace:
                path = self.directory / f"{workspace.name}.ipynb"
                here = overtime.here(workspace.name)
                cells = [
                    nbformat.v4.new_code_cell(source.replace(HANGS, here), metadata={"tags": [tag]})
                    for source, tag in tagged
                ]
                path.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=cells, metadata=kernel)))
                request = {"notebook": str(path), "parameters": {"x": 1}, "final": "/final.ipynb"}
                reply = await overtime.call(workspace.name, request, workspace)
                executed = workspace / "notebook.ipynb"
                return reply, json.loads(executed.read_text()) if executed.exists() else {}


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory, warm: bool) -> Iterator[Cells]:
    directory = tmp_path_factory.mktemp("cells")
    jobs = Jobs(directory / "work", f"cells{os.getpid()}-{warm}", os.environ, interrupt_grace=3.0)
    (directory / "inputs").mkdir()
    yield Cells(jobs, directory / "inputs", warm)
    jobs.close()


HANGS = "# it hangs from here on"


def hanging(source: Any) -> Any:
    """Let the cell say that it is about to hang."""
    return (hanging(source[0]), *source[1:]) if isinstance(source, tuple) else f"{HANGS}\n{source}"


OVER_TIME = {
    "a loop of the shell": "!while sleep 1; do echo on; done",
    "except BaseException": "import time\ntry:\n    time.sleep(60)\nexcept BaseException:\n    pass",
    "except in a loop": (
        "import time\nwhile True:\n    try:\n        time.sleep(60)\n    except BaseException:\n        pass"
    ),
    "finally with work": "import time\ntry:\n    time.sleep(60)\nfinally:\n    time.sleep(1)",
    "a context manager that swallows": (
        "import time\nclass All:\n    def __enter__(self): pass\n    def __exit__(self, *_): return True\n"
        "with All():\n    time.sleep(60)"
    ),
    "os.system": "import os\nos.system('sleep 60')",
    "os.system in a loop": "import os\nfor _ in range(60):\n    os.system('sleep 1')",
    "subprocess.call": (
        "import subprocess\ntry:\n    subprocess.call(['sleep', '60'])\nexcept KeyboardInterrupt:\n    pass"
    ),
    "a pool": (
        "import multiprocessing, time\ncontext = multiprocessing.get_context('fork')\n"
        "try:\n    with context.Pool(2) as pool:\n        pool.map(time.sleep, [60, 60])\n"
        "except BaseException:\n    pass"
    ),
    "C that holds the GIL": "import re\nre.match('(a+)+$', 'a' * 40 + 'b')",
    "a task that swallows its cancellation": (
        "import asyncio\nasync def stubborn():\n    while True:\n        try:\n            await asyncio.sleep(60)\n"
        "        except BaseException:\n            pass\nawait asyncio.gather(stubborn())"
    ),
    "asyncio.run in a thread": (
        "import asyncio, threading\nthread = threading.Thread(target=asyncio.run, args=[asyncio.sleep(60)])\n"
        "thread.start()\ntry:\n    thread.join()\nexcept KeyboardInterrupt:\n    pass"
    ),
    "a handler of its own": "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(60)",
    "a handler that exits well": (
        "import os, signal, time\nsignal.signal(signal.SIGINT, lambda *_: os._exit(0))\ntime.sleep(60)"
    ),
    "sys.exit on an interrupt": "import sys, time\ntry:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    sys.exit()",
    "expected to raise": ("import time\ntime.sleep(60)", "raises-exception"),
}


# the others do the same in a kernel that was started from nothing, which takes a second or many
COLD = ("a handler of its own",)


def test_a_notebook_over_its_time_has_failed_whatever_it_makes_of_the_interrupt(cells: Cells) -> None:
    tried = OVER_TIME if cells.warm else {name: OVER_TIME[name] for name in COLD}
    notebooks = [("x = 0", hanging(source), "print('after')") for source in tried.values()]
    ended = dict(zip(tried, cells.run_all(notebooks), strict=True))
    assert {name for name, (reply, _) in ended.items() if reply.cause != "timeout" or reply.value} == set()
    assert {name for name, (_, executed) in ended.items() if '"after' in json.dumps(executed["cells"])} == set()


def test_the_cell_that_went_on_after_the_interrupt_is_named(tmp_path: Path) -> None:
    # it ends by itself, and how soon after the interrupt says more of the machine than of AutoFlow
    jobs = Jobs(tmp_path / "work", f"named{os.getpid()}", os.environ, interrupt_grace=PATIENCE)
    with closing(jobs):
        cells = Cells(jobs, tmp_path, warm=False)
        reply, executed = cells.run("x = 0", hanging(OVER_TIME["except BaseException"]), "print('after')")
    assert (reply.cause, reply.error["cell"]) == ("timeout", 2)
    assert "AutoFlow interrupted this cell, but it did not stop" in json.dumps(executed)
    assert '"after' not in json.dumps(executed["cells"])


def text(lines: str | list[str]) -> str:
    return lines if isinstance(lines, str) else "".join(lines)


ASKS = {
    "read": "!read x; echo answer:$x",
    "cat": "!cat; echo answer:",
    "a terminal": "!(echo question > /dev/tty && cat /dev/tty) 2>/dev/null || echo answer:",
    "a password": '!python3 -c "import getpass; print(getpass.getpass())" 2>/dev/null; echo answer:',
    "a captured command": "print('answer:', !cat)".replace("!cat", "get_ipython().getoutput('cat')"),
    "subprocess": "import subprocess\nprint('answer:', subprocess.run(['cat'], capture_output=True).stdout)",
    "os.system": "import os\nprint('answer:', os.system('cat'))",
    "bash": "%%bash\nread x\necho ignored\necho answer:",
    "sys.stdin": "import sys\nprint('answer:', repr(sys.stdin.read()))",
    "a file descriptor": "import os\nprint('answer:', os.read(0, 10))",
}


Well = tuple[Reply, dict[str, dict[str, Any]]]
"""How the notebook of all that is no failure ended, and its cells by what they are about."""


@pytest.fixture(scope="module")
def well(cells: Cells) -> Well:
    (cells.directory / "beside.py").write_text("import resource\nlimit = resource.getrlimit(resource.RLIMIT_CORE)[0]\n")
    sources: dict[str, str | tuple[str, str]] = {
        "names": "print(sorted(name for name in globals() if not name.startswith('_')))",
        "beside": "import beside\nprint('limit', beside.limit)",
        "expected": ("1 / 0", "raises-exception"),
        "after": "print('after')",
        "a terminal to print to": "def show(name):\n    !test -t 1 && echo it is $name {name.upper()}\nshow('local')",
        **ASKS,
        "the end": "import sys; sys.exit()",
        "after the end": "print('after')",
    }
    reply, executed = cells.run(*sources.values())
    # papermill's cell with the parameters comes first
    return reply, dict(zip(sources, executed["cells"][1:], strict=True))


def test_a_notebook_whose_cells_all_end_well_has_succeeded(well: Well) -> None:
    reply, _ = well
    assert reply.cause == "done", reply


def test_nothing_that_a_cell_starts_waits_for_somebody_to_type(well: Well) -> None:
    _, made = well
    assert {name for name in ASKS if "answer:" not in json.dumps(made[name]["outputs"])} == set()


def test_what_a_command_prints_to_is_a_terminal_still_and_names_are_substituted(well: Well) -> None:
    assert "it is local LOCAL" in json.dumps(well[1]["a terminal to print to"])


def test_the_namespace_and_the_count_of_cells_are_the_analysts_own(well: Well) -> None:
    cell = well[1]["names"]
    (result,) = cell["outputs"]
    assert text(result["text"]) == "['In', 'Out', 'exit', 'get_ipython', 'open', 'quit', 'x']\n"
    assert cell["execution_count"] == 2


def test_a_cell_that_is_expected_to_raise_does_not_fail_the_notebook(well: Well) -> None:
    assert "ZeroDivisionError" in json.dumps(well[1]["expected"])
    assert "after" in json.dumps(well[1]["after"]["outputs"])


def test_modules_beside_a_notebook_are_imported_and_no_core_is_left(well: Well) -> None:
    assert "limit 0" in json.dumps(well[1]["beside"]["outputs"])


def test_a_cell_may_end_the_notebook_well(well: Well) -> None:
    assert well[1]["after the end"]["outputs"] == []


def test_a_cell_may_end_the_notebook_by_an_exception_of_its_own(tmp_path: Path) -> None:
    with closing(Jobs(tmp_path / "work", f"exit{os.getpid()}", os.environ)) as jobs:
        reply, executed = Cells(jobs, tmp_path, warm=True).run("raise SystemExit(0)", "print('after')")
    assert reply.cause == "done"
    assert executed["cells"][-1]["outputs"] == []


FAILS = {
    "an error": ("raise ValueError('no such place')", "ValueError", "no such place"),
    "a magic that is not there": ("%nosuch", "UsageError", "Line magic function `%nosuch` not found"),
    "a file without a name": ("%%writefile\ntext", "UsageError", "the following arguments are required: filename"),
    "a cell magic that is not there": ("%%nosuch\ntext", "UsageError", "Cell magic `%%nosuch` not found"),
    "a script that fails": ("%%bash\nexit 3", "CalledProcessError", "returned non-zero exit status 3"),
    "syntax": ("x = ", "SyntaxError", "invalid syntax"),
    "a crash": (
        "import ctypes; ctypes.string_at(0)",
        "DeadKernelError",
        "the kernel crashed in the middle of a cell, by signal 11 (Segmentation fault)",
    ),
    "an abort": ("import os; os.abort()", "DeadKernelError", "by signal 6 (Aborted)"),
    "an exit": (
        "import os; os._exit(0)",
        "DeadKernelError",
        "exited in the middle of a cell, with exit code 0",
    ),
    "a kill": (
        "import os; os.kill(os.getpid(), 9)",
        "DeadKernelError",
        "killed by signal 9, most likely because memory",
    ),
    "an exit with a code": ("import sys; sys.exit(3)", "SystemExit", "3"),
    "a value that fails to be shown": (
        "class Odd:\n    def _repr_html_(self): raise ValueError('not to be shown')\nOdd()",
        "ValueError",
        "not to be shown",
    ),
    "a removal": (
        "import pandas\npandas.DataFrame({'a': [1]}).append({})",
        "AttributeError",
        "write pd.concat([first, second])",
    ),
}


# the others are told by IPython, which is the same in a kernel that was started from nothing
FAILS_COLD = ("an error", "a kill", "an exit")


def test_the_failing_cell_is_named_with_a_reason(cells: Cells) -> None:
    tried = FAILS if cells.warm else {name: FAILS[name] for name in FAILS_COLD}
    before = (("x = 0", "parameters"), ("1 / 0", "raises-exception"), ("%nosuch", "raises-exception"))
    ended = cells.run_all([(*before, source, "print('after')") for source, _, _ in tried.values()])
    for (source, exception, message), (reply, executed) in zip(tried.values(), ended, strict=True):
        assert reply.cause == "failed", source
        assert (reply.error["exception"], reply.error["cell"]) == (exception, 4)
        assert message in reply.error["message"]
        (failed,) = [cell for cell in executed["cells"] if cell["metadata"].get("papermill", {}).get("exception")]
        assert text(failed["source"]) == source
        assert any(output["output_type"] == "error" for output in failed["outputs"])
        assert '"after' not in json.dumps([cell.get("outputs") for cell in executed["cells"]])
        assert "Execution using papermill encountered an exception here" in json.dumps(executed)


def test_a_kernel_that_ends_after_the_last_cell_is_told(cells: Cells) -> None:
    reply, _ = cells.run("import os, threading\nthreading.Timer(0.0, os._exit, [4]).start()\n")
    assert reply.cause == "failed"
    assert "the kernel exited" in reply.error["message"]
    assert "with exit code 4" in reply.error["message"]
