# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""QA checks: which there are for each CDR type, and what they tell of a date."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from autoflow.demo_flowapi import mobility
from autoflow.demo_flowapi.flowmachine import CDR_TYPES, Edition, Flowmachine
from autoflow.demo_flowapi.queries import COVERAGE

Outcome = Callable[[str, int], str]
"""Tells an outcome from a date and the number of subscribers in its data."""

CHECKS: Mapping[str, Outcome] = {
    "count_added_rows": lambda _, people: str(round(1.3 * people)),
    "count_duplicated": lambda *_: "0",
    "count_duplicates": lambda *_: "0",
    "count_imeis": lambda _, people: str(people),
    "count_imsis": lambda _, people: str(people),
    "count_msisdns": lambda _, people: str(people),
    "earliest_timestamp": lambda day, people: f"{day} 00:00:{people % 10:02}+00",
    "latest_timestamp": lambda day, people: f"{day} 23:59:{50 + people % 10}+00",
}
"""The checks of every type. Outcomes are text, whatever they tell."""

CHECKS_OF_CALLS: Mapping[str, Outcome] = {
    "count_added_rows_outgoing.calls": lambda _, people: str(round(0.65 * people)),
    "count_null_durations.calls": lambda *_: "0",
    "median_duration.calls": lambda _, people: str(280 + people % 30),
}


def listed(flowmachine: Flowmachine) -> list[tuple[str, str]]:
    """List the pairs of CDR type and check that have an outcome for any date."""
    pairs = {(kind, check) for kind in CDR_TYPES if flowmachine.checked(kind) for check in _checks(kind)}
    return sorted(pairs | {(kind, check) for kind, check, _ in flowmachine.outcomes})


def outcomes(flowmachine: Flowmachine, cdr_type: str, check: str) -> dict[str, str | None]:
    """Return a check's outcomes by date; a check whose name has capitals is listed but cannot be asked for."""
    if check != check.lower():
        return {}
    ask = _checks(cdr_type).get(check)
    told = (
        {day: ask(day, _people(cdr_type, day, data)) for day, data in flowmachine.checked(cdr_type).items()}
        if ask
        else {}
    )
    set_ones = {
        day: text for (kind, name, day), text in flowmachine.outcomes.items() if (kind, name) == (cdr_type, check)
    }
    return dict(sorted({**told, **set_ones}.items()))


def _checks(cdr_type: str) -> Mapping[str, Outcome]:
    return {**CHECKS, **(CHECKS_OF_CALLS if cdr_type == "calls" else {})}


def _people(cdr_type: str, day: str, data: Edition) -> int:
    usual = mobility.population() * (0.97 + 0.06 * mobility.chance(f"{cdr_type} of {day}"))
    return round(usual * COVERAGE[cdr_type] * data.share)
