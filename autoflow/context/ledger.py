# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What is known to be settled, so that a tick looks up new dates only."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence, Set
from itertools import chain

from autoflow.dates import Days
from autoflow.definitions import Definitions
from autoflow.model import RunReader
from autoflow.runs import RunKey, key_maker

AT_ONCE = 2_000
"""Runs that are looked up before others have their turn."""


class Ledger:
    """Which reference dates of each trigger are settled, read from the record once and then kept as stretches.

    The record stays the truth: what a run changes is looked up again.
    """

    def __init__(self, reader: RunReader) -> None:
        self._reader = reader
        self._looking = asyncio.Lock()
        self._definitions: Definitions | None = None
        self._known: list[Days] = []
        self._settled: list[Days] = []

    async def unsettled(self, definitions: Definitions, ready: Sequence[Days]) -> list[Days]:
        """Remove what is settled.

        Parameters
        ----------
        definitions
            When they are others than the last time, all is looked up again.
        ready
            Days of each trigger, in their order.

        Returns
        -------
        list of Days
            Those of each trigger that are not settled.
        """
        async with self._looking:
            if definitions != self._definitions:
                self._definitions = definitions
                self._known = [Days()] * len(ready)
                self._settled = [Days()] * len(ready)
            if any(unknown := self._unknown(ready)):
                dateless = self._reader.dateless_keys()
                self._pass_over(definitions, unknown, dateless)
                makers = [key_maker(trigger) for trigger in definitions.triggers]
                while any(unknown := self._unknown(ready)):
                    # what a run changes meanwhile is forgotten, and looked up again in one of the next rounds
                    self._look_up(makers, _first(unknown, max(AT_ONCE // len(ready), 1)), dateless)
                    await asyncio.sleep(0)
            return [days - settled for days, settled in zip(ready, self._settled, strict=True)]

    def forget(self, workflow: str, date: dt.date) -> None:
        """Look the runs of a date up again the next time."""
        day = Days.of([date.toordinal()])
        for number, trigger in enumerate(self._definitions.triggers if self._definitions else ()):
            if trigger.workflow_name == workflow:
                self._known[number] -= day
                self._settled[number] -= day

    def _unknown(self, ready: Sequence[Days]) -> list[Days]:
        return [days - known for days, known in zip(ready, self._known, strict=True)]

    def _pass_over(self, definitions: Definitions, unknown: Sequence[Days], dateless: Set[RunKey]) -> None:
        """Note at one stroke the days that nothing is settled for, which are those of a new backlog."""
        among = Days.joined(chain.from_iterable(days.stretches for days in unknown)).stretches
        settled = self._reader.settled_days(among[0][0], among[-1][1])
        anywhere = {name for name, _ in dateless}
        for number, trigger in enumerate(definitions.triggers):
            if trigger.workflow_name not in anywhere:
                self._known[number] |= unknown[number] - settled.get(trigger.workflow_name, Days())

    def _look_up(
        self, makers: Sequence[Callable[[dt.date], RunKey]], unknown: Sequence[Days], dateless: Set[RunKey]
    ) -> None:
        found: list[list[int]] = [[] for _ in unknown]
        for stretch in Days.joined(stretch for days in unknown for stretch in days.stretches).stretches:
            # date by date, so that no more than one date's keys are held at a time
            settled = self._reader.settled_keys(*stretch)
            day_and_keys = next(settled, None)
            for day in range(*stretch):
                keys: Set[RunKey] = frozenset()
                if day_and_keys is not None and day_and_keys[0] == day:
                    keys, day_and_keys = day_and_keys[1], next(settled, None)
                if not keys and not dateless:
                    continue
                date = dt.date.fromordinal(day)
                for number, days in enumerate(unknown):
                    if day in days and ((key := makers[number](date)) in keys or key in dateless):
                        found[number].append(day)
        for number, settled_days in enumerate(found):
            self._settled[number] |= Days.of(settled_days)
            self._known[number] |= unknown[number]


def _first(unknown: Sequence[Days], most: int) -> list[Days]:
    """Leave of some days those that are among the first of them all."""
    start = min(days.stretches[0][0] for days in unknown if days)
    # where there are gaps, as between leap days, there may be fewer
    among = Days.joined([(start, start + most)])
    return [days & among for days in unknown]
