# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What people see of runs: the state of each trigger and date, and the reason in words, without a tick."""

from autoflow.overview.estimate import Load, PoolLoad, pool_loads, seconds_left
from autoflow.overview.explanation import (
    Explanation,
    accept_command,
    explain,
    held_dates,
    list_age,
    until_final,
    what_lacks,
    why_due,
    why_held_back,
)
from autoflow.overview.finals import final_changes
from autoflow.overview.remaking import why_not_made_again
from autoflow.overview.states import Facts, Row, Stale, calendar, span, stale_runs, stale_text
from autoflow.overview.words import GOOD, SIGNS, STALE, attempt_marks, attempt_word, run_word, run_words

__all__ = [
    "GOOD",
    "SIGNS",
    "STALE",
    "Explanation",
    "Facts",
    "Load",
    "PoolLoad",
    "Row",
    "Stale",
    "accept_command",
    "attempt_marks",
    "attempt_word",
    "calendar",
    "explain",
    "final_changes",
    "held_dates",
    "list_age",
    "pool_loads",
    "run_word",
    "run_words",
    "seconds_left",
    "span",
    "stale_runs",
    "stale_text",
    "until_final",
    "what_lacks",
    "why_due",
    "why_held_back",
    "why_not_made_again",
]
