# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The state of each trigger and date, and the reason: dates, record and time are arguments."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as for_any
from hypothesis import settings
from hypothesis import strategies as st

from autoflow.dates.date_stencil import DateStencil, EmptyIntervalError
from autoflow.dates.days import Days
from autoflow.dates.listed_dates import ListedDates, listed_at
from autoflow.decision.counted import ready_days
from autoflow.definitions import Definitions, Need, Notebook, Retries, Trigger, Workflow
from autoflow.history import Failures, LastState, Request, RunHistory, Skip, Skips
from autoflow.model.recorded import Silence
from autoflow.model.store import open_for_reading
from autoflow.overview.explanation import DAY, explain, list_age
from autoflow.overview.states import Facts, RunState, calendar, span
from autoflow.quality.check import Bound, Check
from autoflow.quality.judged import Outcomes
from autoflow.quality.outcomes import blocks_of
from autoflow.runs.runs import RunKey, build_run, key_maker
from autoflow.schedule.cadence import why_excluded
from autoflow.wording import moment, spans

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
LISTED = listed_at(
    {"calls": [f"2016-01-{day:02}" for day in (1, 2, 3, 5)], "sms": ["2016-01-06"]},
    NOW,
)
WORKFLOW = Workflow("w", (Notebook("a", filename="a.ipynb"),), retries=Retries(attempts=3))
TRIGGER = Trigger("w", {"unit": "admin3"}, dt.date(2016, 1, 2), DateStencil.parse([[-1, 1]]))


def day(number: int) -> dt.date:
    return dt.date(2016, 1, number)


def key(number: int) -> RunKey:
    return build_run(WORKFLOW, TRIGGER, day(number)).key


def facts(**run_history: Any) -> Facts:
    definitions = Definitions({"w": WORKFLOW}, (TRIGGER,), schedule="0 0 * * *")
    return Facts(definitions, LISTED, RunHistory(**run_history), NOW)


def span_of(given: Facts) -> tuple[dt.date, dt.date] | None:
    """Give the span where there is no record yet."""
    reader = open_for_reading(Path("nothing"), missing_is_empty=True)
    try:
        return span(given.definitions, reader, given.listed, given.now)
    finally:
        reader.close()


def states_of(given: Facts, first: int = 1, last: int = 7) -> str:
    (row,) = calendar(given, day(first), day(last))
    letters = {"not available": "-", "excluded": "x", "given up": "G", "skipped": "k"}
    return "".join(letters.get(state, state[0]) for state in row.states)


def asked(number: int, at: dt.datetime, repairs: int | None = None) -> dict[RunKey, Request]:
    run = build_run(WORKFLOW, TRIGGER, day(number))
    request = Request("w", run.parameters_hash, day(number), run.parameters, at, repairs)
    return {run.key: request}


def test_a_date_is_excluded_due_waiting_or_not_available_by_definitions_and_dates_alone() -> None:
    # 1 is before the earliest date; 5 wants 4 too; 6 wants 5 and itself
    assert states_of(facts()) == "xdd-wd-"


def test_the_record_goes_before_the_dates() -> None:
    latest = {key(2): LastState(1, "succeeded"), key(3): LastState(2, "running"), key(7): LastState(3, "succeeded")}
    assert states_of(facts(latest=latest)) == "xsr-wds"
    done = facts(latest=latest)
    assert explain(done, TRIGGER, day(7)).state is RunState.SUCCEEDED
    assert explain(done, TRIGGER, day(7)).run == 3


def test_a_failed_date_says_when_it_is_tried_again_and_one_that_is_given_up_that_it_is_not() -> None:
    just_now = NOW - dt.timedelta(minutes=5)
    given = facts(
        latest={key(2): LastState(1, "failed"), key(3): LastState(2, "failed")},
        failed={key(2): Failures(1, just_now), key(3): Failures(3, just_now)},
    )
    assert states_of(given) == "xfG-wd-"
    failed = explain(given, TRIGGER, day(2))
    assert failed.next_try == NOW + dt.timedelta(minutes=5)
    assert failed.reason == "failed 1 time, last at 2026-11-23 11:55 UTC; retried at 2026-11-23 12:05 UTC"
    assert "out of retries" in explain(given, TRIGGER, day(3)).reason
    later = replace(given, now=NOW + dt.timedelta(hours=1))
    assert explain(later, TRIGGER, day(2)).reason.endswith("retried at the next tick")


