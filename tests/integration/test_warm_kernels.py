# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Warm kernels: a notebook cannot tell one from a kernel that was started from nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import nbformat
import psutil
import pytest

from autoflow.definitions import PRELOAD
from autoflow.jobs.jobs import Jobs, Reply
from autoflow.warm_process import MARKER, start_warm_process
from tests.clock import PATIENCE, run_held

INSTANCE = f"warm{os.getpid()}"


class Trial:
    """Notebooks made of cells, executed by forked kernels or by ordinary ones."""

    def __init__(self, directory: Path, environment: Mapping[str, str], jobs: Jobs | None = None) -> None:
        self.directory = directory
        # ipykernel leaves descriptors alone where it sees pytest
        environment = {name: value for name, value in environment.items() if not name.startswith("PYTEST_")}
        self.jobs = jobs or Jobs(directory / "work", INSTANCE, environment, interrupt_grace=2.0)
        self.inputs = directory / "inputs"
        self.inputs.mkdir()

    def notebook(self, name: str, *cells: str, kernel: str = "python3") -> Path:
        spec = {"name": kernel, "display_name": kernel, "language": "python"}
        content = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata={"kernelspec": spec}
        )
        path = self.inputs / f"{name}.ipynb"
        nbformat.write(content, path)
        return path

    async def call(self, path: Path) -> tuple[Reply, list[Any]]:
        """Execute, and give the reply and the outputs of all cells."""
        with self.jobs.workspace() as workspace:
            request = {"notebook": str(path), "parameters": {}, "final": "/final.ipynb"}
            reply = await self.jobs.call("notebook", request, workspace, timeout=60)
            executed = workspace / "notebook.ipynb"
            cells = json.loads(executed.read_text())["cells"] if executed.exists() else []
        return reply, [output for cell in cells for output in cell.get("outputs", ())]

    def run(self, *paths: Path, warm: bool = True, preload: Sequence[str] = ()) -> list[tuple[Reply, list[Any]]]:
        """Execute notebooks one after another."""

        async def run_all() -> list[tuple[Reply, list[Any]]]:
            async with self.jobs.warmth(preload) if warm else nullcontext():
                return [await self.call(path) for path in paths]

        return asyncio.run(run_all())

    def say(self, *cells: str, warm: bool = True, preload: Sequence[str] = ()) -> str:
        """Execute cells, and give what they print."""
        ((reply, outputs),) = self.run(self.notebook("says", *cells), warm=warm, preload=preload)
        assert reply.cause == "done", reply
        return text_of(outputs)


def text_of(outputs: list[Any]) -> str:
    return "".join("".join(output.get("text", "")) for output in outputs)


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    trial = Trial(tmp_path, os.environ)
    yield trial
    trial.jobs.close()
    assert family() == []


def family() -> list[psutil.Process]:
    found = psutil.process_iter(["environ"])
    return [p for p in found if str((p.info["environ"] or {}).get(MARKER, "")).startswith(f"{INSTANCE}/")]


IS_FORK = "print(b'autoflow.child' in open('/proc/self/cmdline', 'rb').read())"


@pytest.mark.usefixtures("warm_parent_from_nothing")
def test_a_kernel_is_forked_where_it_can_be(trial: Trial) -> None:
    assert trial.say(IS_FORK) == "True\n"
    assert trial.say(IS_FORK, warm=False) == "False\n"


def test_a_kernel_is_forked_with_each_library_that_is_imported_ahead(trial: Trial) -> None:
    libraries = sorted({module.partition(".")[0] for module in PRELOAD})
    there = [library for library in libraries if find_spec(library)]
    assert there
    notebooks = [trial.notebook(f"imports_{library}", f"import {library}", IS_FORK) for library in there]
    printed = [text_of(outputs) for _, outputs in trial.run(*notebooks, preload=PRELOAD)]
    assert dict(zip(there, printed, strict=True)) == dict.fromkeys(there, "True\n")


