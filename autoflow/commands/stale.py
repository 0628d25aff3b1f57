# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow stale``: runs that have succeeded with data that were ingested anew since."""

from __future__ import annotations

import argparse
from typing import Any

from autoflow.commands.reading import record
from autoflow.commands.terminal import print_json, print_line, print_table
from autoflow.commands.why import restatement_as_json
from autoflow.errors import ExitCode
from autoflow.overview import Stale, stale_of
from autoflow.settings import Settings
from autoflow.wording import own_parameters, parameters_text


def run(options: argparse.Namespace, settings: Settings) -> ExitCode:
    """List them, those too that are kept as they are."""
    with record(settings) as reader:
        found = [each for each in stale_of(reader).values() if options.workflow in (None, each.run.workflow)]
    if options.json:
        print_json(options, {"runs": [_as_json(each) for each in found]})
        return ExitCode.OK
    print_table([_shown(each) for each in found], right=("run",))
    if not found:
        print_line("no run is stale")
    elif any(each.run.kept is None for each in found):
        print_line()
        print_line("`autoflow rerun --stale` runs them again; `autoflow keep RUN --reason TEXT` leaves one as it is")
    return ExitCode.OK


def _shown(each: Stale) -> dict[str, Any]:
    return {
        "run": each.run.run,
        "date": each.run.reference_date,
        "workflow": each.run.workflow,
        "parameters": parameters_text(each.run.parameters),
        "why": str(each),
        "kept": each.run.kept or "",
    }


def _as_json(each: Stale) -> dict[str, Any]:
    return {
        "run": each.run.run,
        "workflow": each.run.workflow,
        "reference_date": each.run.reference_date,
        "parameters": own_parameters(each.run.parameters),
        "kept": each.run.kept,
        "since": each.run.since,
        "restatements": list(map(restatement_as_json, each.restatements)),
    }
