# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a run is, and why: pure functions, with the time as an argument, for all that starts, shows or tells of runs."""

from autoflow.decision.due import (
    CountedDays,
    Decision,
    asked_runs,
    counted_days,
    decide,
    due_runs,
    first_retry,
    ready_days,
    still_due,
)
from autoflow.decision.fitting import WHAT_TO_DO, changed_inputs, changed_notebooks, misfit
from autoflow.decision.order import Order, days_of_runs, has_order, order_of, skipped_days
from autoflow.decision.overview import (
    SIGNS,
    Explanation,
    Facts,
    Row,
    available_for,
    calendar,
    explain,
    list_age,
    moment,
    span,
    spans,
    why_due,
    why_no_data,
)
from autoflow.decision.triggers import triggers_by_run, wanted_runs
from autoflow.decision.verdict import Verdict, judge, judge_failures

__all__ = [
    "SIGNS",
    "WHAT_TO_DO",
    "CountedDays",
    "Decision",
    "Explanation",
    "Facts",
    "Order",
    "Row",
    "Verdict",
    "asked_runs",
    "available_for",
    "calendar",
    "changed_inputs",
    "changed_notebooks",
    "counted_days",
    "days_of_runs",
    "decide",
    "due_runs",
    "explain",
    "first_retry",
    "has_order",
    "judge",
    "judge_failures",
    "list_age",
    "misfit",
    "moment",
    "order_of",
    "ready_days",
    "skipped_days",
    "span",
    "spans",
    "still_due",
    "triggers_by_run",
    "wanted_runs",
    "why_due",
    "why_no_data",
]
