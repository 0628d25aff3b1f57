# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow runs``: attempts at runs, the newest first."""

from __future__ import annotations

import argparse
import datetime as dt
from dataclasses import asdict, replace
from typing import Any

from autoflow.commands.reading import (
    LEFT_BEHIND,
    check_span,
    is_at_work,
    left_behind,
    length_of,
    manifest_of,
    record,
    report_files,
    unknown_workflow,
)
from autoflow.commands.terminal import on_terminal, print_json, print_line, print_table
from autoflow.errors import ExitCode
from autoflow.model import RecordedAttempt, RecordedNotebook
from autoflow.overview import attempt_marks, attempt_word
from autoflow.settings import Settings
from autoflow.wording import parameters_text, seconds_text

LONGEST_NOTE = 400
"""Characters of what went wrong that a terminal shows of each attempt."""


def run(options: argparse.Namespace, settings: Settings) -> ExitCode:
    """List what was requested."""
    check_span(options.first, options.last)
    at_work = is_at_work(settings)
    with record(settings) as reader:
        if options.workflow is not None and options.workflow not in (known := reader.workflows()):
            raise unknown_workflow(options.workflow, known)
        found = reader.attempts(
            workflow=options.workflow,
            states=options.state or (),
            first=options.first,
            last=options.last,
            limit=options.last_number,
        )
    if options.json:
        print_json(options, {"attempts": [as_json(each, at_work=at_work) for each in found]})
    elif not found:
        print_line("no matching runs")
    else:
        print_table([_shown(each, at_work=at_work) for each in found], right=("attempt", "took"))
    return ExitCode.OK


def as_json(run: RecordedAttempt, *, at_work: bool = True) -> dict[str, Any]:
    """Describe an attempt to scripts.

    Parameters
    ----------
    at_work
        Whether an AutoFlow works on the record.
    """
    return {
        "run": run.run,
        "workflow": run.workflow,
        "reference_date": run.reference_date,
        "parameters": run.parameters,
        "attempt": run.attempt,
        "state": attempt_word(run),
        "left_behind": left_behind(run, at_work=at_work),
        "started": run.started,
        "ended": run.ended,
        "seconds": took(run),
        "error": str(run.failure) if run.failure else None,
        "superseded": run.superseded,
        "missing_dates": run.missing_dates,
        "same_as": run.same_as,
        "held": run.held,
        "is_stale": run.stale,
    }


def notebook_as_json(notebook: RecordedNotebook) -> dict[str, Any]:
    """Describe a notebook of an attempt to scripts."""
    return {
        "label": notebook.label,
        "state": notebook.state,
        "started": notebook.started,
        "ended": notebook.ended,
        "seconds": length_of(notebook),
        "peak_mb": notebook.peak_mb,
        "notebook": notebook.notebook,
        "report": notebook.report,
        "reports": [str(path) for path in report_files(notebook)],
        "manifest": manifest_of(notebook),
        "error": str(notebook.failure) if notebook.failure else None,
        "reused_from": notebook.reused_from,
        "warnings": [asdict(warning) for warning in notebook.warnings],
    }


def took(run: RecordedAttempt) -> float | None:
    """Return the length of an attempt in seconds."""
    return (run.ended - run.started).total_seconds() if run.ended and run.attempt else None


def minute(time: dt.datetime) -> str:
    """Write a time to the minute, below a heading that names the zone."""
    return f"{time.astimezone(dt.UTC):%Y-%m-%d %H:%M}"


def _shown(run: RecordedAttempt, *, at_work: bool) -> dict[str, Any]:
    return {
        "attempt": run.name,
        "date": run.reference_date or "unknown",
        "workflow": run.workflow,
        "parameters": parameters_text(run.parameters),
        "state": attempt_word(run),
        "started (UTC)": minute(run.started),
        "took": seconds_text(took(run)),
        "note": LEFT_BEHIND if left_behind(run, at_work=at_work) else _note(run),
    }


def _note(run: RecordedAttempt) -> str:
    """Say what went wrong; on a terminal not at length, and then where all of it is."""
    failure = str(replace(run.failure, notebook=None)) if run.failure else ""
    parts = [*attempt_marks(run), " ".join(failure.split())]
    note = "; ".join(part for part in parts if part)
    if on_terminal() and len(note) > LONGEST_NOTE:
        return f"{note[:LONGEST_NOTE]}… (`autoflow show {run.name}` has all of it)"
    return note
