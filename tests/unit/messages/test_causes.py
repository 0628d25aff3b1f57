# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What people are told and when: failures, conditions, what they know and the time are arguments."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from autoflow.dates.days import Days
from autoflow.dates.listed_dates import Override, listed_at
from autoflow.definitions import Definitions, Notebook, Notify, Retries, Trigger, Workflow
from autoflow.history import Failures, RunHistory, Skip, Skips
from autoflow.messages.causes import CauseChanges, Snapshot, news, next_late
from autoflow.model.recorded import FailedRun, KnownCause
from autoflow.quality.check import Bound, Check
from autoflow.quality.judged import Outcomes
from autoflow.quality.outcomes import blocks_of
from autoflow.runs.runs import Failure, build_run

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
MINUTE, HOUR = dt.timedelta(minutes=1), dt.timedelta(hours=1)
WORKFLOW = Workflow("flows", (Notebook("a", filename="a.ipynb"),), retries=Retries(attempts=3))
TRIGGER = Trigger("flows", {"unit": "admin3"})
DEFINITIONS = Definitions({"flows": WORKFLOW}, (TRIGGER,), schedule="0 0 * * *")


def failed(day: int, cell: int = 3, id_: int | None = None, ended: dt.datetime = NOW) -> FailedRun:
    run = build_run(WORKFLOW, TRIGGER, dt.date(2016, 1, day))
    failure = Failure("no such place\nnor any other", "a", cell, "ValueError")
    return FailedRun(id_ or day, "flows", run.parameters_hash, run.reference_date, ended, failure)


def snapshot(*failing: FailedRun, attempts: int = 1, skips: Skips | None = None, **others: Any) -> Snapshot:
    counted = {run.key: Failures(attempts, run.ended) for run in failing}
    run_history = RunHistory(failed=counted, skips=skips or Skips())
    return Snapshot(
        **{"definitions": DEFINITIONS, "now": NOW, "failing": failing, "run_history": run_history, **others}
    )


def told(found: CauseChanges, known: dict[str, KnownCause] | None = None) -> dict[str, KnownCause]:
    """Give what people know afterwards."""
    after = {**(known or {}), **{each.name: each for each in found.known}}
    return {name: each for name, each in after.items() if name not in found.over}


def nothing(*_: Any) -> Sequence[dt.date]:
    return ()


def recovered_on(*days: int) -> Any:
    return lambda *_: [dt.date(2016, 1, day) for day in days]


def subjects(found: CauseChanges) -> list[str]:
    return [message.subject for message in found.messages]


def test_dates_that_fail_alike_are_one_message_and_other_cells_are_another() -> None:
    found = news(snapshot(failed(1), failed(2), failed(3), failed(5), failed(9, cell=7)), {}, nothing)
    assert subjects(found) == [
        "flows: failed for 4 dates: ValueError in a",
        "flows: failed for 2016-01-09: ValueError in a",
    ]
    assert found.messages[0].lines == (
        "notebook a, cell 3: ValueError: no such place",
        "nor any other",
        "",
        "4 dates: 2016-01-01 to 2016-01-03, 2016-01-05",
        "Retry: from 2026-11-23 12:10 UTC on.",
        "Details: autoflow show 5",
        "All: autoflow runs --workflow flows --state failed",
    )
    assert found.messages[0].dates == ("2016-01-01", "2016-01-02", "2016-01-03", "2016-01-05")


def test_a_cause_is_told_once_as_long_as_it_lasts_whatever_dates_join_it() -> None:
    known = told(news(snapshot(failed(1)), {}, nothing))
    later = news(snapshot(failed(1), failed(2)), known, nothing)
    assert (later.messages, later.known, later.over) == ((), (), ())


def test_a_recovery_is_told_once_all_have_succeeded() -> None:
    known = told(news(snapshot(failed(1), failed(2)), {}, nothing))
    assert news(snapshot(failed(2)), known, recovered_on(1)).messages == ()
    found = news(snapshot(), known, recovered_on(1, 2))
    assert subjects(found) == ["flows: recovered: 2 dates"]
    assert found.messages[0].lines == ("Dates: 2016-01-01 to 2016-01-02", "It was: ValueError in a")
    assert told(found, known) == {}


