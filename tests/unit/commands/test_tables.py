# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""A table says the same on every terminal, however narrow it is."""

from __future__ import annotations

import pytest

from autoflow.commands.tables import table_lines, wrapped
from autoflow.wording import width

NOTE = "notebook write, cell 12: ValueError: no flights from Kathmandu to Pokhara on 2016-01-02, and none back"
ROW = {
    "attempt": "12.3",
    "date": "2016-01-02",
    "workflow": "flows_between_districts",
    "parameters": "area=north, unit=admin3",
    "state": "not available",
    "started (UTC)": "2026-11-26 11:12",
    "took": "3 min 02 s",
    "note": NOTE,
}
OTHER = {**ROW, "attempt": "9.1", "note": ""}


def laid_out(columns: int) -> list[str]:
    return ["".join(text for text, _ in line) for line in table_lines([ROW, OTHER], columns, frozenset({"attempt"}))]


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 100, 132, 200, 400])
def test_nothing_is_left_out_and_no_line_is_wider_than_the_terminal(columns: int) -> None:
    lines = laid_out(columns)
    # what is broken over lines of a column is between other columns there
    letters = sorted("".join(lines).replace(" ", ""))
    for value in (*ROW.values(), *OTHER.values()):
        for character in set(value.replace(" ", "")):
            assert letters.count(character) >= value.count(character)
    assert sum(map(len, "".join(lines).split())) >= sum(len(value.replace(" ", "")) for value in ROW.values())
    assert max(map(width, lines)) <= max(columns, 28)


def test_a_wide_terminal_has_a_line_for_each_row() -> None:
    lines = laid_out(400)
    assert len(lines) == 3
    assert lines[0].split() == [
        "attempt",
        "date",
        "workflow",
        "parameters",
        "state",
        "started",
        "(UTC)",
        "took",
        "note",
    ]
    assert lines[1].endswith(NOTE)


def test_at_80_columns_notes_stand_below_their_rows_in_full() -> None:
    row = {**ROW, "workflow": "flows", "parameters": "area=north", "state": "failed", "took": "3.2 s"}
    lines = ["".join(text for text, _ in line) for line in table_lines([row, row], 80)]
    assert len(lines) == 7
    assert lines[0].split()[-1] == "took"
    assert lines[2].startswith("    notebook write, cell 12")
    assert " ".join(f"{lines[2]} {lines[3]}".split()) == NOTE


def test_where_rows_do_not_fit_each_is_a_list_of_its_cells() -> None:
    lines = laid_out(40)
    assert lines[:2] == ["attempt        12.3", "date           2016-01-02"]
    assert [line for line in lines if not line] == [""]


@pytest.mark.parametrize("text", ["プローブデータの集計", "a/very/long/path/without/any/space.ipynb", "x"])
def test_what_is_wrapped_takes_the_columns_that_there_are(text: str) -> None:
    lines = wrapped(text, 8)
    assert "".join(lines) == text
    assert max(map(width, lines)) <= 8
    assert wrapped(text, 8, breaking=False) == [text]
