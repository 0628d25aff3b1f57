# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Windows that need not be complete: which dates wait, which are run as they are, and which are run again."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from fractions import Fraction
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoflow.dates import AvailableDates, DateStencil, Days, ListedDates, Override, Share
from autoflow.decision import (
    counted_days,
    days_complete,
    days_ready,
    decide,
    incomplete,
    incomplete_runs,
    judge,
    missing_dates,
    triggers_by_run,
    undone_days,
)
from autoflow.definitions import Definitions, Late, QualityCheck, Retries, Trigger, Workflow
from autoflow.history import LastState, Request, RunHistory, Skip, Skips
from autoflow.overview import Explanation, Facts, calendar, explain
from autoflow.quality import Bound, Outcomes, blocks_of
from autoflow.runs import RunState, build_run

D, DAY = dt.date, dt.timedelta(days=1)
FIRST = D(2016, 1, 1)
JANUARY = [FIRST + number * DAY for number in range(31)]
MONTH = {"from": "month", "to": "month+1", "at_least": "60%", "longest_gap": 6}
LAST = D(2016, 1, 31)
WORKFLOW = Workflow("monthly", ())


def trigger_of(*windows: Any, late: Late | None = None, **keys: Any) -> Trigger:
    late = late or Late(5 * DAY)
    return Trigger("monthly", date_stencil=DateStencil.parse(list(windows)), late=late, **keys)


MONTHLY = trigger_of(MONTH, dates="L * *")


def at(date: D, hour: int = 0) -> dt.datetime:
    return dt.datetime(date.year, date.month, date.day, hour, tzinfo=dt.UTC)


def ready(trigger: Trigger, there: list[D], now: dt.datetime) -> list[D]:
    return list(map(D.fromordinal, days_ready(trigger, AvailableDates(there), now)))


def without(*days: int) -> list[D]:
    return [date for date in JANUARY if date.day not in days]


def test_a_complete_window_runs_at_once_and_an_incomplete_one_when_waiting_is_over() -> None:
    assert ready(MONTHLY, JANUARY, at(D(2016, 2, 1))) == [LAST]
    assert ready(MONTHLY, without(3, 4), at(D(2016, 2, 5), 23)) == []
    assert ready(MONTHLY, without(3, 4), at(D(2016, 2, 6))) == [LAST]


def test_the_reference_date_itself_may_be_missing() -> None:
    assert ready(MONTHLY, without(31), at(D(2016, 2, 6))) == [LAST]
    strict = trigger_of({**MONTH, "require_last": True}, dates="L * *")
    assert ready(strict, without(31), at(D(2016, 2, 6))) == []


@pytest.mark.parametrize(
    ("missing", "keys", "late", "unmet"),
    [
        (range(1, 13), {}, {}, "2016-01-01 to 2016-01-12 are missing, longest_gap is 6"),
        (range(1, 31, 2), {}, {}, "16 of 31 days are there, at_least is 60%"),
        ([3], {"at_least": 31}, {}, "30 of 31 days are there, at_least is 31"),
        ([31], {"require_last": True}, {}, "the last day, 2016-01-31, is missing"),
        ([3, 9], {}, {"at_least": Share.read(30)}, "29 of 31 days are there, at_least of late is 30"),
        (range(1, 32), {}, {}, "nothing of 2016-01-01 to 2016-01-31 is there"),
    ],
)
def test_what_a_window_must_have_is_told(missing: Any, keys: Any, late: Any, unmet: str) -> None:
    trigger = trigger_of({**MONTH, **keys}, dates="L * *", late=Late(5 * DAY, **late))
    there = without(*missing)
    found = incomplete(trigger, LAST, AvailableDates(there))
    assert found is not None
    assert any(unmet in words for words in found.unmet), found.unmet
    assert ready(trigger, there, at(D(2020, 1, 1))) == []


def test_other_windows_of_the_stencil_have_to_be_complete() -> None:
    trigger = trigger_of(MONTH, "month-1", dates="L * *")
    assert ready(trigger, without(3), at(D(2020, 1, 1))) == []
    assert ready(trigger, [*without(3), D(2015, 12, 1)], at(D(2020, 1, 1))) == [LAST]


def test_nothing_is_run_for_dates_to_come_whose_windows_are_long_over() -> None:
    trigger = trigger_of({"from": -60, "to": -30, "at_least": 1})
    found = ready(trigger, JANUARY, at(D(2016, 2, 20)))
    assert max(found) == D(2016, 2, 14)


starts = st.integers(-6, 0)
windows = st.builds(
    lambda start, length, at_least, gap, last: {
        "from": start,
        "to": start + length,
        **({"at_least": at_least} if at_least else {}),
        **({"longest_gap": gap} if gap else {}),
        **({"require_last": last} if last else {}),
    },
    starts,
    st.integers(1, 9),
    st.sampled_from([None, 1, 3, "50%", "75%", "100%"]),
    st.sampled_from([None, 1, 2]),
    st.booleans(),
)


