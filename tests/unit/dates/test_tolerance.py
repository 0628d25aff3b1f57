# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Windows that need not be complete, as they are written."""

from __future__ import annotations

from typing import Any

import pytest

from autoflow.dates import DateStencil, Share, StencilError, Tolerance

WINDOW = {"from": "month", "to": "month+1"}


def test_a_mapping_is_a_pair_that_may_lack_something() -> None:
    raw = {**WINDOW, "at_least": "60%", "longest_gap": 6, "require_last": True}
    stencil = DateStencil.parse([raw, 0])
    assert stencil.pairs == DateStencil.parse([["month", "month+1"], 0]).pairs
    assert stencil.tolerances == (Tolerance(Share.read("60%"), 6, require_last=True), None)


def test_a_mapping_of_ends_alone_may_lack_anything() -> None:
    assert DateStencil.parse([WINDOW]).tolerances == (Tolerance(),)


def test_without_mappings_nothing_is_said_of_what_may_be_lacking() -> None:
    assert DateStencil.parse([["month", "month+1"]]).tolerances == ()


@pytest.mark.parametrize(
    ("raw", "days", "least"),
    [(25, 31, 25), ("60%", 31, 19), ("60 %", 30, 18), ("62.5%", 8, 5), ("100%", 29, 29), ("0.1%", 31, 1)],
)
def test_a_share_is_a_number_of_days_or_a_percentage_rounded_up(raw: Any, days: int, least: int) -> None:
    assert Share.read(raw).of(days) == least


def test_a_day_is_not_all_of_the_days() -> None:
    assert Share.read(1) != Share.read("100%")


@pytest.mark.parametrize("raw", [0, -1, True, 1.5, "60", "0%", "101%", "-5%", "x%", "٦٠%", None, [], 10**6, "60%%"])
def test_what_is_no_share_is_told(raw: Any) -> None:
    with pytest.raises(ValueError, match="expected a number of days such as 25, or a percentage such as 60%"):
        Share.read(raw)


@pytest.mark.parametrize(
    ("raw", "position", "words"),
    [
        ({"from": "month"}, (0,), "missing to; a window is such as {from: month, to: month+1}"),
        ({}, (0,), "missing from"),
        ({**WINDOW, "lngest_gap": 3}, (0,), "unknown key 'lngest_gap'; did you mean 'longest_gap'?"),
        ({**WINDOW, 1: 3}, (0,), "unknown key 1"),
        ({**WINDOW, "from": "months"}, (0, "from"), "did you mean month?"),
        ({**WINDOW, "to": [1]}, (0, "to"), "found a list"),
        ({**WINDOW, "to": "month"}, (0,), "[month, month] holds no day"),
        ({**WINDOW, "at_least": "x"}, (0, "at_least"), "found 'x'"),
        ({**WINDOW, "longest_gap": 0}, (0, "longest_gap"), "found 0, expected how many days"),
        ({**WINDOW, "require_last": "yes"}, (0, "require_last"), "found 'yes', expected true or false"),
    ],
)
def test_a_mistake_is_told_with_its_key(raw: Any, position: Any, words: str) -> None:
    with pytest.raises(StencilError) as caught:
        DateStencil.parse([raw])
    assert (position, True) in [(where, words in message) for where, message in caught.value.complaints]
