# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""How the daemon is: one answer for `/health`, for ``autoflow health`` and for the page."""

from __future__ import annotations

import datetime as dt
import os
from typing import Any

from autoflow.capacity import Taker
from autoflow.context import Condition, Conditions, Context, WriteProbe
from autoflow.daemon.agenda import Agenda, schedule_of
from autoflow.progress import described
from autoflow.schedule import next_tick
from autoflow.sensor import Executor, SlotsInUse
from autoflow.web import OLDEST_INDEX, DaemonState
from autoflow.wording import counted

KEEPING_FROM_WORK = ("tick", "record", "workflows.yml")
"""Conditions with which AutoFlow cannot do what it is for."""


def urgent(conditions: Conditions, failed_ticks: int) -> list[Condition]:
    """Find what keeps AutoFlow from its work; a failed run does not, nor a token that only nears its end."""
    kinds = {*KEEPING_FROM_WORK, *(("token", "defect") if failed_ticks else ())}
    return [condition for condition in conditions.lasting() if condition.name in kinds]


def doing(agenda: Agenda, executor: Executor) -> str:
    """Say what the daemon is at and how many runs are in progress, as it is now."""
    text = "stopping" if executor.stop.is_set() else agenda.doing
    if not executor.busy:
        return text
    running, waiting = len(executor.running), len(executor.waiting)
    return f"{text}; {counted(running, 'run')} in progress{f', {waiting} waiting' if waiting else ''}"


async def health(
    context: Context, agenda: Agenda, executor: Executor, probe: WriteProbe, queued_on: str | None = None
) -> dict[str, Any]:
    """Describe the daemon, and say whether it can do what it is for.

    Parameters
    ----------
    queued_on
        A reference date whose runs are to be told that are queued, and how many go before each.
    """
    queued = context.backlog.queued(dt.date.fromisoformat(queued_on)) if queued_on and executor.busy else []
    polled, silence = context.store.read.last_poll(), context.store.read.silence()
    reasons = [condition.text for condition in urgent(context.conditions, agenda.failed_ticks)]
    reasons += await probe.complaints()
    return {
        "pid": os.getpid(),
        "name": context.settings.name,
        "doing": doing(agenda, executor),
        "last_tick": agenda.last_tick.isoformat(),
        "last_poll": polled.isoformat() if polled else None,
        "polls_fail_since": silence.since.isoformat() if silence else None,
        "running": context.steering.running(),
        "tasks": described(context.progress),
        "due": len(executor.waiting),
        "slots": _described(executor.slots) if executor.busy else None,
        **({"queued": queued} if queued_on else {}),
        "problems": context.conditions.present(),
        "healthy": not reasons,
        "reasons": reasons,
    }


def _described(slots: SlotsInUse) -> dict[str, Any]:
    pools = {
        name: {
            "places": pool.places,
            "in_use": pool.in_use,
            "waiting": list(map(_taker, pool.waiting)),
            "without_slot": list(map(_taker, pool.without_slot)),
        }
        for name, pool in slots.pools.items()
    }
    return {"in_use": slots.in_use, "given": slots.given, "why": slots.why, "pools": pools}


def _taker(taker: Taker) -> dict[str, Any]:
    return {"run": taker.run, "notebook": taker.notebook}


def daemon_state(context: Context, agenda: Agenda, executor: Executor, *, once: bool = False) -> DaemonState:
    """Say what pages are to know of the daemon.

    Parameters
    ----------
    once
        Whether it ends when no run is in progress any more. One that is stopping has no next tick either.
    """
    now = context.now()
    state = DaemonState(
        now,
        agenda.definitions,
        doing(agenda, executor),
        urgent=[condition.name for condition in urgent(context.conditions, agenda.failed_ticks)],
        batch=executor.batch,
        slots=executor.slots,
    )
    if once or executor.stop.is_set():
        return state
    # a page that is younger than this is not written anew at a tick
    later = next_tick(schedule_of(agenda.definitions), now + dt.timedelta(seconds=OLDEST_INDEX))
    return state.with_ticks(agenda.next(now, executor.retry_at), later)
