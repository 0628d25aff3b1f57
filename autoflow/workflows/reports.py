# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The reports of one executed notebook, and the manifest beside them."""

from __future__ import annotations

import datetime as dt
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from autoflow import __version__
from autoflow.context import Context
from autoflow.definitions import Notebook, Sheet, Workflow
from autoflow.languages import DEFAULT
from autoflow.log_writer import STEP
from autoflow.model import Attempt
from autoflow.naming import MANIFEST
from autoflow.notices import Notice
from autoflow.parser import PLACE, filled, human, value_text
from autoflow.runs import Failure, Run
from autoflow.settings import Token
from autoflow.wording import own_parameters

REPORT_TIMEOUT = 1800.0
"""Seconds that one conversion may take; only a wedged tool comes near."""

Record = Callable[[Callable[[], None]], Awaitable[None]]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReportSource:
    """A notebook that has been executed, and all that its manifest is to say."""

    run: Run
    attempt: Attempt
    notebook: Notebook
    executed: Mapping[str, Path]
    """Executed notebooks of the run by label, this one and those that it reads among them."""
    sources: Mapping[str, str]
    """Hashes by label of the notebooks that were executed."""
    availability: Mapping[str, Sequence[str]]
    """ISO dates of each CDR type that FlowAPI listed."""
    quality: Mapping[str, Any]
    """What QA checks were asked of the data, and what people decided instead; empty where none were."""
    read: Mapping[str, Mapping[str, str]]
    """Hashes by label of the files that these say they read, by path."""
    others: Mapping[str, Any]
    """Paths of executed notebooks of other runs that this one was given, by name."""
    missing: Sequence[dt.date]
    """Dates that the run is made without."""
    before: Mapping[str, Any]
    """What the manifest says of the attempt whose place this one takes, where that was made of other data."""
    written: Mapping[str, Mapping[str, str]]
    """Hashes of what the run has written so far into ``run_dir`` and ``shared_dir``, by path in these."""

    def data(self) -> dict[str, Any]:
        """Say what there is to know of the data."""
        quality = {"quality": self.quality} if self.quality else {}
        return {"missing_dates": [*map(str, self.missing)], **self.before, **quality}


async def make_reports(context: Context, basis: ReportSource, token: Token, record: Record) -> list[Path] | Failure:
    """Convert an executed notebook to each format that is wanted.

    Parameters
    ----------
    record
        Writes to the record, once that can be written.

    Returns
    -------
    list of Path or Failure
        The reports, the first first, then the manifest; or why there are none.
    """
    attempt, notebook, number = basis.attempt, basis.notebook, basis.attempt.run
    source = basis.executed[notebook.label]
    suffixes = [f".{output.format}" for output in notebook.outputs]
    finals = context.outputs.reserve_all(context.outputs.reports, source.stem, [*suffixes, MANIFEST])
    try:
        with context.jobs.workspace() as workspace:
            made = [workspace / final.name for final in finals]
            reply = await context.jobs.call(
                "report",
                _request(context, basis, made),
                workspace,
                timeout=REPORT_TIMEOUT,
                # not for the conversion: so that the pages can be searched for it
                secrets={"FLOWAPI_TOKEN": token.value},
            )
            if reply.cause != "done":
                message = reply.error.get("message") or f"the conversion stopped: {reply.how}. {reply.log}"
                return Failure(f"report: {message}", label=notebook.label, notebook=str(source), of_report=True)
            warnings = [Notice(**warning) for warning in reply.value["warnings"]]
            for warning in warnings:
                logger.warning("run %d: %s: report of notebook %s: %s", number, basis.run, notebook.label, warning)
            await record(partial(context.store.record_report, attempt, notebook.label, finals[0]))
            try:
                for path, final in reversed(list(zip(made, finals, strict=True))):
                    # the manifest first: no report is without
                    await context.outputs.publish(path, final)
            except BaseException:
                _take_back(context, basis, finals)
                raise
            if warnings:
                await record(partial(context.store.record_warnings, attempt, notebook.label, warnings))
    finally:
        for final in finals:
            context.outputs.release(final)
    for final in finals[:-1]:
        logger.info("run %d: report of notebook %s: %s", number, notebook.label, final, extra=STEP)
    return finals


def _take_back(context: Context, basis: ReportSource, finals: Sequence[Path]) -> None:
    """Leave nothing of reports that could not all be given their names; the first is the last to get it."""
    if finals[0].is_file():
        return
    with suppress(OSError, sqlite3.Error):
        # what is left is known to the record, and goes when the next start puts it right
        for final in finals:
            final.unlink(missing_ok=True)
        context.store.record_report(basis.attempt, basis.notebook.label, None)