def test_a_defect_of_the_warm_parent_ends_no_other_job_and_is_told(
    trial: Trial, caplog: pytest.LogCaptureFixture
) -> None:
    async def run_both() -> tuple[tuple[Reply, list[Any]], tuple[Reply, list[Any]]]:
        async with trial.jobs.warmth(()):
            go = trial.directory / "go"
            cell = f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)"
            waiting = asyncio.create_task(trial.call(trial.notebook("waits", cell)))
            while len(family()) < 3:  # noqa: ASYNC110  # there is nothing to wait for
                await asyncio.sleep(0.1)
            # no list of modules: nothing that AutoFlow would send
            trial.jobs.keep_warm(cast(Any, [1]))
            other = await trial.call(trial.notebook("asks", IS_FORK))
            go.touch()
            return await waiting, other

    (waited, _), (other, outputs) = asyncio.run(run_both())
    assert waited.cause == other.cause == "done"
    assert text_of(outputs) == "False\n"
    assert "a job could not be forked and is started in a new process: AttributeError" in caplog.text


@pytest.mark.usefixtures("warm_parent_from_nothing")
def test_what_a_notebook_sees_of_its_process_is_the_same(trial: Trial) -> None:
    look = """
import gc, os, signal, sys, threading
def plain(text):
    return str(text).replace(os.environ["JUPYTER_RUNTIME_DIR"], "RUNTIME")
hidden = {"AUTOFLOW_JOB", "JUPYTER_RUNTIME_DIR", "JPY_PARENT_PID", "JPY_SESSION_NAME"}
for item in sorted(os.environ.items()):
    if item[0] not in hidden:
        print(item)
print(os.getcwd(), plain(sys.path), plain(sys.argv), plain(sys.orig_argv), sys.flags, sys.executable)
print(__name__, sys.modules["__main__"].__dict__ is globals(), "__file__" in globals())
print(sorted(thread.name.partition("-")[0] for thread in threading.enumerate()))
print([(s.name, str(signal.getsignal(s)).split(" at ")[0]) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)])
print(gc.isenabled(), gc.get_threshold(), sys.getrecursionlimit(), os.getpid() == os.getsid(0) == os.getpgid(0))
foreign = ("papermill", "nbclient", "autoflow", "numpy", "pandas", "pyarrow", "pyarrow.fs")
print([name for name in foreign if name in sys.modules])
print(sys.stdin.read() == "", os.stat(0).st_rdev == os.stat(os.devnull).st_rdev, os.umask(0o022))
print(open("/proc/self/oom_score_adj").read())
print(os.getppid() == int(os.environ["JPY_PARENT_PID"]), get_ipython().kernel.parent.parent_handle == os.getppid())
"""
    forked, ordinary = (trial.say(look, warm=warm).splitlines() for warm in (True, False))
    for seen, expected in zip(forked, ordinary, strict=True):
        assert seen == expected


def test_plots_arrive_whoever_imports_matplotlib_first(trial: Trial) -> None:
    cells = {
        "pyplot": ["import matplotlib.pyplot as plt", "plt.plot([1, 2]);"],
        "pandas": ["import pandas as pd", "pd.Series([1, 2]).plot();"],
        "shown": ["from matplotlib import pyplot\npyplot.plot([1, 2]); pyplot.show()"],
    }
    paths = [trial.notebook(name, *sources) for name, sources in cells.items()]
    # the first is forked before the libraries are there, which the others find
    for reply, outputs in trial.run(paths[0], *paths, preload=PRELOAD):
        assert reply.cause == "done"
        assert ["image/png" in output.get("data", {}) for output in outputs] == [True]


