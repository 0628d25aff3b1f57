# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Which days of a CDR type are as a check asks: judged once for each year of outcomes, and kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from autoflow.quality.check import ROWS, Breach, Check, breach
from autoflow.quality.outcomes import Outcome, read_block

Stretch = tuple[int, int]
"""Half-open, in ordinals."""


class Judged(NamedTuple):
    """Days, as sorted stretches."""

    failed: tuple[Stretch, ...] = ()
    answered: tuple[Stretch, ...] = ()
    """Those that have an outcome, be it a bad one."""


_Key = tuple[Check, str, tuple[str, ...]]


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of all checks, as FlowAPI gave them last."""

    blocks: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    """By CDR type and check, then by year."""
    _read: dict[tuple[str, str], dict[int, Outcome]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _years: dict[_Key, tuple[list[int], list[int]]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _judged: dict[tuple[Check, str], Judged] = field(default_factory=dict, init=False, repr=False, compare=False)

    def followed_by(self, blocks: Mapping[tuple[str, str], Mapping[str, str]]) -> Outcomes:
        """Return newer outcomes, which are judged anew only in the years that differ."""
        newer = Outcomes(blocks)
        newer._years.update(self._years)
        return newer

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

    def breach(self, check: Check, cdr_type: str, day: int) -> Breach | str | None:
        """Judge a day; see `check.breach`."""
        return breach(check, day, self.of(cdr_type, check.check), self.of(cdr_type, ROWS) if check.needs_rows else {})

    def judged(self, check: Check, cdr_type: str) -> Judged:
        """Say which days fail a check, and which have an outcome."""
        key = check, cdr_type
        if key not in self._judged:
            failed, answered = list[int](), list[int]()
            used = {}
            for year in sorted(self.blocks.get((cdr_type, check.check), ())):
                texts = check, cdr_type, self._texts(check, cdr_type, year)
                used[texts] = self._years.get(texts) or self._judge_year(check, cdr_type, texts[2][0], year)
                failed += used[texts][0]
                answered += used[texts][1]
            # years as they were before are of no use any more
            for old in [each for each in self._years if each[:2] == key]:
                del self._years[old]
            self._years.update(used)
            self._judged[key] = Judged(_stretches(failed), _stretches(answered))
        return self._judged[key]

    def _texts(self, check: Check, cdr_type: str, year: str) -> tuple[str, ...]:
        """Return all that the verdicts on the days of a year follow from."""
        before = f"{int(year) - 1:04}"
        wanted = [(check.check, year)]
        wanted += [(check.check, before)] if check.within is not None else []
        wanted += [(ROWS, year)] if check.needs_rows else []
        return tuple(self.blocks.get((cdr_type, name), {}).get(each, "") for name, each in wanted)

    def _judge_year(self, check: Check, cdr_type: str, block: str, year: str) -> tuple[list[int], list[int]]:
        failed, answered = [], []
        for day in read_block(year, block):
            found = self.breach(check, cdr_type, day)
            if found == "absent":
                continue
            answered.append(day)
            if found is not None:
                failed.append(day)
        return failed, answered


def _stretches(days: Iterable[int]) -> tuple[Stretch, ...]:
    """Join days in order that follow each other."""
    found: list[Stretch] = []
    for day in days:
        if found and found[-1][1] == day:
            found[-1] = found[-1][0], day + 1
        else:
            found.append((day, day + 1))
    return tuple(found)
