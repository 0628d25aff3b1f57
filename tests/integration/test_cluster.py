# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Notebooks on workers, with a real scheduler and two real workers: each runs once at a time, whatever is killed."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from autoflow.clock import utc_now
from autoflow.cluster import Cluster, door, link, make_certificates
from autoflow.commands.findings import of_workers
from autoflow.context import Conditions
from autoflow.files import file_hash
from autoflow.jobs import Door, Jobs, Reply
from autoflow.settings import Settings, Workers, load_settings
from tests.clock import PATIENCE, until

FAULTS = {"asked to end": signal.SIGTERM, "killed": signal.SIGKILL, "stopped": signal.SIGSTOP}

TOKEN = "a-token-that-no-scheduler-sees"
LEASE = 5.0

WORKS = """
import os, time
from pathlib import Path
trace = Path({trace!r})
with trace.open("a") as file:
    file.write(f"begin {{os.getpid()}}\\n")
while not Path({release!r}).exists():
    time.sleep(0.05)
    trace.with_suffix(".alive").write_text(str(os.getpid()))
with trace.open("a") as file:
    file.write(f"end {{os.getpid()}}\\n")
"""
"""A notebook that says when it begins and ends, and ends when it may."""


STUBBORN = """
import ctypes, os, subprocess
daemon = subprocess.Popen(["setsid", "sleep", "600"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
with open({trace!r}, "a") as file:
    file.write(f"begin {{os.getpid()}}\\nbegin {{daemon.pid}}\\n")
ctypes.PyDLL(None).sleep(600)
"""
"""A notebook that no interrupt reaches, and that has started a daemon."""


@dataclass
class Programs:
    """A scheduler and workers, which are started again as systemd would."""

    directory: Path
    port: int
    certificates: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"tls://127.0.0.1:{self.port}"

    def start(self, name: str, slots: int = 1, *more: str) -> None:
        host = ("--host", "127.0.0.1")
        if name == "scheduler":
            typed = ["cluster", "scheduler", str(self.certificates), *host, "--port", str(self.port)]
        else:
            place = ("--directory", str(self.directory / name), "--slots", str(slots))
            typed = ["worker", self.address, str(self.certificates), *host, *place, *more]
        with (self.directory / f"{name}.log").open("ab") as log:
            command = [sys.executable, "-m", "autoflow", *typed]
            self.running[name] = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def kill(self, name: str, signal_number: int = signal.SIGKILL) -> None:
        self.running[name].send_signal(signal_number)
        if signal_number == signal.SIGKILL:
            self.running[name].wait()

    def logs(self) -> str:
        return "".join(log.read_text() for log in self.directory.glob("*.log"))

    def all_up(self) -> None:
        for name in ("scheduler", "one", "two"):
            if name not in self.running or self.running[name].poll() is not None:
                self.start(name)

    def worker_of(self, pid: int) -> str:
        """Find the worker that has started a process."""
        for name, program in self.running.items():
            if program.poll() is None and pid in [
                child.pid for child in psutil.Process(program.pid).children(recursive=True)
            ]:
                return name
        raise AssertionError(pid, self.logs())


@contextmanager
def programs_in(directory: Path) -> Iterator[Programs]:
    """Have a directory for a scheduler and workers, which end with the context."""
    make_certificates(directory / "certificates", utc_now())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    programs = Programs(directory, port, directory / "certificates")
    try:
        yield programs
    finally:
        for program in programs.running.values():
            program.send_signal(signal.SIGCONT)
            program.kill()
            program.wait()


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    with programs_in(tmp_path_factory.mktemp("cluster")) as programs:
        yield programs


@dataclass
class Deployment:
    """An AutoFlow whose notebooks run on workers."""

    root: Path
    settings: Settings
    conditions: Conditions
    environment: Mapping[str, str] = field(default_factory=dict)

    def write(self, name: str, *cells: str) -> Path:
        path = self.settings.inputs_dir / name
        cells_of = [nbformat.v4.new_code_cell(cell) for cell in cells]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        nbformat.write(nbformat.v4.new_notebook(cells=cells_of, metadata=kernel), path)
        return path

    def works(self) -> Path:
        return self.write("works.ipynb", WORKS.format(trace=str(self.trace), release=str(self.release)))

    @property
    def trace(self) -> Path:
        return self.root / "trace"

    @property
    def release(self) -> Path:
        return self.root / "release"

    def began(self) -> list[int]:
        lines = self.trace.read_text().splitlines() if self.trace.exists() else []
        return [int(line.partition(" ")[2]) for line in lines if line.startswith("begin")]

    @asynccontextmanager
    async def cluster(self, identity: str = "one") -> AsyncIterator[Cluster]:
        assert self.settings.workers is not None
        here = Jobs(self.root / "here", self.settings.instance, os.environ)
        cluster = Cluster(self.settings, self.settings.workers, self.conditions, here, identity)
        try:
            async with cluster.warmth(()):
                yield cluster
        finally:
            here.close()

    async def execute(self, cluster: Door, notebook: Path, **request: Any) -> tuple[Reply, dict[str, Any]]:
        workspace = self.root / f"workspace-{len(list(self.root.glob('workspace-*')))}"
        workspace.mkdir()
        asked = {"notebook": str(notebook), "parameters": {}, "environment": {}, "final": "/final.ipynb", **request}
        said = {name: asked.pop(name, None) for name in ("timeout", "on_progress", "on_begin")}
        reply = await cluster.call("notebook", asked, workspace, secrets={"FLOWAPI_TOKEN": TOKEN}, **said)
        made = workspace / "notebook.ipynb"
        return reply, json.loads(made.read_text()) if made.exists() else {}


