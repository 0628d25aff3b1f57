# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Outputs' final names, and the links to the newest reports."""

from __future__ import annotations

import datetime as dt
import errno
import json
import os
import signal
from pathlib import Path

import pytest

from autoflow.context.outputs import Outputs
from autoflow.definitions import Trigger, Workflow
from autoflow.naming import dated_names, latest_stems
from autoflow.runs.runs import build_run


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    (tmp_path / "reports").mkdir()
    return Outputs(tmp_path / "notebooks", tmp_path / "reports")


STEMS = "w", "w-own"


def publish(
    outputs: Outputs, name: str, date: str, stems: tuple[str, str] = STEMS, suffix: str = ".pdf", **about: object
) -> Path:
    path = outputs.reports / f"{name}{suffix}"
    path.write_text(name)
    manifest = path.with_suffix(".json")
    known = {"workflow": "w", "notebook": "report", "parameters": {"reference_date": date}}
    manifest.write_text(json.dumps({"reference_date": date, **known, **about}))
    outputs.point(stems, [path, manifest])
    return (outputs.reports / "latest" / f"w{suffix}").resolve()


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


SAME = {"a b": "a_b", "r/": "r_", "x" * 80 + "1": "x" * 80 + "2", "...": "....", "é": "é/", "A": "B"}


@pytest.mark.parametrize(("one", "other"), SAME.items())
def test_names_that_come_to_the_same_have_links_of_their_own(outputs: Outputs, one: str, other: str) -> None:
    trigger = Trigger("", {}, dt.date(2016, 1, 1))
    runs = [build_run(Workflow(name, ()), trigger, dt.date(2016, 1, 1)) for name in (one, other)]
    for date in ("2016-01-02", "2016-01-03"):
        for number, run in enumerate(runs):
            stems, name = latest_stems(run, "label"), run.workflow.name
            publish(outputs, f"{date}-{number}", date, stems, ".html" if number else ".pdf", workflow=name)
    plain, own = latest_stems(runs[0], "label")[0], latest_stems(runs[1], "label")
    assert own[1] != latest_stems(runs[0], "label")[1]
    second = own[1] if own[0] == plain else own[0]
    links = {path.name: path.resolve().name for path in (outputs.reports / "latest").iterdir()}
    # a page and the manifest beside it are of one report
    assert links == {
        f"{plain}.pdf": "2016-01-03-0.pdf",
        f"{plain}.json": "2016-01-03-0.json",
        f"{second}.html": "2016-01-03-1.html",
        f"{second}.json": "2016-01-03-1.json",
    }


def test_labels_and_parameters_have_links_of_their_own_too(outputs: Outputs) -> None:
    publish(outputs, "1", "2016-01-02")
    publish(outputs, "2", "2016-01-02", ("w", "w-2"), notebook="other")
    publish(outputs, "3", "2016-01-02", ("w", "w-3"), parameters={"unit": 1})
    publish(outputs, "4", "2016-01-03")
    links = {path.name: path.resolve().stem for path in (outputs.reports / "latest").glob("*.pdf")}
    assert links == {"w.pdf": "4", "w-2.pdf": "2", "w-3.pdf": "3"}


def test_names_that_are_one_where_case_does_not_count_are_not_promised_twice(outputs: Outputs) -> None:
    stems = "Flows", "flows", "Stra\u00dfe", "STRASSE"
    names = [outputs.reserve(outputs.reports, stem, ".pdf").name for stem in stems]
    assert names == ["Flows.pdf", "flows-2.pdf", "Stra\u00dfe.pdf", "STRASSE-2.pdf"]
    outputs.release(outputs.reports / "flows-2.pdf")
    assert outputs.reserve(outputs.reports, "FLOWS", ".pdf").name == "FLOWS-2.pdf"


def test_reports_have_names_for_people_by_workflow_and_date(outputs: Outputs, monkeypatch: pytest.MonkeyPatch) -> None:
    trigger = Trigger("Flows/of DRC", {"unit": "admin2"})
    run = build_run(Workflow("Flows/of DRC", ()), trigger, dt.date(2016, 1, 2))
    place, stems = dated_names(run, "report")
    for name in ("first", "again"):
        publish(outputs, name, "2016-01-02")
        outputs.file(place, stems, [outputs.reports / f"{name}.pdf", outputs.reports / f"{name}.json"])
        if name == "first":
            continue
        # as on a share without links
        monkeypatch.setattr(Path, "symlink_to", lambda *_: (_ for _ in ()).throw(PermissionError()))
        outputs.file(place, ("copied", "copied-own"), [outputs.reports / "again.pdf", outputs.reports / "again.json"])
    directory = outputs.reports / "by-date" / "Flows_of_DRC" / "2016-01-02"
    names = {path.name: path.read_text() for path in directory.glob("*.pdf")}
    assert names == {"report-admin2.pdf": "again", "copied.pdf": "again"}
    assert not (directory / "copied.pdf").is_symlink()


def refuse(*_: object) -> None:
    raise PermissionError


@pytest.mark.parametrize("links", [True, False], ids=["links", "a share without links"])
@pytest.mark.parametrize("step", range(5))
def test_names_are_right_after_a_kill_between_any_of_their_steps(
    outputs: Outputs, monkeypatch: pytest.MonkeyPatch, step: int, *, links: bool
) -> None:
    if not links:
        monkeypatch.setattr(Path, "symlink_to", refuse)
    publish(outputs, "first", "2016-01-02")
    file_all(outputs, "first")
    if (child := os.fork()) == 0:
        kill_before(step)
        publish(outputs, "second", "2016-01-03")
        file_all(outputs, "second")
        os._exit(0)
    killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert killed == (-signal.SIGKILL if step < 4 else 0)
    for directory in (outputs.reports / "latest", outputs.reports / "by-date" / "w" / "day"):
        # whoever looks sees whole files all the time
        assert {path.read_text() for path in directory.glob("*.pdf")} <= {"first", "second"}
    outputs.sweep()
    assert not list(outputs.reports.rglob(".*"))
    # the run was interrupted, and is made again
    publish(outputs, "third", "2016-01-03")
    file_all(outputs, "third")
    shown = {path.read_text() for path in outputs.reports.glob("latest/*.pdf")}
    shown |= {path.read_text() for path in outputs.reports.glob("by-date/w/day/*.pdf")}
    assert shown == {"third"}


def file_all(outputs: Outputs, name: str) -> None:
    outputs.file("w/day", STEMS, [outputs.reports / f"{name}.pdf", outputs.reports / f"{name}.json"])


def kill_before(step: int) -> None:
    """End this process before a name is replaced, after so many that were."""
    replace, left = Path.replace, [step]

    def or_die(path: Path, target: Path) -> Path:
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
        return replace(path, target)

    Path.replace = or_die  # type: ignore[method-assign, assignment]


def test_a_copy_that_cannot_be_finished_leaves_nothing(outputs: Outputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "symlink_to", refuse)

    def begin(_: Path, target: Path) -> None:
        target.write_text("par")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", begin)
    with pytest.raises(OSError, match="No space"):
        publish(outputs, "first", "2016-01-02")
    assert list((outputs.reports / "latest").iterdir()) == []
