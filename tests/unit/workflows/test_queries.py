# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What people are told of failures whose cause lies in FlowKit; the words are those of flowclient 1.34."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from autoflow.model.recorded import RecordedNotebook
from autoflow.runs.runs import AttemptState, Failure
from autoflow.workflows.queries import MAKE_AGAIN, RESET, hint, to_make_again

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
ERRORED = Failure(
    "Something went wrong: . API returned with status code: 500 and status 'errored'",
    "a",
    3,
    "FlowclientConnectionError",
)
FORGOTTEN = Failure(
    "http://flowapi:9090/api/0/poll/d34e9d5fc9e64d48a3e57166bf1072d8 not found.", "c", 2, "FileNotFoundError"
)


def test_an_errored_query_is_told_of_when_it_is_met_for_the_second_time_in_the_same_place() -> None:
    assert hint(ERRORED, None) is None
    assert hint(ERRORED, Failure("no such place", "a", 3)) is None
    assert hint(ERRORED, replace(ERRORED, cell=4)) is None
    # what was added to its words before does no harm
    assert hint(ERRORED, replace(ERRORED, message=f"{ERRORED.message}; {RESET}")) == RESET


@pytest.mark.parametrize("route", ["poll/d34e", "get/d34e", "get/d34e.geojson"])
def test_a_query_that_is_not_known_any_more_is_made_again(route: str) -> None:
    failure = Failure(f"https://flowapi/api/0/{route} not found.", "c", 2, "FileNotFoundError")
    assert hint(failure, None) == MAKE_AGAIN
    assert hint(Failure("[Errno 2] /data/api/0/notes.csv not found.", "c", 2), None) is None


def test_a_repair_goes_back_to_all_that_the_notebook_reads() -> None:
    def recorded(label: str, failure: Failure | None = None) -> RecordedNotebook:
        state = AttemptState.FAILED if failure else AttemptState.SUCCEEDED
        return RecordedNotebook(label, state, NOW, NOW, f"{label}.ipynb", None, failure, None)

    dependencies: dict[str, set[str]] = {"a": set(), "b": {"a"}, "c": {"b"}, "other": set()}
    done = [recorded("a"), recorded("b"), recorded("other")]
    assert to_make_again(dependencies, [*done, recorded("c", FORGOTTEN)]) == {"a", "b"}
    assert to_make_again(dependencies, [*done, recorded("c", ERRORED)]) == set()
