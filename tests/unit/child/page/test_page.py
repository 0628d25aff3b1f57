# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Pages: what is shown of hostile text, and months of ten years."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from autoflow.child.page.page import policy_for
from autoflow.child.page.shared import Links, environment, legible
from autoflow.child.page.workflow_page import history
from autoflow.dates.days import Days
from autoflow.definitions import Trigger
from autoflow.overview.states import Row, RunState
from autoflow.runs.runs import Failure


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain äöü 漢字 عربي", "plain äöü 漢字 عربي"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}fdp.exe", "\\u202efdp.exe"),
        ("a\x00b\rc", "a\\x00b\\rc"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\ud800", "\\ud800"),
        ("\N{ZERO WIDTH SPACE}", "\\u200b"),
    ],
)
def test_text_is_shown_as_what_it_is(text: str, shown: str) -> None:
    assert legible(text) == shown


def test_text_without_an_end_has_one() -> None:
    assert len(legible("x" * 1_000_000)) < 30_000


def test_text_that_comes_from_an_object_is_shown_as_what_it_is_too() -> None:
    failure = Failure("\N{RIGHT-TO-LEFT OVERRIDE}fdp.exe")
    assert environment().from_string("{{ failure }}").render(failure=failure) == "\\u202efdp.exe"


def test_all_that_a_template_is_given_is_escaped() -> None:
    template = environment().from_string('<a title="{{ value }}">{{ value }}</a>')
    rendered = template.render(value="\"'><script>")
    assert rendered.count("<") == 2
    assert rendered.count('"') == 2


def test_the_policy_allows_the_one_style_sheet_and_no_script() -> None:
    policy = policy_for("p {}")
    assert "style-src 'sha256-" in policy
    assert "script" not in policy
    assert policy != policy_for("q {}")


def test_links_lead_to_files_that_are_there(tmp_path: Path) -> None:
    notebooks, reports = tmp_path / "notebooks", tmp_path / "reports"
    for directory in (notebooks, reports):
        directory.mkdir()
    name = "javascript:alert(1) #?%.pdf"
    (reports / name).touch()
    (notebooks / "n.ipynb").touch()
    served, beside = Links(notebooks, reports, "./"), Links(notebooks, reports, None)
    assert served.file(str(reports / name)) == "./reports/javascript%3Aalert%281%29%20%23%3F%25.pdf"
    assert beside.file(str(reports / name)) == "javascript%3Aalert%281%29%20%23%3F%25.pdf"
    assert beside.file(str(notebooks / "n.ipynb")) == "../notebooks/n.ipynb"
    assert (served.view(str(notebooks / "n.ipynb")), beside.view(str(notebooks / "n.ipynb"))) == (
        "./view/n.ipynb",
        None,
    )
    for path in (None, str(reports / "gone.pdf"), "/etc/passwd", str(tmp_path / "reports")):
        assert served.file(path) is None


def test_a_month_shows_the_worst_of_its_days_and_counts_them_all() -> None:
    first, last = dt.date(2016, 1, 30), dt.date(2025, 12, 30)
    start, end = first.toordinal(), last.toordinal() + 1
    succeeded = Days(((start, start + 1), (start + 3, end)))
    odd = {RunState.FAILED: Days.of([start + 1]), RunState.WAITING: Days.of([start + 2])}
    row = Row(Trigger("w"), first, last, {RunState.SUCCEEDED: succeeded, **odd}, {})
    parts = list(history(Links(Path("/n"), Path("/r"), "./"), [row], first, last))
    assert [part.years for part in parts] == [
        [(2022, 12), (2023, 12), (2024, 12), (2025, 12)],
        [(2018, 12), (2019, 12), (2020, 12), (2021, 12)],
        [(2016, 12), (2017, 12)],
    ]
    january, february, *_ = parts[-1].rows[0]
    assert (january.sign, january.title) == ("F", "2016-01: 1 failed, 1 succeeded")
    assert (february.sign, february.title) == ("w", "2016-02: 1 waiting, 28 succeeded")
    assert parts[0].rows[0][-1].title == "2025-12: 30 succeeded"
