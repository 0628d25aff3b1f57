# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The only way to blocking work: a child process per job.

A job is a small request file and a small reply file in a directory of its own; what the child prints
goes to a file beside them, never through a pipe that a stuck grandchild could hold open. Whatever a job
starts carries a marker in its environment, so that nothing of it is left when the job is over.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

from autoflow.code_version import code_on_disk
from autoflow.jobs.fork_client import ForkClient, NotWarmError, Process
from autoflow.notebooks import scans_of
from autoflow.processes import kill_marked, kill_tree, memory_of
from autoflow.redaction import REDACTED, Redactor
from autoflow.threads import to_end
from autoflow.warm_process import MARKER, WarmProcess, start_warm_process
from autoflow.wording import counted

WARM_KINDS = ("notebook", "report", "page")
MOST_WARM_PARENTS = 3
"""How many are started one after the other that fork nothing, before jobs go without."""

REPLY = "reply.json"

LONGEST_RUNTIME_PLACE = 40
"""Bytes that leave enough for the names of an installation, a job and a socket."""

LOG_LIMIT = 10_000_000
"""Bytes of a child's output that are kept on disk at most."""

Beginning = Callable[[], Awaitable[None]]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reply:
    """How a job ended.

    ``done``: ``value`` is what the child answered. ``failed``: ``error`` is what it could not do.
    ``timeout``: it was stopped, and may have left an ``error`` on its way out; what else it answered then
    does not count. ``died``: it ended without a word, and ``how`` says by what.
    """

    cause: Literal["done", "failed", "timeout", "died"]
    value: Mapping[str, Any]
    error: Mapping[str, Any]
    how: str
    log: str
    """The end of what the child printed."""
    peak: int | None = None
    """MB of memory that it has taken at most, as it says itself."""


@dataclass(frozen=True)
class Memory:
    """What the processes of a job take, in MB."""

    used: float = 0.0
    peak: float = 0.0