def test_a_backend_that_the_environment_names_is_used(tmp_path: Path) -> None:
    trial = Trial(tmp_path, {**os.environ, "MPLBACKEND": "agg"})
    cell = "import matplotlib.pyplot as plt\nprint(plt.get_backend().lower())"
    assert trial.say(cell, preload=PRELOAD) == trial.say(cell, warm=False) == "agg\n"
    trial.jobs.close()


def test_no_two_kernels_draw_the_same_random_numbers(trial: Trial) -> None:
    cell = "import random, uuid, numpy\nprint(random.random(), numpy.random.rand(), uuid.uuid4())"
    path = trial.notebook("draws", cell, "import tempfile; print(tempfile.mktemp())")
    texts = [text_of(outputs) for _, outputs in trial.run(path, path, path, preload=PRELOAD)]
    drawn = [set(text.split()) for text in texts]
    assert all(len(numbers) == 4 for numbers in drawn)
    assert len(set.union(*drawn)) == 12


def test_output_of_c_code_and_of_other_processes_arrives(trial: Trial) -> None:
    # what is written to the descriptor is passed on by a thread, which is waited for until the pipe is empty
    wait = """
def passed_on():
    while struct.unpack("i", fcntl.ioctl(1, termios.FIONREAD, bytes(4)))[0]:
        time.sleep(0.01)
    time.sleep(0.1)
"""
    text = trial.say(
        f"import fcntl, os, struct, termios, time\n{wait}",
        "os.system('echo from a shell'); passed_on()",
        "os.write(1, b'from the descriptor'); passed_on()",
    )
    assert "from a shell" in text
    assert "from the descriptor" in text


def test_threads_processes_and_coroutines_work_after_the_fork(trial: Trial) -> None:
    text = trial.say(
        "import asyncio, multiprocessing, numpy, pandas\nfrom concurrent.futures import *",
        "a = numpy.random.rand(400, 400); print((a @ numpy.linalg.inv(a)).trace().round())",
        "print(sum(ThreadPoolExecutor(4).map(abs, range(5))))",
        "def add(how, n):\n    with ProcessPoolExecutor(2, multiprocessing.get_context(how)) as pool:\n"
        "        print(sum(pool.map(abs, range(n))))",
        "add('fork', 6); add('spawn', 7)",
        "print(await asyncio.sleep(0, 'awaited'))",
        preload=PRELOAD,
    )
    assert text.split() == ["400.0", "10", "15", "21", "awaited"]


def test_exit_handlers_run_and_open_files_are_flushed(trial: Trial) -> None:
    out = trial.directory
    (trial.inputs / "beside_it.py").write_text(f"log = open({str(out / 'module')!r}, 'w'); log.write('flushed')")
    trial.say(
        "import atexit, tempfile, threading, time, weakref, beside_it",
        f"atexit.register(lambda: open({str(out / 'handler')!r}, 'w').write('called'))",
        f"file = open({str(out / 'file')!r}, 'w'); n = file.write('flushed')",
        "scratch = tempfile.TemporaryDirectory(); print(scratch.name)",
        "class Last:\n    def __del__(self, write=open):\n        write("
        f"{str(out / 'last')!r}, 'w').write('deleted')\nlast = Last()",
        f"def late():\n    time.sleep(1)\n    open({str(out / 'thread')!r}, 'w').write('waited for')",
        "threading.Thread(target=late).start()",
        preload=PRELOAD,
    )
    names = ("handler", "file", "module", "last", "thread")
    assert [(out / name).read_text() for name in names] == ["called", "flushed", "flushed", "deleted", "waited for"]


