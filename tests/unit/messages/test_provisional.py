# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Runs that were made with dates missing: each is told once, and once more when it is final."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace

from autoflow.dates import DateStencil, ListedDates, Override
from autoflow.definitions import Definitions, Late, Trigger, Workflow
from autoflow.messages.provisional import MOST_RUNS, Circumstances, keys_told, provisional_news
from autoflow.messages.same_results import same_results_news
from autoflow.model import KnownCause, ProvisionalRun, StaleMark, StaleRun
from autoflow.runs import build_run
from autoflow.wording import CACHE_DOUBT

NOW = dt.datetime(2016, 3, 1, tzinfo=dt.UTC)
WORKFLOW = Workflow("monthly", ())
LATE = Trigger(
    "monthly", late=Late(dt.timedelta(days=5)), date_stencil=DateStencil.parse([{"from": "month", "to": "month+1"}])
)
DEFINITIONS = Definitions({"monthly": WORKFLOW}, (LATE,), schedule=None)
MISSING = (dt.date(2016, 1, 3), dt.date(2016, 1, 4))


def a_run(number: int, month: int = 1) -> ProvisionalRun:
    date = dt.date(2016, month, 28)
    return ProvisionalRun(number, *build_run(WORKFLOW, LATE, date).key, date, 1, MISSING)


def told(run: ProvisionalRun) -> dict[str, KnownCause]:
    return {each.name: each for each in provisional_news([run], {}, DEFINITIONS, NOW).known}


def test_a_run_is_told_with_its_missing_dates_once() -> None:
    news = provisional_news([a_run(7)], {}, DEFINITIONS, NOW)
    (message,) = news.messages
    assert (message.event, message.subject) == ("provisional", "monthly: provisional: 2016-01-28")
    assert message.lines == (
        "2016-01-28 (run 7): without 2016-01-03 to 2016-01-04",
        "It will run again when these dates are available.",
    )
    # what people know is in the record: a restart tells nothing
    known = {each.name: each for each in news.known}
    again = provisional_news([a_run(7)], known, DEFINITIONS, NOW)
    assert (again.messages, again.known) == ((), ())
    assert again.names == known.keys()
    assert keys_told(known.values()) == [("monthly", a_run(7).parameters_hash)]


def test_of_missing_dates_that_are_held_it_is_told_why_and_how_to_let_them_count() -> None:
    listed = ListedDates(
        {"calls": dict.fromkeys(MISSING[1:], NOW)},
        overrides={("monthly", MISSING[1]): Override("monthly", MISSING[1], False, "is sent again", NOW)},
    )
    (message,) = provisional_news([a_run(7)], {}, DEFINITIONS, NOW, Circumstances(listed=listed)).messages
    assert message.lines == (
        "2016-01-28 (run 7): without 2016-01-03 to 2016-01-04",
        "2016-01-04 is held since 2016-03-01 00:00 UTC: is sent again",
        "It will run again when these dates are available.",
        "To let 2016-01-04 count: autoflow accept monthly 2016-01-04 --reason TEXT",
    )


def test_several_runs_are_one_message_and_a_further_one_is_told_alone() -> None:
    runs = [a_run(number, number) for number in (1, 2)]
    (message,) = provisional_news(runs, {}, DEFINITIONS, NOW).messages
    assert message.subject == "monthly: provisional: 2 dates"
    (further,) = provisional_news(runs, told(runs[0]), DEFINITIONS, NOW).messages
    assert further.subject == "monthly: provisional: 2016-02-28"


def test_very_many_runs_are_counted() -> None:
    runs = [replace(a_run(1), run=number, parameters_hash=str(number)) for number in range(MOST_RUNS + 5)]
    (message,) = provisional_news(runs, {}, DEFINITIONS, NOW).messages
    assert "and 5 more runs" in message.lines


def test_a_final_run_is_told_with_how_to_see_what_changed_and_then_forgotten() -> None:
    final = replace(a_run(7), missing=(), final_attempt=2)
    news = provisional_news([final], told(a_run(7)), DEFINITIONS, NOW)
    (message,) = news.messages
    assert message.subject == "monthly: final: 2016-01-28"
    assert message.lines == ("2016-01-28: what changed: autoflow diff 7.1 7.2",)
    assert (news.known, news.names) == ((), frozenset())


def test_a_final_run_with_the_results_that_it_had_is_told_so_with_the_ways_out() -> None:
    final = replace(a_run(7), missing=(), final_attempt=2)
    mark = StaleMark(7, None, None, None, 1, 1, json.dumps([*map(str, MISSING)]), None)
    date = final.reference_date
    doubted = StaleRun(mark, 12, "monthly", final.parameters_hash, date, "{}", NOW.isoformat())
    outcome = Circumstances({7: ["no result is different"]}, {7: doubted})
    news = provisional_news([final], told(a_run(7)), DEFINITIONS, NOW, outcome)
    (message,) = news.messages
    assert message.subject == "monthly: final: 2016-01-28, with the same results as before"
    assert message.lines == (
        "2016-01-28: run 7 has the same results as attempt 1, although that attempt was made without 2016-01-03 to"
        " 2016-01-04",
        f"{CACHE_DOUBT}.",
        "Reports of 1 run are kept out of latest.",
        "Details: autoflow stale",
        "When the cache has been reset: autoflow rerun --stale",
        "If the results are right: autoflow keep 7 --reason TEXT",
    )
    assert news.doubted == {7}
    # a message of its own would say the same once more
    messages, (memory,) = same_results_news([doubted], None, NOW, news.doubted)
    assert (messages, memory.runs) == ([], ("7 12",))
    ((alone,), _) = same_results_news([doubted], None, NOW)
    assert alone.subject == "1 run has the same results as before, although the data changed"
    assert alone.lines[1:] == message.lines[1:]


def test_very_many_runs_with_the_results_that_they_had_are_counted() -> None:
    mark = StaleMark(1, 5, None, None, 1, 0)
    runs = [
        StaleRun(mark._replace(run=number), number, "w", str(number), dt.date(2016, 1, 1), "{}", NOW.isoformat())
        for number in range(MOST_RUNS + 5)
    ]
    ((message,), _) = same_results_news(runs, None, NOW)
    assert "and 5 more runs" in message.lines
    assert len(message.lines) < MOST_RUNS + 8
    assert message.lines[-1].endswith("10 11 --reason TEXT, ...")


def test_nothing_is_told_while_a_run_is_made_again_or_fails() -> None:
    known = told(a_run(7))
    news = provisional_news([replace(a_run(7), missing=())], known, DEFINITIONS, NOW)
    assert (news.messages, news.names) == ((), known.keys())


def test_without_finalise_no_further_run_is_announced() -> None:
    keeping = replace(DEFINITIONS, triggers=(replace(LATE, late=Late(dt.timedelta(days=5), finalise=False)),))
    (message,) = provisional_news([a_run(7)], {}, keeping, NOW).messages
    assert not any("again" in line for line in message.lines)


def test_a_final_run_is_told_with_what_changed() -> None:
    final = replace(a_run(7), missing=(), final_attempt=2)
    outcome = Circumstances({7: ["subscribers: 28 -> 31"], 8: ["of another"]})
    (message,) = provisional_news([final], told(a_run(7)), DEFINITIONS, NOW, outcome).messages
    assert message.lines == ("2016-01-28: what changed: autoflow diff 7.1 7.2", "  subscribers: 28 -> 31")
