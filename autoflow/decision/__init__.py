# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a reference date is for a trigger, and why: pure functions, with the time as an argument."""

from autoflow.decision.attempts import is_asked_for, is_given_up, is_skipped, next_try
from autoflow.decision.fitting import WHAT_TO_DO, changed_inputs, changed_notebooks, misfit
from autoflow.decision.overview import (
    Answer,
    Row,
    Situation,
    available_for,
    calendar,
    explain,
    list_age,
    moment,
    span,
    spans,
    why_no_data,
)

__all__ = [
    "WHAT_TO_DO",
    "Answer",
    "Row",
    "Situation",
    "available_for",
    "calendar",
    "changed_inputs",
    "changed_notebooks",
    "explain",
    "is_asked_for",
    "is_given_up",
    "is_skipped",
    "list_age",
    "misfit",
    "moment",
    "next_try",
    "span",
    "spans",
    "why_no_data",
]
