# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Drawings: each notebook right of what it reads, slow runs marked, and no text that is markup."""

from __future__ import annotations

import datetime as dt
import re
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

from autoflow.child.page.drawing import Length, durations, graph, marked

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
HOSTILE = "</svg><script>alert('\\'1\")</script>"


def lengths(*seconds: float) -> list[Length]:
    return marked(
        [
            Length(number, START + dt.timedelta(days=number), each, f"runs/{number}")
            for number, each in enumerate(seconds)
        ]
    )


def places(drawing: str) -> dict[str, float]:
    root = ElementTree.fromstring(drawing)
    return {group[0].text or "": float(group[1].get("x") or 0) for group in root.iter("g")}


def test_each_notebook_stands_right_of_all_that_it_reads() -> None:
    at = places(graph({"report": {"clean", "query"}, "query": set(), "clean": {"query"}, "alone": set()}))
    assert at["query"] == at["alone"] < at["clean"] < at["report"]


def test_text_in_a_drawing_is_text() -> None:
    drawing = graph({HOSTILE: set(), "b": {HOSTILE}})
    assert "<script" not in drawing
    assert HOSTILE in places(drawing)


def test_runs_that_take_more_than_twice_as_long_as_usual_are_marked_and_lead_to_their_pages() -> None:
    found = lengths(60, 61, 59, 60, 300, 62)
    assert [each.run for each in found if each.slow] == [4]
    drawing = durations(found, ZoneInfo("UTC"))
    assert re.findall(r'<a href="([^"]*)"', drawing) == ["runs/4"]
    assert drawing.count("<circle") == 5
    ElementTree.fromstring(drawing)


def test_one_run_and_runs_that_take_no_time_can_be_drawn() -> None:
    for seconds in ((0.0,), (0.0, 0.0), (5.0,)):
        ElementTree.fromstring(durations(lengths(*seconds), ZoneInfo("Africa/Accra")))
    assert marked([]) == []
