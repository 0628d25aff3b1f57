# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""JSON that is written while its elements are made: the same as if all were there at once."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import pytest

from autoflow.commands.answer import Streamed, as_text, in_pieces

ELEMENTS: list[Any] = [
    {"date": dt.date(2016, 1, 1), "name": "Zürich", "list": [1, [], {}]},
    {"name": "日本 \U0001f600", "nothing": None},
    "a lone surrogate: \ud800",
    1.5,
]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", None])
@pytest.mark.parametrize("number", range(len(ELEMENTS) + 1))
def test_what_is_streamed_is_what_is_written_at_once(number: int, encoding: str | None) -> None:
    some = ELEMENTS[:number]
    whole = {"version": 1, "runs": some, "after": {"é": "é"}}
    written = "".join(in_pieces({**whole, "runs": Streamed(iter(some))}, encoding))
    assert json.loads(written) == json.loads(as_text(whole, encoding))
    if number < 3 and encoding in ("utf-8", None):
        assert written == as_text(whole, encoding)
    written.encode(encoding or "utf-8")


def test_numbers_that_json_does_not_have_are_text_in_what_is_streamed() -> None:
    written = "".join(in_pieces({"runs": Streamed([{"n": float("inf"), "deep": [float("nan")]}])}))
    assert json.loads(written) == {"runs": [{"n": "inf", "deep": ["nan"]}]}


def test_an_element_is_made_when_those_before_it_are_written() -> None:
    made = []

    def elements() -> Iterator[int]:
        for number in range(1000):
            made.append(number)
            yield number

    pieces = in_pieces({"runs": Streamed(elements())})
    while "3" not in next(pieces):
        pass
    assert len(made) <= 5
