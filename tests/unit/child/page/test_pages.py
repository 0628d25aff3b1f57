# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What pages say of a record: the first glance, the table of dates, causes of failures, months as files."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from autoflow.child.page.failures import failing
from autoflow.child.page.health_line import HealthLine, health_line
from autoflow.child.page.month_page import month_page
from autoflow.child.page.page import make
from autoflow.child.page.runs_page import PAGE, runs_page
from autoflow.child.page.shared import Links, NotFoundError, PageRequest
from autoflow.child.page.status_page import status_page
from autoflow.dates import DateStencil, Override
from autoflow.definitions import Definitions, Late, Notebook, Retries, Trigger, Workflow
from autoflow.history import Skip
from autoflow.model.store import RunStore
from autoflow.quality.outcomes import blocks_of
from autoflow.redaction import Redactor
from autoflow.runs.runs import AttemptState, Failure, Run, build_run
from autoflow.settings import Places
from autoflow.wording import CACHE_DOUBT

NOW = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
NOTEBOOK = Notebook("report", filename="report.ipynb")
FLOWS = Workflow("flows", notebooks=(NOTEBOOK,), retries=Retries(attempts=2))
DEFINITIONS = Definitions(
    {"flows": FLOWS},
    (Trigger("flows", {"unit": "a"}, earliest_date=dt.date(2026, 1, 20)), Trigger("flows", {"unit": "b"})),
    schedule="0 * * * *",
    timezone="Africa/Maputo",
)


@dataclass
class Record:
    """A record, and the pages that are made of it."""

    store: RunStore
    places: Places
    definitions: Definitions = DEFINITIONS
    said: dict[str, Any] = field(
        default_factory=lambda: {"problems": [], "progress": [], "doing": "", "next_tick": None, "name": "home"}
    )

    def list_dates(self, first: dt.date, days: int) -> list[dt.date]:
        dates = [first + number * DAY for number in range(days)]
        self.store.record_poll({"calls": [f"{date}" for date in dates]}, NOW - dt.timedelta(hours=1))
        return dates

    def made(self, date: dt.date, trigger: int = 0, failure: Failure | None = None, reports: Sequence[str] = ()) -> int:
        run = build_run(FLOWS, self.definitions.triggers[trigger], date)
        attempt = self.store.begin(run, NOW - 2 * DAY)
        for label in reports:
            report = self.places.reports / f"{label}__{date}_{trigger}_{attempt.attempt}.pdf"
            report.touch()
            self.store.begin_notebook(attempt, label, NOW - 2 * DAY)
            self.store.record_report(attempt, label, report)
            self.store.finish_notebook(attempt, label, AttemptState.SUCCEEDED, NOW - 2 * DAY)
        self.store.finish(attempt, AttemptState.FAILED if failure else AttemptState.SUCCEEDED, NOW - 2 * DAY, failure)
        return attempt.run

    def made_again(self, number: int, run: Run) -> None:
        """Make a run again with the same results, and keep its report out of latest."""
        old = self.store.read.attempts_of(number)[-1]
        self.store.ask_for([run], NOW)
        attempt = self.store.begin(run, NOW)
        self.store.note_same_results(attempt, old.id, NOW, hold=True)
        self.store.finish(attempt, AttemptState.SUCCEEDED, NOW)
        self.store.begin_notebook(attempt, "report", NOW)
        report = self.places.reports / "again.pdf"
        report.touch()
        self.store.record_report(attempt, "report", report)

    def page(self, tmp_path: Path, **asked: Any) -> str:
        """Make a page, and read it."""
        self.work(tmp_path / "made", **asked)
        return (tmp_path / "made" / "page.html").read_text()

    def request(self, base: str | None = "./", **asked: Any) -> PageRequest:
        links = Links(self.places.notebooks, self.places.reports, base)
        return PageRequest({**self.said, **asked}, self.store.read, self.definitions, NOW, links)

    def health(self, **asked: Any) -> HealthLine:
        page = self.request(**asked)
        return health_line(page, failing(page), page.reader.stale_summary())

    def status(self, base: str | None = "./") -> dict[str, Any]:
        return status_page(self.request(base))[1]

    def work(self, workspace: Path, **asked: Any) -> dict[str, Any]:
        workspace.mkdir(exist_ok=True)
        places = {
            "outputs_dir": str(self.places.outputs),
            "notebooks_dir": str(self.places.notebooks),
            "reports_dir": str(self.places.reports),
        }
        request = {"db": str(self.store.path), "now": NOW.isoformat(), **places, **self.said, **asked}
        return make(request, self.definitions, workspace, Redactor.of(None))


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    places = Places.below(tmp_path)
    for directory in (places.notebooks, places.reports):
        directory.mkdir(exist_ok=True)
    store = RunStore(tmp_path / "autoflow.db", places)
    yield Record(store, places)
    store.close()


