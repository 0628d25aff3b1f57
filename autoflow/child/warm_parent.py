# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""A process that has imported what notebooks import, and forks one process for each job.

Interpreter and libraries are most of what a short notebook costs. Here they are paid for once in a tick:
a job is a fork, and so is its kernel (`autoflow.child.notebook.spare_kernel`). This process has a single
thread, does no work of its own, and lives no longer than AutoFlow.
"""

from __future__ import annotations

import gc
import json
import os
import re
import select
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from autoflow.child.asciidoctor import Line, WarmAsciidoctor
from autoflow.child.process import replace_environment

KERNEL = (
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "ipykernel.zmqshell",
    "ipykernel.debugger",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "IPython.utils.wildcard",
    "tornado.platform.asyncio",
    "sqlite3",
    # when it shuts down
    "psutil",
)
"""What a kernel has imported when it is ready, or imports later; some of it may not be there in another version."""
IDLE = 0.1
"""Seconds without a request after which there is time to have ready what others will need."""

INLINE_PLOTS = "module://matplotlib_inline.backend_inline"


@dataclass(frozen=True)
class Job:
    """What a forked process is to do."""

    workspace: Path
    kind: str
    parent: int
    fresh_path: tuple[str, ...]
    """``sys.path`` of a kernel that is started the ordinary way."""
    preloaded: frozenset[str]
    """Names of the packages that were imported for notebooks."""
    imported_environment: Mapping[str, str]
    """Environment variables that what was imported set."""
    line: Line | None
    """To a process that makes pages, for a report."""


class RefusedError(Exception):
    """A job that is not to be forked, and why."""


class WarmParent:
    """Forks a process for each request, and tells when it has ended.

    Requests and answers are lines of JSON. A request has ``workspace``, ``kind``, ``environment``,
    ``marker`` (the variable that /proc is to show too), ``preload`` (names of modules), ``formats`` (of
    reports that are to be made now or later) and, for a notebook, ``notebook`` (its path). The answer is
    ``{"workspace", "pid"}`` or ``{"workspace", "refused"}``; when the process has ended, ``{"workspace",
    "status"}`` follows.

    Parameters
    ----------
    connection
        Where requests come from; its end is the end of requests.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = b""
        self._running: dict[int, str] = {}
        self._preloaded: set[str] = set()
        self._changed: dict[str, int] = {}
        # the end of the tick waits for the page
        self._ahead = ["page"]
        self._expects_reports = False
        self._asciidoctor: WarmAsciidoctor | None = None
        self._environment = dict(os.environ)
        self._fresh_path = tuple(sys.path)
        self._wake, self._wakened = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def serve(self) -> Job | None:
        """Work until no more requests come and all forked processes have ended.

        Returns
        -------
        Job or None
            In each forked process its job, in this one None.
        """
        import_always()
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wakened, warn_on_full_buffer=False)
        sources: list[Any] = [self._wake, self._connection]
        while self._running or self._connection in sources:
            ready, _, _ = select.select(sources, [], [], IDLE if self._ahead and self._running else None)
            if not ready:
                self._look_ahead()
            if self._wake in ready:
                os.read(self._wake, 4096)
                self._reap()
            if self._connection in ready:
                chunk = self._connection.recv(1 << 20)
                if not chunk:
                    sources.remove(self._connection)
                *lines, self._received = (self._received + chunk).split(b"\n")
                for line in lines:
                    if job := self._take(json.loads(line)):
                        return job
        return None

    def _take(self, request: Mapping[str, Any]) -> Job | None:
        """Fork; in the forked process, return its job.

        In one function, although it is long: parent and child part in its middle.
        """
        workspace = request["workspace"]
        try:
            self._warm_up(request)
            self._check()
        except RefusedError as error:
            self._answer(workspace, refused=str(error))
            return None
        except Exception as error:  # noqa: BLE001  # the jobs that were forked already continue: they would end with this process
            self._answer(workspace, refused=f"{type(error).__name__}: {error}", defect=True)
            return None
        line = self._asciidoctor.line() if self._asciidoctor and request["kind"] == "report" else None
        # a garbage collection would copy the memory that all forks share
        gc.freeze()
        parent = os.getpid()
        with warnings.catch_warnings():
            # libraries' own pools of threads, OpenBLAS's say, are made anew after a fork
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid:
            if line:
                line.close()
            self._running[pid] = workspace
            self._answer(workspace, pid=pid)
            return None
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for descriptor in (self._wake, self._wakened, self._connection.detach()):
            os.close(descriptor)
        if self._asciidoctor:
            self._asciidoctor.let_go()
        imported_environment = {name: text for name, text in os.environ.items() if name not in self._environment}
        become_job(request)
        return Job(
            workspace=Path(workspace),
            kind=request["kind"],
            parent=parent,
            fresh_path=self._fresh_path,
            preloaded=frozenset(self._preloaded),
            imported_environment=imported_environment,
            line=line,
        )

    def _reap(self) -> None:
        while self._running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            # else it is the process that makes pages
            if pid in self._running:
                self._answer(self._running.pop(pid), status=os.waitstatus_to_exitcode(status))

    def _answer(self, workspace: str, **message: object) -> None:
        with suppress(OSError):
            self._connection.sendall(json.dumps({"workspace": workspace, **message}).encode() + b"\n")

    def _warm_up(self, request: Mapping[str, Any]) -> None:
        """Import what a job needs."""
        if "pdf" in request["formats"] and not self._asciidoctor:
            # loads while this process imports
            self._asciidoctor = WarmAsciidoctor.start()
        if request["formats"] and not self._expects_reports:
            self._expects_reports = True
            # no job waits for what makes others quicker
            self._ahead.append("report")
        worker = import_module(f"autoflow.child.{request['kind']}")
        if request["kind"] != "notebook":
            return
        # whether plots go into the notebook is decided when matplotlib is imported
        os.environ.setdefault("MPLBACKEND", INLINE_PLOTS)
        # what is wrong with a notebook, or with what it imports, is for the job itself to tell
        with suppress(OSError, ValueError):
            text = Path(request["notebook"]).read_text(encoding="utf-8")
            worker.prepare(text)
            wanted = wanted_by(text, request["preload"])
            if wanted:
                # one of them may have imported papermill, and then a notebook sees it too
                worker.complete()
            for name in wanted:
                self._preloaded.add(name.partition(".")[0])
                with suppress(Exception):
                    import_module(name)

    def _look_ahead(self) -> None:
        """Prepare what a kind of job needs, while others run."""
        with suppress(Exception):
            import_module(f"autoflow.child.{self._ahead.pop()}").prepare()

    def _check(self) -> None:
        """Check that a fork would be as good as a process started anew.

        Raises
        ------
        RefusedError
            When a module has changed on disk since it was imported, or threads were started.
        """
        for name, module in tuple(sys.modules.items()):
            if path := getattr(module, "__file__", None):
                try:
                    # a thousand modules before each fork: a Path for each would take longer than the job's start
                    changed = os.stat(path).st_mtime_ns  # noqa: PTH116
                except OSError:
                    changed = 0
                if self._changed.setdefault(path, changed) != changed:
                    raise RefusedError(f"{name} has changed")
        if threading.active_count() > 1:
            names = ", ".join(thread.name for thread in threading.enumerate()[1:])
            raise RefusedError(f"a library has started threads ({names})")


def import_always() -> None:
    """Import what nearly every job needs, before there is one."""
    for name in ("autoflow.child.notebook", *KERNEL):
        # a job says what is missing
        with suppress(ImportError):
            import_module(name)


def wanted_by(notebook: str, preload: Iterable[str]) -> list[str]:
    """Choose, of the modules that may be imported ahead, those whose package a notebook's text imports.

    Taking one too many costs time, and nothing else.
    """
    imported = set(re.findall(r"(?:import|from)\s+(\w+)|,\s*(\w+)", notebook))
    names = {name for pair in imported for name in pair}
    return [module for module in preload if module.partition(".")[0] in names]


def become_job(request: Mapping[str, Any]) -> None:
    """Make a forked process what a job's process is that was started from nothing."""
    os.setsid()
    os.chdir(request["workspace"])
    log = os.open(f"{request['workspace']}/log.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.close(log)
    replace_environment(request["environment"], request["marker"])
