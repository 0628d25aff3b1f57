# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What depends on runs."""

from __future__ import annotations

import datetime as dt

from autoflow.dates import DateStencil, Days
from autoflow.decision.downstream import dependents, held_requests
from autoflow.definitions import Definitions, Need, Trigger, Workflow
from autoflow.history import Request, RunHistory, Skip, Skips
from autoflow.runs import key_maker

NONE = Days()
NOW = dt.datetime(2016, 3, 1, tzinfo=dt.UTC)

AGGREGATE = Trigger("aggregate")
REPORT = Trigger("report", after="previous", needs=(Need("aggregate", DateStencil.parse([[-1, 1]])),))
SUMMARY = Trigger("summary", needs=(Need("report", DateStencil.parse([-2])),))

NAMES = ("aggregate", "report", "summary", "other")
DEFINITIONS = Definitions(
    {name: Workflow(name, notebooks=()) for name in NAMES},
    (AGGREGATE, REPORT, SUMMARY, Trigger("other")),
    schedule=None,
)


def days(*numbers: int) -> Days:
    return Days.of(numbers)


def history(*asked: tuple[Trigger, int], skipped: tuple[Skip, ...] = ()) -> RunHistory:
    requests = {}
    for trigger, day in asked:
        key, date = key_maker(trigger)(dt.date.fromordinal(day)), dt.date.fromordinal(day)
        requests[key] = Request(*key, date, {}, NOW)
    return RunHistory(requests=requests, skips=Skips(skipped))


def test_what_needs_a_run_depends_on_it_and_so_does_what_follows_and_needs_that() -> None:
    every = days(*range(700, 711))
    found = dependents(DEFINITIONS, [days(705), NONE, NONE, NONE], [every] * 4)
    # the report of 705 and of 706 read it, and those after these go in order; each summary reads one of two days before
    assert found == [NONE, days(*range(705, 711)), days(*range(707, 711)), NONE]


def test_what_has_not_been_made_does_not_depend() -> None:
    among = [days(705), days(704, 705, 708), days(707), days(705)]
    assert dependents(DEFINITIONS, [days(705), NONE, NONE, NONE], among) == [NONE, days(705, 708), days(707), NONE]
    assert dependents(DEFINITIONS, [NONE] * 4, among) == [NONE] * 4


def test_a_requested_run_waits_for_those_requested_that_it_depends_on() -> None:
    asked = history((SUMMARY, 707), (REPORT, 706), (REPORT, 705), (AGGREGATE, 705), (AGGREGATE, 703))
    held = held_requests(DEFINITIONS, asked)
    assert {(name, date.toordinal()) for (name, _), date in held.items()} == {
        ("summary", 707),
        ("report", 706),
        ("report", 705),
    }
    assert held_requests(DEFINITIONS, history((SUMMARY, 707), (REPORT, 706), (AGGREGATE, 709))) == {}


def test_those_after_a_requested_run_that_is_skipped_pass_it_over_and_those_that_need_it_wait() -> None:
    later = NOW + dt.timedelta(hours=1)
    skips = tuple(Skip(name, dt.date.fromordinal(705), "", "no good", later) for name in ("aggregate", "report"))
    asked = history((REPORT, 705), (REPORT, 707), (AGGREGATE, 705), skipped=skips)
    assert held_requests(DEFINITIONS, asked) == {}
    asked = history((REPORT, 705), (REPORT, 706), (AGGREGATE, 705), skipped=skips)
    assert [date.toordinal() for date in held_requests(DEFINITIONS, asked).values()] == [706]