def test_a_run_that_fails_elsewhere_has_not_recovered() -> None:
    known = told(news(snapshot(failed(1)), {}, nothing))
    found = news(snapshot(failed(1, cell=7)), known, nothing)
    assert subjects(found) == ["flows: failed for 2016-01-01: ValueError in a"]
    known = told(found, known)
    assert len(known) == 2
    # both causes are over at once, and that is one message
    assert subjects(news(snapshot(), known, recovered_on(1))) == ["flows: recovered: 2016-01-01"]


def test_what_is_skipped_or_asked_for_by_nothing_any_more_is_no_cause() -> None:
    run = failed(1)
    skips = Skips((Skip("flows", run.reference_date, "", "no data", NOW),))
    known = told(news(snapshot(run), {}, nothing))
    assert news(snapshot(run, skips=skips), {}, nothing).messages == ()
    assert subjects(news(snapshot(run, skips=skips), known, nothing)) == ["flows: the failed runs are skipped now"]
    other = replace(DEFINITIONS, triggers=(Trigger("flows", {"unit": "admin2"}),))
    found = news(snapshot(run, definitions=other), known, nothing)
    assert (found.messages, len(found.over)) == ((), 1)


def test_failures_of_a_tick_under_way_are_gathered_for_a_while() -> None:
    run = failed(1, ended=NOW - 2 * MINUTE)
    early = news(snapshot(run, working=True), {}, nothing)
    assert (early.messages, early.due) == ((), NOW + 3 * MINUTE)
    assert len(news(snapshot(run, now=NOW + 3 * MINUTE, working=True), told(early), nothing).messages) == 1
    assert len(news(snapshot(run), told(early), nothing).messages) == 1


def test_nothing_is_over_while_a_tick_is_under_way() -> None:
    known = told(news(snapshot(failed(1)), {}, nothing))
    assert news(snapshot(working=True), known, recovered_on(1)).over == ()


def test_each_run_is_given_up_once_and_not_beside_its_failure() -> None:
    found = news(snapshot(failed(1), attempts=3), {}, nothing)
    assert [message.event for message in found.messages] == ["failed"]
    assert "Given up after 3 attempts; to retry: autoflow rerun 1" in found.messages[0].lines
    known = told(found)
    found = news(snapshot(failed(1), failed(2), attempts=3), known, nothing)
    assert subjects(found) == ["flows: given up: 2016-01-02"]
    assert news(snapshot(failed(1), failed(2), attempts=3), told(found, known), nothing).messages == ()


def test_trouble_is_told_when_it_has_lasted_and_its_end_only_when_something_says_so() -> None:
    down = {"tick": "FlowAPI did not answer\nmore of it", "given up": "1 runs", "messages by email": "no"}
    first = news(snapshot(conditions=down), {}, nothing)
    assert (first.messages, first.due) == ((), NOW + 10 * MINUTE)
    assert news(snapshot(over=("tick",)), told(first), nothing).messages == ()
    found = news(snapshot(conditions=down, now=NOW + 10 * MINUTE), told(first), nothing)
    assert subjects(found) == ["FlowAPI did not answer"]
    known = told(found, told(first))
    # after a restart no condition is there, and that proves nothing
    assert news(snapshot(now=NOW + HOUR), known, nothing).over == ()
    found = news(snapshot(now=NOW + HOUR, over=("tick",)), known, nothing)
    assert subjects(found) == ["over: FlowAPI did not answer"]
    assert told(found, known) == {}


def test_trouble_in_many_words_says_none_of_them_twice() -> None:
    why = "the token lacks the scope get_qa_checks (role analyst): ask for it; dates are judged by outcomes from before"
    text = f"FlowAPI gives no outcomes of QA checks, which workflows.yml asks for: {why}\nmore of it"
    known = told(news(snapshot(conditions={"quality": text}), {}, nothing))
    (message,) = news(snapshot(conditions={"quality": text}, now=NOW + 10 * MINUTE), known, nothing).messages
    assert message.subject == "FlowAPI gives no outcomes of QA checks, which workflows.yml asks for"
    assert message.lines == (why, "more of it")
    (token,) = news(snapshot(conditions={"token": "it has expired"}), {}, nothing).messages
    assert (token.subject, token.lines) == ("it has expired", ())
    # where there is no place to part it, the lines have all of it
    (token,) = news(snapshot(conditions={"token": "x" * 200}), {}, nothing).messages
    assert token.lines == ("x" * 200,)


