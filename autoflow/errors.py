# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What can go wrong, as data: every error a person may meet, with the exit code it leads to."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Literal


class ExitCode(IntEnum):
    """Exit codes of the command line."""

    OK = 0
    RUN_FAILED = 1
    USER_MISTAKE = 2
    FLOWAPI_UNREACHABLE = 3
    TRY_AGAIN = 75
    """EX_TEMPFAIL of sysexits.h: what kept AutoFlow from starting may pass by itself."""


PASSING = frozenset(
    {
        *(errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EAGAIN),
        *(errno.EBUSY, errno.EINTR, errno.ENOLCK, errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.ENOTCONN),
        *(errno.ETIMEDOUT, errno.ETXTBSY, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH),
        *(errno.ECONNABORTED, errno.ECONNREFUSED, errno.ECONNRESET, errno.EADDRINUSE, errno.EADDRNOTAVAIL),
    }
)
"""Errors of the operating system that come from the state of the machine, not from a mistake of the user."""

SQLITE_PASSING = frozenset({5, 6, 7, 8, 9, 10, 13, 14, 15})
"""The same of sqlite, whose module is not imported for this: BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL,
CANTOPEN, PROTOCOL."""


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong in a file that a person wrote.

    ``line`` and ``column`` count from 1; 0 means that the problem has no place in the file.
    ``key`` is the path of the value, such as ``workflows[0].notebooks.run_flows.filename``.
    """

    file: str
    line: int
    column: int
    key: str
    message: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        severity = "warning: " if self.severity == "warning" else ""
        return f"{place}: {severity}{self.key}: {self.message}" if self.key else f"{place}: {severity}{self.message}"


class AutoflowError(Exception):
    """An error whose message is written for the user: shown without a traceback.

    The message says what was found, what was expected, and what to do next.
    """

    exit_code = ExitCode.USER_MISTAKE

    def __init__(self, message: str, *, passing: bool = False) -> None:
        """Make an error whose cause may pass by itself, if ``passing``: then it is worth trying again."""
        super().__init__(message)
        if passing:
            self.exit_code = ExitCode.TRY_AGAIN


class SettingsError(AutoflowError):
    """A mistake in the environment variables, config.toml or a secret."""


class TokenError(SettingsError):
    """FlowAPI's token is missing, cannot be read, or is not valid now."""


class DefinitionError(AutoflowError):
    """All the mistakes found in one workflows.yml."""

    def __init__(self, problems: tuple[Problem, ...], *, passing: bool = False) -> None:
        super().__init__("\n".join(str(problem) for problem in problems), passing=passing)
        self.problems = problems


class NotConfirmedError(AutoflowError):
    """Nothing was done, since nobody has said yes to it."""

    def __init__(self, message: str, shown: Mapping[str, Any] | None = None) -> None:
        """Make one with what would be done, for scripts."""
        super().__init__(message)
        self.shown = shown or {}


class StoreError(AutoflowError):
    """The run store cannot be used: locked, damaged, newer than known, or not a database."""


class OutputsLostError(AutoflowError):
    """The record or the outputs are not where they were when AutoFlow started."""

    exit_code = ExitCode.TRY_AGAIN


class FlowapiError(AutoflowError):
    """FlowAPI did not answer a poll with a list of available dates."""

    exit_code = ExitCode.FLOWAPI_UNREACHABLE


def may_pass(error: Exception) -> bool:
    """Whether what the operating system or sqlite refuses it may grant later, with nothing mended."""
    if isinstance(error, OSError):
        return isinstance(error, TimeoutError) or error.errno in PASSING
    # an extended code has the primary one in its lowest byte
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in SQLITE_PASSING


def is_not_mounted(directory: Path) -> bool:
    """Whether a directory looks as if its file system were not mounted yet: not there, or empty.

    A directory that holds anything is there: what is missing in it is missing for good.
    """
    try:
        return not any(entry.name != "lost+found" for entry in directory.iterdir())
    except FileNotFoundError:
        return True
    except OSError as error:
        return may_pass(error)
