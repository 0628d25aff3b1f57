# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Outputs' final names, and the links to the newest reports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autoflow.outputs import Outputs


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    (tmp_path / "reports").mkdir()
    return Outputs(tmp_path / "notebooks", tmp_path / "reports")


def publish(outputs: Outputs, name: str, date: str) -> Path:
    path = outputs.reports / f"{name}.pdf"
    path.write_text(name)
    path.with_suffix(".json").write_text(json.dumps({"reference_date": date}))
    outputs.point("w.pdf", path, date)
    return (outputs.reports / "latest" / "w.pdf").resolve()


def test_the_link_follows_the_reference_date_and_not_the_order_of_making(outputs: Outputs) -> None:
    assert publish(outputs, "first", "2016-01-02").name == "first.pdf"
    assert publish(outputs, "second", "2016-01-03").name == "second.pdf"
    assert publish(outputs, "backfill", "2015-01-01").name == "second.pdf"
    assert publish(outputs, "again", "2016-01-03").name == "again.pdf"


def test_a_link_that_leads_nowhere_is_replaced(outputs: Outputs) -> None:
    publish(outputs, "first", "2016-01-02").unlink()
    assert publish(outputs, "second", "2015-01-01").name == "second.pdf"
    (outputs.reports / "second.json").write_text("{")
    assert publish(outputs, "third", "2014-01-01").name == "third.pdf"


def test_links_are_relative_so_that_the_directory_can_be_moved(outputs: Outputs, tmp_path: Path) -> None:
    publish(outputs, "first", "2016-01-02")
    moved = outputs.reports.rename(tmp_path / "elsewhere")
    assert (moved / "latest" / "w.pdf").read_text() == "first"


def test_what_is_made_at_a_time_gets_one_stem(outputs: Outputs) -> None:
    (outputs.reports / "x.html").touch()
    pdf, html = outputs.reserve_all(outputs.reports, "x", (".pdf", ".html"))
    assert (pdf.name, html.name) == ("x-2.pdf", "x-2.html")
    assert outputs.reserve(outputs.reports, "x", ".pdf").name == "x.pdf"
    assert outputs.reserve(outputs.reports, "x", ".pdf").name == "x-3.pdf"