def test_a_waiting_date_says_which_dates_each_element_wants_and_what_would_let_it_run() -> None:
    stencil = DateStencil.parse([[-3, 0], 0, "2016-01-09"])
    trigger = replace(TRIGGER, date_stencil=stencil)
    given = facts()
    given = replace(given, definitions=replace(given.definitions, triggers=(trigger,)))
    answer = explain(given, trigger, day(5))
    assert answer.state is RunState.WAITING
    assert [wanted.missing for wanted in answer.wanted] == [(day(4),), (), (day(9),)]
    assert answer.missing == (day(4), day(9))
    assert answer.reason == (
        "no data (none of calls, sms) for 2016-01-04, 2016-01-09; if these arrive it can run;"
        " 2016-01-04 is older than available dates, and may never arrive"
    )


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (4, "(calls, sms), though it does for later ones, up to 2016-01-06"),
        (7, "yet (calls, sms); the newest date is 2016-01-06"),
    ],
)
def test_a_date_that_is_not_available_says_where_it_lies(number: int, words: str) -> None:
    assert words in explain(facts(), TRIGGER, day(number)).reason


def test_a_date_is_skipped_for_all_of_the_workflow_or_for_one_run() -> None:
    whole = Skips((Skip("w", day(2), "", "no flights", NOW),))
    one = Skips((Skip("w", day(3), key(3)[1], "cancelled", NOW), Skip("w", day(6), "another hash", "no", NOW)))
    assert states_of(facts(skips=whole)) == "xkd-wd-"
    assert states_of(facts(skips=one)) == "xdk-wd-"
    assert explain(facts(skips=whole), TRIGGER, day(2)).reason == ("since 2026-11-23 12:00 UTC: no flights")


def test_what_was_asked_for_is_due_whatever_else_is_said_until_it_failed_again() -> None:
    before, after = NOW - dt.timedelta(hours=2), NOW
    failed = {key(3): Failures(3, NOW - dt.timedelta(hours=1))}
    assert states_of(facts(requests=asked(1, NOW))) == "ddd-wd-"
    assert states_of(facts(failed=failed, requests=asked(3, after))) == "xdd-wd-"
    assert states_of(facts(failed=failed, requests=asked(3, before))) == "xdG-wd-"
    skips = Skips((Skip("w", day(2), "", "no", NOW - dt.timedelta(hours=1)),))
    assert states_of(facts(skips=skips, requests=asked(2, after))) == "xdd-wd-"
    assert states_of(facts(skips=skips, requests=asked(2, before))) == "xkd-wd-"
    assert "repair requested" in explain(facts(requests=asked(1, NOW, 9)), TRIGGER, day(1)).reason


def test_a_stencil_that_holds_no_day_excludes_the_date_and_says_so() -> None:
    trigger = replace(TRIGGER, date_stencil=DateStencil.parse([["2016-01-05", 0]]))
    answer = explain(facts(), trigger, day(3))
    assert answer.state is RunState.EXCLUDED
    assert "is empty for 2016-01-03" in answer.reason
    assert answer.key is None


def test_the_span_begins_with_the_first_date_that_counts_for_anybody() -> None:
    given = facts()
    assert span_of(given) == (day(2), day(6))
    anything = replace(given, definitions=replace(given.definitions, triggers=(TRIGGER, Trigger("w"))))
    assert span_of(anything) == (day(1), day(6))
    assert span_of(replace(given, listed=listed_at({}, NOW))) == (day(2), day(2))


