# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The one rule: what a run is, by what dates and record say of it. All that tells states of runs asks here."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from autoflow.decision.attempts import is_asked_for, is_given_up, is_skipped, next_try
from autoflow.definitions import Retries
from autoflow.history import Failures, RunHistory
from autoflow.runs import AttemptState, RunKey, RunState

LIVE = {AttemptState.SUCCEEDED.value: RunState.SUCCEEDED, AttemptState.RUNNING.value: RunState.RUNNING}
"""What a run is as long as its newest attempt that counts is in one of these states."""


class Verdict(NamedTuple):
    """What a run is."""

    state: RunState
    retry_at: dt.datetime | None = None
    """When a failed run may be tried again; None, too, where it is not, since no data or no trigger is there for it."""

    def starts(self, now: dt.datetime, *, patient: bool = True) -> bool:
        """Whether a tick starts the run; one that is not patient does not wait for the end of a pause."""
        if self.state is RunState.FAILED and self.retry_at is not None:
            return not patient or self.retry_at <= now
        return self.state is RunState.DUE


PLAIN = {state: Verdict(state) for state in RunState}
"""Those without more to say; there are very many of them."""

SETTLED = {state: PLAIN[live] for state, live in LIVE.items()}
"""What needs no more looking into, by the state of a run's newest attempt that counts."""


def judge(run_history: RunHistory, key: RunKey, date: dt.date, by_dates: RunState, retries: Retries) -> Verdict:
    """Decide what a run is.

    Parameters
    ----------
    run_history
        What the record says.
    key, date
        The run, and its reference date.
    by_dates
        What it is by dates and definitions alone: due, waiting, held, not available or excluded. One that has succeeded
        with dates missing is due when it is to be made again, with all of them.
    retries
        Those of its workflow.
    """
    newest = run_history.latest.get(key)
    if newest is not None and newest.state in SETTLED:
        return SETTLED[newest.state]
    request, failures, skip = (
        run_history.requests.get(key),
        run_history.failed.get(key),
        run_history.skips.of(key, date),
    )
    skipped = skip is not None and is_skipped(skip, request)
    if newest is not None and newest.state == RunState.PROVISIONAL and (skipped or by_dates is not RunState.DUE):
        return PLAIN[RunState.PROVISIONAL]
    if skipped:
        return PLAIN[RunState.SKIPPED]
    is_requested = request is not None and not request.waits
    if request is not None and is_requested and is_asked_for(request, failures):
        return PLAIN[RunState.DUE]
    if failures is not None:
        tried = by_dates is RunState.DUE or is_requested
        return judge_failures(failures, retries) if tried else judge_failures(failures, retries)._replace(retry_at=None)
    return PLAIN[by_dates]


def judge_failures(failures: Failures, retries: Retries) -> Verdict:
    """Decide what a run is that has failed, and that data and a trigger are there for."""
    if is_given_up(retries, failures):
        return PLAIN[RunState.GIVEN_UP]
    return Verdict(RunState.FAILED, next_try(retries, failures))