def plainly_ready(raw: list[Any], late: Late, there: set[D], date: D, now: dt.datetime) -> bool:
    """Decide by the words of the docs, day by day."""
    days = set[D]()
    all_there = True
    met = True
    for window in raw:
        is_mapping = isinstance(window, dict)
        start, end = (window["from"], window["to"]) if is_mapping else (window, window + 1)
        wanted = [date + number * DAY for number in range(start, end)]
        days.update(wanted)
        have = [day in there for day in wanted]
        all_there &= all(have)
        if all(have):
            continue
        gap = max(len(run) for run in "".join("-x"[one] for one in have).split("x"))
        at_least = window.get("at_least", 1) if is_mapping else len(wanted)
        if isinstance(at_least, str):
            at_least = ceil(Fraction(at_least[:-1]) / 100 * len(wanted))
        met &= is_mapping and sum(have) >= max(at_least, 1)
        met &= not is_mapping or gap <= window.get("longest_gap", 99)
        met &= not is_mapping or have[-1] or not window.get("require_last")
    if all_there and date in there:
        return True
    if late.at_least is not None and not all_there:
        met &= len(days & there) >= late.at_least.of(len(days))
    return met and at(max(*days, date) + DAY) + late.after <= now


@given(
    raw=st.lists(windows | st.integers(-3, 0), min_size=1, max_size=2).filter(lambda raw: any(map(_is_dict, raw))),
    missing=st.sets(st.sampled_from(JANUARY), max_size=14),
    after=st.integers(0, 6),
    least=st.sampled_from([None, 3, 6]),
    today=st.integers(-2, 20),
)
def test_dates_are_ready_as_the_docs_say(
    raw: list[Any], missing: set[D], after: int, least: int | None, today: int
) -> None:
    there, now = set(JANUARY) - missing, at(LAST + today * DAY, 12)
    late = Late(after * DAY, Share.read(least) if least else None)
    expected = [
        date
        for date in (FIRST + number * DAY for number in range(-12, 60))
        if plainly_ready(raw, late, there, date, now)
    ]
    trigger = trigger_of(*raw, late=late)
    # where no day is there at all, nothing is known of the calendar
    assert ready(trigger, sorted(there), now) == (expected if there else [])


def _is_dict(raw: Any) -> bool:
    return isinstance(raw, dict)


def decided(trigger: Trigger, there: list[D], history: RunHistory, now: dt.datetime) -> list[D]:
    definitions = Definitions({"monthly": WORKFLOW}, (trigger,), schedule=None)
    listed = ListedDates({"calls": dict.fromkeys(there, at(FIRST))}, now, at(FIRST))
    days = counted_days(definitions, listed, now)
    undone = undone_days(definitions, days, days.all, {}, history)
    due = [run.reference_date for run in decide(definitions, undone, history, now).due]
    # the calendar and the explanation say the same
    facts = Facts(definitions, listed, history, now)
    (row,) = calendar(facts, LAST, LAST)
    assert (row.states[0] is RunState.DUE) == (LAST in due)
    assert explain(facts, trigger, LAST).state is row.states[0]
    return due


RUN = build_run(WORKFLOW, MONTHLY, LAST)
PROVISIONAL = RunHistory({RUN.key: LastState(1, "provisional")}, provisional={RUN.key: LAST})
LATER = at(D(2016, 3, 1))


def test_a_provisional_run_is_due_again_only_when_no_date_is_missing() -> None:
    assert decided(MONTHLY, without(3, 4), RunHistory(), LATER) == [LAST]
    assert decided(MONTHLY, without(3, 4), PROVISIONAL, LATER) == []
    assert decided(MONTHLY, without(3), PROVISIONAL, LATER) == []
    assert decided(MONTHLY, JANUARY, PROVISIONAL, LATER) == [LAST]


def test_a_provisional_run_stays_one_without_finalise_and_when_it_is_skipped() -> None:
    keeping = replace(MONTHLY, late=Late(5 * DAY, finalise=False))
    assert decided(keeping, JANUARY, PROVISIONAL, LATER) == []
    skipped = replace(PROVISIONAL, skips=Skips((Skip("monthly", LAST, "", "no", LATER),)))
    assert decided(MONTHLY, JANUARY, skipped, LATER) == []


def test_a_provisional_run_is_finished_when_its_trigger_is_late_no_more() -> None:
    assert decided(replace(MONTHLY, late=None), JANUARY, PROVISIONAL, LATER) == [LAST]


def test_a_provisional_run_that_was_asked_for_again_is_due() -> None:
    request = Request("monthly", RUN.parameters_hash, LAST, RUN.parameters, LATER)
    history = RunHistory({}, requests={RUN.key: request})
    assert judge(history, RUN.key, LAST, RunState.EXCLUDED, Retries()).state is RunState.DUE


