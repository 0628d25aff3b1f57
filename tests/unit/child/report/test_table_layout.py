# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""How tables get onto pages: widths, sizes of letters, sideways, and parts."""

from __future__ import annotations

from itertools import chain

import pytest

from autoflow.child.report.table_layout import LANDSCAPE, NORMAL, PADDING, PORTRAIT, SMALLER, Column, lay_out, measure


def columns(count: int, narrowest: float, widest: float = 0.0) -> list[Column]:
    return [Column(narrowest, max(narrowest, widest))] * count


def test_a_table_that_fits_is_left_to_its_text() -> None:
    layout = lay_out(columns(5, 60.0), rows=300, index=1)
    assert (layout.size, layout.sideways) == (NORMAL, False)
    assert [part.shares for part in layout.parts] == [None]


def test_a_wider_one_gets_smaller_letters_first() -> None:
    layout = lay_out(columns(10, 50.0), rows=300, index=1)
    assert layout.size in SMALLER
    assert not layout.sideways
    assert len(layout.parts) == 1


def test_a_long_one_is_turned_and_a_short_one_is_printed_in_parts() -> None:
    wide = columns(15, 60.0)
    assert lay_out(wide, rows=40, index=1).sideways
    short = lay_out(wide, rows=5, index=1)
    assert not short.sideways
    assert len(short.parts) > 1


@pytest.mark.parametrize("rows", [5, 500])
@pytest.mark.parametrize("index", [1, 2])
def test_parts_repeat_the_index_fit_and_leave_nothing_out(rows: int, index: int) -> None:
    layout = lay_out(columns(60, 70.0), rows=rows, index=index)
    heads = tuple(range(index))
    assert all(part.columns[:index] == heads for part in layout.parts)
    rest = list(chain.from_iterable(part.columns[index:] for part in layout.parts))
    assert rest == list(range(index, 60))
    room = LANDSCAPE if layout.sideways else PORTRAIT
    for part in layout.parts:
        assert len(part.columns) * (70.0 * layout.size / NORMAL + PADDING) <= room


def test_long_texts_wrap_and_numbers_do_not() -> None:
    text = measure(["comment"], ["a long text of many words " * 20], numeric=False)
    number = measure(["people who moved"], ["-1,234,567.89"], numeric=True)
    assert text.widest > 3 * text.narrowest
    assert number.narrowest >= measure([], ["-1,234,567.89"], numeric=True).narrowest
    (part,) = lay_out([number, text, text, text], rows=3, index=1).parts
    assert part.shares is not None
    assert part.shares[1] > part.shares[0]


def test_an_index_as_wide_as_the_page_is_not_repeated() -> None:
    layout = lay_out([*columns(3, 150.0), *columns(20, 60.0)], rows=3, index=3)
    assert layout.parts[1].columns[0] > 2