def test_a_clock_that_is_set_back_holds_up_no_message_for_longer_than_its_pause() -> None:
    down = {"tick": "FlowAPI did not answer"}
    known = told(news(snapshot(conditions=down, now=NOW + 100 * HOUR), {}, nothing))
    found = news(snapshot(conditions=down, now=NOW), known, nothing)
    assert (found.messages, found.due) == ((), NOW + 10 * MINUTE)
    known = told(found, known)
    assert len(news(snapshot(conditions=down, now=NOW + 10 * MINUTE), known, nothing).messages) == 1


def test_each_warning_of_the_token_is_told_at_once_and_its_end_never() -> None:
    known: dict[str, KnownCause] = {}
    for words in ("less than 14 days", "less than 7 days", "expired"):
        for count in (1, 0):
            found = news(snapshot(conditions={"token": words}), known, nothing)
            assert subjects(found) == [words] * count
            known = told(found, known)
    found = news(snapshot(over=("token",)), known, nothing)
    assert (found.messages, told(found, known)) == ((), {})


def test_late_dates_are_told_by_workflow_and_new_dates_are_waited_for() -> None:
    notify = Notify(no_new_date=3 * 86400.0, not_done_after=43200.0)
    definitions = replace(DEFINITIONS, notify=notify)
    listed = listed_at({"calls": ["2016-01-01", "2016-01-02"]}, NOW)
    assert next_late(listed, definitions, NOW) == NOW + 12 * HOUR
    assert next_late(listed, definitions, NOW + 12 * HOUR) == NOW + 72 * HOUR
    first = dt.date(2016, 1, 1).toordinal()
    late = (Days(((first, first + 2),)),)
    found = news(snapshot(definitions=definitions, listed=listed, late=late, now=NOW + 80 * HOUR), {}, nothing)
    assert subjects(found) == [
        "no new date for 3 days",
        "flows: late: 2 dates not done within 12 hours",
    ]
    known = told(found)
    fresh = listed_at({"calls": ["2016-01-03"]}, NOW + 81 * HOUR)
    found = news(snapshot(definitions=definitions, listed=fresh, now=NOW + 81 * HOUR), known, nothing)
    assert subjects(found) == ["new dates have appeared; the newest is 2016-01-03", "flows: no dates are late now"]


def test_what_nobody_wants_to_hear_is_not_told() -> None:
    quiet = replace(DEFINITIONS, notify=Notify(events=("trouble",)))
    found = news(snapshot(failed(1), attempts=3, definitions=quiet), {}, nothing)
    assert (found.messages, found.known) == ((), ())


def test_a_hostile_workflow_name_makes_a_command_that_is_harmless() -> None:
    run = replace(failed(1), workflow="x; rm -rf '~'")
    workflow = replace(WORKFLOW, name=run.workflow)
    trigger = replace(TRIGGER, workflow_name=run.workflow)
    definitions = replace(DEFINITIONS, workflows={run.workflow: workflow}, triggers=(trigger,))
    (message,) = news(snapshot(run, replace(run, run=9), definitions=definitions), {}, nothing).messages
    assert message.lines[-1] == "All: autoflow runs --workflow 'x; rm -rf '\\''~'\\''' --state failed"


def test_what_is_excluded_or_asked_for_on_other_dates_ends_without_a_word() -> None:
    run = failed(1)
    known = told(news(snapshot(run), {}, nothing))
    one_day = ((dt.date(2016, 1, 1), dt.date(2016, 1, 2)),)
    for key in ({"exclude": one_day}, {"dates": "* * sun"}, {"earliest_date": dt.date(2016, 1, 2)}):
        definitions = replace(DEFINITIONS, triggers=(replace(TRIGGER, **key),))
        found = news(snapshot(run, definitions=definitions), known, nothing)
        assert (found.messages, len(found.over)) == ((), 1), key
    gone = Definitions({}, (), schedule="0 0 * * *")
    found = news(snapshot(run, definitions=gone), known, nothing)
    assert (found.messages, len(found.over)) == ((), 1)