@pytest.mark.parametrize("warm", [True, False])
def test_a_kernel_that_ends_has_answered_before_it_stops_what_publishes_its_answers(trial: Trial, warm: bool) -> None:
    out = trial.directory / "answers still"
    # exit handlers begin before it has answered, when the namespace of cells has gone
    code = f"""
import atexit, sys, threading
from ipykernel.kernelapp import IPKernelApp
app = IPKernelApp.instance()
exiting = threading.Event()
atexit.register(exiting.set)
flush, stop = sys.stdout.flush, app.iopub_thread.stop
def slow_flush(app=app, current_thread=threading.current_thread, exiting=exiting, flush=flush):
    if current_thread() is app.control_thread:
        exiting.wait()
        sum(number % 7 for number in range(2_000_000))
    flush()
def note_and_stop(app=app, open=open, stop=stop):
    with open({str(out)!r}, "w") as file:
        file.write(str(app.control_thread.is_alive()))
    stop()
sys.stdout.flush, app.iopub_thread.stop = slow_flush, note_and_stop
"""
    trial.say(code, warm=warm)
    assert out.read_text() == "False"


def test_what_c_code_has_to_do_at_the_end_is_done(trial: Trial) -> None:
    out = trial.directory / "c"
    trial.say(
        "import ctypes; libc = ctypes.CDLL(None); libc.fopen.restype = ctypes.c_void_p",
        f"file = libc.fopen({str(out)!r}.encode(), b'w'); n = libc.fputs(b'flushed', ctypes.c_void_p(file))",
    )
    assert out.read_text() == "flushed"


def test_an_exit_handler_that_fails_and_a_module_that_clings_to_others_do_no_harm(trial: Trial) -> None:
    out = trial.directory / "deleted"
    code = f"""
import json
class Last:
    def __del__(self, open=open, dumps=json.dumps):
        with open({str(out)!r}, "w") as file:
            file.write(dumps([helper and helper(), json is None]))
def helper():
    return _private
_private = "private"
last = Last()
"""
    (trial.inputs / "clinging.py").write_text("_private_last = None" + code)
    left = []
    for warm in (True, False):
        trial.say("import atexit, clinging; atexit.register(lambda: 1 / 0); print(clinging.last)", warm=warm)
        left.append(out.read_text())
        out.unlink()
    # the interpreter has its own order
    assert left[0] == left[1]


def test_what_was_done_before_a_kill_is_on_disk(trial: Trial) -> None:
    die = f"""
import os, pathlib, time
work = pathlib.Path({str(trial.directory / "work")!r})
while not any('"done\\\\n"' in executed.read_text() for executed in work.glob("job-*/notebook.ipynb")):
    time.sleep(0.01)
os.kill(os.getppid(), 9)
"""
    path = trial.notebook("dies", "print('done')", die)
    ((reply, outputs),) = trial.run(path)
    assert reply.cause == "died"
    assert text_of(outputs) == "done\n"


def test_a_warm_parent_that_is_there_before_its_first_job_goes_without_one_too(trial: Trial) -> None:
    async def nothing() -> None:
        async with trial.jobs.warmth((), at_once=True):
            # between its fork and its exec it has the environment of this process
            while not family():  # noqa: ASYNC110  # nothing tells of it
                await asyncio.sleep(0.01)
            assert len(family()) == 1

    asyncio.run(asyncio.wait_for(nothing(), PATIENCE))
    assert family() == []


def test_parallel_kernels_do_not_get_into_each_others_way(trial: Trial) -> None:
    path = trial.notebook("works", "import os, time; time.sleep(0.5); print(os.environ['AUTOFLOW_JOB'])")

    async def four() -> list[tuple[Reply, list[Any]]]:
        async with trial.jobs.warmth(()):
            return await asyncio.gather(*(trial.call(path) for _ in range(4)))

    said = [text_of(outputs) for _, outputs in asyncio.run(four())]
    assert len(set(said)) == 4


def test_a_library_that_changed_is_imported_anew(tmp_path: Path) -> None:
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    (libraries / "changing.py").write_text("value = 'old'")
    trial = Trial(tmp_path, {**os.environ, "PYTHONPATH": str(libraries)})
    path = trial.notebook("asks", "import changing; print(changing.value)")

    async def both() -> list[str]:
        async with trial.jobs.warmth(["changing"]):
            _, before = await trial.call(path)
            (libraries / "changing.py").write_text("value = 'new, and longer'")
            _, after = await trial.call(path)
        return [text_of(before), text_of(after)]

    assert asyncio.run(both()) == ["old\n", "new, and longer\n"]
    trial.jobs.close()


