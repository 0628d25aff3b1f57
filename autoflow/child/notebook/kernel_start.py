# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a kernel does to itself before the first cell.

The source of these functions is sent to kernels, whatever environment they are of: they import all that they use, and
nothing of AutoFlow.
"""

from __future__ import annotations


def answering_ends_first() -> None:
    """Let a kernel that ends answer before it stops what its answers are published by.

    ipykernel's own exit handler stops the thread that publishes, then waits for the one that answers; that one may wait
    for the other in turn, in its answer to the request to shut down. After 10 s it would give up, but by then
    the kernel has been killed, and what it has not written yet to open files is lost.
    """
    import atexit
    from importlib import import_module
    from typing import Any

    try:
        app: Any = import_module("ipykernel.kernelapp").IPKernelApp
    except (ImportError, AttributeError):
        # a kernel of another kind
        return

    def end_answering() -> None:
        """Run after the exit handlers of cells, and before ipykernel's."""
        thread = app.instance().control_thread
        thread.stop()
        thread.join(timeout=5)

    atexit.register(end_answering)


def without_terminal() -> None:
    """Make IPython's ``!command`` read from /dev/null, and run without a terminal.

    IPython gives a command a terminal, so that it prints as it does to a person. But there is no user at it:
    ``!cat`` waits forever, and ``ssh`` for a password. What it prints to is a terminal still.
    """
    import fcntl
    import os
    import signal
    import termios
    from functools import partial
    from importlib import import_module
    from typing import Any

    try:
        shell: Any = import_module("ipykernel.zmqshell")
    except ImportError:
        # a kernel of another kind
        return
    system = getattr(shell, "system", None)
    if system is None:
        return

    def let_go() -> None:
        """Run in the command's process before it is the command's."""
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        # who leads a session and gives its terminal up is told to hang up
        handler = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        fcntl.ioctl(1, termios.TIOCNOTTY)
        signal.signal(signal.SIGHUP, handler)

    def system_without_terminal(command: str) -> object:
        pexpect: Any = import_module("pexpect")
        spawn = pexpect.spawn
        pexpect.spawn = partial(spawn, preexec_fn=let_go)
        try:
            return system(command)
        finally:
            pexpect.spawn = spawn

    shell.system = system_without_terminal
