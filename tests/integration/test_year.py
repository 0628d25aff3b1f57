# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""A year of late, missing, truncated, restated and flapping dates: what runs when, beside an oracle of plain rules."""

from __future__ import annotations

import asyncio
import datetime as dt
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import pytest

from autoflow.app import open_context
from autoflow.child.qa_outcomes import _news
from autoflow.context.context import Context
from autoflow.decision import triggers_by_run
from autoflow.parser.parser import read_definitions
from autoflow.progress import Progress
from autoflow.quality.outcomes import blocks_of
from autoflow.runs.runs import AttemptState
from autoflow.sensor.executor import Executor
from autoflow.sensor.flowapi import QaAnswer, QaQuestion
from autoflow.sensor.sensor import tick
from autoflow.settings.settings import load_settings
from tests.conftest import ROOT
from tests.integration.test_one_decision import TOKEN

DAY = dt.timedelta(days=1)
YEAR = [dt.date(2016, 1, 1) + number * DAY for number in range(366)]
END = YEAR[-1] + 40 * DAY
AFTER, FEWEST, SHARE, LONGEST_GAP = 5, 25, 0.6, 6

WORKFLOWS = """
workflows:
  - {name: daily, notebooks: {a: {filename: glues.ipynb, parameters: {reference_date: reference_date}}}}
  - {name: monthly, notebooks: {a: {filename: glues.ipynb, parameters: {reference_date: reference_date}}}}
available_dates_sensor:
  schedule: "0 6 * * *"
  cdr_types: [calls]
  quality: {check: latest_timestamp, at_least: "18:00"}
  restatement: tell
  workflows:
    - {workflow_name: daily, latest_date: 2016-12-31}
    - workflow_name: monthly
      dates: "L * *"
      latest_date: 2016-12-31
      date_stencil: [{from: month, to: month+1, at_least: 60%, longest_gap: 6}]
      late: {after: 5d, at_least: 25}
"""


@dataclass
class Date:
    """What becomes of a date of data, by the days on which it can be seen."""

    arrives: dt.date | None
    gone: tuple[dt.date, dt.date] | None = None
    """Not listed from the first on and before the second."""
    whole: dt.date | None = None
    """Truncated before that day, where it is given."""
    restated: dt.date | None = None
    """From when on it has other rows."""

    def is_listed(self, today: dt.date) -> bool:
        if self.arrives is None or today < self.arrives:
            return False
        return self.gone is None or not self.gone[0] <= today < self.gone[1]

    def is_good(self, today: dt.date) -> bool:
        return self.is_listed(today) and (self.whole is None or today >= self.whole)

    def edition(self, today: dt.date) -> tuple[bool, bool]:
        """What tells one ingestion from another."""
        return self.whole is None or today >= self.whole, self.restated is not None and today >= self.restated


def drawn(seed: int) -> dict[dt.date, Date]:
    draw, dates = Random(seed), {}
    # some months are worse than others
    bad = {month: draw.choice((0.02, 0.1, 0.3)) for month in range(1, 13)}
    for date in YEAR:
        share = bad[date.month]
        arrives = None if draw.random() < share / 3 else date + DAY
        if arrives and draw.random() < share:
            arrives += draw.randint(1, 25) * DAY
        one = Date(arrives)
        if arrives and draw.random() < share / 2:
            leaves = arrives + draw.randint(1, 10) * DAY
            one.gone = leaves, leaves + draw.randint(1, 10) * DAY
        elif arrives and draw.random() < share / 2:
            one.whole = arrives + draw.randint(1, 30) * DAY
        elif arrives and draw.random() < share / 2:
            one.restated = arrives + draw.randint(1, 60) * DAY
        dates[date] = one
    return dates


@dataclass
class Oracle:
    """What is to run on a day, told from the dates alone."""

    dates: dict[dt.date, Date]
    made: dict[tuple[str, dt.date], tuple[dt.date, ...]] = field(default_factory=dict)
    """The dates that each run was made without."""
    used: dict[tuple[str, dt.date], dict[dt.date, tuple[bool, bool]]] = field(default_factory=dict)
    """Which edition of each of its dates a run was made of."""
    stale: set[tuple[str, dt.date]] = field(default_factory=set)

    def expected(self, today: dt.date) -> dict[tuple[str, dt.date], tuple[dt.date, ...]]:
        starts: dict[tuple[str, dt.date], tuple[dt.date, ...]] = {}
        for date, one in self.dates.items():
            if ("daily", date) not in self.made and one.is_good(today):
                starts["daily", date] = ()
            if (date + DAY).day == 1 and (missing := self._monthly(date, today)) is not None:
                before = self.made.get(("monthly", date))
                if before is None or (before and not missing):
                    starts["monthly", date] = missing
        return starts

    def _monthly(self, last: dt.date, today: dt.date) -> tuple[dt.date, ...] | None:
        """Without which dates a month can be made today; None when it cannot."""
        days = [last.replace(day=number) for number in range(1, last.day + 1)]
        missing = tuple(day for day in days if not self.dates[day].is_good(today))
        if not missing:
            return ()
        if (today - (last + DAY)).days < AFTER or len(days) - len(missing) < max(FEWEST, SHARE * len(days)):
            return None
        gap = longest = 0
        for day in days:
            gap = gap + 1 if day in missing else 0
            longest = max(longest, gap)
        return missing if longest <= LONGEST_GAP else None

    def departed(self, today: dt.date) -> set[tuple[str, dt.date]]:
        """Name the runs that used dates which are listed no more."""
        gone = {date for date, one in self.dates.items() if not one.is_listed(today)}
        return {run for run, used in self.used.items() if gone & used.keys()}

    def note(self, starts: dict[tuple[str, dt.date], tuple[dt.date, ...]], today: dt.date) -> None:
        """Note what began, and which of what was there before rests on data that are others today."""
        for run, used in self.used.items():
            for day, edition in used.items():
                if self.dates[day].is_listed(today) and self.dates[day].edition(today) != edition:
                    self.stale.add(run)
        for (workflow, date), missing in starts.items():
            days = [date] if workflow == "daily" else [date.replace(day=number) for number in range(1, date.day + 1)]
            self.made[workflow, date] = missing
            self.used[workflow, date] = {day: self.dates[day].edition(today) for day in days if day not in missing}
            self.stale.discard((workflow, date))