def _request(context: Context, basis: ReportSource, made: Sequence[Path]) -> dict[str, Any]:
    run, notebook, settings = basis.run, basis.notebook, context.settings
    inputs = settings.inputs_dir
    now = context.now()
    return {
        "notebook": str(basis.executed[notebook.label]),
        "formats": [output.format for output in notebook.outputs],
        "outputs": [
            {
                "format": output.format,
                "path": str(path),
                "template": _path(inputs / output.template if output.template else settings.asciidoc_template),
                "theme": _path(inputs / output.theme if output.theme else None),
                "code": output.code,
            }
            for output, path in zip(notebook.outputs, made[:-1], strict=True)
        ],
        "manifest": {"path": str(made[-1]), "known": manifest(context, basis, now)},
        "inputs_dir": str((inputs / notebook.filename).parent),
        "inputs_root": str(inputs),
        "title_fallback": human(run.workflow.name),
        "heading": {
            **_heading(run, notebook, now, inputs),
            "missing_dates": [*map(str, basis.missing)],
            "days": len(_days(run)),
        },
    }


def _heading(run: Run, notebook: Notebook, now: dt.datetime, inputs: Path) -> dict[str, Any]:
    """Return the headings of a report and of its pages."""
    sheet = filled(notebook.sheet, run.reference_date, own_parameters(run.parameters))
    language = sheet.language or DEFAULT
    shown = {human(name): value_text(value, language) for name, value in own_parameters(run.parameters).items()}
    return {
        "workflow": human(run.workflow.name),
        # a sheet that says what its parameters are has no need of a list of them
        "parameters": "" if _names(notebook.sheet, run) else ", ".join(f"{k}: {v}" for k, v in shown.items()),
        "reference_date": run.reference_date.isoformat(),
        "generated": now.astimezone(dt.UTC).isoformat(),
        "title": sheet.title,
        "subtitle": sheet.subtitle,
        "organisation": sheet.organisation,
        "contact": sheet.contact,
        "language": language,
        "logo": _path(inputs / sheet.logo if sheet.logo else None),
    }


def _names(sheet: Sheet, run: Run) -> bool:
    """Whether title and subtitle name the values of all parameters."""
    named = set(PLACE.findall(f"{sheet.title or ''} {sheet.subtitle or ''}"))
    return set(own_parameters(run.parameters)) <= {name.strip() for name in named}


def manifest(context: Context, basis: ReportSource, now: dt.datetime) -> dict[str, Any]:
    """Collect what the daemon knows of how a report was made; the child adds hashes and versions."""
    run, attempt = basis.run, basis.attempt
    used = _days(run, without=basis.missing)
    files = {notebook.label: notebook.filename for notebook in run.workflow.notebooks}
    return {
        "autoflow": __version__,
        "run": attempt.run,
        "attempt": attempt.attempt,
        "workflow": run.workflow.name,
        "notebook": basis.notebook.label,
        "reference_date": run.reference_date.isoformat(),
        "parameters": dict(run.parameters),
        "parameters_hash": run.parameters_hash,
        "dates_used": used,
        **basis.data(),
        "availability_seen": {
            cdr_type: {
                "dates": len(dates),
                "first": min(dates, default=None),
                "last": max(dates, default=None),
                "of_those_used": sorted(set(used).intersection(dates)),
            }
            for cdr_type, dates in basis.availability.items()
        },
        "other_runs": dict(basis.others),
        "files_written": {name: dict(files) for name, files in basis.written.items()},
        "flowapi_url": context.settings.flowapi_url,
        "generated": now.astimezone(dt.UTC).isoformat(timespec="seconds"),
        "replaces": [path.name for path in context.store.reports_of(run.key, basis.notebook.label)],
        "notebooks": [
            {
                "label": label,
                "file": files[label],
                "sha256": basis.sources.get(label),
                "files_read": dict(basis.read.get(label, {})),
                "executed": str(basis.executed[label]),
            }
            for label in _read_by(run.workflow, basis.notebook.label)
        ],
    }


def _read_by(workflow: Workflow, label: str) -> list[str]:
    """List a notebook and all that it reads, those that they read too, in the order of the workflow."""
    dependencies = workflow.dependencies()
    found: set[str] = set()
    left = {label}
    while left:
        found |= left
        left = {read for each in left for read in dependencies[each]} - found
    return [notebook.label for notebook in workflow.notebooks if notebook.label in found]


def _days(run: Run, without: Sequence[dt.date] = ()) -> list[str]:
    days = set[str]()
    for start, end in run.parameters["date_ranges"]:
        first, last = dt.date.fromisoformat(start), dt.date.fromisoformat(end)
        days |= {(first + dt.timedelta(days=day)).isoformat() for day in range((last - first).days)}
    return sorted(days.difference(map(str, without)))


def _path(path: Path | None) -> str | None:
    return str(path) if path else None
