# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Notebooks whose timed out as soon as they are where they hang, however long that takes on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

from autoflow.jobs import Jobs, Reply
from tests.clock import HeldLoop

T = TypeVar("T")

LIMIT = 600.0


class Overtime:
    """Executes notebooks with a time-out, on a loop whose time jumps when all of them hang.

    Parameters
    ----------
    directory
        Where a notebook says that it is there, by a file.
    """

    def __init__(self, jobs: Jobs, directory: Path) -> None:
        self._jobs = jobs
        self._directory = directory
        self._ends: dict[Path, float] = {}
        self._loop = HeldLoop(self._is_busy)

    def here(self, name: str) -> str:
        """Give the code with which a notebook of some name says that it hangs from here on."""
        return f"open({str(self._said(name))!r}, 'w').close()"

    async def call(self, name: str, request: Mapping[str, Any], workspace: Path) -> Reply:
        said = self._said(name)
        self._ends[said] = self._loop.time() + LIMIT
        try:
            return await self._jobs.call("notebook", request, workspace, timeout=LIMIT)
        finally:
            del self._ends[said]

    async def hangs(self, name: str) -> None:
        """Wait until a notebook is where it hangs."""
        await self._loop.until(self._said(name).exists)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            return runner.run(main)

    def _said(self, name: str) -> Path:
        return self._directory / f"{name} hangs"

    def _is_busy(self) -> bool:
        hanging = sum(self._loop.time() < end and said.exists() for said, end in self._ends.items())
        return len(self._jobs.under_way) > hanging
