# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What commands read: the definitions, the record, and the names that people type."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoflow.definitions import Definitions, Trigger
from autoflow.errors import AutoflowError
from autoflow.model import RecordedAttempt, RecordedNotebook, RunReader, RunReports, is_held, open_for_reading
from autoflow.naming import MANIFEST, OUTPUT_SUFFIXES
from autoflow.runs import AttemptState
from autoflow.system import ask
from autoflow.wording import did_you_mean, shown, spans

if TYPE_CHECKING:
    from autoflow.settings import Settings

LONGEST_SPAN = 36_525
"""Reference dates that are looked at one by one at most: a hundred years."""


PRESENCE_PATIENCE = 2.0
"""Seconds until a daemon's sign of life is no longer waited for."""

LEFT_BEHIND = "AutoFlow is not running: it ended in the middle of this; its next start notes that and tries again"
"""What is said of an attempt that was killed together with AutoFlow, or whose machine stopped."""


@contextmanager
def record(settings: Settings, *, missing_is_empty: bool = False) -> Iterator[RunReader]:
    """Open the record for reading."""
    reader = open_for_reading(settings.db_path, settings.places, missing_is_empty=missing_is_empty)
    try:
        yield reader
    finally:
        reader.close()


def is_at_work(settings: Settings) -> bool:
    """Say whether an AutoFlow works on the record, also where that cannot be known; to be asked before `record`."""
    if is_held(settings.db_path) is not False:
        return True
    # one of a version before, or behind a mount that passes no locks on
    with suppress(OSError, ValueError):
        ask(settings.control_socket, patience=PRESENCE_PATIENCE)
        return True
    return False


def left_behind(attempt: RecordedAttempt, *, at_work: bool) -> bool:
    """Whether an attempt is recorded as running, and nothing runs it."""
    return attempt.state is AttemptState.RUNNING and not at_work


def definitions_of(settings: Settings) -> Definitions:
    """Read workflows.yml; what is only doubtful in it is for `autoflow check` to say."""
    # what reads the record alone need not import pydantic
    from autoflow.parser import load_definitions

    return load_definitions(settings.workflows_file)[0]


def triggers_of(definitions: Definitions, workflow: str) -> list[Trigger]:
    """Find the triggers of a workflow.

    Raises
    ------
    AutoflowError
        When there is no such workflow, or nothing triggers it.
    """
    if workflow not in definitions.workflows:
        raise unknown_workflow(workflow, definitions.workflows)
    triggers = [trigger for trigger in definitions.triggers if trigger.workflow_name == workflow]
    if not triggers:
        raise AutoflowError(f"no trigger under available_dates_sensor.workflows runs {shown(workflow)}")
    return triggers


def check_span(first: dt.date | None, last: dt.date | None) -> None:
    """Check that ``--from`` is not later than ``--to``.

    Raises
    ------
    AutoflowError
        When it is.
    """
    if first is not None and last is not None and first > last:
        raise AutoflowError(f"{first} comes after {last}; --from must not be later than --to")


def check_length(first: dt.date, last: dt.date) -> None:
    """Check that a span, both ends in it, is one that can be looked at date by date.

    Raises
    ------
    AutoflowError
        When it is longer.
    """
    number = (last - first).days + 1
    if number > LONGEST_SPAN:
        raise AutoflowError(
            f"{first} to {last} are {number:,} dates, more than the {LONGEST_SPAN:,} (a hundred years) that can be"
            " shown at once; choose a shorter range"
        )


def unknown_workflow(workflow: str, known: Iterable[str]) -> AutoflowError:
    """Make the error for a name that no workflow has."""
    return AutoflowError(f"unknown workflow {shown(workflow)}; {did_you_mean(workflow, known)}")


def attempt_of(reader: RunReader, run: int, attempt: int | None = None) -> RecordedAttempt:
    """Find an attempt at a run, the newest where its number is not given.

    Raises
    ------
    AutoflowError
        When there is none with this number.
    """
    found = reader.attempt(run, attempt)
    if found is not None:
        return found
    if attempt is not None and (newest := reader.attempt(run)) is not None:
        raise AutoflowError(f"there is no attempt {run}.{attempt}; the newest at run {run} is {newest.name}")
    if (renumbered := reader.renumbered(run)) is not None:
        raise AutoflowError(
            f"there is no run {run}; what was run {run} before attempts were counted within their runs is attempt"
            f" {renumbered.name} now: `autoflow show {renumbered.name}`"
        )
    newest_run = reader.newest_run()
    hint = f"the newest is {newest_run}; `autoflow runs` lists them" if newest_run else "there are none yet"
    raise AutoflowError(f"there is no run {run}; {hint}")


def length_of(notebook: RecordedNotebook) -> float | None:
    """Return how many seconds a notebook took; None while it is running."""
    return (notebook.ended - notebook.started).total_seconds() if notebook.ended else None


def report_files(notebook: RecordedNotebook) -> list[Path]:
    """List the reports of a notebook: the one that is recorded, and those in other formats beside it."""
    return formats_of(notebook.report) if notebook.report else []


def formats_of(report: str) -> list[Path]:
    """List a report that is recorded, and those in other formats beside it."""
    first = Path(report)
    others = (first.with_suffix(suffix) for suffix in OUTPUT_SUFFIXES if suffix not in (first.suffix, MANIFEST))
    return [first, *(path for path in others if path.is_file())]


def reports_lines(reports: RunReports | None, told: RecordedAttempt, since: str = "") -> Iterator[str]:
    """Name the reports that ``latest`` and ``by-date`` lead to, and newer ones that are kept out of these.

    Parameters
    ----------
    told
        The attempt that has been described already: another one is named, with the dates that it was made without.
    since
        What else there is to say of another one.
    """
    if reports is None:
        return
    of = ""
    if reports.attempt != told.attempt:
        without = f", provisional: made without {spans(reports.missing_dates)}" if reports.missing_dates else ""
        of = f" of attempt {reports.attempt_name}{without}{since}"
    yield from (f"report{of}: {path}" for path in _all_formats(reports.paths))
    newer = "newer, " if reports.paths else ""
    yield from (f"{newer}kept out of latest: {path}" for path in _all_formats(reports.kept_out))


def reports_as_json(reports: RunReports | None) -> dict[str, Any]:
    """Describe to scripts the reports that ``latest`` and ``by-date`` lead to, and those that are kept out of these."""
    led = reports if reports is not None and reports.paths else None
    return {
        "reports": list(map(str, _all_formats(led.paths))) if led else [],
        "reports_attempt": led.attempt if led else None,
        "reports_missing_dates": led.missing_dates if led else [],
        "reports_kept_out": list(map(str, _all_formats(reports.kept_out))) if reports else [],
    }


def _all_formats(paths: Mapping[str, str]) -> Iterator[Path]:
    return chain.from_iterable(map(formats_of, paths.values()))


def manifest_of(notebook: RecordedNotebook) -> Path | None:
    """Find what says how the reports of a notebook were made; None where there is none."""
    if not notebook.report:
        return None
    manifest = Path(notebook.report).with_suffix(MANIFEST)
    return manifest if manifest.is_file() else None