def test_a_module_beside_the_notebook_comes_before_one_that_is_installed(trial: Trial) -> None:
    (trial.inputs / "scrapbook.py").write_text("mine = True")
    text = trial.say("import scrapbook; print(scrapbook.mine)", IS_FORK, preload=PRELOAD)
    assert text == "True\nFalse\n"


def test_a_library_that_starts_threads_is_not_forked(tmp_path: Path) -> None:
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    code = "import threading; threading.Thread(target=threading.Event().wait, name='ticker', daemon=True).start()"
    (libraries / "threaded.py").write_text(code)
    trial = Trial(tmp_path, {**os.environ, "PYTHONPATH": str(libraries)})
    assert trial.say("import threaded", IS_FORK, preload=["threaded"]) == "False\n"
    trial.jobs.close()


def test_a_library_that_can_not_be_imported_fails_in_the_notebook(tmp_path: Path) -> None:
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    (libraries / "broken.py").write_text("raise RuntimeError('no such data')")
    trial = Trial(tmp_path, {**os.environ, "PYTHONPATH": str(libraries)})
    ((reply, _),) = trial.run(trial.notebook("imports", "import broken"), preload=["broken"])
    assert (reply.error["exception"], reply.error["message"]) == ("RuntimeError", "no such data")
    trial.jobs.close()


def test_another_kernel_is_started_the_ordinary_way(tmp_path: Path) -> None:
    kernel = tmp_path / "share" / "kernels" / "other"
    kernel.mkdir(parents=True)
    spec = {
        "argv": ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Other",
        "language": "python",
        "env": {"OF_THE_KERNELSPEC": "yes"},
    }
    (kernel / "kernel.json").write_text(json.dumps(spec))
    trial = Trial(tmp_path, {**os.environ, "JUPYTER_PATH": str(tmp_path / "share")})
    path = trial.notebook("asks", "import os; print(os.environ['OF_THE_KERNELSPEC'])", IS_FORK, kernel="other")
    ((reply, outputs),) = trial.run(path)
    assert reply.cause == "done"
    assert text_of(outputs) == "yes\nFalse\n"
    trial.jobs.close()


def test_daemons_that_never_change_their_program_are_found_too(trial: Trial) -> None:
    """A fork of a fork shows the environment that the warm parent was started with, were that not overwritten."""
    # from 3.12 on Python warns of a fork where there are threads, and a kernel has some
    cell = """
import os, time, warnings
warnings.simplefilter("ignore")
if not os.fork():
    os.setsid()
    if not os.fork():
        time.sleep(600)
    os._exit(0)
print(b"/job-" in open("/proc/self/environ", "rb").read())
"""
    assert trial.say(cell) == "True\n"
    assert family() == []


def test_papermill_is_whole_for_a_notebook_that_uses_it(trial: Trial) -> None:
    """AutoFlow's own import of it leaves out pyarrow, which is for notebooks in Hadoop."""
    look = "import papermill.iorw; print(papermill.iorw.HadoopFileSystem.__module__)"
    assert trial.say("import scrapbook", look, preload=PRELOAD) == "pyarrow._hdfs\n"
    assert trial.say(look, preload=PRELOAD) == trial.say(look, warm=False) == "pyarrow._hdfs\n"


def test_the_memory_of_a_kernel_is_limited_as_ever(trial: Trial) -> None:
    cell = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30,) * 2)\n"
        "try:\n    bytearray(8 * 2**30)\nexcept MemoryError:\n    print('refused')"
    )
    assert trial.say(cell, preload=PRELOAD) == "refused\n"
    free = "import resource; print(resource.getrlimit(resource.RLIMIT_AS))"
    assert trial.say(free) == trial.say(free, warm=False)


