# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow quality``: FlowAPI's QA checks, their outcomes, and limits to begin with."""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import os
from collections.abc import Mapping
from typing import Any

from autoflow.clock import utc_now
from autoflow.commands.children import children_of
from autoflow.commands.polling import listed_dates
from autoflow.commands.reading import definitions_of, record
from autoflow.commands.terminal import print_json, print_line, print_table
from autoflow.dates import ListedDates
from autoflow.definitions import Definitions
from autoflow.errors import AutoflowError, ExitCode
from autoflow.quality import Outcomes, as_yaml, number_of, sparkline, suggested
from autoflow.sensor import ask_qa, outcomes_in, question_of
from autoflow.settings import Settings, load_settings, read_token

ALL = ["*"]


def run(options: argparse.Namespace, settings: Settings) -> ExitCode:
    """Ask FlowAPI for all outcomes of all checks, and show them."""
    definitions = definitions_of(settings)
    with record(settings, missing_is_empty=True) as reader:
        listed = listed_dates(reader, definitions)
    outcomes, off = asyncio.run(_ask(listed))
    held = _held(definitions, listed, outcomes)
    rows = [_row(outcomes, cdr_type, check, held) for cdr_type, check in outcomes.checks()]
    limits = suggested(outcomes) if options.suggest else []
    suggestion = as_yaml(limits, outcomes) if limits else None
    if options.json:
        checks = [{name: value for name, value in row.items() if name != "history"} for row in rows]
        print_json(options, {"checks": checks, "off": off, "suggestion": suggestion})
    elif off is not None:
        raise AutoflowError(f"FlowAPI gives no outcomes of QA checks: {off}")
    elif options.suggest:
        print_line(suggestion.rstrip() if suggestion else "too few dates have outcomes to suggest limits")
    else:
        print_table([_shown(row) for row in rows], right=("dates", "newest", "held"))
    return ExitCode.OK


async def _ask(listed: ListedDates) -> tuple[Outcomes, str | None]:
    settings, now = load_settings(os.environ), utc_now()
    token = read_token(settings, now)
    there = {cdr_type: ALL for cdr_type, dates in listed.by_type.items() if dates}
    with children_of("poll", settings) as jobs:
        answer = await ask_qa(jobs, settings, token, question_of(there, listed, {}))
    return outcomes_in(answer), answer.off


def _held(definitions: Definitions, listed: ListedDates, outcomes: Outcomes) -> Mapping[tuple[str, str], set[dt.date]]:
    """Find the dates that each check holds for any trigger."""
    held: dict[tuple[str, str], set[dt.date]] = {}
    for rule in dict.fromkeys(map(definitions.data_rule, definitions.triggers)):
        for cdr_type in listed.wanted(rule.cdr_types):
            for check in rule.quality:
                days = {day for start, end in outcomes.judged(check, cdr_type).failed for day in range(start, end)}
                dates = {dt.date.fromordinal(day) for day in days} & set(listed.by_type.get(cdr_type, ()))
                held.setdefault((cdr_type, check.check), set()).update(dates)
    return held


def _row(outcomes: Outcomes, cdr_type: str, check: str, held: Mapping[tuple[str, str], set[dt.date]]) -> dict[str, Any]:
    found = outcomes.of(cdr_type, check)
    last = max(found, default=None)
    return {
        "cdr_type": cdr_type,
        "check": check,
        "dates": len(found),
        "first": dt.date.fromordinal(min(found)) if found else None,
        "last": None if last is None else dt.date.fromordinal(last),
        "newest": None if last is None else found[last],
        "held": len(held.get((cdr_type, check), ())),
        "history": "" if last is None else sparkline(found, last)[0],
    }


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    newest = "null" if row["newest"] is None else row["newest"]
    digits = newest.isdigit() and len(newest) > 4
    return {
        "type": row["cdr_type"],
        "check": row["check"],
        "dates": row["dates"],
        "last": row["last"],
        "newest": f"{number_of(newest):,.0f}" if digits else newest,
        "last 4 weeks": row["history"],
        "held": row["held"] or "",
    }
