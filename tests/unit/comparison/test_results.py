# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Whether a notebook that was executed again shows what it showed: results count, what it prints does not."""

from __future__ import annotations

from typing import Any

import pytest

from autoflow.comparison import same_results

GLUED = {"application/scrapbook.scrap.json+json": {"name": "people", "data": 5000, "encoder": "json", "version": 1}}
STYLED = '<style>#T_{0}_row0 {{}}</style><table id="T_{0}"><tr><td>{1}</td></tr></table>'

MAP = '<div id="map_{0}"></div><script>var map_{0} = L.map("map_{0}");</script>'


def executed(*outputs: dict[str, Any], hour: int = 10, **cell: Any) -> dict[str, Any]:
    made = {"start_time": f"2026-11-26T{hour}:00:00.5+00:00", "end_time": f"2026-11-26T{hour}:00:30+00:00"}
    cells = [{"cell_type": "code", "metadata": {}, "source": "x", "outputs": list(outputs), **cell}]
    return {"cells": cells, "metadata": {"papermill": {**made, "parameters": {"data_version": str(hour)}}}}


def shown(data: dict[str, Any] | str, kind: str = "text/plain") -> dict[str, Any]:
    return {"output_type": "display_data", "metadata": {}, "data": data if isinstance(data, dict) else {kind: data}}


def printed(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text}


def people(number: int) -> dict[str, Any]:
    return shown({kind: {**scrap, "data": number} for kind, scrap in GLUED.items()})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (people(5000), people(5000)),
        (shown(STYLED.format("0a1b2", 7), "text/html"), shown(STYLED.format("ffee0", 7), "text/html")),
        (shown(MAP.format("0a" * 16), "text/html"), shown(MAP.format("1b" * 16), "text/html")),
        (shown("iVBOR", "image/png"), shown("iVBOR", "image/png")),
        (shown("<Axes at 0x7f00aa00aa00>"), shown("<Axes at 0x7f11bb11bb11>")),
        # when it was made, in this zone or another, to the minute or more precisely
        (shown("Made at 2026-11-26 10:00:12", "text/markdown"), shown("Made at 2026-11-26 15:00:29", "text/markdown")),
        (shown("2026-11-26T11:00+01:00 made"), shown("2026-11-26T16:00+01:00 made")),
        # lists of lines are what is in files
        (shown({"text/html": ["<b>", "1</b>"]}), shown({"text/html": "<b>1</b>"})),
    ],
)
def test_the_same_results_are_the_same_whenever_they_were_made(old: Any, new: Any) -> None:
    one = executed(old, printed("at 10 o'clock"), hour=10, execution_count=3)
    assert same_results(one, executed(old, printed("at 15 o'clock"), hour=10)) is True
    assert same_results(one, executed(new, printed("at 15 o'clock"), hour=15)) is True


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (people(5000), people(3003)),
        (shown(STYLED.format("0a1b2", 7), "text/html"), shown(STYLED.format("0a1b2", 8), "text/html")),
        (shown("iVBOR", "image/png"), shown("iVBOS", "image/png")),
        (shown("(5000, 2)"), shown("(3003, 2)")),
        (shown("**5000** people", "text/markdown"), shown("**3003** people", "text/markdown")),
        # a time in the data is one of the results
        (shown("until 2016-01-03 23:59:57"), shown("until 2016-01-03 11:59:57")),
        (shown("5"), printed("5")),
    ],
)
def test_other_results_are_others(old: Any, new: Any) -> None:
    assert same_results(executed(people(1), old), executed(people(1), new, hour=15)) is False


def test_a_notebook_that_shows_nothing_has_no_results() -> None:
    widget = shown({"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "0%"})
    quiet = executed(printed("done"), widget)
    assert same_results(quiet, quiet) is None
    assert same_results(executed(), {"cells": [{"cell_type": "markdown", "source": "# A"}], "metadata": {}}) is None
    assert same_results(quiet, executed(people(1))) is False
