# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Cron expressions: when ticks are, and which reference dates a trigger is for."""

from autoflow.schedule.cadence import check_dates, matches, overlap, reference_days, why_excluded
from autoflow.schedule.schedule import EARLIEST, LATEST, Schedule, check_schedule, check_timezone, next_tick

__all__ = [
    "EARLIEST",
    "LATEST",
    "Schedule",
    "check_dates",
    "check_schedule",
    "check_timezone",
    "matches",
    "next_tick",
    "overlap",
    "reference_days",
    "why_excluded",
]
