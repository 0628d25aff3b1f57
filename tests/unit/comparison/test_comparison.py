# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Executed notebooks are compared by what they say, whatever order, ids and addresses that comes in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autoflow.comparison import NotebookChanges, compared, difference, percent, read_executed

INDEXED = """<table><thead><tr><th></th><th colspan="2">calls</th></tr>
<tr><th>place</th><th>now</th><th>before</th></tr>
</thead><tbody><tr><th>A</th><td>{a}</td><td>1</td></tr><tr><th>B</th><td>2</td><td>3</td></tr></tbody></table>"""


class Notebook:
    """Writes executed notebooks and compares them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def compare(self, old: Any, new: Any, **options: float) -> NotebookChanges:
        return compared(self.read(old), self.read(new), **options)

    def read(self, cells: Any) -> Any:
        path = self._directory / "executed.ipynb"
        listed = cells if isinstance(cells, list) else [cells]
        path.write_text(json.dumps({"cells": listed, "metadata": {"papermill": {"parameters": {}}}}))
        return read_executed(path)


@pytest.fixture
def notebook(tmp_path: Path) -> Notebook:
    return Notebook(tmp_path)


def cell(*outputs: dict[str, Any], source: str = "x", name: str | None = None) -> dict[str, Any]:
    made = {"cell_type": "code", "metadata": {}, "source": source, "outputs": list(outputs)}
    return {**made, "id": name} if name else made


def shown(**data: str) -> dict[str, Any]:
    kinds = {"html": "text/html", "plain": "text/plain", "png": "image/png", "svg": "image/svg+xml"}
    return {"output_type": "display_data", "data": {kinds[key]: value for key, value in data.items()}}


def printed(text: str, stream: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": stream, "text": text}


def glued(name: str, value: Any, encoder: str = "json") -> dict[str, Any]:
    scrap = {"name": name, "data": value, "encoder": encoder, "version": 1}
    return {"output_type": "display_data", "data": {f"application/scrapbook.scrap.{encoder}+json": scrap}}


def plain_table(head: str, *body: str) -> str:
    """Write a table without labels of rows, as pandas does with ``index=False``."""

    def row(tag: str, line: str) -> str:
        return f"<tr>{''.join(f'<{tag}>{text}</{tag}>' for text in line.split())}</tr>"

    lines = "".join(row("td", line) for line in body)
    return f"<table><thead>{row('th', head)}</thead><tbody>{lines}</tbody></table>"


def test_glued_values_are_compared_part_by_part(notebook: Notebook) -> None:
    old = cell(glued("totals", {"calls": [10, 20], "same": "x"}), glued("gone", 1), glued("kind", "a"))
    new = cell(glued("totals", {"calls": [10, 25], "same": "x"}), glued("fresh", 2), glued("kind", "b"))
    changes = notebook.compare(old, new)
    assert [(each.name, each.old, each.new, each.only) for each in changes.values] == [
        ("totals.calls[1]", 20, 25, None),
        ("gone", 1, None, "old"),
        ("kind", "a", "b", None),
        ("fresh", None, 2, "new"),
    ]
    assert bool(changes)
    assert not notebook.compare(old, old)


def test_text_is_glued_in_another_kind_of_output(notebook: Notebook) -> None:
    assert notebook.compare(cell(glued("v", "a", "text")), cell(glued("v", "b", "text"))).values


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [(1, 1.0, True), (1, True, False), (1.0, 1.0000001, False), (float("nan"), float("nan"), True), ("1", 1, False)],
)
def test_values_are_the_same_when_they_mean_the_same(old: Any, new: Any, same: bool, notebook: Notebook) -> None:
    assert bool(notebook.compare(cell(glued("v", old)), cell(glued("v", new)))) is not same


def test_a_tolerance_holds_for_values_tables_and_texts(notebook: Notebook) -> None:
    old = cell(glued("v", 1000.0), shown(html=plain_table("place n", "A 1,000")), printed("of 1,000 calls"))
    old["outputs"].append(shown(plain="1,000 calls"))
    new = cell(glued("v", 1001.0), shown(html=plain_table("place n", "A 1,001")), printed("of 1,001 calls"))
    new["outputs"].append(shown(plain="1,001 calls"))
    changes = notebook.compare(old, new, tolerance=0.002)
    assert (bool(changes), changes.printed) == (False, ())
    changes = notebook.compare(old, new, tolerance=0.0001)
    assert (len(changes.values), len(changes.tables), len(changes.texts), len(changes.printed)) == (1, 1, 1, 1)


def test_cells_of_tables_are_told_by_row_and_column(notebook: Notebook) -> None:
    (table,) = notebook.compare(cell(shown(html=INDEXED.format(a=5))), cell(shown(html=INDEXED.format(a=7)))).tables
    assert table.cells == (("A", "calls / now", "5", "7"),)
    assert (table.where, table.compared) == ("cell 1", 4)


def test_rows_without_labels_are_known_by_what_tells_them_apart(notebook: Notebook) -> None:
    old = plain_table("n place calls", "1 A 10", "2 B 20")
    new = plain_table("n place calls texts", "1 B 20 5", "2 C 30 6")
    (table,) = notebook.compare(cell(shown(html=old)), cell(shown(html=new))).tables
    assert (table.rows_removed, table.rows_added, table.columns_added) == (("A",), ("C",), ("texts",))
    # B is in another row, and its calls are the same
    assert table.cells == (("B", "n", "2", "1"),)


def test_spanning_labels_hold_for_each_of_their_rows(notebook: Notebook) -> None:
    grouped = (
        "<table><thead><tr><th>unit</th><th>kind</th><th>n</th></tr></thead><tbody>"
        '<tr><th rowspan="2">A</th><th>in</th><td>1</td></tr><tr><th>out</th><td>{n}</td></tr></tbody></table>'
    )
    (table,) = notebook.compare(cell(shown(html=grouped.format(n=2))), cell(shown(html=grouped.format(n=3)))).tables
    assert table.cells == (("A / out", "n", "2", "3"),)


def test_texts_are_compared_line_by_line_and_warnings_are_not(notebook: Notebook) -> None:
    old = cell(printed("one\ntwo\n"), printed("at 12:00", "stderr"), shown(plain="<obj at 0x7f12ab34cd56>"))
    new = cell(printed("one\n2\n"), printed("at 13:00", "stderr"), shown(plain="<obj at 0x7f99ab34cd99>"))
    changes = notebook.compare(old, new)
    assert [(text.cell, text.lines) for text in changes.printed] == [(1, ("-two", "+2"))]
    # what is printed is no result
    assert not changes


def test_html_is_compared_by_its_words(notebook: Notebook) -> None:
    one, other = shown(html="<p style='a'>5 <b>calls</b></p>"), shown(html="<div>5</div>\n<i>calls</i>")
    assert not notebook.compare(cell(one), cell(other))
    assert notebook.compare(cell(one), cell(shown(html="<p>6 calls</p>"))).texts


def test_pictures_that_are_only_drawn_anew_are_the_same(notebook: Notebook) -> None:
    svg = '<svg><metadata>{date}</metadata><path id="m{id}" d="M 0 {y}"/></svg>'
    old = cell(shown(svg=svg.format(date="2026-01-01", id="0123456789", y=1)))
    assert not notebook.compare(old, cell(shown(svg=svg.format(date="2026-02-02", id="abcdef0123", y=1))))
    assert notebook.compare(old, cell(shown(svg=svg.format(date="", id="0123456789", y=2)))).pictures == (1,)
    assert notebook.compare(cell(shown(png="AAAA")), cell(shown(png="AAAB"))).pictures == (1,)


def test_cells_are_found_again_after_others_were_put_before_them(notebook: Notebook) -> None:
    old = [cell(shown(plain="a"), name="one"), cell(shown(plain="b"), name="two")]
    new = [cell(shown(plain="new"), name="zero"), old[0], cell(shown(plain="c"), name="two", source="y")]
    changes = notebook.compare(old, new)
    assert [(text.cell, text.lines) for text in changes.texts] == [(1, ("+new",)), (3, ("-b", "+c"))]
    assert changes.code == (1, 3)


def test_figures_that_one_can_interact_with_are_compared_by_what_draws_them(notebook: Notebook) -> None:
    def plotly(number: int) -> dict[str, Any]:
        return {"output_type": "display_data", "data": {"application/vnd.plotly.v1+json": {"data": [{"y": [number]}]}}}

    assert not notebook.compare(cell(plotly(1)), cell(plotly(1)))
    assert notebook.compare(cell(plotly(1)), cell(plotly(2))).pictures == (1,)
    drawn = '<div id="{id}"></div><script>draw("{id}", {n})</script>'
    ids = "0123abcd-0123-0123-0123-0123456789ab", "4567abcd-0123-0123-0123-0123456789ab"
    one, same, other = (shown(html=drawn.format(id=ids[at], n=n)) for at, n in ((0, 1), (1, 1), (1, 2)))
    assert not notebook.compare(cell(one), cell(same))
    assert notebook.compare(cell(one), cell(other)).pictures == (1,)


def test_when_a_notebook_was_executed_is_no_difference_and_a_time_in_data_is(tmp_path: Path) -> None:
    def executed(hour: int, data: str) -> Any:
        made = {"start_time": f"2026-11-26T{hour}:00:00+00:00", "end_time": f"2026-11-26T{hour}:01:00+00:00"}
        outputs = [glued("made", [f"2026-11-26 {hour}:00:30+00:00", data]), shown(plain=f"at 2026-11-26T{hour}:00Z")]
        path = tmp_path / "executed.ipynb"
        path.write_text(json.dumps({"cells": [cell(*outputs)], "metadata": {"papermill": made}}))
        return read_executed(path)

    old = executed(10, "2016-01-01 00:00")
    assert not compared(old, executed(15, "2016-01-01 00:00"))
    assert [each.name for each in compared(old, executed(15, "2016-01-02 00:00")).values] == ["made[1]"]


def test_other_code_or_parameters_alone_are_no_difference(notebook: Notebook) -> None:
    assert not notebook.compare(cell(printed("a"), source="x"), cell(printed("a"), source="y"))


@pytest.mark.parametrize(
    ("old", "new", "grown", "hundredths"),
    [
        (10, 15, 5.0, 50.0),
        ("1,234", "\N{MINUS SIGN}1,234.5", -2468.5, -200.0405),
        ("+0.9%", "+1.2%", 0.3, None),
        (0, 5, 5.0, None),
        ("2016-01-01", "2016-01-02", None, None),
        (True, False, None, None),
    ],
)
def test_numbers_are_told_however_they_are_written(
    old: Any, new: Any, grown: float | None, hundredths: float | None
) -> None:
    assert difference(old, new) == (grown if grown is None else pytest.approx(grown))
    assert percent(old, new) == (hundredths if hundredths is None else pytest.approx(hundredths, abs=1e-3))


@pytest.mark.parametrize("text", ["", "[]", '{"cells": [{}], "metadata": {}}', '{"cells": 5, "metadata": {}}'])
def test_what_is_no_notebook_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.ipynb").write_text(text)
    with pytest.raises(ValueError):  # noqa: PT011  # json has its own words
        read_executed(tmp_path / "x.ipynb")


def test_a_glued_data_frame_is_compared_as_a_table(notebook: Notebook) -> None:
    import pandas as pd
    from scrapbook.encoders import registry
    from scrapbook.scraps import Scrap

    def frame(n: int) -> dict[str, Any]:
        made = pd.DataFrame({"calls": [1, n]}, index=["A", "B"])
        encoded = registry.encode(Scrap("frame", made, "pandas"))
        return cell(glued("frame", encoded.data, "pandas"))

    (table,) = notebook.compare(frame(2), frame(3)).tables
    assert (table.where, table.cells) == ("glued frame", (("B", "calls", "2", "3"),))
