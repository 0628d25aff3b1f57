# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What can go wrong, as data: every error a person may meet, with the exit code it leads to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal


class ExitCode(IntEnum):
    """Exit codes of the command line."""

    OK = 0
    RUN_FAILED = 1
    USER_MISTAKE = 2
    FLOWAPI_UNREACHABLE = 3


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


class SettingsError(AutoflowError):
    """A mistake in the environment variables, config.toml or a secret."""


class TokenError(SettingsError):
    """FlowAPI's token is missing, can not be read, or is not valid now."""


class DefinitionError(AutoflowError):
    """All the mistakes found in one workflows.yml."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class StoreError(AutoflowError):
    """The run store can not be used: locked, damaged, newer than known, or not a database."""


class FlowapiError(AutoflowError):
    """FlowAPI did not answer a poll with a list of available dates."""

    exit_code = ExitCode.FLOWAPI_UNREACHABLE
