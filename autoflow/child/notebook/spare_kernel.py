# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""A kernel forked from a job's process while that is young, which waits until it is wanted.

The fork happens before the job has threads, an event loop or sockets, and at the top of the program, so
that the kernel ends as any Python program does: exit handlers, threads and exit code included.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import json
import os
import select
import signal
import sys
import threading
import weakref
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import all_suffixes
from pathlib import Path
from subprocess import TimeoutExpired
from types import ModuleType
from typing import NoReturn

from autoflow.child.process import be_killed_first, die_with_parent
from autoflow.child.warm_parent import Job

LAUNCHER = "ipykernel_launcher"

FOREIGN = ("nbclient", "papermill")
"""Packages that a job imports, and of what notebooks import only few."""


@dataclass(frozen=True)
class Launch:
    """How a kernel is to be started: as `subprocess.Popen` would be told."""

    command: Sequence[str]
    environment: Mapping[str, str]
    directory: str


class SpareKernel:
    """A forked process that waits for its launch; at the end of the job it is gone either way.

    Parameters
    ----------
    job
        The job that it is for.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._launched = False
        self._read, self._write = os.pipe()
        parent = os.getpid()
        self.pid = os.fork()
        if not self.pid:
            os.close(self._write)
            die_with_parent(parent)
        else:
            os.close(self._read)

    @property
    def is_this_process(self) -> bool:
        return not self.pid

    def suits(self, command: Sequence[str], directory: str) -> bool:
        """Whether the kernel would be the same as one that the command starts."""
        plain = [part for part in command if part != "-Xfrozen_modules=off"]
        if plain[:4] != [sys.executable, "-m", LAUNCHER, "-f"]:
            return False
        # a relative path means another place for a kernel, which starts in the notebook's directory
        if any(path and not Path(path).is_absolute() for path in os.environ.get("PYTHONPATH", "").split(os.pathsep)):
            return False
        return not hides_modules(Path(directory))

    def launch(self, launch: Launch) -> ForkedProcess:
        """Turn it into a kernel."""
        with os.fdopen(self._write, "w") as pipe:
            json.dump([list(launch.command), dict(launch.environment), launch.directory], pipe)
        self._launched = True
        return ForkedProcess(self.pid)

    def dismiss(self) -> None:
        """End it if it was not used."""
        if not self._launched:
            os.close(self._write)
            os.waitpid(self.pid, 0)

    def run(self) -> None:
        """Wait for the launch, then be a kernel until that is told to shut down."""
        with os.fdopen(self._read) as pipe:
            text = pipe.read()
        if not text:
            os._exit(0)
        launch = Launch(*json.loads(text))
        os.setsid()
        be_killed_first()
        os.chdir(launch.directory)
        os.environ.clear()
        os.environ.update({**self._job.imported_environment, **launch.environment})
        self._look_ordinary(launch)
        shared = frozenset(sys.modules)
        from ipykernel import kernelapp

        # what it was when ipykernel was imported is another
        kernelapp.launch_new_instance(parent_handle=os.getppid())
        _end(shared)

    def _look_ordinary(self, launch: Launch) -> None:
        """Remove what distinguishes it, for a notebook, from a kernel in a new process."""
        # what was imported for notebooks may hold on to these
        foreign = ("autoflow",) if self._job.preloaded else ("autoflow", *FOREIGN)
        for name in tuple(sys.modules):
            if name.partition(".")[0] in foreign:
                del sys.modules[name]
        sys.path[:] = self._job.fresh_path
        launcher = Path(sys.modules["ipykernel"].__path__[0]).parent / f"{LAUNCHER}.py"
        sys.argv[:] = [str(launcher), *launch.command[launch.command.index(LAUNCHER) + 1 :]]
        sys.orig_argv[:] = launch.command
        if numpy := sys.modules.get("numpy"):
            # Python's own generator is seeded anew by the fork, numpy's is not
            numpy.random.seed()


def hides_modules(directory: Path) -> bool:
    """Whether a module in a directory would be imported in the place of one that is imported already."""
    suffixes = tuple(all_suffixes())
    with os.scandir(directory) as found:
        modules = {
            each.name.partition(".")[0]
            for each in found
            # without an __init__ a directory is a module only where there is no other of its name
            if each.name.endswith(suffixes)
            or (each.is_dir() and any(Path(each.path, f"__init__{suffix}").exists() for suffix in suffixes))
        }
    return not modules.isdisjoint(name for name in sys.modules if "." not in name)


class ForkedProcess:
    """A child that was forked, with what `jupyter_client` uses of `subprocess.Popen`."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code as `subprocess` does; None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end.

        Raises
        ------
        TimeoutExpired
            When it runs on.
        """
        if self.returncode is None:
            descriptor = os.pidfd_open(self.pid)
            try:
                ended, _, _ = select.select([descriptor], [], [], timeout)
            finally:
                os.close(descriptor)
            if not ended:
                raise TimeoutExpired("kernel", timeout or 0.0)
        return self.poll() or 0

    def send_signal(self, number: int) -> None:
        """Signal it, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def _end(shared: Collection[str]) -> NoReturn:
    """End as a Python program does, but leave alone what is shared with other processes.

    To take shared modules down would copy all their memory. What the notebook itself imported, opened and
    made is torn down as usual, and so is what libraries in C have to do at the end.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    own = [name for name in sys.modules if name not in shared or name == "__main__"]
    modules = [weakref.ref(sys.modules.pop(name)) for name in own if isinstance(sys.modules[name], ModuleType)]
    gc.collect()
    # who is still there is held by something that goes on
    for reference in reversed(modules):
        if (module := reference()) is not None:
            _clear(vars(module))
    gc.collect()
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    ctypes.pythonapi.exit(0)
    raise AssertionError


def _clear(namespace: dict[str, object]) -> None:
    """Release what a module holds in the order in which the interpreter does."""
    for private in (True, False):
        for name in tuple(namespace):
            if (name[:1] == "_" and name[1:2] != "_") is private and name != "__builtins__":
                namespace[name] = None
