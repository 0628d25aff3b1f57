# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow show``: all about one run, or one attempt at it."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from autoflow.clock import utc_now
from autoflow.commands.reading import (
    LEFT_BEHIND,
    attempt_of,
    definitions_of,
    is_at_work,
    left_behind,
    length_of,
    manifest_of,
    record,
    report_files,
    reports_as_json,
    reports_lines,
)
from autoflow.commands.runs import as_json, minute, notebook_as_json, took
from autoflow.commands.terminal import STYLES, print_json, print_line, print_styled, print_table
from autoflow.errors import AutoflowError, ExitCode
from autoflow.model import RecordedAttempt, RecordedNotebook, RunReader
from autoflow.notebooks import printed
from autoflow.overview import attempt_marks, attempt_word, stale_text, until_final
from autoflow.settings import Settings
from autoflow.wording import moment, parameters_text, seconds_text, size_text, spans


def run(options: argparse.Namespace, settings: Settings) -> ExitCode:
    """Show it."""
    at_work = is_at_work(settings)
    with record(settings) as reader:
        found = attempt_of(reader, *options.run)
        attempts, notebooks = reader.attempts_of(found.run), reader.notebooks(found.id)
        stale, ways_out = stale_text(reader, found)
        again = [] if options.json else _whether_again(found, reader, settings)
        reports, behind = reader.reports_of_run(found.run), left_behind(found, at_work=at_work)
    if options.json:
        content = _as_json(found, attempts, notebooks, log=options.log)
        print_json(options, {**content, "left_behind": behind, **reports_as_json(reports)})
        return ExitCode.OK
    _print_head(found)
    for line in [*([LEFT_BEHIND] if behind else []), *again]:
        print_line(line)
    if stale:
        print_line(f"stale: {stale}")
    if ways_out:
        print_line(ways_out)
    if len(attempts) > 1:
        _print_attempts(attempts)
    _print_notebooks(notebooks)
    if found.held and reports and reports.paths:
        print_line("\nin latest", "bold")
        for line in reports_lines(replace(reports, kept_out={}), found):
            print_line(line)
    print_line("\nparameters", "bold")
    print_line(json.dumps(found.parameters, ensure_ascii=False) if found.parameters else "not recorded")
    if found.failure is not None:
        print_line("\nerror", "bold")
        print_line(str(found.failure))
        if found.failure.traceback:
            print_line(found.failure.traceback.rstrip())
    if options.log:
        for each in notebooks:
            print_line(f"\nwhat {each.label} printed", "bold")
            for line in _log(each):
                print_line(line)
    return ExitCode.OK


def _print_head(run: RecordedAttempt) -> None:
    parameters = parameters_text(run.parameters)
    date = run.reference_date or "unrecorded date"
    title = f"run {run.run}: {run.workflow} {date}{f' ({parameters})' if parameters else ''}, attempt {run.attempt}: "
    print_styled([(title, "bold"), (attempt_word(run), STYLES[attempt_word(run)])])
    until = f" to {moment(run.ended)}, {seconds_text(took(run))}" if run.ended and run.attempt else ""
    print_line(f"{moment(run.started)}{until}")
    if run.attempt == 0:
        print_line("imported from the Prefect-based AutoFlow")
    if run.missing_dates:
        print_line(f"made without {spans(run.missing_dates)}")
    if run.superseded and run.provisional:
        print_line(f"superseded: made again from {moment(run.superseded)} on")
    elif run.superseded:
        print_line(f"superseded: a rerun was requested at {moment(run.superseded)}")


def _whether_again(run: RecordedAttempt, reader: RunReader, settings: Settings) -> list[str]:
    """Say whether and when a provisional run is made again; workflows.yml decides that, and may be broken now."""
    if not run.provisional or run.superseded:
        return []
    try:
        return until_final(definitions_of(settings), reader, run, utc_now())
    except AutoflowError:
        return [f"`autoflow why {shlex.quote(run.workflow)} {run.reference_date}` says whether it will run again"]


def _print_attempts(attempts: Sequence[RecordedAttempt]) -> None:
    print_line("\nattempts", "bold")
    rows = [
        {
            "attempt": each.name,
            "state": attempt_word(each),
            "started (UTC)": minute(each.started),
            "took": seconds_text(took(each)),
            "note": "; ".join(attempt_marks(each)),
        }
        for each in attempts
    ]
    print_table(rows, right=("attempt", "took"))


def _print_notebooks(notebooks: Sequence[RecordedNotebook]) -> None:
    if notebooks:
        print_line("\nnotebooks", "bold")
        print_table([_shown(each) for each in notebooks], right=("took", "memory"))
    for each in notebooks:
        for kind, path in _files(each):
            print_line(f"{each.label}: {kind}: {path}{'' if path.exists() else ' (gone)'}")
    warnings = [f"{each.label}: {warning}" for each in notebooks for warning in each.warnings]
    if warnings:
        print_line("\nwarnings about reports", "bold")
    for line in warnings:
        print_line(line)


def _files(notebook: RecordedNotebook) -> Iterator[tuple[str, Path]]:
    """List what a notebook has left: what is recorded, and what is beside it."""
    if notebook.notebook:
        yield "executed notebook", Path(notebook.notebook)
    for path in report_files(notebook):
        yield "report", path
    if (manifest := manifest_of(notebook)) is not None:
        yield "manifest", manifest


def _shown(notebook: RecordedNotebook) -> dict[str, Any]:
    note = str(notebook.failure.exception or "report") if notebook.failure else ""
    return {
        "notebook": notebook.label,
        "state": notebook.state.value,
        "started (UTC)": minute(notebook.started),
        "took": seconds_text(length_of(notebook)),
        "memory": "" if notebook.peak_mb is None else size_text(notebook.peak_mb),
        "note": f"executed by attempt {notebook.reused_from}" if notebook.reused_from else note,
    }


def _log(notebook: RecordedNotebook) -> Iterator[str]:
    if notebook.notebook is None:
        yield "(there is no executed notebook)"
        return
    try:
        cells = printed(Path(notebook.notebook))
    except (OSError, ValueError) as error:
        yield f"({notebook.notebook} cannot be read: {error})"
        return
    for cell, text in cells:
        yield f"cell {cell}:"
        yield from (f"  {line}" for line in text.rstrip().splitlines())
    if not cells:
        yield "(nothing)"


def _as_json(
    run: RecordedAttempt, attempts: list[RecordedAttempt], notebooks: list[RecordedNotebook], *, log: bool
) -> dict[str, Any]:
    return {
        **as_json(run),
        "traceback": run.failure.traceback if run.failure else None,
        "attempts": [as_json(each) for each in attempts],
        "notebooks": [
            {**notebook_as_json(each), **({"printed": list(_log(each))} if log else {})} for each in notebooks
        ],
    }