def test_a_warm_parent_that_is_killed_takes_its_jobs_along_and_is_replaced(trial: Trial) -> None:
    sleeper = trial.notebook("sleeps", "import time; time.sleep(60)")
    asker = trial.notebook("asks", IS_FORK)

    async def kill_it() -> tuple[Reply, list[Any]]:
        async with trial.jobs.warmth(()):
            sleeping = asyncio.create_task(trial.call(sleeper))
            while len(family()) < 3:  # noqa: ASYNC110  # there is nothing to wait for
                await asyncio.sleep(0.1)
            oldest = min(family(), key=lambda process: process.create_time())
            oldest.send_signal(signal.SIGKILL)
            reply, _ = await sleeping
            assert reply.cause == "died"
            return await trial.call(asker)

    reply, outputs = asyncio.run(kill_it())
    assert (reply.cause, text_of(outputs)) == ("done", "True\n")


def test_a_warm_parent_that_hangs_is_given_up(trial: Trial) -> None:
    asker = trial.notebook("asks", IS_FORK)
    suspended: list[psutil.Process] = []

    def hangs() -> bool:
        return any(parent.is_running() and parent.status() == psutil.STATUS_STOPPED for parent in suspended)

    async def stop_it() -> tuple[Reply, list[Any]]:
        async with trial.jobs.warmth(()):
            await trial.call(asker)
            suspended.extend(family())
            (parent,) = suspended
            parent.suspend()
            return await trial.call(asker)

    reply, outputs = run_held(stop_it(), lambda: bool(trial.jobs.under_way) and not hangs())
    assert (reply.cause, text_of(outputs)) == ("done", "True\n")


def test_nothing_is_left_of_it_when_the_work_is_done(trial: Trial) -> None:
    trial.run(trial.notebook("glues", "print(1)"))
    assert family() == []


def test_a_process_that_was_started_early_is_spared_by_the_sweep_and_forked(tmp_path: Path) -> None:
    early = start_warm_process(os.environ, INSTANCE)
    jobs = Jobs(tmp_path / "work", INSTANCE, os.environ, warm_process=early)
    trial = Trial(tmp_path, os.environ, jobs)
    try:
        parents = trial.say("import os, psutil; print(psutil.Process(os.getppid()).ppid())")
        assert int(parents) == early.process.pid
        assert early.process.poll() is not None
        # the next tick has one of its own
        assert int(trial.say("import os, psutil; print(psutil.Process(os.getppid()).ppid())")) != early.process.pid
    finally:
        jobs.close()
    assert family() == []


def test_a_process_that_was_started_early_in_vain_is_ended(tmp_path: Path) -> None:
    early = start_warm_process(os.environ, INSTANCE)
    jobs = Jobs(tmp_path / "work", INSTANCE, os.environ, warm_process=early)
    trial = Trial(tmp_path, os.environ, jobs)
    assert trial.say(IS_FORK, warm=False) == "False\n"
    jobs.close()
    # it ends by itself when AutoFlow's end of the socket is closed, if the kill does not come first: both are right
    assert early.process.returncode in (0, -signal.SIGKILL)
    assert family() == []


def test_without_warmth_a_notebook_is_started_from_nothing(trial: Trial) -> None:
    path = trial.notebook("asks", IS_FORK)

    async def call() -> list[Any]:
        async with trial.jobs.warmth(()):
            with trial.jobs.workspace() as workspace:
                request = {"notebook": str(path), "parameters": {}, "final": "/f", "warm": False}
                await trial.jobs.call("notebook", request, workspace, timeout=60)
                assert family() == []
                cells: list[Any] = json.loads((workspace / "notebook.ipynb").read_text())["cells"]
        return cells

    assert asyncio.run(call())[0]["outputs"][0]["text"] == ["False\n"]
