# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow stale``: runs that have succeeded with data that were ingested anew since, or with older notebooks."""

from __future__ import annotations

import argparse
import datetime as dt
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from autoflow.clock import utc_now
from autoflow.commands.older_sources import OlderRun, older_runs, text_of
from autoflow.commands.reading import definitions_of, record, unknown_workflow
from autoflow.commands.terminal import print_json, print_line, print_table
from autoflow.commands.why import stale_as_json
from autoflow.decision import runs_with_data
from autoflow.errors import AutoflowError, ExitCode
from autoflow.model import StaleRun, weightiest_first
from autoflow.overview import Stale, stale_runs
from autoflow.settings import Settings
from autoflow.wording import counted, first_few, parameters_text, span_text

MOST_ROWS = 1_000
"""Stale runs that a table has."""

MOST_CHANGES = 10
"""Dates and types of which it is said what has changed."""


def run(options: argparse.Namespace, settings: Settings) -> ExitCode:
    """List them, those too that are kept as they are."""
    if options.code:
        return _run_code(options, settings)
    with record(settings) as reader:
        found = stale_runs(reader, options.workflow, None if options.json else MOST_ROWS + 1)
    if options.json:
        print_json(options, {"runs": [_as_json(*each) for each in found], "unknown": None})
        return ExitCode.OK
    print_table([_shown(*each) for each in found[:MOST_ROWS]], right=("run",))
    if len(found) > MOST_ROWS:
        print_line("... and more; --workflow NAME lists those of one workflow, --json all of them")
    if not found:
        print_line("no run is stale")
    if left := [run for run, _ in found if run.kept is None]:
        print_line()
        for line in _ways_out(_sorted(settings, left)):
            print_line(line)
    for line in _what_has_changed(why for _, why in found[:MOST_ROWS]):
        print_line(line)
    return ExitCode.OK


def _what_has_changed(stale: Iterable[Stale]) -> Iterator[str]:
    """Say of each date that was ingested anew what has changed: many runs may have used it."""
    changes = weightiest_first({each.id: each for why in stale for each in why.restatements}.values())
    if changes:
        yield "\ningested anew:"
    yield from (f"  {each}" for each in changes[:MOST_CHANGES])
    if len(changes) > MOST_CHANGES:
        yield f"  ... and {len(changes) - MOST_CHANGES} more; `autoflow stale --json` has all"


@dataclass(frozen=True)
class _Sorted:
    """Stale runs that nobody keeps, by what `rerun --stale` does with them."""

    again: list[StaleRun]
    skipped: list[StaleRun]
    without_data: list[StaleRun]
    """Their data are listed, and do not all count now."""
    gone: list[StaleRun]
    """Dates that they used have left FlowAPI's list."""


def _sorted(settings: Settings, stale: Sequence[StaleRun]) -> _Sorted:
    """Sort stale runs; where workflows.yml cannot be read, data are taken to count."""
    found = _Sorted([], [], [], [run for run in stale if not run.mark.can_be_made_again])
    there = [run for run in stale if run.mark.can_be_made_again]
    dates = {run.key: run.reference_date for run in there}
    with record(settings) as reader:
        skips = reader.skips()
        try:
            with_data = runs_with_data(definitions_of(settings), reader.listed_dates(), utc_now(), dates)
        except AutoflowError:
            with_data = {*dates}
    for run in there:
        skipped = skips.of(run.key, run.reference_date) is not None
        place = found.skipped if skipped else found.again if run.key in with_data else found.without_data
        place.append(run)
    return found


def _ways_out(stale: _Sorted) -> Iterator[str]:
    """Say what can be done about stale runs that nobody keeps."""
    without_data = stale.without_data
    if stale.again:
        left_out = ["are no longer listed"] if stale.gone else []
        left_out += ["do not all count"] if without_data else []
        but = f"; not those whose data {' or '.join(left_out)}" if left_out else ""
        first = "when FlowMachine's cache has been reset, " if any(run.mark.is_doubted for run in stale.again) else ""
        yield f"{first}`autoflow rerun --stale` runs them again{but}"
    if stale.skipped:
        of = counted(len(stale.skipped), "run is", "runs are")
        yield f"{of} skipped, and run again only by `autoflow rerun RUN`, or after `autoflow unskip`"
    if without_data:
        of, one = counted(len(without_data), "run"), without_data[0]
        why = f"`autoflow why {shlex.quote(one.workflow)} {one.reference_date}`"
        yield f"data of {of} do not all count now; {why} says what can be done{' about one' * (len(without_data) > 1)}"
    everything = (*stale.again, *stale.skipped, *without_data, *stale.gone)
    held = any(run.mark.held for run in everything)
    too = ", and puts its reports into latest if they are kept out of it" if held else ""
    yield f"`autoflow keep RUN --reason TEXT` leaves one as it is{too}"


def _shown(run: StaleRun, why: Stale) -> dict[str, Any]:
    return {
        "run": run.run,
        "date": run.reference_date,
        "workflow": run.workflow,
        "parameters": parameters_text(run.parameters),
        "note": why.brief,
    }


def _as_json(run: StaleRun, why: Stale) -> dict[str, Any]:
    return {
        "run": run.run,
        "workflow": run.workflow,
        "reference_date": run.reference_date,
        "parameters": run.parameters,
        "kept": run.kept,
        "since": dt.datetime.fromisoformat(run.since),
        **stale_as_json(why),
    }


def _run_code(options: argparse.Namespace, settings: Settings) -> ExitCode:
    """List the runs that were made with other notebooks, or other files, than those of today."""
    definitions = definitions_of(settings)
    if options.workflow not in (None, *definitions.workflows):
        raise unknown_workflow(options.workflow, definitions.workflows)
    with record(settings) as reader:
        found = older_runs(reader, definitions, settings.inputs_dir)
        unknown = reader.count_without_sources()
    found = [each for each in found if options.workflow in (None, each.workflow)]
    if options.json:
        print_json(options, {"runs": [_older_as_json(each) for each in found], "unknown": unknown})
        return ExitCode.OK
    print_table(older_rows(found), right=("runs",))
    if not found:
        print_line("no run was made with older notebooks")
    else:
        print_line()
        print_line("`autoflow rerun --workflow NAME --state succeeded --from DATE --to DATE` runs them again")
    if unknown:
        print_line(f"of {counted(unknown, 'run')} it is not known: older versions of AutoFlow did not record it")
    return ExitCode.OK


def older_rows(found: Iterable[OlderRun]) -> list[dict[str, Any]]:
    """Make a row of the runs of a workflow and its parameters that have changed in the same way.

    Their dates are written as stretches in which no run has changed in another way.
    """
    ordered = sorted(found, key=lambda each: (each.workflow, parameters_text(each.parameters), each.reference_date))
    stretches: dict[tuple[str, str, str], list[list[dt.date]]] = {}
    for key, those in groupby(
        ordered, lambda each: (each.workflow, parameters_text(each.parameters), text_of(each.changed))
    ):
        stretches.setdefault(key, []).append([each.reference_date for each in those])
    return [
        {
            "workflow": workflow,
            "parameters": parameters,
            "runs": sum(map(len, those)),
            "dates": first_few([span_text(dates[0], dates[-1]) for dates in those]),
            "made with older notebooks": why,
        }
        for (workflow, parameters, why), those in stretches.items()
    ]


def _older_as_json(each: OlderRun) -> dict[str, Any]:
    return {
        "run": each.run,
        "workflow": each.workflow,
        "reference_date": each.reference_date,
        "parameters": each.parameters,
        "made": each.made,
        "changed_files": dict(each.changed),
    }
