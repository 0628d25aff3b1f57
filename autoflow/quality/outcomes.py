# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Outcomes of FlowAPI's QA checks, as blocks of a year of one CDR type and check: what is kept and compared."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

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


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of all checks."""

    blocks: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    """By CDR type and check, then by year."""
    _read: dict[tuple[str, str], dict[int, Outcome]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def of(self, cdr_type: str, check: str) -> Mapping[int, Outcome]:
        """Return the outcomes of a check by day, as an ordinal."""
        key = cdr_type, check
        if key not in self._read:
            years = self.blocks.get(key, {})
            self._read[key] = {day: text for year in years for day, text in read_block(year, years[year]).items()}
        return self._read[key]

    def checks(self) -> list[tuple[str, str]]:
        """List the pairs of CDR type and check that there are outcomes of."""
        return sorted(self.blocks)
