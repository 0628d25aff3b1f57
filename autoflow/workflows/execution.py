# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""One attempt at a run, as its notebooks and reports see it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autoflow.capacity import Capacity
from autoflow.context import Context, Written, recorded
from autoflow.model import Attempt, RecordedNotebook
from autoflow.notebooks import TokenScan, scans_of
from autoflow.runs import Run
from autoflow.settings import Token
from autoflow.workflows.directories import Directories
from autoflow.workflows.other_runs import Origin
from autoflow.workflows.replaced import Replaced


@dataclass(frozen=True)
class Execution:
    """One attempt at a run, as its notebooks see it."""

    context: Context
    run: Run
    attempt: Attempt
    token: Token
    capacity: Capacity
    stop: asyncio.Event
    executed: dict[str, Path] = field(default_factory=dict)
    """Executed notebooks by label, for those that read them."""
    reused: dict[str, RecordedNotebook] = field(default_factory=dict)
    """Notebooks that an earlier attempt has executed."""
    origin: Origin = field(default_factory=Origin)
    others: dict[str, Any] = field(default_factory=dict)
    """Paths of executed notebooks of other runs, by the names that parameters are given; None where there is none."""
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    """Secrets of all its notebooks, by name."""
    sources: dict[str, str] = field(default_factory=dict)
    """Hashes by label of the notebooks as they were when they were executed."""
    read: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """Hashes by label of the files that notebooks say they read, by path."""
    reports: dict[str, list[Path]] = field(default_factory=dict)
    """Reports and manifests by label."""
    waited: dict[tuple[str, str], float] = field(default_factory=dict)
    """Seconds that notebooks have waited, by label and what for, in words."""
    replaced: Replaced | None = None
    """What was made of other data, and its results take the place of; None where there is no such attempt."""

    directories: Directories = field(kw_only=True)

    def scans(self) -> dict[str, TokenScan]:
        """What no file may hold."""
        return scans_of(self.token.value, self.secrets)

    async def record(self, write: Callable[[], Written]) -> Written:
        """Write to the record, and wait while it cannot be written."""
        return await recorded(self.context.conditions, self.stop, write)