def test_why_says_how_many_are_missing_and_when_it_runs_without_them() -> None:
    definitions = Definitions({"monthly": WORKFLOW}, (MONTHLY,), schedule=None)

    def reason(there: list[D], now: dt.datetime, history: RunHistory = PROVISIONAL) -> str:
        listed = ListedDates({"calls": dict.fromkeys(there, at(FIRST))}, now, at(FIRST))
        return explain(Facts(definitions, listed, history, now), MONTHLY, LAST).reason

    assert "2 of 31 days missing; runs from 2016-02-06 00:00 UTC on with what there is" in reason(
        without(3, 4), at(D(2016, 2, 2)), RunHistory()
    )
    assert "12 of 31 days missing, too many to run without them: of 2016-01-01 to 2016-01-31," in reason(
        without(*range(1, 13)), LATER, RunHistory()
    )
    assert reason(without(3, 4), LATER, RunHistory()) == "new, with 2 of 31 days missing; it runs at the next tick"
    assert reason(without(3), LATER) == (
        "run 1 was made with dates missing; it will run again when 2016-01-03 is available"
    )
    assert reason(JANUARY, LATER) == "run 1 was provisional, and no date is missing now; it runs at the next tick"


def test_why_says_what_holds_a_missing_date_and_how_to_let_it_count() -> None:
    check = QualityCheck("latest_timestamp", at_least=Bound(18 * 3600.0, "time"), on_missing="pass")
    definitions = Definitions({"monthly": WORKFLOW}, (MONTHLY,), schedule=None, quality=(check,))
    blocks = blocks_of({"2016-01-20": "2016-01-20 11:30:00+00"})
    listed = ListedDates({"calls": dict.fromkeys(without(3), at(FIRST))}, LATER, at(FIRST))
    listed = replace(listed, outcomes=Outcomes({("calls", "latest_timestamp"): blocks}))
    held = "2016-01-20 is held: calls latest_timestamp is 2016-01-20 11:30:00+00, expected at least 18:00"

    def asked(date: D, history: RunHistory, trigger: Trigger = MONTHLY) -> Explanation:
        facts = Facts(replace(definitions, triggers=(trigger,)), listed, history, LATER)
        return explain(facts, trigger, date)

    made = "run 1 was made with dates missing; it will"
    answer = asked(LAST, PROVISIONAL)
    assert answer.reason == f"{made} run again when 2016-01-03, 2016-01-20 are available; {held}"
    accept = "`autoflow accept monthly 2016-01-20 --reason TEXT` lets the data of 2016-01-20 count"
    assert answer.way_to_count == accept
    # what a person holds is the person's to leave again
    override = Override("monthly", D(2016, 1, 20), accepted=False, reason="odd", since=LATER)
    by_hand = replace(listed, overrides={("monthly", D(2016, 1, 20)): override})
    assert explain(Facts(definitions, by_hand, PROVISIONAL, LATER), MONTHLY, LAST).way_to_count == (
        "`autoflow unhold monthly 2016-01-20` leaves the data of 2016-01-20 to QA checks again;"
        " `autoflow accept monthly 2016-01-20 --reason TEXT` lets them count"
    )
    keeping = replace(MONTHLY, late=Late(5 * DAY, finalise=False))
    never = f"{made} not run again when they arrive (finalise: false); {held}"
    assert asked(LAST, PROVISIONAL, keeping).reason == never
    # whatever a date is else: none that the trigger is for, skipped, succeeded
    answer = asked(D(2016, 1, 20), PROVISIONAL)
    assert (answer.reason, answer.way_to_count) == (
        f"not one of the dates 'L * *'; the next one is 2016-01-31; {held}",
        accept,
    )
    skipped = RunHistory({}, skips=Skips((Skip("monthly", LAST, "", "no", LATER),)))
    assert asked(LAST, skipped).reason.endswith(f": no; {held}")
    succeeded = replace(PROVISIONAL, latest={RUN.key: LastState(1, "succeeded")})
    assert asked(LAST, succeeded).reason == f"run 1; {held}"


def test_nothing_is_known_to_be_missing_where_flowapi_was_never_asked() -> None:
    definitions = Definitions({"monthly": WORKFLOW}, (MONTHLY,), schedule=None)
    assert incomplete_runs(definitions, ListedDates(), LATER)(RUN) is None
    found = incomplete_runs(definitions, ListedDates(polled=LATER), LATER)(RUN)
    assert found is not None
    assert len(found.missing) == 31


