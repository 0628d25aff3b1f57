# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a run is, and which runs are due: pure functions of definitions, dates, history and time."""

from autoflow.decision.attempts import is_asked_for
from autoflow.decision.counted import counted_days, days_complete, days_ready, ready_days
from autoflow.decision.downstream import dependent_runs, held_requests
from autoflow.decision.due import Decision, decide, decide_requested, first_retry, undone_days, with_data, without_kept
from autoflow.decision.held import held_days, held_runs, kept_by_holds
from autoflow.decision.late import Incomplete, finalises, incomplete
from autoflow.decision.order import Order
from autoflow.decision.stale import (
    data_uses,
    needed_runs,
    run_uses,
    runs_that_used,
    runs_with_data,
    with_waiting_requests,
)
from autoflow.decision.triggers import incomplete_runs, missing_dates, triggers_by_run
from autoflow.decision.verdict import SETTLED, Verdict, judge, judge_failures

__all__ = [
    "SETTLED",
    "Decision",
    "Incomplete",
    "Order",
    "Verdict",
    "counted_days",
    "data_uses",
    "days_complete",
    "days_ready",
    "decide",
    "decide_requested",
    "dependent_runs",
    "finalises",
    "first_retry",
    "held_days",
    "held_requests",
    "held_runs",
    "incomplete",
    "incomplete_runs",
    "is_asked_for",
    "judge",
    "judge_failures",
    "kept_by_holds",
    "missing_dates",
    "needed_runs",
    "ready_days",
    "run_uses",
    "runs_that_used",
    "runs_with_data",
    "triggers_by_run",
    "undone_days",
    "with_data",
    "with_waiting_requests",
    "without_kept",
]