def test_types_that_are_not_wanted_do_not_count() -> None:
    given = facts()
    calls = replace(given, definitions=replace(given.definitions, cdr_types=("calls",)))
    assert day(6) not in calls.available(TRIGGER)
    assert states_of(calls) == "xdd-w--"


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"unit": "admin3", "zone": "z", "a": 1},
        {"date": dt.date(2020, 1, 1), "nested": {"b": [1, dt.date(2020, 1, 1)], "a": None}, "ünï": 'q"uo\\te'},
        {"reference": 1, "reference_dates": 2, "date_range": 3, "e": 1.5, "f": True},
    ],
)
@pytest.mark.parametrize("stencil", [[0], [[-31, 0], 0], [["2015-01-01", "2015-02-01"], ["2015-01-01", -2]]])
def test_quick_keys_are_the_keys_of_runs(parameters: dict[str, Any], stencil: list[Any]) -> None:
    trigger = Trigger("w", parameters, date_stencil=DateStencil.parse(stencil))
    key_of = key_maker(trigger)
    for date in (day(1), dt.date(2016, 2, 29), dt.date(2016, 12, 31)):
        assert key_of(date) == build_run(WORKFLOW, trigger, date).key


def test_dates_in_a_row_are_told_as_a_span() -> None:
    assert spans([day(1), day(2), day(3), day(5)]) == "2016-01-01 to 2016-01-03, 2016-01-05"


dates_of = st.integers(1, 28).map(day)
triggers = st.builds(
    Trigger,
    workflow_name=st.just("w"),
    parameters=st.just({}),
    earliest_date=st.none() | dates_of,
    date_stencil=st.sampled_from([[0], [[-2, 1]], [-3, [0, 2]], [["2016-01-04", 0]], ["2016-01-05"]]).map(
        DateStencil.parse
    ),
    latest_date=st.none() | dates_of,
    dates=st.sampled_from([None, "* * sun", "L * *", "1-10 * fri", "* 2 *"]),
    exclude=st.lists(st.tuples(dates_of, st.just(dt.date(2016, 1, 29))), max_size=1).map(tuple),
    cdr_types=st.sampled_from([None, ("calls",), ("calls", "sms"), ("sms", "mds")]),
    require=st.sampled_from([None, "any", "all"]),
    lag=st.integers(0, 5).map(lambda days: days * dt.timedelta(hours=12)),
)
appearances = st.dictionaries(
    st.integers(0, 31).map(lambda days: dt.date(2016, 1, 1) + dt.timedelta(days=days)),
    st.integers(0, 9).map(lambda halves: NOW - halves * dt.timedelta(hours=12)),
)


@settings(max_examples=60, deadline=None)
@for_any(
    several=st.lists(triggers, min_size=1, max_size=3),
    by_type=st.dictionaries(st.sampled_from(["calls", "sms", "topups"]), appearances),
    since=st.none() | st.just(NOW - dt.timedelta(days=3)),
    cdr_types=st.sampled_from([None, ("calls", "sms")]),
    require=st.sampled_from(["any", "all"]),
)
def test_the_sensor_runs_what_is_said_to_be_due_and_nothing_else(
    several: list[Trigger],
    by_type: dict[str, dict[dt.date, dt.datetime]],
    since: dt.datetime | None,
    cdr_types: tuple[str, ...] | None,
    require: Any,
) -> None:
    definitions = Definitions({"w": WORKFLOW}, tuple(several), schedule=None, cdr_types=cdr_types, require=require)
    given_now = Facts(definitions, ListedDates(by_type, NOW, since), RunHistory(), NOW)
    first, last = dt.date(2015, 12, 25), dt.date(2016, 2, 5)
    ready = ready_days(definitions, given_now.listed, NOW)
    for row, days in zip(calendar(given_now, first, last), ready, strict=True):
        dates = [first + dt.timedelta(days=number) for number in range(len(row.states))]
        due = [date.toordinal() for date, state in zip(dates, row.states, strict=True) if state is RunState.DUE]
        assert due == list(days)
        available = given_now.available(row.trigger)
        for date, state in zip(dates, row.states, strict=True):
            answer = explain(given_now, row.trigger, date)
            assert answer.state is state
            assert answer.reason
            excluded = answer.key is None or why_excluded(row.trigger, date) is not None
            assert (state is RunState.EXCLUDED) == excluded
            if not excluded:
                assert (state is RunState.NOT_AVAILABLE) == (date not in available)
                assert (state is RunState.WAITING) == (date in available and answer.missing != ())