def test_all_is_well_when_nothing_is_wrong_and_red_when_something_keeps_autoflow_from_its_work(record: Record) -> None:
    record.made(record.list_dates(dt.date(2026, 3, 8), 1)[0])
    assert (record.health().level, record.health().complaints) == ("green", [])
    problem = {"name": "tick", "text": "FlowAPI is gone", "since": (NOW - DAY).isoformat(), "urgent": True}
    found = record.health(problems=[{**problem, "name": "latest", "urgent": False}, problem])
    assert (found.level, [each.text for each in found.complaints]) == ("red", ["FlowAPI is gone"] * 2)
    assert found.complaints[0].urgent
    assert found.complaints[0].since == NOW - DAY
    assert "autoflow doctor" in found.complaints[0].advice


@pytest.mark.parametrize(("days", "level"), [(15, "green"), (13.9, "amber"), (0.1, "amber"), (-1, "amber")])
def test_a_token_that_ends_within_two_weeks_needs_attention(record: Record, days: float, level: str) -> None:
    found = record.health(token_expires=(NOW + days * DAY).isoformat())
    assert found.level == level
    assert all("FLOWAPI_TOKEN" in each.text and "FlowAuth" in each.advice for each in found.complaints)


def test_failures_are_counted_by_date_and_by_cause_with_the_users_own_line(record: Record) -> None:
    dates = record.list_dates(dt.date(2026, 3, 1), 4)
    text = "Cell In[3], line 2\n      1 x = 1\n----> 2 raise ValueError(x)\n\nValueError: 1"
    failure = Failure("1", "report", 3, "ValueError", text)
    for date in dates[:2]:
        record.made(date, failure=failure)
    record.made(dates[2], failure=replace(failure, cell=4))
    record.made(dates[2], failure=replace(failure, cell=4))
    (complaint,) = record.health().complaints
    assert complaint.text == "2 dates failing, 1 date given up, by 2 causes."
    causes = record.status()["failures"]
    assert {(each["where"], each["dates"], each["given_up"]) for each in causes} == {
        ("report, cell 3", "2 dates: 2026-03-01 to 2026-03-02", 0),
        ("report, cell 4", "Date: 2026-03-03", 1),
    }
    assert {each["own_line"].code for each in causes} == {"raise ValueError(x)"}
    commands = [command for each in causes for _, command in each["commands"]]
    assert "autoflow runs --workflow flows --state failed" in commands
    assert any(command.startswith("autoflow rerun") for command in commands)


def test_stale_runs_need_attention_until_somebody_keeps_them_and_their_reports_are_marked(
    record: Record, tmp_path: Path
) -> None:
    (date,) = record.list_dates(dt.date(2026, 3, 8), 1)
    number = record.made(date, reports=["report"])
    store, run = record.store, build_run(FLOWS, DEFINITIONS.triggers[0], date)
    for rows in ("5", "6"):
        store.record_outcomes({"calls": {"count_added_rows": {"2026": blocks_of({f"{date}": rows})["2026"]}}}, NOW)
    store.mark_stale([run.key], 1, NOW - DAY)
    (complaint,) = record.health().complaints
    assert complaint.text == "1 run is stale: the data have changed since."
    assert (complaint.advice.startswith("autoflow rerun --stale"), complaint.link) == (True, "#stale")
    # made again, it shows what it showed
    record.made_again(number, run)
    (complaint,) = record.health().complaints
    assert complaint.text.startswith(f"1 run is stale. 1 run has the same results as before: {CACHE_DOUBT}.")
    assert "Reports of 1 run are kept out of latest." in complaint.text
    status = record.status()
    assert ("~", "stale", "stale", 1) in status["totals"]
    (stale,) = status["stale"]
    assert stale["why"] == "data of 2026-03-08 ingested anew; same results as attempt 1; kept out of latest"
    record.work(tmp_path / "page", page="status", base="./")
    html = (tmp_path / "page" / "page.html").read_text()
    same = "same results as attempt 1, although the data changed; kept out of latest"
    assert [html.count(f"<small>{words}</small>") for words in (same, "superseded")] == [1, 1]
    record.work(tmp_path / "run", page="run", run=f"{number}", base="./")
    html = (tmp_path / "run" / "page.html").read_text()
    assert "puts its reports into latest" in html
    assert "<small>same results as attempt 1, although the data changed; kept out of latest</small>" in html
    record.work(tmp_path / "why", page="why", workflow="flows", date=f"{date}", trigger="", base="./")
    for page in ("page", "why"):
        assert "<code>reset_cache</code>" in (tmp_path / page / "page.html").read_text()
    store.keep([number], "nobody called", NOW)
    assert (record.health().level, record.status()["stale"]) == ("green", [])


