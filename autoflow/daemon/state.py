# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""How the daemon is: one answer for `/health`, for ``autoflow health`` and for the page."""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import asdict
from typing import Any

from autoflow.context import Condition, Conditions, Context, WriteProbe
from autoflow.daemon.agenda import Agenda, schedule_of
from autoflow.progress import described
from autoflow.schedule import next_tick
from autoflow.sensor import Executor
from autoflow.web import OLDEST_INDEX, DaemonState

KEEPING_FROM_WORK = ("tick", "record", "workflows.yml")
"""Conditions with which AutoFlow cannot do what it is for."""


def urgent(conditions: Conditions, failed_ticks: int) -> list[Condition]:
    """Find what keeps AutoFlow from its work; a failed run does not, nor a token that only nears its end."""
    kinds = {*KEEPING_FROM_WORK, *(("token", "defect") if failed_ticks else ())}
    return [condition for condition in conditions.lasting() if condition.name in kinds]


async def health(context: Context, agenda: Agenda, executor: Executor, probe: WriteProbe) -> dict[str, Any]:
    """Describe the daemon, and say whether it can do what it is for."""
    polled, silence = context.store.read.last_poll(), context.store.read.silence()
    reasons = [condition.text for condition in urgent(context.conditions, agenda.failed_ticks)]
    reasons += await probe.complaints()
    return {
        "pid": os.getpid(),
        "name": context.settings.name,
        "doing": agenda.doing,
        "last_tick": agenda.last_tick.isoformat(),
        "last_poll": polled.isoformat() if polled else None,
        "polls_fail_since": silence.since.isoformat() if silence else None,
        "running": context.steering.running(),
        "tasks": described(context.progress),
        "due": len(executor.waiting),
        "slots": asdict(executor.slots) if executor.busy else None,
        "problems": context.conditions.present(),
        "healthy": not reasons,
        "reasons": reasons,
    }


def daemon_state(context: Context, agenda: Agenda, executor: Executor, *, once: bool = False) -> DaemonState:
    """Say what pages are to know of the daemon.

    Parameters
    ----------
    once
        Whether it ends when no run is in progress any more.
    """
    now = context.now()
    state = DaemonState(
        now,
        agenda.definitions,
        agenda.doing,
        urgent=[condition.name for condition in urgent(context.conditions, agenda.failed_ticks)],
        batch=executor.batch,
        slots=executor.slots,
    )
    if once:
        return state
    # a page that is younger than this is not written anew at a tick
    later = next_tick(schedule_of(agenda.definitions), now + dt.timedelta(seconds=OLDEST_INDEX))
    return state.with_ticks(agenda.next(now, executor.retry_at), later)