class Door(Protocol):
    """What does jobs, on this machine or on others; `Jobs` says what each method is for."""

    @property
    def slots(self) -> int | None:
        """How many notebooks it can do at a time; None where this machine does them."""

    @property
    def apart(self) -> int:
        """How many of these take no slot of a worker: they wait in vain, or run here since there was no worker."""
        ...

    @property
    def absence(self) -> str:
        """What all notebooks wait for, in words, where none can be executed now; empty where some can."""
        ...

    def lacks(self, resources: Mapping[str, int]) -> str:
        """Say what a notebook that asks for resources would wait for in vain; empty where it would not."""
        ...

    def busy(self, resources: Mapping[str, int], others: Sequence[Mapping[str, int]]) -> str:
        """Say what a notebook waits for while nothing has room for it beside others; empty where something has."""
        ...

    async def room_for(self, notebook: str, resources: Mapping[str, int], waits: Callable[[str], None]) -> None:
        """Wait for as long as it lacks what a notebook asks for, and call a function with what that is, in words."""
        ...

    def warmth(self, preload: Sequence[str] | None) -> AbstractAsyncContextManager[None]: ...

    def keep_warm(self, preload: Sequence[str] | None) -> None: ...

    async def call(
        self,
        kind: str,
        request: Mapping[str, Any],
        workspace: Path,
        *,
        timeout: float | None,  # noqa: ASYNC109
        secrets: Mapping[str, str] | None = None,
        on_begin: Beginning | None = None,
        on_progress: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> Reply:
        """Do one job; seven parameters, as `Jobs.call` has them."""
        ...


class Jobs:
    """Starts children, waits for them, and leaves nothing of them behind.

    Parameters
    ----------
    directory
        Where jobs keep their files: on the file system of the outputs, so that these can be renamed
        into place. What an earlier AutoFlow left there is removed.
    instance
        Name of this installation, the same after a restart: processes that a dead AutoFlow of the same
        name left behind are killed.
    environment
        Environment of the children, without secrets.
    interrupt_grace
        Seconds between asking a child to stop and killing it.
    warm_process
        One that was started early, to be used where jobs are forked.
    """

    def __init__(
        self,
        directory: Path,
        instance: str,
        environment: Mapping[str, str],
        interrupt_grace: float = 10.0,
        warm_process: WarmProcess | None = None,
    ) -> None:
        self._instance = instance
        self._environment = dict(environment)
        self._interrupt_grace = interrupt_grace
        self._count = 0
        self._code = code_on_disk()
        self._under_way: list[str] = []
        self._roots: dict[Path, int] = {}
        self._memory: dict[Path, Memory] = {}
        self._preload: Sequence[str] | None = None
        self._warmths = 0
        self._in_vain = 0
        self._warm_parents: list[ForkClient] = []
        self._warming = asyncio.Lock()
        self._warm_process = warm_process
        spared = {warm_process.process.pid} if warm_process else set()
        strays = kill_marked(MARKER, f"{instance}/", spared)
        if strays:
            logger.warning("killed %s that an earlier AutoFlow left behind", counted(strays, "process", "processes"))
        for place in _runtime_places():
            for left in Path(place).glob(f"autoflow-{instance}-*"):
                shutil.rmtree(left, ignore_errors=True)
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True, mode=0o700)
        self._directory = directory.absolute()
        self._runtime = _make_runtime(instance)

    def close(self) -> None:
        """Remove what jobs left on disk, and kill what they left running."""
        if self._warm_process:
            self._warm_process.end()
        kill_marked(MARKER, f"{self._instance}/")
        shutil.rmtree(self._runtime, ignore_errors=True)
        shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def slots(self) -> None:
        """As many as this machine bears."""

    apart, absence = 0, ""
    """Here is where all of them run."""

    def lacks(self, _: Mapping[str, int]) -> str:
        """Lack nothing: here, resources say nothing."""
        return ""

    def busy(self, *_: object) -> str:
        """Have room: it is slots that say how much goes on."""
        return ""

    async def room_for(self, *_: object) -> None:
        """Wait for nothing."""

    @property
    def under_way(self) -> Sequence[str]:
        """The kinds of the jobs that are being done at present, each as often as there are jobs of it."""
        return tuple(self._under_way)

    @contextmanager
    def _being_under_way(self, kind: str) -> Iterator[None]:
        self._under_way.append(kind)
        try:
            yield
        finally:
            self._under_way.remove(kind)

    async def measure(self) -> None:
        """See how much memory each job takes."""
        roots = dict(self._roots)
        found = await to_end(memory_of, frozenset(roots.values()))
        for workspace, pid in roots.items():
            # one that has ended meanwhile has left nothing that could be measured
            if workspace in self._roots:
                used, peak = found[pid]
                self._memory[workspace] = Memory(used, max(peak, self.memory(workspace).peak))

    def memory(self, workspace: Path) -> Memory:
        """Say what the job of a workspace was seen to take."""
        return self._memory.get(workspace, Memory())

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """Make a private directory for one job, removed afterwards."""
        self._count += 1
        path = self._directory / f"job-{self._count}"
        # its parent too, which may have been removed
        path.mkdir(mode=0o700, parents=True)
        try:
            yield path
        finally:
            self._memory.pop(path, None)
            # a notebook may have left very many files there; nothing waits for their end but that of the loop
            asyncio.get_running_loop().run_in_executor(None, partial(shutil.rmtree, path, ignore_errors=True))

    @asynccontextmanager
    async def warmth(self, preload: Sequence[str] | None, *, at_once: bool = False) -> AsyncIterator[None]:
        """Fork jobs from a process that has imported what they need, for as long as such a context lasts.

        Parameters
        ----------
        preload
            Modules that are imported ahead where a notebook imports them; None lets jobs start from nothing.
        at_once
            Whether that process is started before there is a job, which then waits the less.
        """
        self._warmths += 1
        self.keep_warm(preload)
        try:
            if at_once and preload is not None:
                await self._warm_parent()
            yield
        finally:
            self._warmths -= 1
            if not self._warmths:
                self._preload, self._in_vain = None, 0
                parents, self._warm_parents = self._warm_parents, []
                with self._being_under_way("the end of warmth"):
                    for parent in parents:
                        await parent.close()

    def keep_warm(self, preload: Sequence[str] | None) -> None:
        """Change what is imported ahead while `warmth` lasts; None lets jobs start from nothing."""
        if self._warmths:
            self._preload = preload

    def withhold(self, names: Iterable[str]) -> None:
        """Take variables out of the environment of children: secrets, which those get that they are for."""
        found = [name for name in names if self._environment.pop(name, None) is not None]
        if not found:
            return
        # what is forked would show the environment that the warm parent began with
        early, self._warm_process = self._warm_process, None
        if early:
            early.end()
        for parent in self._warm_parents:
            parent.retire()

    async def call(
        self,
        kind: str,
        request: Mapping[str, Any],
        workspace: Path,
        *,
        timeout: float | None,  # noqa: ASYNC109  # the child is to be stopped, not the waiting
        secrets: Mapping[str, str] | None = None,
        on_begin: Beginning | None = None,
        on_progress: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> Reply:
        """Do one piece of blocking work in a child process.

        Seven parameters: three say what is to be done, and four, each by its name, how far it may go.

        Parameters
        ----------
        kind
            Which work: a module of `autoflow.child`.
        request
            What it is to do; JSON values.
        workspace
            The job's own directory, from `workspace`.
        timeout
            Seconds after which the child is asked to stop, and killed a little later; None never.
        secrets
            Environment variables for this child alone.
        on_begin
            Awaited when the work begins, before anything is read for it; on workers each time that it does.
        on_progress
            Called with what the child reports on its way.

        Returns
        -------
        Reply
            However the child ended. Cancellation asks the child to stop, a second one kills it.
        """
        with self._being_under_way(kind):
            if on_begin:
                await on_begin()
            return await self._call(kind, request, workspace, timeout, secrets or {}, on_progress)

    async def _call(
        self,
        kind: str,
        request: Mapping[str, Any],
        workspace: Path,
        limit: float | None,
        secrets: Mapping[str, str],
        on_progress: Callable[[Mapping[str, Any]], None] | None,
    ) -> Reply:
        """Start the process, wait for its end, and clean up.

        In one function, although it is long: however it ends, what it began has to be undone. Six parameters,
        those of `call`.
        """
        job, runtime = f"{self._instance}/{workspace.name}/", self._runtime_of(workspace)
        (workspace / "request.json").write_text(json.dumps({"kind": kind, "code": self._code, **request}))
        environment = {
            **self._environment,
            **request.get("environment", {}),
            **secrets,
            MARKER: job,
            "JUPYTER_RUNTIME_DIR": str(runtime),
        }
        try:
            process = await self._start(kind, request, workspace, environment)
        except asyncio.CancelledError:
            await to_end(_leave_nothing, job, runtime)
            raise
        watch = _Watch(workspace, on_progress)
        timed_out, self._roots[workspace] = False, process.pid
        try:
            # A reply that lies there when the time is over was made in time: all that is late is the end of
            # processes. One that comes later is no success, whatever it says: a cell may take the
            # interrupt for an ordinary exception, and go on.
            if not await watch.until_exit(process, limit) and not watch.replied():
                timed_out = True
                await self._stop(process, watch)
        except asyncio.CancelledError:
            with suppress(asyncio.CancelledError):
                await self._stop(process, watch)
            raise
        finally:
            del self._roots[workspace]
            if process.returncode is None:
                await to_end(kill_tree, process.pid)
                await asyncio.wait({asyncio.ensure_future(process.wait())}, timeout=5.0)
            # also after a normal end: a notebook may have left daemons behind
            strays = await to_end(_leave_nothing, job, runtime)
            if strays:
                logger.warning("killed %s that a %s job left running", counted(strays, "process", "processes"), kind)
        return await to_end(_reply, workspace, process.returncode, timed_out, secrets)

    def _runtime_of(self, workspace: Path) -> Path:
        """Make the directory of a job's sockets."""
        if not self._runtime.is_dir():
            # cleaned away, as by systemd-tmpfiles, which takes what is old
            self._runtime = _make_runtime(self._instance)
        runtime = self._runtime / workspace.name
        runtime.mkdir(mode=0o700)
        return runtime

    async def _start(
        self, kind: str, request: Mapping[str, Any], workspace: Path, environment: Mapping[str, str]
    ) -> Process:
        """Start a job's process: a fork where one can be had, a new interpreter else."""
        warm = self._preload is not None and kind in WARM_KINDS and request.get("warm", True)
        while warm and (parent := await self._warm_parent()):
            try:
                fork = await parent.fork(kind, {**request, "preload": self._preload}, workspace, environment)
                # what made earlier ones fail has passed
                self._in_vain = 0
                return fork
            except NotWarmError as error:
                level = logging.WARNING if error.unexpected else logging.INFO
                logger.log(level, "a job could not be forked and is started in a new process: %s", error)
        with (workspace / "log.txt").open("ab") as output:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                # nothing is imported from where AutoFlow happens to run: others may write there
                "-P",
                "-m",
                "autoflow.child",
                str(workspace),
                str(os.getpid()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                cwd=workspace,
                # Ctrl-C in a terminal is AutoFlow's to handle
                start_new_session=True,
            )

    async def _warm_parent(self) -> ForkClient | None:
        """Return the warm parent, started when there is none; None when too many have failed."""
        async with self._warming:
            if not self._warm_parents or self._warm_parents[-1].retired:
                if self._in_vain == MOST_WARM_PARENTS:
                    return None
                self._in_vain += 1
                early, self._warm_process = self._warm_process, None
                process = early or start_warm_process(self._environment, self._instance)
                self._warm_parents.append(ForkClient(process))
            return self._warm_parents[-1]

    async def _stop(self, process: Process, watch: _Watch) -> None:
        """Ask a child to stop: it interrupts its kernel and keeps what there is."""
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await watch.until_exit(process, self._interrupt_grace)


def _runtime_places() -> list[str]:
    """List where unix sockets of kernels may be, the best first: their paths hold 107 bytes at most."""
    places = list(dict.fromkeys([tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"]))  # noqa: S108
    return sorted(places, key=lambda place: len(place) > LONGEST_RUNTIME_PLACE)


def _make_runtime(instance: str) -> Path:
    """Make a directory of our own for what kernels need while they run.

    Raises
    ------
    OSError
        When there is no place for it.
    """
    *others, last = _runtime_places()
    for place in others:
        with suppress(OSError):
            return Path(tempfile.mkdtemp(prefix=f"autoflow-{instance}-", dir=place))
    return Path(tempfile.mkdtemp(prefix=f"autoflow-{instance}-", dir=last))


class _Watch:
    """Looks after a child while it runs: passes its progress on, and bounds its log."""

    def __init__(self, workspace: Path, on_progress: Callable[[Mapping[str, Any]], None] | None) -> None:
        self._log = workspace / "log.txt"
        self._reply = workspace / REPLY
        self._progress = workspace / "progress.json"
        self._on_progress = on_progress
        self._seen = ""

    async def until_exit(self, process: Process, limit: float | None) -> bool:
        """Wait until the child has ended; False when it still runs after ``limit`` seconds."""
        clock = asyncio.get_running_loop().time
        end = None if limit is None else clock() + limit
        waiter = asyncio.ensure_future(process.wait())
        try:
            while True:
                nap = 0.2 if self._on_progress else 1.0
                left = nap if end is None else min(nap, end - clock())
                done, _ = await asyncio.wait({waiter}, timeout=max(left, 0.0))
                if done:
                    # a quick one has told of itself since the last look
                    self._look()
                    return True
                if end is not None and clock() >= end:
                    return False
                self._look()
        finally:
            waiter.cancel()

    def replied(self) -> bool:
        """Whether the child has done its work, and only has to end."""
        return self._reply.exists()

    def _look(self) -> None:
        with suppress(OSError):
            if self._log.stat().st_size > LOG_LIMIT:
                # opened for appending by the child and its kernel, so they go on at the new end
                os.truncate(self._log, 0)
        if self._on_progress:
            with suppress(OSError, ValueError):
                text = self._progress.read_text()
                if text != self._seen:
                    self._seen = text
                    self._on_progress(json.loads(text))


def _leave_nothing(job: str, runtime: Path) -> int:
    """Kill what a job has left running, and remove what it needed for that; give the number of processes."""
    strays = kill_marked(MARKER, job)
    shutil.rmtree(runtime, ignore_errors=True)
    return strays


def _reply(workspace: Path, returncode: int | None, timed_out: bool, secrets: Mapping[str, str]) -> Reply:
    return _redacted(_read_reply(workspace, returncode, timed_out), secrets)


def _read_reply(workspace: Path, returncode: int | None, timed_out: bool) -> Reply:
    log = _tail(workspace / "log.txt")
    reply: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        reply = json.loads((workspace / REPLY).read_text())
    value, error, peak = reply.get("value"), reply.get("error"), reply.get("peak_mb")
    if timed_out:
        return Reply("timeout", {}, error or {}, "timed out and was stopped", log, peak)
    if value is not None:
        return Reply("done", value, {}, "", log, peak)
    if error is not None:
        return Reply("failed", {}, error, "", log, peak)
    return Reply("died", {}, {}, _how_it_died(returncode), log)


def _redacted(reply: Reply, secrets: Mapping[str, str]) -> Reply:
    """Remove secrets from what a child has left on its way out: one that died could not do it itself."""
    redactor = Redactor.of(*secrets.values())
    log, error = redactor.redact(reply.log), redactor.redact_json(reply.error)
    if reply.cause != "done":
        others = {name: secret for name, secret in secrets.items() if name != "FLOWAPI_TOKEN"}
        for scan in scans_of(secrets.get("FLOWAPI_TOKEN"), others).values():
            log = REDACTED if scan.is_in(log) else log
            error = {name: REDACTED if scan.is_in(str(said)) else said for name, said in error.items()}
    return replace(reply, log=log, error=error)


def _how_it_died(returncode: int | None) -> str:
    if returncode is None:
        return "its process could not be killed"
    if returncode == -signal.SIGKILL:
        return "its process was killed by signal 9, most likely because memory ran out"
    if returncode < 0:
        return f"its process was killed by signal {-returncode} ({signal.strsignal(-returncode)})"
    return f"its process ended with exit code {returncode} and no reply"


def _tail(path: Path, length: int = 4_000) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - length))
            return file.read().decode(errors="replace").strip()
    except OSError:
        return ""