def test_the_pages_of_a_provisional_run_say_what_holds_the_missing_date_and_how_to_let_it_count(
    record: Record, tmp_path: Path
) -> None:
    trigger = Trigger("flows", date_stencil=DateStencil.parse([{"from": -1, "to": 1}]), late=Late(0 * DAY))
    record.definitions = replace(DEFINITIONS, triggers=(trigger,))
    missing, date = record.list_dates(dt.date(2026, 3, 1), 2)
    record.store.override([Override("flows", missing, False, "is sent again", NOW)])
    attempt = record.store.begin(build_run(FLOWS, trigger, date), NOW, [missing])
    record.store.finish(attempt, AttemptState.SUCCEEDED, NOW)
    for asked in ({"page": "run", "run": "1"}, {"page": "why", "workflow": "flows", "date": f"{date}", "trigger": ""}):
        record.work(tmp_path / asked["page"], base="./", **asked)
        html = (tmp_path / asked["page"] / "page.html").read_text()
        assert f"it will run again when {missing} is available; {missing} is held since" in html
        assert f"<code>autoflow unhold flows {missing}</code> leaves the data of {missing} to QA checks again" in html
        assert f"<code>autoflow accept flows {missing} --reason TEXT</code> lets them count" in html


def test_pages_lead_to_the_report_that_latest_has_and_say_that_a_newer_one_is_kept_out_of_it(
    record: Record, tmp_path: Path
) -> None:
    (date,) = record.list_dates(dt.date(2026, 3, 8), 1)
    number = record.made(date, reports=["report"])
    record.made_again(number, build_run(FLOWS, DEFINITIONS.triggers[0], date))
    first, again = f"report__{date}_0_1.pdf", "again.pdf"
    for base, root in (("./", "./reports/"), (None, "")):
        cell = record.status(base)["recent"].rows[0].cells[-1]
        assert (cell.sign, cell.link) == ("~", f"{root}{first}")
        assert cell.title == f"{date}: succeeded, stale, report; a newer one is kept out of latest"
    for asked in (
        {"page": "month", "month": "2026-03"},
        {"page": "workflow", "workflow": "flows"},
        {"page": "why", "trigger": "0", "workflow": "", "date": f"{date}"},
    ):
        root = "../reports" if asked["page"] == "month" else "./reports"
        html = record.page(tmp_path, **asked)
        led = rf'<a href="{root}/{first}"><bdi>report</bdi></a> *<span class="badge stale">stale</span>'
        assert re.search(rf'{led}\s*<small>newer, kept out of latest: <a href="{root}/{again}">', html), asked
    assert 'Latest has the reports of <a href="../runs/1.1">attempt 1.1</a>' in record.page(
        tmp_path, page="run", run=f"{number}"
    )
    # the months are written again when that is over
    before = record.store.read.months_of_reports()
    record.store.keep([number], "nobody called", NOW)
    record.store.noted_kept(record.store.read.attempts_of(number)[-1].id)
    assert record.store.read.months_of_reports() != before
    cell = record.status()["recent"].rows[0].cells[-1]
    assert (cell.sign, cell.link, cell.title) == ("✓", f"./reports/{again}", f"{date}: succeeded, report")


def test_a_report_that_is_kept_out_of_latest_is_none_of_its_own_where_no_other_is_left(
    record: Record, tmp_path: Path
) -> None:
    (date,) = record.list_dates(dt.date(2026, 3, 8), 1)
    number = record.made(date)
    record.made_again(number, build_run(FLOWS, DEFINITIONS.triggers[0], date))
    found = record.store.read.reports_of_run(number)
    assert found is not None
    assert (found.paths, [Path(path).name for path in found.kept_out.values()]) == ({}, ["again.pdf"])
    cell = record.status()["recent"].rows[0].cells[-1]
    assert (cell.link, cell.title) == (
        f"./runs/{number}",
        f"{date}: succeeded, stale; its report is kept out of latest",
    )
    html = record.page(tmp_path, page="workflow", workflow="flows", base="./")
    assert '<small>kept out of latest: <a href="./reports/again.pdf">' in html
    assert "Latest has the reports" not in record.page(tmp_path, page="run", run=f"{number}")