def restricted(given: Facts, listed: ListedDates | None = None, **keys: Any) -> tuple[Facts, Trigger]:
    trigger = replace(TRIGGER, **keys)
    definitions = replace(given.definitions, triggers=(trigger,))
    return replace(given, definitions=definitions, listed=listed or given.listed), trigger


def test_dates_that_a_trigger_is_not_for_are_excluded_with_the_reason() -> None:
    given, trigger = restricted(
        facts(),
        dates="* * sat,sun",
        latest_date=day(5),
        exclude=((day(3), day(4)),),
        date_stencil=DateStencil(((0, 1),)),
    )
    assert states_of(given) == "xdxxxxx"
    assert explain(given, trigger, day(5)).reason == "not one of the dates '* * sat,sun'"
    assert explain(given, trigger, day(6)).reason == "after the latest date, 2016-01-05"
    assert explain(given, trigger, day(3)).reason == "excluded in workflows.yml: 2016-01-03"


def test_data_of_excluded_dates_counts_for_other_dates() -> None:
    given, _ = restricted(facts(), exclude=((day(2), day(3)),))
    assert states_of(given) == "xxd-wd-"


def test_a_date_that_lacks_one_of_the_types_says_which() -> None:
    listed = listed_at(
        {
            "calls": [f"2016-01-{number:02}" for number in range(1, 6)],
            "sms": ["2016-01-01", "2016-01-02", "2016-01-04"],
        },
        NOW,
    )
    given, trigger = restricted(facts(), listed, cdr_types=("calls", "sms"), require="all")
    assert states_of(given) == "xd-w---"
    assert explain(given, trigger, day(3)).reason == ("FlowAPI lists data of calls for this date, and none of sms yet")
    waiting = explain(given, trigger, day(4))
    assert waiting.reason == (
        "no data of sms for 2016-01-03; if 2016-01-03 arrives it can run;"
        " 2016-01-03 is older than available dates, and may never arrive"
    )
    assert waiting.lacking == {day(3): ("sms",)}
    assert span_of(given) == (day(2), day(5))


def test_a_date_that_has_not_been_there_for_long_says_from_when_it_counts() -> None:
    soon = NOW - dt.timedelta(hours=1)
    listed = ListedDates(
        {"calls": {day(1): NOW - 9 * DAY, day(2): NOW - 9 * DAY, day(3): soon, day(4): NOW - 9 * DAY}}, NOW
    )
    given, trigger = restricted(facts(), listed, lag=2 * DAY)
    assert states_of(given) == "xd-w---"
    assert explain(given, trigger, day(3)).reason == (
        "FlowAPI lists this date, and it counts from 2026-11-25 11:00 UTC on (lag 2d)"
    )
    assert explain(given, trigger, day(4)).reason == (
        "FlowAPI lists 2016-01-03, which counts from 2026-11-25 11:00 UTC on (lag 2d); it can run then"
    )
    assert states_of(replace(given, now=NOW + 2 * DAY)) == "xddd---"


@pytest.mark.parametrize(("on_missing", "states"), [("wait", "xhwww--"), ("hold", "xhhhh--"), ("pass", "xhhdd--")])
def test_a_date_waits_for_an_outcome_and_is_held_by_one_that_fails(on_missing: Any, states: str) -> None:
    # the 2nd fails, the 3rd and later ones have no outcome yet
    blocks = blocks_of({"2016-01-01": "9", "2016-01-02": "5"})
    listed = listed_at({"calls": [f"2016-01-{number:02}" for number in range(1, 6)]}, NOW)
    listed = replace(listed, outcomes=Outcomes({("calls", "count"): blocks}))
    check = Check("count", at_least=Bound(7), on_missing=on_missing)
    given, trigger = restricted(facts(), listed, cdr_types=("calls",), quality=(check,))
    assert states_of(given) == states
    if on_missing == "wait":
        waits = explain(given, trigger, day(4))
        assert waits.reason == "2016-01-03 to 2016-01-04 do not count yet, and have no outcomes of calls count"
        assert explain(given, trigger, day(3)).reason.startswith("2016-01-02 is held: calls count is 5")


