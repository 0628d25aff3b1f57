# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What goes by `keep`: old outputs, never the newest good one, and nothing that AutoFlow has not made."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from autoflow.definitions import Keep, Notebook, Workflow
from autoflow.model.retention import NotebookFiles, Removal, Sweeper, to_be_removed

NOW = dt.datetime(2016, 2, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def made(
    attempt_id: int, date: str, *, ok: bool = True, ended: dt.datetime | None = None, **known: object
) -> NotebookFiles:
    values: dict[str, object] = {
        "attempt_id": attempt_id,
        "label": "report",
        "reference_date": date,
        "parameters": "{}",
        "succeeded": ok,
        "replaced": False,
        "ended": ended or dt.datetime.fromisoformat(f"{date}T12:00:00+00:00"),
        "notebook": Path(f"/notebooks/{attempt_id}.ipynb"),
        "reports": (Path(f"/reports/{attempt_id}.pdf"), Path(f"/reports/{attempt_id}.json")) if ok else (),
        **known,
    }
    return NotebookFiles(**values)  # type: ignore[arg-type]


MONTH = [made(day, f"2016-01-{day:02}") for day in range(1, 31)]


def notebooks_of(removals: Sequence[Removal]) -> set[int]:
    return {removal.made.attempt_id for removal in removals if removal.notebook}


def reports_of(removals: Sequence[Removal]) -> set[int]:
    return {removal.made.attempt_id for removal in removals if removal.reports}


def test_by_default_everything_is_kept() -> None:
    assert to_be_removed(MONTH, Keep(), NOW) == []


def test_a_number_keeps_the_newest() -> None:
    removals = to_be_removed(MONTH, Keep(notebooks=3, reports=10), NOW)
    assert notebooks_of(removals) == set(range(1, 28))
    assert reports_of(removals) == set(range(1, 21))


def test_an_age_keeps_what_is_no_older() -> None:
    removals = to_be_removed(MONTH, Keep(reports=10 * DAY), NOW)
    assert reports_of(removals) == set(range(1, 22))
    assert notebooks_of(removals) == set()


def test_the_newest_good_one_stays_however_old() -> None:
    later_failure = made(31, "2016-01-31", ok=False)
    removals = to_be_removed([*MONTH, later_failure], Keep(notebooks=DAY, reports=DAY), NOW + 1000 * DAY)
    assert notebooks_of(removals) == reports_of(removals) == set(range(1, 30))


def test_the_newest_is_the_one_of_the_latest_date_and_not_the_one_made_last() -> None:
    backfill = made(99, "2015-06-01", ended=NOW)
    removals = to_be_removed([*MONTH, backfill], Keep(reports=1), NOW)
    assert 30 not in reports_of(removals)
    assert 99 in reports_of(removals)


def test_each_set_of_parameters_and_each_notebook_has_its_own_newest() -> None:
    others = [made(41, "2016-01-01", parameters='{"unit": "admin2"}'), made(42, "2016-01-01", label="other")]
    assert not {41, 42} & reports_of(to_be_removed([*MONTH, *others], Keep(reports=1), NOW))


def test_failed_attempts_go_by_their_own_amount_and_their_record_only_once_the_run_has_succeeded() -> None:
    open_failure = made(1, "2016-01-01", ok=False)
    replaced = made(2, "2016-01-02", ok=False, replaced=True)
    success = made(3, "2016-01-02")
    removals = to_be_removed([open_failure, replaced, success], Keep(attempts=7 * DAY, notebooks=1), NOW)
    by_id = {removal.made.attempt_id: removal for removal in removals}
    assert by_id.keys() == {1, 2}
    assert by_id[1].notebook
    # what is left of it says when it is tried again
    assert not by_id[1].record
    assert by_id[2].record


@pytest.mark.parametrize("amount", [1, 2, 3, DAY])
def test_what_latest_leads_to_stays_however_often_the_run_is_made_again_and_held(amount: int | dt.timedelta) -> None:
    good = [made(1, "2016-01-20"), made(2, "2016-01-21")]
    old = [made(3, "2016-01-20", held=True), made(4, "2016-01-21", held=True)]
    newest = [made(5, "2016-01-20", held=True, in_use=True), made(6, "2016-01-21", held=True, in_use=True)]
    keep = Keep(reports=amount, notebooks=amount)
    removals = to_be_removed([*good, *old, *newest], keep, NOW)
    # what is held pushes out no good one, and goes by its place among all
    gone = {1: {1, 3, 4}, 2: {3}, 3: {3}, DAY: {1, 3, 4}}[amount]
    assert reports_of(removals) == notebooks_of(removals) == gone


@dataclass
class Shelf:
    """A record of what was made."""

    content: list[NotebookFiles]

    def made_by(self, workflow: str) -> list[NotebookFiles]:
        return self.content

    def is_in_use(self, attempt_id: int) -> bool:
        return False


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    path = tmp_path / "reports"
    path.mkdir()
    return path


def sweep(reports: Path, *files: Path) -> int:
    content = [
        made(1, "2016-01-01", notebook=None, reports=files),
        made(2, "2016-01-02", notebook=None, reports=(reports / "new.pdf",)),
    ]
    workflow = Workflow("w", (Notebook("report", filename="r.ipynb"),), keep=Keep(reports=1))
    return Sweeper(Shelf(content), (reports,)).sweep({"w": workflow}, NOW).removed


def write(path: Path, when: dt.datetime) -> Path:
    path.write_text("x")
    os.utime(path, (when.timestamp(), when.timestamp()))
    return path


def test_old_files_go_and_those_that_are_gone_already_are_no_trouble(reports: Path) -> None:
    old = write(reports / "old.pdf", dt.datetime(2016, 1, 1, 11, tzinfo=dt.UTC))
    assert sweep(reports, old, reports / "old.html") == 1
    assert not old.exists()


def test_nothing_that_another_has_made_is_removed(reports: Path) -> None:
    before = dt.datetime(2016, 1, 1, 11, tzinfo=dt.UTC)
    outside = write(reports.parent / "outside.pdf", before)
    changed = write(reports / "changed.pdf", NOW)
    precious = write(reports.parent / "precious.pdf", before)
    link = reports / "link.pdf"
    link.symlink_to(precious)
    directory = reports / "directory.pdf"
    directory.mkdir()
    beside = write(reports / "beside.pdf", before)
    assert sweep(reports, outside, changed, link, directory) == 0
    assert all(path.exists() for path in (outside, changed, precious, link, directory, beside))


def test_what_would_go_can_be_asked_without_anything_going(reports: Path) -> None:
    old = write(reports / "old.pdf", dt.datetime(2016, 1, 1, 11, tzinfo=dt.UTC))
    shelf = Shelf([made(1, "2016-01-01", notebook=None, reports=(old,)), made(2, "2016-01-02")])
    workflow = Workflow("w", (Notebook("report", filename="r.ipynb"),), keep=Keep(reports=1))
    (removal,) = Sweeper(shelf, (reports,)).decide({"w": workflow}, NOW)
    assert removal.files == (old,)
    assert old.exists()


def test_names_for_people_go_with_what_they_lead_to(reports: Path) -> None:
    old = write(reports / "old.pdf", dt.datetime(2016, 1, 1, 11, tzinfo=dt.UTC))
    place = reports / "by-date" / "w" / "2016-01-01"
    place.mkdir(parents=True)
    (place / "link.pdf").symlink_to("../../../old.pdf")
    (place / "copy.pdf").write_bytes(old.read_bytes())
    kept = reports / "by-date" / "w" / "2016-01-02"
    kept.mkdir()
    (kept / "link.pdf").symlink_to("../../../new.pdf")
    assert sweep(reports, old, reports / "old.html") == 1
    assert not place.exists()
    assert (kept / "link.pdf").is_symlink()
