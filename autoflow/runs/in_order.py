# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Runs in the order in which they are to be made: each is built when it is asked for, since there may be millions."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from heapq import merge
from itertools import chain
from typing import Literal

from autoflow.dates import DateStencil, Days
from autoflow.definitions import Trigger, Workflow
from autoflow.runs.runs import Run, RunKey, build_run, key_maker


@dataclass(frozen=True)
class Series:
    """Some runs of a workflow: those of a trigger for some days, or a single one."""

    workflow: Workflow
    source: Trigger | Run
    days: Days

    @cached_property
    def family(self) -> Hashable:
        """What the runs have in common beside their dates: two of other families are never the same run."""
        if isinstance(self.source, Run):
            return self.source.key
        return self.workflow.name, json.dumps(dict(self.source.parameters), sort_keys=True, default=str)

    @property
    def stencil(self) -> DateStencil | None:
        return self.source.date_stencil if isinstance(self.source, Trigger) else None

    def on(self, days: Days) -> Series:
        """Leave other days."""
        return self if days is self.days else replace(self, days=days)

    def run(self, day: int) -> Run:
        """Build the run of one of the days."""
        if isinstance(self.source, Run):
            return self.source
        return build_run(self.workflow, self.source, dt.date.fromordinal(day))

    def keys(self, among: Days) -> Iterator[tuple[int, RunKey]]:
        """Yield the days that are among some others, with the keys of their runs."""
        if not (days := self.days & among):
            return
        source = self.source
        if isinstance(source, Run):
            yield from ((day, source.key) for day in days)
            return
        key_of = key_maker(source)
        yield from ((day, key_of(dt.date.fromordinal(day))) for day in days)

    def days_in(self, others: Iterable[Series]) -> Days:
        """Find the days whose runs are among those of others of the family."""
        found = Days()
        for other in others:
            both = self.days & other.days
            if self.stencil != other.stencil:
                # the intervals of some days may still be the same
                pairs = zip(self.keys(both), other.keys(both), strict=True)
                both = Days.of(one[0] for one, another in pairs if one == another)
            found |= both
        return found


@dataclass(frozen=True)
class Stage:
    """Series of runs that are made before those of the next stage."""

    series: tuple[Series, ...]
    order: Literal["listed", "oldest", "newest"] = "listed"
    """One series after the other, or the dates of all together, those of a date in the order of the series."""

    def __iter__(self) -> Iterator[Run]:
        if self.order == "listed":
            return (series.run(day) for series in self.series for day in series.days)
        places = merge(*(self._places(number) for number in range(len(self.series))))
        return (self.series[number].run(abs(day)) for day, number in places)

    def _places(self, number: int) -> Iterator[tuple[int, int]]:
        days = self.series[number].days
        return ((-day, number) for day in reversed(days)) if self.order == "newest" else ((day, number) for day in days)


@dataclass(frozen=True)
class Runs:
    """Runs in order, none of them twice."""

    stages: tuple[Stage, ...] = ()

    @classmethod
    def of(cls, runs: Iterable[Run]) -> Runs:
        """Take runs one by one, in their order."""
        series = (Series(run.workflow, run, Days.of([run.reference_date.toordinal()])) for run in runs)
        return cls.staged([Stage(tuple(series))])

    @classmethod
    def staged(cls, stages: Iterable[Stage]) -> Runs:
        """Take stages, without what is empty in them."""
        filled = (replace(stage, series=tuple(each for each in stage.series if each.days)) for stage in stages)
        return cls(tuple(stage for stage in filled if stage.series))

    def __iter__(self) -> Iterator[Run]:
        return chain.from_iterable(self.stages)

    def __bool__(self) -> bool:
        return bool(self.stages)

    def __len__(self) -> int:
        return sum(len(series.days) for series in self.series)

    @property
    def series(self) -> Iterator[Series]:
        """All of them, in order."""
        return (series for stage in self.stages for series in stage.series)

    def by_workflow(self) -> Counter[str]:
        """Count the runs of each workflow."""
        count = Counter[str]()
        for series in self.series:
            count[series.workflow.name] += len(series.days)
        return count

    def oldest(self) -> dict[str, dt.date]:
        """Find the first date of each workflow."""
        first: dict[str, int] = {}
        for series in self.series:
            day = series.days.stretches[0][0]
            first[series.workflow.name] = min(day, first.get(series.workflow.name, day))
        return {name: dt.date.fromordinal(day) for name, day in first.items()}

    def first(self, admits: Callable[[Workflow], bool]) -> Run | None:
        """Find the first run of a workflow that there is room for."""
        workflows = {id(series.workflow): series.workflow for series in self.series}
        admitted = {key for key, workflow in workflows.items() if admits(workflow)}
        return next(iter(self.only(lambda series: series.days if id(series.workflow) in admitted else Days())), None)

    def only(self, days_of: Callable[[Series], Days]) -> Runs:
        """Leave some of the days of each series."""
        return Runs.staged(
            replace(stage, series=tuple(each.on(days_of(each)) for each in stage.series)) for stage in self.stages
        )

    def among(self, runs: Mapping[RunKey, dt.date]) -> Runs:
        """Leave those that are among some runs, which are given with their dates."""
        days: dict[str, list[int]] = {}
        for (name, _), date in runs.items():
            days.setdefault(name, []).append(date.toordinal())
        theirs = {name: Days.of(each) for name, each in days.items()}
        return self.only(
            lambda series: Days.of(
                day for day, key in series.keys(theirs.get(series.workflow.name, Days())) if key in runs
            )
        )

    def without(self, runs: Mapping[RunKey, dt.date]) -> Runs:
        """Leave those that are not among some runs, which are given with their dates."""
        return self.but(self.among(runs))

    def but(self, others: Runs) -> Runs:
        """Leave those that are not among others."""
        families: dict[Hashable, list[Series]] = {}
        for series in others.series:
            families.setdefault(series.family, []).append(series)
        return self.only(lambda series: series.days - series.days_in(families.get(series.family, ())))

    def then(self, others: Runs) -> Runs:
        """Put other runs after these, as far as they are not among these."""
        # a single run may be one of a trigger's days
        known = self._single() | {run.key: run.reference_date for run in self.among(others._single())}
        return Runs(self.stages + others.but(self).without(known).stages)

    def _single(self) -> dict[RunKey, dt.date]:
        single = (series.source for series in self.series if isinstance(series.source, Run))
        return {run.key: run.reference_date for run in single}