def test_a_date_is_looked_at_when_it_is_late_after_its_lag() -> None:
    trigger = replace(TRIGGER, lag=dt.timedelta(days=2))
    definitions = replace(DEFINITIONS, triggers=(trigger,), notify=Notify(not_done_after=43200.0))
    listed = replace(listed_at({"calls": ["2026-11-22"]}, NOW), watched_since=NOW - HOUR)
    assert next_late(listed, definitions, NOW + 12 * HOUR) == NOW + 60 * HOUR
    assert next_late(listed, definitions, NOW + 60 * HOUR) is None


def test_a_number_that_was_not_counted_to_its_end_says_so() -> None:
    assert subjects(news(snapshot(failed(1), failed(2), most_failing=2), {}, nothing)) == [
        "flows: failed for 2 dates or more: ValueError in a"
    ]


def test_dates_that_a_check_holds_are_told_once_each_and_together() -> None:
    check = Check("count", at_least=Bound(7))
    trigger = replace(TRIGGER, quality=(check,))
    definitions = replace(DEFINITIONS, triggers=(trigger,))

    def held(*outcomes: str, **overrides: Any) -> Snapshot:
        dates = [f"2016-01-{number:02}" for number in range(1, len(outcomes) + 2)]
        blocks = blocks_of(dict(zip(dates, outcomes, strict=False)))
        listed = replace(listed_at({"calls": dates}, NOW), outcomes=Outcomes({("calls", "count"): blocks}), **overrides)
        return snapshot(definitions=definitions, listed=listed)

    found = news(held("9", "5"), {}, nothing)
    assert subjects(found) == ["2016-01-02 is held: calls count is 5, expected at least 7"]
    assert "autoflow accept flows 2016-01-02" in " ".join(found.messages[0].lines)
    known = told(found)
    assert subjects(news(held("9", "5"), known, nothing)) == []
    more = news(held("9", "5", "4", None), known, nothing)
    assert subjects(more) == ["2 dates are held by calls count"]
    lines = [line.partition(" count")[0] for (message,) in (found.messages, more.messages) for line in message.lines]
    assert [line for line in lines if line.startswith(("It ", "They ", "To "))] == [
        "It does not",
        "To let it",
        "They do not",
        "To let one",
    ]
    known = told(more, known)
    (long,) = news(held("x" * 200), {}, nothing).messages
    assert long.subject == "2016-01-01 is held by calls count"
    assert long.lines[0].startswith("2016-01-01: calls count is xxx")
    # one of which somebody has decided is told no more, nor when that is taken back
    for accept in (True, False):
        decided = {("flows", dt.date(2016, 1, 2)): Override("flows", dt.date(2016, 1, 2), accept, "so", NOW)}
        found = news(held("9", "5", "4", None, overrides=decided), known, nothing)
        assert subjects(found) == []
        assert subjects(news(held("9", "5", "4", None), told(found, known), nothing)) == []
    # but who was not told before is told then
    first = news(held("9", "5", overrides=decided), {}, nothing)
    assert subjects(first) == []
    assert len(news(held("9", "5"), told(first), nothing).messages) == 1
    whole = news(held("9", "9", "9"), known, nothing)
    assert (subjects(whole), len(whole.over)) == ([], 1)
    quiet = replace(definitions, notify=Notify(events=("late",)))
    assert subjects(news(replace(held("5"), definitions=quiet), {}, nothing)) == []


def test_a_check_that_holds_dates_of_several_types_is_one_cause() -> None:
    check, dates = Check("count", at_least=Bound(7)), ["2016-01-01", "2016-01-02"]
    definitions = replace(DEFINITIONS, triggers=(replace(TRIGGER, quality=(check,)),))

    def held(calls: str, sms: str) -> CauseChanges:
        outcomes = {(name, "count"): blocks_of({dates[0]: text}) for name, text in (("calls", calls), ("sms", sms))}
        listed = replace(listed_at({"calls": dates, "sms": dates}, NOW), outcomes=Outcomes(outcomes))
        return news(snapshot(definitions=definitions, listed=listed), {}, nothing)

    assert subjects(held("5", "5")) == ["2016-01-01 is held: calls, sms count is 5, expected at least 7"]
    words = "calls count is 5, expected at least 7; sms count is 6, expected at least 7"
    assert subjects(held("5", "6")) == [f"2016-01-01 is held: {words}"]
    (message,) = held("x" * 100, "6").messages
    assert message.subject == "2016-01-01 is held by calls, sms count"
