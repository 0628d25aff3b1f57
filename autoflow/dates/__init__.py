# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Days, stencils, durations, and the dates that FlowAPI lists: the arithmetic of dates, without a clock.

The door is wide since the room is a small library: types that stand for themselves, and how each is read and written.
"""

from autoflow.dates.date_stencil import (
    EVERY_DAY,
    REFERENCE_DATE_ONLY,
    AvailableDates,
    DateStencil,
    EmptyIntervalError,
    Interval,
    Moving,
    StencilError,
    as_date,
    holds_always,
    parse_intervals,
)
from autoflow.dates.days import Days, Stretch, days_before
from autoflow.dates.durations import LONGEST_DAYS, duration_text, parse_duration
from autoflow.dates.first_days import FIRST_DAY, FirstDay
from autoflow.dates.listed_dates import (
    CDR_TYPES,
    CdrType,
    DataRule,
    Hold,
    ListedDates,
    Override,
    Require,
    listed_at,
    read_dates_file,
)
from autoflow.dates.tolerance import MOST_DAYS, Share, Tolerance

__all__ = [
    "CDR_TYPES",
    "EVERY_DAY",
    "FIRST_DAY",
    "LONGEST_DAYS",
    "MOST_DAYS",
    "REFERENCE_DATE_ONLY",
    "AvailableDates",
    "CdrType",
    "DataRule",
    "DateStencil",
    "Days",
    "EmptyIntervalError",
    "FirstDay",
    "Hold",
    "Interval",
    "ListedDates",
    "Moving",
    "Override",
    "Require",
    "Share",
    "StencilError",
    "Stretch",
    "Tolerance",
    "as_date",
    "days_before",
    "duration_text",
    "holds_always",
    "listed_at",
    "parse_duration",
    "parse_intervals",
    "read_dates_file",
]
