# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Outcomes of FlowAPI's QA checks, as blocks of a year of one CDR type and check: what is kept and compared."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping

Outcome = str | None
"""What FlowAPI says of a date, as text; None is a null."""


def blocks_of(outcomes: Mapping[str, Outcome]) -> dict[str, str]:
    """Write the outcomes of one CDR type and check, by ISO date, as a text for each year."""
    years: dict[str, dict[str, Outcome]] = {}
    for date in sorted(outcomes):
        years.setdefault(date[:4], {})[date[5:]] = outcomes[date]
    return {year: json.dumps(days, separators=(",", ":"), ensure_ascii=False) for year, days in years.items()}


def digest(block: str) -> str:
    """Return what tells a block from another one."""
    return hashlib.blake2s(block.encode(), digest_size=6).hexdigest()


def read_block(year: str, block: str) -> dict[int, Outcome]:
    """Read a block: outcomes by day, as an ordinal."""
    number = int(year)
    return {
        dt.date(number, int(day[:2]), int(day[3:])).toordinal(): outcome for day, outcome in json.loads(block).items()
    }