def test_what_failed_takes_no_place_of_a_report_that_latest_has(record: Record) -> None:
    (date,) = record.list_dates(dt.date(2026, 3, 8), 1)
    number = record.made(date, reports=["report"])
    record.store.ask_for([build_run(FLOWS, DEFINITIONS.triggers[0], date)], NOW)
    record.made(date, failure=Failure("no"), reports=["report", "annex"])
    found = record.store.read.reports_of_run(number)
    assert found is not None
    assert {label: Path(path).name for label, path in found.paths.items()} == {
        "report": f"report__{date}_0_1.pdf",
        "annex": f"annex__{date}_0_2.pdf",
    }
    assert (found.attempt_name, found.kept_out) == (f"{number}.1", {})


def test_a_report_under_another_label_is_none_of_the_newer_attempt(record: Record) -> None:
    (date,) = record.list_dates(dt.date(2026, 3, 8), 1)
    number = record.made(date, reports=["old", "both"])
    record.store.ask_for([build_run(FLOWS, DEFINITIONS.triggers[0], date)], NOW)
    record.made(date, reports=["both", "new"])
    found = record.store.read.reports_of_run(number)
    assert found is not None
    assert sorted(found.paths) == ["both", "new"]
    assert (found.attempt_name, found.kept_out) == (f"{number}.2", {})


def test_data_that_people_have_accepted_or_held_are_said_on_the_pages_of_workflow_and_date(
    record: Record, tmp_path: Path
) -> None:
    (one, two) = record.list_dates(dt.date(2026, 3, 8), 2)
    overrides = [Override("flows", one, True, "a <strike>", NOW), Override("flows", two, False, "is sent again", NOW)]
    record.store.override([*overrides, Override("others", two, False, "no", NOW)])
    html = record.page(tmp_path, page="workflow", workflow="flows")
    words = "accepted since 2026-03-10 12:00 UTC: a &lt;strike&gt;"
    assert f"<li>{two}: held since 2026-03-10 12:00 UTC: is sent again</li>\n<li>{one}: {words}</li>" in html
    html = record.page(tmp_path, page="why", trigger="0", workflow="", date=f"{one}")
    assert f"<p>Data of {one} {words}</p>" in html
    assert "accepted" not in record.page(tmp_path, page="why", trigger="0", workflow="", date=f"{two}")


@pytest.mark.parametrize("page", ["runs", "workflow", "run"])
def test_each_attempt_says_all_that_there_is_to_say_of_it(record: Record, tmp_path: Path, page: str) -> None:
    (date,) = record.list_dates(dt.date(2026, 3, 8), 1)
    run = build_run(FLOWS, DEFINITIONS.triggers[0], date)
    first = record.store.begin(run, NOW - DAY, [date])
    record.store.finish(first, AttemptState.SUCCEEDED, NOW - DAY)
    record.made_again(first.run, run)
    html = record.page(tmp_path, page=page, workflow="flows", run="1")
    provisional, stale = (f'<span class="badge {word}">{word}</span>' for word in ("provisional", "stale"))
    assert re.search(rf"{provisional}\s*<small>without {date}; superseded</small>", html)
    assert re.search(
        rf"{stale}\s*<small>same results as attempt 1, although the data changed; kept out of latest</small>", html
    )


def test_runs_are_found_by_what_they_are_called(record: Record) -> None:
    one, two = record.list_dates(dt.date(2026, 3, 8), 2)
    record.made(one)
    attempt = record.store.begin(build_run(FLOWS, DEFINITIONS.triggers[0], two), NOW, [one])
    record.store.finish(attempt, AttemptState.SUCCEEDED, NOW)
    for state, runs in (("provisional", [2]), ("succeeded", [2, 1]), ("failed", [])):
        found = runs_page(record.request(page="runs", state=state))[1]["attempts"]
        assert [each["run"].run for each in found] == runs
    with pytest.raises(NotFoundError, match=r"expected one of running, succeeded, .*, provisional"):
        runs_page(record.request(page="runs", state="gone"))


def test_dates_before_the_start_are_counted_as_they_are_drawn(record: Record) -> None:
    record.list_dates(dt.date(2026, 1, 15), 10)
    _, values = month_page(record.request(page="month", month="2026-01"))
    kinds = Counter(cell.kind for row in values["grid"].rows for cell in row.cells)
    assert {kind: number for _, kind, _, number in values["totals"]} == kinds == {"before-start": 5, "due": 15}