def test_a_failed_date_that_its_trigger_is_no_longer_for_is_not_tried_again() -> None:
    failed = {"latest": {key(2): LastState(1, "failed")}, "failed": {key(2): Failures(1, NOW - DAY)}}
    given, trigger = restricted(facts(**failed), dates="* * mon")
    assert explain(given, trigger, day(2)).reason.endswith(
        "it is not retried: not one of the dates '* * mon'; the next one is 2016-01-04"
    )
    # until somebody asks for it
    asked_for, trigger = restricted(facts(**failed, requests=asked(2, NOW)), dates="* * mon")
    assert explain(asked_for, trigger, day(2)).state is RunState.DUE


def test_the_age_of_the_list_and_the_time_without_one_are_told() -> None:
    polled = NOW - dt.timedelta(hours=3, minutes=5)
    silence = Silence(NOW - dt.timedelta(hours=1), NOW, "it responded with status 500")
    assert list_age(polled, None, NOW) == [f"dates as FlowAPI listed them at {moment(polled)}, 3 hours ago"]
    assert list_age(None, silence, NOW) == [
        f"no list from FlowAPI since {moment(silence.since)}: it responded with status 500"
    ]
    assert len(list_age(polled, silence, NOW)) == 2
    for length, words in ((dt.timedelta(days=2), "2 days ago"), (dt.timedelta(minutes=1), "1 minute ago")):
        assert list_age(NOW - length, None, NOW)[0].endswith(words)
    # a clock that is behind
    assert list_age(NOW + dt.timedelta(hours=1), None, NOW)[0].endswith("just now")


@pytest.mark.parametrize("waiting", [{"after": "previous"}, {"needs": (Need("w"),)}])
def test_facts_without_the_order_of_runs_that_wait_for_others_are_refused(waiting: dict[str, Any]) -> None:
    given = facts()
    with pytest.raises(ValueError, match="their order is among the facts"):
        replace(given, definitions=replace(given.definitions, triggers=(replace(TRIGGER, **waiting),)))


@pytest.mark.parametrize("pairs", [[0], [[-1, 1]], [["2016-01-03", 1]], [[-3, "2016-01-04"]], [["month", "month+1"]]])
@pytest.mark.parametrize("first", [dt.date(2016, 1, 1), dt.date.min, dt.date(9999, 12, 1)])
def test_days_that_the_record_says_nothing_of_are_what_they_are_when_looked_at_one_by_one(
    pairs: list[Any], first: dt.date
) -> None:
    last = first + dt.timedelta(days=30)
    trigger = replace(TRIGGER, earliest_date=None, date_stencil=DateStencil.parse(pairs), dates="* * 1-6")
    definitions = Definitions({"w": WORKFLOW}, (trigger,), schedule="0 0 * * *")
    listed = listed_at({"calls": [f"{first + dt.timedelta(days=each)}" for each in (0, 1, 2, 3, 5, 6, 20)]}, NOW)
    failed_on = first + dt.timedelta(days=5)
    failed = {}
    with suppress(EmptyIntervalError):
        failed = {build_run(WORKFLOW, trigger, failed_on).key: LastState(7, "failed")}
    some = {"w": Days.of([failed_on.toordinal()])}
    rows = [
        *calendar(Facts(definitions, listed, RunHistory(failed), NOW), first, last),
        *calendar(Facts(definitions, listed, RunHistory(failed, recorded=some), NOW), first, last),
    ]
    assert rows[0] == rows[1]
    assert rows[0].count() == Counter(rows[0].states)
    middle = first + dt.timedelta(days=4), first + dt.timedelta(days=9)
    part = rows[0].between(*middle)
    assert (part.states, part.runs) == (rows[0].states[4:10], rows[0].runs[4:10])
