# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a run needs from the world outside, in one frozen bundle; `autoflow.app` builds it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from autoflow.clock import utc_now
from autoflow.code_version import code_on_disk
from autoflow.context.backlog import Backlog
from autoflow.context.conditions import Conditions
from autoflow.context.ledger import Ledger
from autoflow.context.outputs import Outputs
from autoflow.context.steering import Steering
from autoflow.jobs import Door, Jobs
from autoflow.machine import Machine, Reading
from autoflow.model import RunReader, RunStore
from autoflow.progress import Progress
from autoflow.settings import Settings
from autoflow.shared_data import SharedData


async def nothing_left(_: Callable[[str], None]) -> None:
    """Wait for nothing: no worker can have anything of the life before."""


@dataclass(frozen=True)
class Context:
    """The settings, and the doors to the store, to blocking work, to outputs and to people, in both directions."""

    settings: Settings
    store: RunStore
    ledger: Ledger
    jobs: Jobs
    outputs: Outputs
    shared: SharedData
    progress: Progress
    conditions: Conditions
    steering: Steering
    backlog: Backlog
    workers: Door | None = None
    """Where notebooks are executed; None: by `jobs`, as all else."""
    freed: Callable[[Callable[[str], None]], Awaitable[None]] = nothing_left
    """Waits, before a notebook runs on this machine, until none can be left on workers that was started before; calls
    a function with why, in words."""
    beside: RunReader | None = None
    """The record that a try is made beside."""
    now: Callable[[], dt.datetime] = utc_now
    """The wall clock, in UTC; how long something takes is told by the event loop."""
    code: str = field(default_factory=code_on_disk)
    """Which code this process was started with."""
    machine: Callable[[], Reading] = field(default_factory=lambda: Machine().read)
    """Looks at how busy the machine is."""
    longest_nap: float = 60.0
    """Seconds that the idle daemon sleeps at a stretch."""

    @property
    def notebooks(self) -> Door:
        """What executes notebooks."""
        return self.workers or self.jobs

    @property
    def past(self) -> RunReader:
        """The runs that notebooks may read the executed notebooks of."""
        return self.beside or self.store.read
