# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a kernel does to itself so that nothing which a cell starts waits for input."""

from __future__ import annotations


def without_terminal() -> None:
    """Make IPython's ``!command`` read from /dev/null, and run without a terminal.

    IPython gives a command a terminal, so that it prints as it does to a person. But there is no user at it:
    ``!cat`` waits forever, and ``ssh`` for a password. What it prints to is a terminal still.

    The source of this function is sent to kernels, whatever environment they are of: it imports all that
    it uses, and nothing of AutoFlow.
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
