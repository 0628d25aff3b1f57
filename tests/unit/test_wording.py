# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""How messages speak of what people wrote."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoflow.wording import LONGEST, closest, did_you_mean, shortened, shown


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "nothing"),
        (True, "true"),
        ([], "an empty list"),
        ({"a": 1}, "a mapping"),
        ("a", "'a'"),
        (1.5, "1.5"),
        (dt.date(2016, 1, 1), "2016-01-01"),
        ("x" * 100, "'" + "x" * 78 + "…"),
    ],
)
def test_values_are_shown_as_people_know_them(value: Any, words: str) -> None:
    assert shown(value) == words


@given(st.text())
def test_what_is_shown_is_one_short_line(text: str) -> None:
    for words in (shown(text), shortened(text)):
        assert words.isprintable()
        assert len(words) <= LONGEST


def test_the_closest_word_is_found_whatever_its_case() -> None:
    assert closest("Filenam", ["filename", "output"]) == "filename"
    assert closest("zzz", ["filename", "output"]) is None


def test_a_suggestion_names_what_there_is() -> None:
    assert did_you_mean("cals", ["calls", "sms"]) == "did you mean 'calls'?"
    assert did_you_mean("x", ["sms", "calls"]) == "expected one of calls, sms"
    assert did_you_mean("x", ["calls"]) == "expected 'calls'"
    assert did_you_mean("x", []) == "none is expected here"