@contextmanager
def opened() -> Iterator[tuple[Context, list[dt.datetime]]]:
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as directory:
        inputs = Path(directory) / "inputs"
        inputs.mkdir()
        (inputs / "workflows.yml").write_text(WORKFLOWS)
        shutil.copy(ROOT / "tests" / "notebooks" / "glues.ipynb", inputs)
        environment = {
            "AUTOFLOW_INPUTS_DIR": str(inputs),
            "AUTOFLOW_OUTPUTS_DIR": f"{directory}/outputs",
            "FLOWAPI_URL": "http://127.0.0.1:9",
            "FLOWAPI_TOKEN": TOKEN,
        }
        now = [dt.datetime(2016, 1, 1, 6, tzinfo=dt.UTC)]
        with open_context(load_settings(environment), environment, Progress()) as context:
            yield replace(context, now=lambda: now[0]), now


async def live(context: Context, now: list[dt.datetime], dates: dict[dt.date, Date], oracle: Oracle) -> None:
    definitions = read_definitions(context.settings.workflows_file)

    async def listed(*_: object) -> dict[str, list[str]]:
        return {"calls": [str(date) for date, one in dates.items() if one.is_listed(now[0].date())]}

    async def asked(_jobs: object, _settings: object, _token: object, question: QaQuestion) -> QaAnswer:
        today, found = now[0].date(), dict[str, dict[str, str | None]]()
        there = {date: one for date, one in dates.items() if one.is_listed(today)}
        said: dict[str, Any] = {
            "latest_timestamp": {
                f"{d}": f"{d} {'23:59' if o.edition(today)[0] else '09:00'}:00+00" for d, o in there.items()
            },
            "count_added_rows": {f"{d}": "3896" if o.edition(today)[1] else "6429" for d, o in there.items()},
        }
        for check, outcomes in said.items():
            if news := _news(blocks_of(outcomes), question.known.get("calls", {}).get(check, {})):
                found[check] = news
        return QaAnswer({"calls": sorted(said)}, {"calls": found}, None)

    with patch("autoflow.sensor.sensor.ask_flowapi", listed), patch("autoflow.sensor.quality.ask_qa", asked):
        while now[0].date() < END:
            stop = asyncio.Event()
            stop.set()
            executor = Executor(context, stop)
            await tick(context, definitions, executor)
            started = {}
            for run in list(executor.waiting):
                trigger = next(triggers_by_run(definitions)(run.key, run.reference_date))
                missing = tuple(executor._origin(run, trigger).missing)
                started[run.workflow.name, run.reference_date] = missing
                attempt = context.store.begin(run, now[0], missing)
                context.store.finish(attempt, AttemptState.SUCCEEDED, now[0])
                context.ledger.forget(run.workflow.name, run.reference_date)
            expected = oracle.expected(now[0].date())
            assert started == expected, now[0]
            oracle.note(started, now[0].date())
            if now[0].day in (10, 20):
                marks = context.store.read.stale()
                departed = {(each.workflow, each.reference_date) for each in marks if each.mark.departure is not None}
                assert departed == oracle.departed(now[0].date()), now[0]
            now[0] += DAY


@pytest.mark.parametrize("seed", range(2))
def test_each_date_and_month_is_made_when_plain_rules_say_so_and_stale_when_its_data_changed(seed: int) -> None:
    dates = drawn(seed)
    oracle = Oracle(dates)
    with opened() as (context, now):
        asyncio.run(live(context, now, dates, oracle))
        marks = {(each.workflow, each.reference_date) for each in context.store.read.stale() if each.mark.restatement}
        assert marks == oracle.stale
    kinds = {bool(missing) for (workflow, _), missing in oracle.made.items() if workflow == "monthly"}
    assert False in kinds
    assert oracle.stale