@pytest.fixture
def make(tmp_path: Path, programs: Programs) -> Iterator[Callable[..., Deployment]]:
    def made(**variables: str) -> Deployment:
        programs.all_up()
        inputs, outputs = tmp_path / "inputs", tmp_path / "outputs"
        for directory in (inputs, outputs / ".autoflow", outputs / "notebooks"):
            directory.mkdir(parents=True, exist_ok=True)
        environment = {
            "AUTOFLOW_INPUTS_DIR": str(inputs),
            "AUTOFLOW_OUTPUTS_DIR": str(outputs),
            "FLOWAPI_URL": "http://127.0.0.1:9",
            "AUTOFLOW_WORKERS": programs.address,
            "AUTOFLOW_WORKERS_CERTIFICATES": str(programs.certificates),
            "AUTOFLOW_WORKERS_LEASE": f"{LEASE:.0f}s",
            "AUTOFLOW_INTERRUPT_GRACE": "2s",
            **variables,
        }
        return Deployment(tmp_path, load_settings(environment), Conditions(utc_now), environment)

    yield made
    # dask leaves the sockets of connections that it has given up to the garbage collector
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


async def seen(condition: Callable[[], Any]) -> None:
    """Wait for what other processes do, while the loop goes on."""
    await asyncio.to_thread(until, condition)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has asked about after its end does not."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def printed(executed: dict[str, Any]) -> str:
    return "".join("".join(output.get("text", "")) for cell in executed["cells"] for output in cell.get("outputs", ()))