def test_dates_that_have_left_are_nothing_that_a_rerun_helps(record: Record) -> None:
    dates = record.list_dates(dt.date(2026, 3, 7), 2)
    record.made(dates[0])
    record.list_dates(dt.date(2026, 3, 8), 1)
    (gone,) = record.store.read.unmarked_departures()
    record.store.mark_departed([build_run(FLOWS, DEFINITIONS.triggers[0], dates[0]).key], gone, NOW)
    (complaint,) = record.health().complaints
    assert complaint.advice == "autoflow keep leaves one as it is."


def test_how_far_all_runs_are_is_said_with_about_how_long_they_still_take(record: Record) -> None:
    dates = record.list_dates(dt.date(2026, 3, 1), 2)
    run = build_run(FLOWS, record.definitions.triggers[0], dates[0])
    attempt = record.store.begin(run, NOW - DAY)
    record.store.finish(attempt, AttemptState.SUCCEEDED, NOW - DAY + dt.timedelta(seconds=60))
    record.said["batch"] = {"done": 12, "running": 0, "waiting": {"flows": 54}, "at_a_time": 2}
    assert record.status()["batch"] == "12 of 66 runs done, about 27 min left"
    # a pool of one place is what takes longest
    began = NOW - dt.timedelta(hours=1)
    attempt = record.store.begin(build_run(FLOWS, record.definitions.triggers[0], dates[1]), began)
    label = FLOWS.notebooks[0].label
    record.store.begin_notebook(attempt, label, began)
    ended = began + dt.timedelta(seconds=40)
    record.store.finish_notebook(attempt, label, AttemptState.SUCCEEDED, ended)
    record.store.finish(attempt, AttemptState.SUCCEEDED, began + dt.timedelta(seconds=60))
    record.said["batch"]["pools"] = [{"places": 1, "notebooks": [["flows", label]]}]
    assert record.status()["batch"] == "12 of 66 runs done, about 36 min left"


def test_each_date_that_is_done_leads_to_its_report_on_the_server_and_on_a_file_share(record: Record) -> None:
    dates = record.list_dates(dt.date(2026, 1, 15), 10)
    one = record.made(dates[-1], reports=["report"])
    several = record.made(dates[-2], 1, reports=["report", "annex"])
    failed = record.made(dates[-3], failure=Failure("no"))
    record.store.skip([Skip("flows", dates[-4], "", "no flights", NOW)])
    for base, links in (
        ("./", [f"./reports/report__{dates[-1]}_0_1.pdf", f"./runs/{several}", f"./runs/{failed}"]),
        (None, [f"report__{dates[-1]}_0_1.pdf", f"annex__{dates[-2]}_1_1.pdf", None]),
    ):
        first, second = record.status(base)["recent"].rows
        assert [first.cells[-1].link, second.cells[-2].link, first.cells[-3].link] == links
        assert first.cells[-1].title == f"{dates[-1]}: succeeded, report"
        assert [first.cells[at].kind for at in (0, 4, -4, -1)] == [
            "before-start",
            "before-start",
            "skipped",
            "succeeded",
        ]
        assert second.cells[0].kind == "due"
    assert one != several


def test_what_nothing_is_done_about_does_not_drown_what_is(record: Record) -> None:
    record.list_dates(dt.date(2026, 1, 15), 10)
    aside = {state: number for _, _, state, number in record.status()["aside"]}
    assert aside == {"before the start": 5}


def test_months_are_files_of_their_own_and_written_again_only_when_something_has_changed(
    record: Record, tmp_path: Path
) -> None:
    dates = record.list_dates(dt.date(2024, 1, 10), 800)
    for date in dates[::80]:
        record.made(date, 1, reports=["report"])
    rounds = []
    for number in range(3):
        workspace = tmp_path / f"job-{number}"
        unfinished = record.work(workspace, page="index")["unfinished"]
        made = sorted(path.name for path in (workspace / "months").iterdir())
        rounds.append((len(made), unfinished))
        for name in made:
            (record.places.reports / "months").mkdir(exist_ok=True)
            (workspace / "months" / name).replace(record.places.reports / "months" / name)
    assert rounds == [(24, True), (3, False), (0, False)]
    record.made(dates[1], 1, reports=["report"])
    record.work(tmp_path / "again", page="index")
    assert [path.name for path in (tmp_path / "again" / "months").iterdir()] == ["2024-01.html"]
    # each of them leads to reports and to the others
    page = (record.places.reports / "months" / "2024-03.html").read_text()
    found = [link for link in re.findall(r'href="([^"#]+)', page) if not link.startswith("data:")]
    assert found
    assert all((record.places.reports / "months" / link).is_file() for link in found if "index" not in link)


