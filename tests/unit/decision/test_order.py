# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Runs that wait for other runs."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from autoflow.dates import DateStencil, Days
from autoflow.decision.counted import CountedDays
from autoflow.decision.due import undone_days
from autoflow.decision.order import Order
from autoflow.definitions import Definitions, Need, Trigger, Workflow
from autoflow.history import Request, RunHistory, Skip, Skips
from autoflow.runs.runs import build_run

A, B = Workflow("a", notebooks=()), Workflow("b", notebooks=())
NONE = Days()


def days(*numbers: int) -> Days:
    return Days.of(numbers)


def held(*triggers: Trigger, ready: list[Days], undone: list[Days], skipped: list[Days] | None = None) -> list[Days]:
    definitions = Definitions({"a": A, "b": B}, triggers, schedule=None)
    order = Order(ready, undone, skipped or [NONE] * len(triggers))
    return [order.held(definitions, number) for number in range(len(triggers))]


def test_runs_that_go_in_order_wait_for_the_first_that_has_not_succeeded() -> None:
    trigger = Trigger("a", after="previous")
    ready = days(1, 2, 3, 5, 6)
    assert held(trigger, ready=[ready], undone=[days(3, 5, 6)]) == [days(5, 6)]
    # a date that has come late
    assert held(trigger, ready=[ready], undone=[days(2, 6)]) == [days(6)]
    assert held(trigger, ready=[ready], undone=[NONE]) == [NONE]


def test_what_is_skipped_is_passed_over() -> None:
    trigger = Trigger("a", after="previous")
    undone = days(3, 5, 6)
    assert held(trigger, ready=[undone], undone=[undone], skipped=[days(3)]) == [days(6)]


def test_other_triggers_go_on() -> None:
    first, second = Trigger("a", after="previous"), Trigger("a", parameters={"x": 1})
    both = days(1, 2)
    assert held(first, second, ready=[both, both], undone=[both, both]) == [days(2), NONE]


def test_a_run_waits_for_the_runs_that_it_needs() -> None:
    need = Need("b", DateStencil.parse([[-1, 1]]))
    triggers = Trigger("a", needs=(need,)), Trigger("b")
    ready = [days(2, 3, 4), days(1, 2, 3, 4)]
    # 4 of b has not succeeded, and 1 to 3 have
    assert held(*triggers, ready=ready, undone=[days(2, 3, 4), days(4)]) == [days(4), NONE]
    assert held(*triggers, ready=ready, undone=[days(2, 3, 4), days(2)]) == [days(2, 3), NONE]


def test_what_is_needed_of_other_dates_alone_is_enough() -> None:
    """The other workflow has no run of the same date."""
    triggers = Trigger("a", needs=(Need("b", DateStencil.parse([[-2, 0]])),)), Trigger("b")
    assert held(*triggers, ready=[days(3), days(1, 2)], undone=[days(3), NONE]) == [NONE, NONE]
    assert held(*triggers, ready=[days(3), days(1, 2)], undone=[days(3), days(1)]) == [days(3), NONE]


@pytest.mark.parametrize(("wanted", "expected"), [({"x": 1}, NONE), ({"x": 2}, days(1))])
def test_only_runs_with_the_parameters_that_are_needed_count(wanted: dict[str, int], expected: Days) -> None:
    need = Need("b", parameters=wanted)
    triggers = Trigger("a", needs=(need,)), Trigger("b", parameters={"x": 1}), Trigger("b", parameters={"x": 2})
    one = days(1)
    assert held(*triggers, ready=[one, one, one], undone=[one, NONE, one])[0] == expected


def test_a_run_waits_for_both_kinds() -> None:
    trigger = replace(Trigger("a", after="previous"), needs=(Need("b"),))
    ready = days(1, 2, 3)
    assert held(trigger, Trigger("b"), ready=[ready, ready], undone=[ready, days(1)])[0] == ready


def test_a_date_whose_needs_have_no_data_is_passed_over_and_one_whose_needs_have_failed_is_not() -> None:
    trigger = replace(Trigger("a", after="previous"), needs=(Need("b", DateStencil.parse([[-1, 1]])),))
    ready = days(1, 2, 3, 4)
    # nothing is there before the first date
    assert held(trigger, Trigger("b"), ready=[ready, ready], undone=[ready, NONE])[0] == days(1, 3, 4)
    assert held(trigger, Trigger("b"), ready=[ready, ready], undone=[ready, days(1)])[0] == ready


def test_the_runs_that_are_waited_for_have_names() -> None:
    trigger = replace(Trigger("a", after="previous"), needs=(Need("b", DateStencil.parse([[-1, 1]])),))
    definitions = Definitions({"a": A, "b": B}, (trigger, Trigger("b")), schedule=None)
    first, second, third = (dt.date.fromordinal(day) for day in (11, 12, 13))
    ready = days(11, 12, 13)
    order = Order([ready, ready], [ready, days(13)], [NONE, NONE])
    assert order.waits_for(definitions, 0, third) == [("a", second), ("b", third)]
    assert order.waits_for(definitions, 0, second) == []
    assert order.waits_for(definitions, 0, first) == [("b", dt.date.fromordinal(10))]
    assert order.waits_for(definitions, 1, first) == []


@pytest.mark.parametrize(("asked", "expected"), [(0, NONE), (2, days(3, 4))])
def test_a_skipped_run_that_was_requested_afterwards_is_waited_for_again(asked: int, expected: Days) -> None:
    trigger, skipped = Trigger("a", after="previous"), dt.datetime(2026, 11, 23, 1, tzinfo=dt.UTC)
    definitions = Definitions({"a": A}, (trigger,), schedule=None)
    counted, date = CountedDays([days(2, 3, 4)], [NONE]), dt.date.fromordinal(2)
    run = build_run(A, trigger, date)
    request = Request("a", run.parameters_hash, date, run.parameters, skipped.replace(hour=asked))
    history = RunHistory(requests={run.key: request}, skips=Skips((Skip("a", date, "", "", skipped),)))
    undone = undone_days(definitions, counted, counted.ready, {}, history)
    assert undone.waiting == [expected | days(4)]


def test_a_run_that_has_succeeded_and_was_requested_again_is_waited_for() -> None:
    """The ledger may still have it for settled: it looks up again what runs have changed."""
    trigger = Trigger("a", after="previous")
    definitions = Definitions({"a": A}, (trigger,), schedule=None)
    run = build_run(A, trigger, dt.date.fromordinal(3))
    request = Request(
        "a", run.parameters_hash, run.reference_date, run.parameters, dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
    )
    counted = CountedDays([days(2, 3, 4)], [NONE])
    undone = undone_days(definitions, counted, [days(4)], {}, RunHistory(requests={run.key: request}))
    assert (undone.ready, undone.waiting) == ([NONE], [days(4)])
    settled = undone_days(definitions, counted, [days(4)], {}, RunHistory())
    assert (settled.ready, settled.waiting) == ([days(4)], [NONE])
