# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What FlowAPI refuses is told with what to do, wherever flowclient raises it."""

from __future__ import annotations

import warnings

import flowclient
import pytest

from autoflow.child.hints import hint_for, refusal_hint
from autoflow.demo_flowapi import FlowapiStandin


@pytest.mark.parametrize(
    ("fault", "words"),
    [("401", "the token has expired"), ("403", "<unit>:<kind>:<nested kind>")],
)
def test_the_words_of_flowclient_lead_to_a_hint(fault: str, words: str) -> None:
    with FlowapiStandin(days=1, poll_seconds=0.0) as flowapi, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        connection = flowclient.connect(url=flowapi.url, token=flowapi.token())
        flowapi.set_fault(fault)
        with pytest.raises(Exception) as raised:  # noqa: PT011
            flowclient.get_available_dates(connection=connection)
        connection.session.close()
    hint = hint_for(type(raised.value).__name__, str(raised.value))
    assert hint is not None
    assert words in hint
    assert "docs/troubleshooting.md" in hint


def test_a_scope_that_is_missing_is_named_with_all_that_go_with_it() -> None:
    hint = refusal_hint("User claims verification failed") or ""
    for scope in (
        "run",
        "get_result",
        "get_available_dates",
        "get_qa_checks",
        "<unit>:<kind>:<nested kind>",
        "one role",
    ):
        assert scope in hint


def test_other_words_lead_nowhere() -> None:
    assert refusal_hint("division by zero") is None
    assert hint_for("ZeroDivisionError", "division by zero") is None