def test_reports_of_what_workflows_yml_has_no_more_are_still_led_to(record: Record, tmp_path: Path) -> None:
    old = dt.date(2019, 5, 3)
    record.list_dates(dt.date(2026, 3, 1), 2)
    record.made(old, 1, reports=["report"])
    record.definitions = replace(DEFINITIONS, triggers=(Trigger("flows", {"unit": "c"}),))
    record.work(tmp_path / "job", page="index")
    assert 'href="months/2019-05.html"' in (tmp_path / "job" / "page.html").read_text()
    assert f"report__{old}_1_1.pdf" in (tmp_path / "job" / "months" / "2019-05.html").read_text()
    assert record.work(tmp_path / "served", page="month", month="2019-05")["status"] == 200
    assert record.work(tmp_path / "served", page="month", month="2019-06")["status"] == 404


def test_very_many_triggers_have_fewer_days_in_a_page_that_stays_small(record: Record, tmp_path: Path) -> None:
    triggers = tuple(Trigger("flows", {"unit": f"a rather long name of unit {number}"}) for number in range(50))
    record.definitions = replace(DEFINITIONS, triggers=triggers)
    for date in record.list_dates(dt.date(2026, 1, 1), 60):
        record.made(date, 3, reports=["a_report_with_a_long_name" * 3])
    record.work(tmp_path / "job", page="status")
    assert (tmp_path / "job" / "page.html").stat().st_size < 300_000


def test_failures_at_length_by_very_many_causes_leave_the_page_small(record: Record, tmp_path: Path) -> None:
    record.definitions = replace(DEFINITIONS, triggers=tuple(Trigger("flows", {"unit": f"u{n}"}) for n in range(220)))
    frame = "Cell In[1], line 2\n----> 2 f(x)\n\nFile /usr/lib/python3/dist-packages/a.py:3\n---> 3 g()\n\n"
    for date in record.list_dates(dt.date(2026, 2, 1), 30)[:12]:
        record.made(date, 1, failure=Failure("no " * 2000, "report", date.day, "ValueError", frame * 300))
    record.work(tmp_path / "job", page="status")
    page = (tmp_path / "job" / "page.html").read_text()
    assert len(page.encode()) < 350_000
    assert "And 4 more causes" in page
    assert "characters before these" in page


def test_times_are_those_of_the_schedules_zone_and_how_long_ago_they_were(record: Record, tmp_path: Path) -> None:
    record.list_dates(dt.date(2026, 3, 1), 1)
    record.work(tmp_path / "job", page="status")
    page = (tmp_path / "job" / "page.html").read_text()
    assert '<time datetime="2026-03-10T11:00:00Z">2026-03-10 13:00</time> <small>(1 hour ago)</small>' in page
    assert "All times are in Africa/Maputo (UTC+02:00)." in page
    assert "· home</title>" in page


def test_a_workflow_that_is_gone_has_no_page_to_lead_to(record: Record, tmp_path: Path) -> None:
    (date,) = record.list_dates(dt.date(2026, 3, 1), 1)
    run = record.made(date, 1, reports=["report"])
    for gone in (False, True):
        if gone:
            record.definitions = replace(DEFINITIONS, workflows={}, triggers=())
        for asked in ({"page": "status"}, {"page": "runs"}, {"page": "run", "run": f"{run}"}):
            record.work(tmp_path / "job", **asked)
            assert ("workflow?name=" in (tmp_path / "job" / "page.html").read_text()) != gone, asked


def test_runs_are_paged_through_without_one_being_left_out(record: Record) -> None:
    dates = record.list_dates(dt.date(2026, 1, 20), PAGE)
    numbers = [record.made(date, trigger) for date in dates for trigger in (0, 1)][: PAGE + 7]
    seen, before = [], ""
    while True:
        _, values = runs_page(record.request(page="runs", workflow="flows", before=before))
        seen += [row["run"].run for row in values["attempts"]]
        if values["older"] is None:
            break
        before = values["older"].partition("before=")[2]
    assert seen[::-1][: PAGE + 7] == numbers
    assert len(seen) == 2 * PAGE