def test_what_one_trigger_keeps_as_it_is_no_other_one_makes_again_at_each_tick() -> None:
    # other words for the windows of the same run, and data that are complete by them alone
    other = trigger_of([-30, 1], late=Late(5 * DAY), dates="L * *", cdr_types=("sms",))
    calls = replace(MONTHLY, cdr_types=("calls",))
    assert build_run(WORKFLOW, other, LAST).key == RUN.key
    listed = ListedDates(
        {"calls": dict.fromkeys(without(3), at(FIRST)), "sms": dict.fromkeys(JANUARY, at(FIRST))}, LATER
    )
    for triggers in ((calls, other), (other, calls)):
        definitions = Definitions({"monthly": WORKFLOW}, triggers, schedule=None)
        days = counted_days(definitions, listed, LATER)
        undone = undone_days(definitions, days, days.all, {}, PROVISIONAL)
        assert list(decide(definitions, undone, PROVISIONAL, LATER).due) == []


def test_a_run_that_somebody_requests_is_made_without_what_is_not_listed_though_all_is_needed() -> None:
    strict = replace(MONTHLY, late=None, date_stencil=DateStencil.parse([[-1, 1], [-3, -1]]), lag=5 * DAY)
    definitions = Definitions({"monthly": WORKFLOW}, (strict,), schedule=None)
    run = build_run(WORKFLOW, strict, LAST)
    held = {("monthly", LAST): Override("monthly", LAST, accepted=False, reason="no", since=LATER)}
    # neither the lag nor what somebody decides of a date keeps a notebook from its data
    listed = ListedDates({"calls": dict.fromkeys(without(28, 30), LATER)}, LATER, LATER, overrides=held)
    assert missing_dates(definitions, strict, run, listed, LATER) == (D(2016, 1, 28), D(2016, 1, 30))
    assert missing_dates(definitions, strict, run, ListedDates(), LATER) == ()


def test_complete_days_are_those_without_a_missing_date() -> None:
    there, now = AvailableDates(without(3)), LATER
    days = days_ready(MONTHLY, there, now)
    assert (list(days), days_complete(MONTHLY, there, days)) == ([LAST.toordinal()], Days())


def test_of_triggers_for_the_same_run_those_that_are_for_its_date_decide() -> None:
    before = trigger_of([-6, 1], dates="* * sun", latest_date=D(2016, 1, 3))
    before = replace(before, late=None)
    since = trigger_of({"from": -6, "to": 1, "at_least": 4}, dates="* * sun", earliest_date=D(2016, 1, 4))
    definitions, date, now = (
        Definitions({"monthly": WORKFLOW}, (before, since), schedule=None),
        D(2016, 1, 10),
        at(LAST),
    )
    listed = ListedDates({"calls": dict.fromkeys([day for day in JANUARY if day.day != 5], at(FIRST))}, at(FIRST))
    run = build_run(WORKFLOW, since, date)
    assert run.key == build_run(WORKFLOW, before, date).key
    triggers_of = triggers_by_run(definitions)
    assert [*triggers_of(run.key, date)] == [since]
    lacking = incomplete_runs(definitions, listed, now)(run)
    assert lacking is not None
    assert lacking.missing == (D(2016, 1, 5),)
    assert missing_dates(definitions, since, run, listed, now) == (D(2016, 1, 5),)
    # a run that neither is for now, as one that was backfilled, is of both
    monday = build_run(WORKFLOW, since, D(2016, 1, 11))
    assert [*triggers_of(monday.key, D(2016, 1, 11))] == [before, since]


def test_of_two_triggers_for_the_same_run_only_that_for_its_date_shows_it() -> None:
    until = trigger_of([-1, 1], latest_date=D(2016, 1, 3))
    since = trigger_of([-1, 1], earliest_date=D(2016, 1, 4))
    definitions, now = Definitions({"monthly": WORKFLOW}, (until, since), schedule=None), at(LAST)
    listed = ListedDates({"calls": dict.fromkeys(JANUARY, at(FIRST))}, at(FIRST))
    keys = [build_run(WORKFLOW, since, day).key for day in JANUARY[1:5]]
    history = RunHistory(latest={key: LastState(number, "succeeded") for number, key in enumerate(keys, 1)})
    facts = Facts(definitions, listed, history, now)
    first, second = calendar(facts, D(2016, 1, 2), D(2016, 1, 5))
    good, no = RunState.SUCCEEDED, RunState.EXCLUDED
    assert (first.states, first.runs) == ([good, good, no, no], [1, 2, None, None])
    assert (second.states, second.runs) == ([no, no, good, good], [None, None, 3, 4])
    assert explain(facts, until, D(2016, 1, 5)).state is no
    # what was backfilled for dates that none is for is in both
    neither = replace(definitions, triggers=(until, replace(since, earliest_date=D(2016, 1, 5))))
    first, second = calendar(replace(facts, definitions=neither), D(2016, 1, 2), D(2016, 1, 5))
    assert (first.runs, second.runs) == ([1, 2, 3, None], [None, None, 3, 4])
