# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The page of a run or of one attempt at it, and the page that says why a date is as it is."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from markupsafe import Markup

from autoflow.child.page.drawing import history_line
from autoflow.child.page.failures import traceback_parts
from autoflow.child.page.grid import CLASSES, SIGNS
from autoflow.child.page.shared import NotFoundError, PageRequest
from autoflow.child.page.status_page import workflow_link
from autoflow.dates import ListedDates
from autoflow.definitions import Trigger
from autoflow.model import RecordedAttempt, RecordedNotebook
from autoflow.overview import Explanation, Facts, explain, final_changes, run_word, run_words, stale_text, until_final
from autoflow.quality import recent
from autoflow.runs import AttemptState, RunState
from autoflow.wording import parameters_text, seconds_text, shown, size_text, spans

MOST_ATTEMPTS = 50

MOST_HISTORIES = 5
"""Drawings of outcomes."""


def run_page(page: PageRequest) -> tuple[str, dict[str, Any]]:
    """Return the template of a run's page, with its newest attempt or the one that is asked for, and what is in it.

    Raises
    ------
    NotFoundError
        When there is no such run or attempt.
    """
    name, reader = page.request["run"], page.reader
    number, _, tried = name.partition(".")
    run = reader.attempt(int(number), int(tried) if tried else None)
    if run is None:
        newest = reader.newest_run()
        what = f"attempt {name}" if tried else f"run {name}"
        raise NotFoundError(f"There is no {what}{f'; the newest run is {newest}' if newest else ''}.")
    attempts = reader.attempts_of(run.run)[::-1]
    is_newest = run.id == attempts[0].id
    known = {label: text for number, label, text in page.request["progress"] if number == run.run and is_newest}
    recorded = reader.notebooks(run.id)
    notebooks = [_notebook(page, notebook, run) | {"at": known.get(notebook.label, "")} for notebook in recorded]
    stale, ways_out = stale_text(reader, run)
    return "run.html", {
        "run": run,
        "refresh": 10 if run.state is AttemptState.RUNNING else 0,
        "traceback": traceback_parts(run.failure) if run.failure else None,
        "title": f"Attempt {run.name}" if tried else f"Run {run.run}",
        "parameters": parameters_text(run.parameters),
        "all_parameters": json.dumps(run.parameters, ensure_ascii=False, indent=2) if run.parameters else None,
        "took": _took(run),
        "notebooks": notebooks,
        "warned": any(notebook["warnings"] for notebook in notebooks),
        "attempts": [
            {"run": each, "took": _took(each), "link": page.links.page(f"runs/{each.name}")}
            for each in attempts[:MOST_ATTEMPTS]
        ],
        "more_attempts": max(len(attempts) - MOST_ATTEMPTS, 0),
        "changes": final_changes(recorded),
        "stale": stale,
        "ways_out": ways_out,
        "until_final": until_final(page.definitions, reader, run, page.now) if is_newest else [],
        "latest": _latest_of(page, run),
        "workflow_link": page.workflow(run.workflow),
        "why": workflow_link(page.links, run.workflow, run.reference_date),
    }


def _latest_of(page: PageRequest, run: RecordedAttempt) -> tuple[str, str | None] | None:
    """Name the attempt whose reports are among the latest, where those of this one are kept out of these."""
    reports = page.reader.reports_of_run(run.run) if run.held else None
    if reports is None or not reports.paths:
        return None
    return reports.attempt_name, page.links.page(f"runs/{reports.attempt_name}")


def why_page(page: PageRequest) -> tuple[str, dict[str, Any]]:
    """Return the template of the page that says why, and what is in it.

    Raises
    ------
    NotFoundError
        When no trigger or no date is meant.
    """
    try:
        date = dt.date.fromisoformat(page.request["date"])
    except ValueError:
        raise NotFoundError("No date given; expected one such as 2016-01-01.") from None
    facts = page.facts((date, date)).with_queued(page.request.get("queued", ()))
    answers = [_answer(page, facts, explain(facts, trigger, date)) for trigger in _triggers(page)]
    return "why.html", {"date": date, "answers": answers}


def _answer(page: PageRequest, facts: Facts, answer: Explanation) -> dict[str, Any]:
    """Return what is said of one trigger."""
    links, run = page.links, page.reader.attempt(answer.run) if answer.run is not None else None
    reports = page.reader.reports_of_run(run.run) if run else None
    word = run_word(answer.state, stale=answer.is_stale)
    return {
        "workflow": answer.trigger.workflow_name,
        "parameters": parameters_text(answer.trigger.parameters),
        "sign": SIGNS[word],
        "kind": CLASSES[word],
        "state": run_words(answer.state, stale=answer.is_stale),
        "reason": answer.reason,
        "stale": f"{answer.stale}" if answer.stale and answer.state is RunState.PROVISIONAL else "",
        "ways_out": answer.stale.ways_out if answer.stale else "",
        "accepted": answer.about_accepted,
        "reports": links.reports_of(reports),
        "run": run,
        "link": links.page(f"runs/{answer.run}"),
        "wanted": [
            (wanted.start, wanted.end - dt.timedelta(days=1), spans(wanted.missing)) for wanted in answer.wanted
        ],
        "notebooks": [_notebook(page, each, run) for each in page.reader.notebooks(run.id)] if run else [],
        "histories": list(_histories(facts.listed, answer)),
        "way_to_count": answer.way_to_count,
    }


def _histories(listed: ListedDates, answer: Explanation) -> Iterator[tuple[str, Markup]]:
    """Draw the outcomes before each date that a check holds."""
    pairs = [(date, hold) for date, holds in answer.holds.items() for hold in holds if hold.check and hold.limit]
    for date, hold in pairs[:MOST_HISTORIES]:
        name = f"{hold.cdr_type} {hold.check} until {date}"
        yield name, history_line(recent(listed.outcomes.of(hold.cdr_type, hold.check), date.toordinal()), name)


def _triggers(page: PageRequest) -> list[Trigger]:
    triggers, number, workflow = page.definitions.triggers, page.request["trigger"], page.request["workflow"]
    if number.isdecimal() and int(number) < len(triggers):
        return [triggers[int(number)]]
    found = [trigger for trigger in triggers if trigger.workflow_name == workflow]
    if not found:
        raise NotFoundError(f"No trigger in workflows.yml runs {shown(workflow or 'what was requested')}.")
    return found


def _took(run: RecordedAttempt) -> str:
    return seconds_text((run.ended - run.started).total_seconds()) if run.ended and run.attempt else ""


def _notebook(page: PageRequest, notebook: RecordedNotebook, run: RecordedAttempt) -> dict[str, Any]:
    links = page.links
    files = [("executed notebook", links.view(notebook.notebook)), (".ipynb", links.file(notebook.notebook))]
    if notebook.report:
        report = Path(notebook.report)
        files += [(suffix, links.file(str(report.with_suffix(suffix)))) for suffix in (".pdf", ".html", ".json")]
    return {
        "label": notebook.label,
        "state": notebook.state.value,
        "started": notebook.started,
        "took": seconds_text((notebook.ended - notebook.started).total_seconds()) if notebook.ended else "",
        "memory": "" if notebook.peak_mb is None else size_text(notebook.peak_mb),
        "failure": notebook.failure,
        "reused": f"{run.run}.{notebook.reused_from}" if notebook.reused_from else None,
        "reused_link": links.page(f"runs/{run.run}.{notebook.reused_from}"),
        "warnings": [str(warning) for warning in notebook.warnings],
        "files": [(name, link) for name, link in files if link],
        "gone": bool(notebook.notebook) and not Path(notebook.notebook or "").is_file(),
    }