def run(work: Any) -> None:
    async def within() -> None:
        async with asyncio.timeout(PATIENCE):
            await work

    asyncio.run(within())


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (
            ("cluster", "scheduler", "{certificates}", "--host", "127.0.0.1", "--port", "{port}"),
            "--port: {port} is in use",
        ),
        (
            ("cluster", "scheduler", "{certificates}", "--host", "203.0.113.9"),
            "'203.0.113.9', which is no address of this",
        ),
        (
            ("cluster", "scheduler", "{certificates}", "--host", "no.such.invalid"),
            "no address is known for 'no.such.invalid'",
        ),
        (
            ("worker", "tls://127.0.0.1:{port}", "{certificates}", "--host", "203.0.113.9"),
            "which is no address of this",
        ),
        (
            ("worker", "tls://127.0.0.1:{port}", "{certificates}", "--host", "no.such.invalid"),
            "no address is known for",
        ),
    ],
)
def test_who_cannot_listen_is_told_what_to_do_without_a_traceback(
    programs: Programs, typed: tuple[str, ...], expected: str
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        named = {"certificates": programs.certificates, "port": taken.getsockname()[1]}
        command = [sys.executable, "-m", "autoflow", *(word.format(**named) for word in typed)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 2, done.stderr
    assert expected.format(**named) in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_notebook_runs_on_a_worker_that_has_none_of_its_files(make: Callable[..., Deployment]) -> None:
    """Modules beside it and notebooks before it travel; what is made names no path of the worker, and what it took."""
    deployment = make()
    (deployment.settings.inputs_dir / "beside.py").write_text("VALUE = 'from beside'\n")
    before = deployment.write("before.ipynb", "1")
    executed = deployment.settings.notebooks_dir / "before__1.ipynb"
    before.rename(executed)
    notebook = deployment.write(
        "reads.ipynb",
        "import beside, os\nfrom pathlib import Path",
        "print(beside.VALUE, Path(before).is_file(), before, os.getcwd(), len(os.environ['FLOWAPI_TOKEN']))",
    )

    async def life() -> None:
        async with deployment.cluster() as cluster:
            next((deployment.settings.work_dir).glob("*.shared")).unlink()
            reply, made = await deployment.execute(cluster, notebook, parameters={"before": str(executed)})
        assert reply.cause == "done", reply
        # a kernel takes some MB
        assert reply.peak is not None
        assert reply.peak > 10
        inputs = deployment.settings.inputs_dir
        assert printed(made).splitlines()[-1] == f"from beside True {executed} {inputs} {len(TOKEN)}"

    run(life())


@asynccontextmanager
async def waiting_for_a_worker(deployment: Deployment, programs: Programs, notebook: Path) -> AsyncIterator[Any]:
    """Let a notebook wait for a worker, which is there, with storage of its own, when the context ends."""
    told: list[dict[str, Any]] = []
    async with deployment.cluster() as cluster:
        next((deployment.settings.work_dir).glob("*.shared")).unlink()
        for worker in ("one", "two"):
            programs.kill(worker)
        task = asyncio.create_task(deployment.execute(cluster, notebook, on_progress=told.append))
        await seen(lambda: told and told[-1] == {"waits": "waits for a worker: none is connected"})
        yield task
        programs.all_up()
        await asyncio.wait({task})


def test_a_notebook_that_waits_for_a_worker_is_executed_as_it_is_when_one_comes(
    make: Callable[..., Deployment], programs: Programs
) -> None:
    """Files change meanwhile, go and come; names of files need not be text."""
    deployment = make()
    inputs = deployment.settings.inputs_dir
    names = "import os\nprint(sorted(os.listdir(b'.')))"
    notebook = deployment.write("waits.ipynb", "print('before')", names)
    (inputs / "goes.csv").write_text("1")

    async def life() -> None:
        async with waiting_for_a_worker(deployment, programs, notebook) as task:
            deployment.write("waits.ipynb", "print('after')", names)
            (inputs / "goes.csv").unlink()
            (inputs / os.fsdecode(b"caf\xe9.csv")).write_text("2")
        reply, made = await task
        assert reply.cause == "done", reply
        assert printed(made).splitlines() == ["after", r"[b'caf\xe9.csv', b'waits.ipynb']"]

    run(life())


def test_what_is_noted_as_a_notebook_begins_is_of_what_is_sent(make: Callable[..., Deployment]) -> None:
    deployment = make()
    notebook, noted = deployment.write("changes.ipynb", "print('before')"), list[str]()

    async def note() -> None:
        noted.append(notebook.read_text())
        if len(noted) == 1:
            deployment.write("changes.ipynb", "print('after')")

    async def life() -> None:
        async with deployment.cluster() as cluster:
            next((deployment.settings.work_dir).glob("*.shared")).unlink()
            _, made = await deployment.execute(cluster, notebook, on_begin=note)
        assert ["before" in text for text in noted] == [True, False]
        assert printed(made) == "after\n"

    run(life())


def test_a_notebook_that_goes_while_it_waits_for_a_worker_fails(
    make: Callable[..., Deployment], programs: Programs
) -> None:
    deployment = make()
    notebook = deployment.write("goes.ipynb", "1")

    async def life() -> None:
        async with waiting_for_a_worker(deployment, programs, notebook) as task:
            notebook.unlink()
        with pytest.raises(FileNotFoundError, match=r"goes\.ipynb"):
            await task

    run(life())


Asked = list[tuple[str, Mapping[str, Any]]]


def note_what_is_asked(monkeypatch: pytest.MonkeyPatch, pause: Mapping[str, float]) -> Asked:
    """Note what workers are asked for, and let some answers take longer."""
    asked, quick = Asked(), link.Link.ask

    async def ask(self: link.Link, address: str, operation: str, limit: float | None, **named: Any) -> Any:
        asked.append((operation, named))
        async with asyncio.timeout(limit):
            answer = await quick(self, address, operation, limit, **named)
            await asyncio.sleep(pause.get(operation, 0.0))
        return answer

    monkeypatch.setattr(link.Link, "ask", ask)
    return asked


def sent(asked: Asked) -> list[str]:
    return sorted(content for operation, named in asked if operation == "put" for content in named["contents"])


def test_notebooks_that_begin_together_on_a_worker_have_their_files_sent_once(
    make: Callable[..., Deployment], programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment, asked = make(), note_what_is_asked(monkeypatch, {"put": 1.0})
    notebook = deployment.works()
    (deployment.settings.inputs_dir / "a.csv").write_text("a,b")
    for name in ("one", "two"):
        programs.kill(name)
    programs.start("wide", slots=2)

    async def life() -> None:
        async with deployment.cluster() as cluster:
            next((deployment.settings.work_dir).glob("*.shared")).unlink()
            both = asyncio.gather(*(deployment.execute(cluster, notebook) for _ in range(2)))
            await seen(lambda: len(deployment.began()) == 2)
            deployment.release.touch()
            assert [reply.cause for reply, _ in await both] == ["done", "done"]

    run(life())
    programs.kill("wide")
    assert sent(asked) == sorted(map(file_hash, deployment.settings.inputs_dir.iterdir()))


@pytest.mark.parametrize("slow", ["put", "fetch"])
def test_what_takes_longer_than_a_lease_on_a_slow_link_is_sent_once(
    make: Callable[..., Deployment], monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    deployment = make()
    inputs = deployment.settings.inputs_dir
    # two pieces
    for name in ("a.csv", "b.csv"):
        (inputs / name).write_bytes(os.urandom(10**6))
    notebook = deployment.works()
    deployment.release.touch()
    pause = {slow: (LEASE + 0.6) / (2 if slow == "put" else 1)}
    asked = note_what_is_asked(monkeypatch, pause)

    async def life() -> None:
        async with deployment.cluster() as cluster:
            next((deployment.settings.work_dir).glob("*.shared")).unlink()
            reply, _ = await deployment.execute(cluster, notebook)
        assert reply.cause == "done", reply

    run(life())
    assert sent(asked) == sorted(map(file_hash, inputs.iterdir()))
    assert len([operation for operation, _ in asked if operation == "fetch"]) == 1
    assert len(deployment.began()) == 1


def test_workers_that_cannot_keep_files_say_why(make: Callable[..., Deployment], programs: Programs) -> None:
    deployment = make()
    notebook = deployment.write("travels.ipynb", "1")
    stores = [programs.directory / name / "files" for name in ("one", "two")]

    async def life() -> None:
        async with deployment.cluster() as cluster:
            await deployment.execute(cluster, notebook)
            next((deployment.settings.work_dir).glob("*.shared")).unlink()
            for store in stores:
                shutil.rmtree(store)
                store.write_text("no directory")
            reply, _ = await deployment.execute(cluster, notebook)
        assert reply.cause == "died", reply
        assert "cannot take it: [Errno 20] Not a directory" in reply.how

    try:
        run(life())
    finally:
        for name, store in zip(("one", "two"), stores, strict=True):
            programs.kill(name)
            if store.is_file():
                store.unlink()


def test_notebooks_run_side_by_side_and_each_gets_what_is_its_own(make: Callable[..., Deployment]) -> None:
    deployment = make()
    notebooks = [deployment.write(f"n{number}.ipynb", f"print({number})") for number in range(6)]

    async def life() -> None:
        async with deployment.cluster() as cluster:
            done = await asyncio.gather(*(deployment.execute(cluster, notebook) for notebook in notebooks))
            # what `concurrency: auto` goes by
            assert cluster.slots == 2
        assert [(reply.cause, printed(made)) for reply, made in done] == [("done", f"{n}\n") for n in range(6)]

    run(life())


def test_a_notebook_waits_for_what_no_worker_has_and_people_are_told(make: Callable[..., Deployment]) -> None:
    deployment = make()

    async def life() -> None:
        async with deployment.cluster() as cluster:
            notebook, told = deployment.write("trains.ipynb", "1"), list[Mapping[str, Any]]()
            waiting = asyncio.create_task(
                deployment.execute(cluster, notebook, resources={"gpu": 1}, on_progress=told.append)
            )
            await seen(lambda: any("gpu" in said for said in deployment.conditions.present()))
            assert deployment.conditions.present() == ["workers: none has what is asked for: trains.ipynb (gpu: 1)"]
            assert told[-1] == {"waits": "waits for a worker with gpu: 1: none has it"}
            assert cluster.lacks({"gpu": 1}) == told[-1]["waits"]
            assert cluster.lacks({}) == ""
            # it is in the way of no other; a worker may have been started only now
            await seen(lambda: cluster.slots == 3)
            waiting.cancel()
            await asyncio.wait({waiting})
            assert waiting.cancelled()

    run(life())


def test_who_asks_for_nothing_leaves_the_worker_that_has_more_to_others(
    make: Callable[..., Deployment], programs: Programs
) -> None:
    deployment = make()
    programs.kill("two")
    programs.start("trainer", 1, "--resource", "gpu=1")
    told: list[Mapping[str, Any]] = []

    async def life() -> None:
        async with deployment.cluster() as cluster:
            # it looks which workers there are
            await deployment.execute(cluster, deployment.write("quick.ipynb", "1"))
            await seen(lambda: cluster.slots == 2 and not cluster.lacks({"gpu": 1}))
            works = deployment.works()
            assert cluster.busy({"gpu": 1}, []) == ""
            plain = asyncio.create_task(deployment.execute(cluster, works))
            await seen(deployment.began)
            assert programs.worker_of(deployment.began()[0]) == "one"
            assert cluster.busy({"gpu": 1}, []) == ""
            busy = "waits for a worker with gpu: 1 that is free, of 1"
            assert cluster.busy({"gpu": 1}, [{"gpu": 1}]) == busy
            asked = partial(deployment.execute, cluster, works, resources={"gpu": 1})
            training = asyncio.create_task(asked())
            await seen(lambda: len(deployment.began()) == 2)
            assert programs.worker_of(deployment.began()[1]) == "trainer"
            # it has a slot, and is counted once
            assert cluster.busy({"gpu": 1}, [{"gpu": 1}]) == cluster.busy({"gpu": 1}, []) == busy
            waiting = asyncio.create_task(asked(on_progress=told.append))
            await seen(lambda: told and told[-1] == {"waits": busy})
            # it is in the way of no other
            assert (cluster.slots, cluster.apart) == (3, 1)
            deployment.release.touch()
            for task in (plain, training, waiting):
                reply, _ = await task
                assert reply.cause == "done", reply

    try:
        run(life())
    finally:
        programs.kill("trainer")


def test_people_are_told_what_is_over_also_when_nothing_runs_any_more(
    make: Callable[..., Deployment], programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "IDLE_TICK", 0.2)
    deployment = make()
    quick, present = deployment.write("quick.ipynb", "1"), deployment.conditions.present

    async def cancelled(expected: str, **asked: Any) -> None:
        async with deployment.cluster() as cluster:
            waiting = asyncio.create_task(deployment.execute(cluster, quick, **asked))
            await seen(lambda: any(expected in said for said in present()))
            waiting.cancel()
            await asyncio.wait({waiting})

    async def life() -> None:
        await cancelled("none has what is asked for: quick.ipynb (gpu: 1)", resources={"gpu": 1})
        # nothing asks for it now
        assert present() == []
        for name in ("one", "two"):
            programs.kill(name)
        await cancelled("none is connected")
        assert len(present()) == 1
        programs.all_up()
        await seen(lambda: not present())

    run(life())


def test_other_versions_are_told_until_no_worker_has_them(
    make: Callable[..., Deployment], programs: Programs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(door, "IDLE_TICK", 0.2)
    deployment = make()
    quick, present = deployment.write("quick.ipynb", "1"), deployment.conditions.present
    (metadata := tmp_path / "other/papermill-9.9.dist-info/METADATA").parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: papermill\nVersion: 9.9\n")

    def are_told() -> bool:
        return any("has other versions: papermill 9.9 (here" in said for said in present())

    def only(*, other: bool) -> None:
        for name in ("one", "two"):
            if programs.running[name].poll() is None:
                programs.kill(name)
        with monkeypatch.context() as patch:
            if other:
                patch.setenv("PYTHONPATH", str(tmp_path / "other"), prepend=os.pathsep)
            programs.start("one")

    async def life() -> None:
        async with deployment.cluster() as cluster:
            await asyncio.to_thread(only, other=True)
            await deployment.execute(cluster, quick)
            assert are_told()
            await asyncio.to_thread(only, other=False)
            await deployment.execute(cluster, quick)
            await seen(lambda: not present())
            await asyncio.to_thread(only, other=True)
            await deployment.execute(cluster, quick)
        # nothing is to run now
        assert are_told()
        await asyncio.to_thread(only, other=False)
        await seen(lambda: not present())

    try:
        run(life())
    finally:
        only(other=False)


def test_doctor_sees_the_workers_and_whether_the_certificates_hold(
    make: Callable[..., Deployment], tmp_path: Path
) -> None:
    deployment = make()
    workers = deployment.settings.workers
    assert workers is not None

    def verdicts(workers: Workers, years: float = 0) -> list[tuple[str, str]]:
        now = utc_now() + dt.timedelta(days=365 * years)
        return [(each.verdict, each.text) for each in asyncio.run(of_workers(workers, now))]

    until(lambda: verdicts(workers)[0][1].count("(1 at a time)") == 2)
    assert [verdict for verdict, _ in verdicts(workers)] == ["ok"]
    assert [verdict for verdict, _ in verdicts(workers, 9.99)] == ["ok", "warning"]
    assert [verdict for verdict, _ in verdicts(workers, 10.1)] == ["ok", "fault"]
    # of another authority
    make_certificates(tmp_path / "others", utc_now())
    for fallback, expected in ((False, "fault"), (True, "warning")):
        ((verdict, text),) = verdicts(replace(workers, certificates=tmp_path / "others", falls_back=fallback))
        assert verdict == expected
        assert text.startswith(f"{workers.address} cannot be reached (its certificate is not trusted here: self-signed")
        # it does run there
        assert "all machines need certificates that one `autoflow cluster certificates` has made" in text
        assert "cluster scheduler" not in text
    # it is known, and does not know this machine
    shutil.copy(workers.certificates / "ca.pem", tmp_path / "others")
    ((verdict, text),) = verdicts(replace(workers, certificates=tmp_path / "others"))
    assert "does not know the authority of this machine's certificate" in text or "it does not trust" in text
    assert "all machines need certificates that one" in text
    (tmp_path / "others" / "ca.pem").write_text("no certificate")
    assert verdicts(replace(workers, certificates=tmp_path / "others"))[0][0] == "fault"


def test_who_has_a_certificate_that_has_expired_is_told_so(tmp_path: Path) -> None:
    make_certificates(tmp_path / "old", utc_now() - dt.timedelta(days=3660))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        old = Programs(tmp_path, free.getsockname()[1], tmp_path / "old")
    old.start("scheduler")
    old.start("one")
    try:
        workers = Workers(old.address, old.certificates)
        until(lambda: "has expired" in asyncio.run(of_workers(workers, utc_now()))[0].text)
        text = asyncio.run(of_workers(workers, utc_now()))[0].text
        assert text.startswith(f"{old.address} cannot be reached (its certificate has expired); `autoflow cluster cert")
        until(lambda: "the scheduler cannot be reached (its certificate has expired); `autoflow" in old.logs())
    finally:
        old.kill("one")
        old.kill("scheduler")


def test_directories_of_runs_need_storage_that_is_shared(make: Callable[..., Deployment]) -> None:
    deployment = make()
    directory = deployment.settings.outputs_dir / "runs" / "1"
    directory.mkdir(parents=True)
    notebook = deployment.write("writes.ipynb", "open(run_dir + '/made', 'w').write('x')")

    async def life() -> None:
        async with deployment.cluster() as cluster:
            asked = partial(deployment.execute, cluster, notebook, parameters={"run_dir": str(directory)})
            shared, _ = await asked()
            next((deployment.settings.work_dir).glob("*.shared")).unlink()
            refused, _ = await asked()
        assert shared.cause == "done", shared
        assert (directory / "made").read_text() == "x"
        assert refused.cause == "failed"
        assert "need the outputs directory mounted on each worker" in refused.error["message"]

    run(life())


def test_a_notebook_over_its_time_out_ends_on_the_worker(make: Callable[..., Deployment]) -> None:
    deployment = make()

    async def life() -> None:
        async with deployment.cluster() as cluster:
            reply, _ = await deployment.execute(cluster, deployment.works(), timeout=3.0)
        assert reply.cause == "timeout"
        assert not any(map(is_alive, deployment.began()))

    run(life())


@pytest.mark.parametrize("stubborn", [False, True])
def test_what_is_cancelled_ends_on_the_worker(make: Callable[..., Deployment], stubborn: bool) -> None:
    deployment = make(AUTOFLOW_INTERRUPT_GRACE="1s")

    async def life() -> None:
        async with deployment.cluster() as cluster:
            holds = deployment.write("holds.ipynb", STUBBORN.format(trace=str(deployment.trace)))
            task = asyncio.create_task(deployment.execute(cluster, holds if stubborn else deployment.works()))
            await seen(lambda: len(deployment.began()) > stubborn)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not any(map(is_alive, deployment.began()))

    run(life())


@pytest.mark.parametrize("fault", ["asked to end", "killed", "stopped"])
def test_a_notebook_moves_once_its_worker_cannot_be_doing_it(
    make: Callable[..., Deployment], programs: Programs, fault: str
) -> None:
    """A worker that is stopped cannot end what it has started: that ends by itself."""
    deployment = make()

    async def life() -> None:
        async with deployment.cluster() as cluster:
            task = asyncio.create_task(deployment.execute(cluster, deployment.works()))
            await seen(deployment.began)
            first = deployment.began()[0]
            worker = programs.worker_of(first)
            programs.kill(worker, FAULTS[fault])
            if fault == "asked to end":
                # long before the grace of notebooks is over, as who stops a unit or a Slurm job expects
                programs.running[worker].wait(LEASE)
            # one that is started again in its directory shows that nothing of it is left; else the lease has to end
            programs.all_up()
            await seen(lambda: len(deployment.began()) == 2)
            assert not is_alive(first)
            if fault == "stopped":
                assert programs.worker_of(deployment.began()[1]) != worker
            deployment.release.touch()
            reply, _ = await task
            programs.kill(worker, signal.SIGCONT)
        assert reply.cause == "done", reply
        assert deployment.trace.read_text().splitlines()[-1] == f"end {deployment.began()[1]}"

    run(life())


def test_a_notebook_that_loses_worker_after_worker_fails_and_says_what_to_do(
    make: Callable[..., Deployment], programs: Programs, caplog: pytest.LogCaptureFixture
) -> None:
    deployment = make()

    def has_begun(times: int) -> bool:
        return len(deployment.began()) == times

    async def life() -> None:
        async with deployment.cluster() as cluster:
            task = asyncio.create_task(deployment.execute(cluster, deployment.works(), run=7))
            for times in (1, 2, 3):
                await seen(partial(has_begun, times))
                programs.kill(programs.worker_of(deployment.began()[-1]))
                programs.all_up()
            reply, _ = await task
        assert reply.cause == "died"
        assert reply.how.startswith("it lost its worker 3 times (worker ")
        assert "`autoflow repair 7` executes it again" in reply.how

    run(life())
    assert [
        record.getMessage() for record in caplog.records if "run 7: notebook works.ipynb: worker " in record.message
    ]


def test_however_long_a_lease_is_workers_and_progress_are_looked_at_often(
    make: Callable[..., Deployment], programs: Programs
) -> None:
    deployment, told = make(AUTOFLOW_WORKERS_LEASE="1h"), list[dict[str, Any]]()

    async def life() -> None:
        async with deployment.cluster() as cluster:
            task = asyncio.create_task(deployment.execute(cluster, deployment.works(), on_progress=told.append))
            await seen(deployment.began)
            (other,) = {"one", "two"} - {programs.worker_of(deployment.began()[0])}
            programs.kill(other)
            await seen(lambda: told and "cell" in told[-1] and cluster.slots == 1)
            deployment.release.touch()
            reply, _ = await task
        assert reply.cause == "done", reply

    run(life())


def test_while_a_lease_lasts_of_a_worker_that_is_gone_people_are_told(
    make: Callable[..., Deployment], programs: Programs
) -> None:
    deployment = make(AUTOFLOW_WORKERS_LEASE="20s")
    told: list[dict[str, Any]] = []

    async def life() -> None:
        async with deployment.cluster() as cluster:
            task = asyncio.create_task(deployment.execute(cluster, deployment.works(), on_progress=told.append))
            await seen(deployment.began)
            await seen(lambda: told and "cell" in told[-1])
            name, worker = told[-1]["worker"], programs.worker_of(deployment.began()[0])
            programs.kill(worker, signal.SIGSTOP)
            await seen(lambda: told[-1].get("words", "").startswith(f"worker {name} has not answered since "))
            assert "unless it does, the notebook runs on another worker from " in told[-1]["words"]
            # it answers again before its lease is over
            programs.kill(worker, signal.SIGCONT)
            await seen(lambda: "cell" in told[-1])
            deployment.release.touch()
            reply, _ = await task
        assert reply.cause == "done", reply
        assert len(deployment.began()) == 1

    run(life())


def test_what_waits_for_a_worker_that_goes_takes_one_that_comes(
    make: Callable[..., Deployment], programs: Programs
) -> None:
    """Workers are restarted one after the other; dask itself lets such a task wait for an address that is no more."""
    deployment = make()
    told: list[dict[str, Any]] = []

    async def life() -> None:
        async with deployment.cluster() as cluster:
            lost = asyncio.create_task(deployment.execute(cluster, deployment.works(), on_progress=told.append))
            await seen(deployment.began)
            worker = programs.worker_of(deployment.began()[0])
            (other,) = {"one", "two"} - {worker}
            busy = asyncio.create_task(deployment.execute(cluster, deployment.works()))
            await seen(lambda: len(deployment.began()) == 2)
            programs.kill(worker)
            await seen(lambda: told and "waits" in told[-1])
            programs.kill(other)
            programs.all_up()
            await seen(lambda: len(deployment.began()) == 4)
            deployment.release.touch()
            for task in (lost, busy):
                reply, _ = await task
                assert reply.cause == "done", reply

    run(life())


@pytest.mark.parametrize("first", ["the worker that lost it", "the other one"])
def test_a_notebook_that_lost_its_worker_while_the_other_is_busy_takes_the_first_that_is_free(
    make: Callable[..., Deployment], programs: Programs, first: str
) -> None:
    deployment = make()
    told: list[dict[str, Any]] = []

    async def life() -> None:
        async with deployment.cluster() as cluster:
            lost = asyncio.create_task(deployment.execute(cluster, deployment.works(), on_progress=told.append))
            await seen(deployment.began)
            worker = programs.worker_of(deployment.began()[0])
            busy = asyncio.create_task(deployment.execute(cluster, deployment.works()))
            await seen(lambda: len(deployment.began()) == 2)
            programs.kill(worker, signal.SIGSTOP)
            await seen(lambda: told and "waits" in told[-1])
            if first == "the other one":
                busy.cancel()
            else:
                programs.kill(worker, signal.SIGCONT)
            await seen(lambda: len(deployment.began()) == 3)
            is_back = programs.worker_of(deployment.began()[2]) == worker
            assert is_back == (first == "the worker that lost it")
            programs.kill(worker, signal.SIGCONT)
            deployment.release.touch()
            reply, _ = await lost
            assert reply.cause == "done", reply
            await asyncio.wait({busy})

    run(life())


def test_a_worker_that_is_there_before_its_scheduler_waits_for_it(
    make: Callable[..., Deployment], programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = make()
    for name in list(programs.running):
        programs.kill(name)
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "2s")
    for name in ("one", "two"):
        (programs.directory / f"{name}.log").write_text("")
        programs.start(name)
    until(lambda: "the scheduler cannot be reached" in programs.logs())
    # and at once, since dask is patient
    assert f"no scheduler answers at {programs.address} (Connection refused); it is tried again" in programs.logs()
    monkeypatch.undo()
    programs.start("scheduler")
    deployment.release.touch()

    async def life() -> None:
        async with deployment.cluster() as cluster:
            reply, _ = await deployment.execute(cluster, deployment.works())
            assert reply.cause == "done", reply

    run(life())
    # others are to have workers that are as patient as usual
    for name in ("one", "two"):
        programs.kill(name)


def test_a_notebook_survives_the_end_of_its_kernel_or_scheduler(
    make: Callable[..., Deployment], programs: Programs
) -> None:
    """A kernel that is killed is told as on one machine; a new scheduler has the notebook run again, once."""
    deployment = make()

    async def life() -> None:
        async with deployment.cluster() as cluster:
            task = asyncio.create_task(deployment.execute(cluster, deployment.works()))
            await seen(deployment.began)
            os.kill(deployment.began()[0], signal.SIGKILL)
            reply, _ = await task
            assert (reply.cause, reply.error["exception"]) == ("failed", "DeadKernelError"), reply

            task = asyncio.create_task(deployment.execute(cluster, deployment.works()))
            await seen(lambda: len(deployment.began()) == 2)
            for name in ("scheduler", "one", "two"):
                # workers leave a scheduler that has gone, and are started again
                programs.kill(name)
            programs.all_up()
            await seen(lambda: len(deployment.began()) == 3)
            assert not is_alive(deployment.began()[1])
            deployment.release.touch()
            reply, _ = await task
        assert reply.cause == "done", reply

    run(life())


def test_a_daemon_ends_what_its_life_before_has_started(make: Callable[..., Deployment]) -> None:
    deployment = make()

    async def life() -> None:
        async with deployment.cluster() as before:
            task = asyncio.create_task(deployment.execute(before, deployment.works()))
            await seen(deployment.began)
            [old] = deployment.began()
            async with deployment.cluster() as after:
                # where the new one has connected, nothing of before is left
                reply, _ = await deployment.execute(after, deployment.write("quick.ipynb", "1"))
                assert not is_alive(old)
                assert reply.cause == "done", reply
            task.cancel()
            await asyncio.wait({task})
        assert f"end {old}" not in deployment.trace.read_text()

    run(life())


def test_a_daemon_leaves_alone_what_another_one_with_the_same_paths_has_started(
    make: Callable[..., Deployment],
) -> None:
    deployment = make()

    async def life() -> None:
        async with deployment.cluster() as other:
            task = asyncio.create_task(deployment.execute(other, deployment.works()))
            await seen(deployment.began)
            # in a container, or on a machine, of its own
            async with deployment.cluster("another") as cluster:
                reply, _ = await deployment.execute(cluster, deployment.write("quick.ipynb", "1"))
            assert reply.cause == "done", reply
            deployment.release.touch()
            reply, _ = await task
        assert (reply.cause, len(deployment.began())) == ("done", 1), reply

    run(life())


LIFE_BEFORE = """
import asyncio, os, sys
from pathlib import Path
from autoflow.clock import utc_now
from autoflow.context import Conditions
from autoflow.settings import load_settings
from tests.integration.test_cluster import Deployment

async def life():
    deployment = Deployment(Path(sys.argv[1]), load_settings(os.environ), Conditions(utc_now))
    async with deployment.cluster() as cluster:
        await deployment.execute(cluster, deployment.works())

asyncio.run(life())
"""


def begun_before(deployment: Deployment) -> int:
    """Let another life begin a notebook, and kill it."""
    command = [sys.executable, "-c", LIFE_BEFORE, str(deployment.root)]
    with subprocess.Popen(command, env={**os.environ, **deployment.environment}) as killed:
        until(lambda: len(deployment.began()) == 1)
        killed.kill()
    [old] = deployment.began()
    return old


def test_what_waits_for_the_end_of_the_life_before_begins_when_its_worker_is_back(
    make: Callable[..., Deployment], programs: Programs
) -> None:
    """A worker that is started again says that nothing is left, long before the lease is over."""
    deployment, told = make(AUTOFLOW_WORKERS_LEASE="1h"), list[Mapping[str, Any]]()
    old = begun_before(deployment)
    programs.kill(programs.worker_of(old))

    async def life() -> None:
        async with deployment.cluster() as cluster:
            works = asyncio.create_task(deployment.execute(cluster, deployment.works(), on_progress=told.append))
            await seen(lambda: told and "may still run on worker" in told[-1].get("waits", ""))
            programs.all_up()
            await seen(lambda: len(deployment.began()) == 2)
            assert not is_alive(old)
            deployment.release.touch()
            reply, _ = await works
        assert reply.cause == "done", reply

    run(life())


def test_what_may_go_on_of_the_life_before_is_waited_for_where_notebooks_run_here(
    make: Callable[..., Deployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = make()
    old = begun_before(before)
    monkeypatch.setattr(link, "CONNECTING", 0.3)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"tls://127.0.0.1:{nobody.getsockname()[1]}"
        after, told = make(AUTOFLOW_WORKERS=address, AUTOFLOW_WORKERS_FALLBACK="here"), list[Mapping[str, Any]]()

        async def life() -> None:
            async with after.cluster() as cluster:
                works = asyncio.create_task(after.execute(cluster, after.works(), on_progress=told.append))
                await seen(lambda: len(after.began()) == 2)
                assert not is_alive(old)
                after.release.touch()
                reply, _ = await works
            assert reply.cause == "done", reply

        run(life())
    said = (
        rf"waits until \d\d:\d\d:\d\d UTC: what AutoFlow started before may still run on worker {socket.gethostname()}"
    )
    assert re.match(said, told[0]["waits"])


def test_the_token_is_nowhere_in_the_scheduler(make: Callable[..., Deployment], programs: Programs) -> None:
    deployment = make()
    notebook = deployment.write("asks.ipynb", "import os\nassert len(os.environ['FLOWAPI_TOKEN']) == 30")

    async def life() -> None:
        async with deployment.cluster() as cluster:
            reply, _ = await deployment.execute(cluster, notebook)
        assert reply.cause == "done", reply

    run(life())
    scheduler = programs.running["scheduler"].pid
    assert TOKEN.encode() not in memory_of(scheduler)
    assert b"distributed.scheduler" in memory_of(scheduler)
    assert TOKEN not in programs.logs()
    kept = [path for path in programs.directory.rglob("*") if path.is_file()]
    assert not [path for path in kept if TOKEN.encode() in path.read_bytes()]


def memory_of(pid: int) -> bytes:
    found = []
    with Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            place, rights, *_ = line.split()
            start, end = (int(each, 16) for each in place.split("-"))
            if rights.startswith("rw"):
                memory.seek(start)
                found.append(memory.read(end - start))
    return b"".join(found)


def test_without_workers_it_is_a_worker_that_all_notebooks_wait_for(make: Callable[..., Deployment]) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        deployment = make(AUTOFLOW_WORKERS=f"tls://127.0.0.1:{nobody.getsockname()[1]}")

        async def life() -> None:
            async with deployment.cluster() as cluster:
                # the CPU of this machine, which decides where nothing is absent, is none of a worker's
                assert cluster.absence == "waits for a worker: it is looked which there are"
                waiting = asyncio.create_task(deployment.execute(cluster, deployment.write("waits.ipynb", "1")))
                await seen(lambda: cluster.absence == "waits for a worker: none is connected")
                assert (cluster.slots, cluster.apart) == (None, 0)
                waiting.cancel()
                await asyncio.wait({waiting})

        run(life())


def test_without_workers_notebooks_run_here_where_that_is_the_choice(
    make: Callable[..., Deployment], tmp_path: Path
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"tls://127.0.0.1:{nobody.getsockname()[1]}"
        deployment = make(AUTOFLOW_WORKERS=address, AUTOFLOW_WORKERS_FALLBACK="here")

        async def life() -> None:
            async with deployment.cluster() as cluster:
                reply, made = await deployment.execute(cluster, deployment.write("here.ipynb", "print(6 * 7)"))
                assert (cluster.slots, cluster.apart, cluster.absence) == (None, 0, "")
                assert reply.cause == "done", reply
                assert printed(made) == "42\n"
                # nobody says that this machine has one
                works, told = deployment.works(), list[str]()
                waits = "waits for a worker with gpu: 1: none is connected"
                asked = "workers: none has what is asked for: works.ipynb (gpu: 1)"
                for work in (
                    deployment.execute(cluster, works, resources={"gpu": 1}),
                    cluster.room_for("works.ipynb", {"gpu": 1}, told.append),
                ):
                    waiting = asyncio.ensure_future(work)
                    await seen(lambda: asked in deployment.conditions.present())
                    assert cluster.lacks({"gpu": 1}) == waits
                    assert not waiting.done()
                    waiting.cancel()
                    await asyncio.wait({waiting})
                    await seen(lambda: asked not in deployment.conditions.present())
                assert (told, deployment.began()) == ([waits], [])

        run(life())
    [said] = deployment.conditions.present()
    assert address in said
    assert said.endswith("notebooks without `resources` run here meanwhile")
