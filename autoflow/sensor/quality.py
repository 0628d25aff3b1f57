# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The outcomes of FlowAPI's QA checks, asked for where a trigger goes by them, and recorded."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from autoflow.context import Context, recorded
from autoflow.dates import DataRule, ListedDates
from autoflow.definitions import DATA_VERSION, Definitions
from autoflow.errors import FlowapiError
from autoflow.jobs import Jobs
from autoflow.quality import FINGERPRINT, ROWS, Check, Outcomes, digest_of, fingerprints, version_of
from autoflow.runs import Run
from autoflow.sensor.flowapi import QaAnswer, QaQuestion, ask_qa
from autoflow.sensor.restatements import mark_restated, run_again
from autoflow.settings import Settings, Token
from autoflow.wording import closest

logger = logging.getLogger(__name__)

OFF, MISSING = "quality", "quality checks"
"""Names of conditions: there are no outcomes to be had, and a check that is asked for has none at all."""

BY_OLD_ONES = "dates are judged by the outcomes from before"


def wanted_checks(definitions: Definitions, listed: ListedDates) -> dict[str, list[str]]:
    """Name the checks that triggers go by, for each CDR type that has dates; empty where none does."""
    wanted: dict[str, dict[str, None]] = {}
    for rule in dict.fromkeys(map(definitions.data_rule, definitions.triggers)):
        for cdr_type in listed.wanted(rule.cdr_types) if rule.quality else ():
            names = [check.check for check in rule.quality if check.is_for(cdr_type)]
            names += [ROWS] if any(check.needs_rows for check in rule.quality) else []
            if listed.by_type.get(cdr_type):
                wanted.setdefault(cdr_type, {}).update(dict.fromkeys(names))
    return {cdr_type: list(names) for cdr_type, names in wanted.items() if names}


def compared_checks(definitions: Definitions, listed: ListedDates) -> dict[str, list[str]]:
    """Name the checks that tell whether data were ingested anew, for each CDR type that has dates.

    Where only ``quality`` is asked for, that is not worth more requests than one.
    """
    wanted: dict[str, dict[str, None]] = {}
    for trigger in definitions.triggers:
        if (restating := definitions.restatement_of(trigger)) in (None, "ignore"):
            continue
        said = trigger.restatement or definitions.restatement
        for cdr_type in listed.wanted(definitions.data_rule(trigger).cdr_types):
            if restating and listed.by_type.get(cdr_type):
                wanted.setdefault(cdr_type, {}).update(dict.fromkeys(FINGERPRINT if said else (ROWS,)))
    return {cdr_type: list(names) for cdr_type, names in wanted.items()}


def question_of(
    wanted: Mapping[str, Sequence[str]], listed: ListedDates, known: Mapping[str, Mapping[str, Mapping[str, str]]]
) -> QaQuestion:
    """Ask for the outcomes of all dates that are listed: FlowAPI takes as long for one of them."""
    dates = [date for cdr_type in wanted for date in listed.by_type[cdr_type]]
    return QaQuestion(wanted, min(dates, default=dt.date.min), max(dates, default=dt.date.max), known)


async def poll_quality(
    context: Context, definitions: Definitions, token: Token, listed: ListedDates, stop: asyncio.Event
) -> ListedDates:
    """Ask for outcomes where a trigger goes by them; where there are none to be had, those that are known still count.

    Returns
    -------
    ListedDates
        With the outcomes.
    """
    wanted, compared = wanted_checks(definitions, listed), compared_checks(definitions, listed)
    both = _joined(wanted, compared)
    if not both:
        for name in (OFF, MISSING):
            context.conditions.end(name, "no trigger goes by QA checks now")
        await _note(context, None, stop)
        return listed
    try:
        question = question_of(both, listed, context.store.read.known_outcomes())
        answer = await ask_qa(context.jobs, context.settings, token, question)
    except FlowapiError as error:
        await _note(context, f"{error}; {BY_OLD_ONES}", stop)
        context.conditions.begin(OFF, f"{error}; {BY_OLD_ONES}", logging.WARNING)
        return listed
    if answer.off is not None:
        await _note(context, f"{answer.off}; {BY_OLD_ONES}", stop)
        message = f"FlowAPI gives no outcomes of QA checks, which workflows.yml asks for: {answer.off}; {BY_OLD_ONES}"
        context.conditions.begin(OFF, message, logging.WARNING)
        return listed
    context.conditions.end(OFF, "FlowAPI gives outcomes of QA checks")
    await _note(context, tell_of_missing(context, wanted, answer), stop)
    now = context.now()
    await recorded(context.conditions, stop, partial(context.store.record_outcomes, answer.changed, now))
    await mark_restated(context, definitions, stop)
    await run_again(context, definitions, stop)
    return context.store.read.listed_dates()


def _joined(wanted: Mapping[str, list[str]], compared: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Name each check once, be it for one purpose or both."""
    return {
        name: [*dict.fromkeys([*wanted.get(name, ()), *compared.get(name, ())])] for name in wanted.keys() | compared
    }


@dataclass(frozen=True)
class QaExamination:
    """What workflows.yml wants of FlowAPI's QA checks, and what FlowAPI has said."""

    wanted: Mapping[str, Sequence[str]]
    """Names of the checks that ``quality`` goes by, by CDR type."""
    compared: Mapping[str, Sequence[str]]
    """Those that tell of data that were ingested anew."""
    answer: QaAnswer

    @property
    def there(self) -> list[str]:
        """Name the checks that are asked for and that there are outcomes of."""
        pairs = [*self.wanted.items(), *self.compared.items()]
        return sorted(
            {check for name, checks in pairs for check in checks if check in self.answer.listed.get(name, ())}
        )

    @property
    def missing(self) -> list[str]:
        """Say which checks of ``quality`` there are no outcomes of at all, with what may be meant."""
        return missing_checks(self.wanted, self.answer)

    @property
    def unseen(self) -> list[str]:
        """Name the CDR types of which nothing tells that data were ingested anew."""
        listed = self.answer.listed
        return [name for name, checks in self.compared.items() if not set(checks) & set(listed.get(name, ()))]


async def examine_qa(
    jobs: Jobs, settings: Settings, token: Token, definitions: Definitions, listed: ListedDates
) -> QaExamination | None:
    """Ask FlowAPI for outcomes as a poll does, but of one date; None where no trigger goes by any.

    Raises
    ------
    FlowapiError
        When it does not give them.
    """
    wanted, compared = wanted_checks(definitions, listed), compared_checks(definitions, listed)
    if not (both := _joined(wanted, compared)):
        return None
    question = question_of(both, listed, {})
    answer = await ask_qa(jobs, settings, token, replace(question, first=question.last))
    return QaExamination(wanted, compared, answer)


async def _note(context: Context, why: str | None, stop: asyncio.Event) -> None:
    """Remember, for those who ask why dates wait, what keeps FlowAPI's outcomes from being there."""
    if why != context.store.read.qa_trouble():
        await recorded(context.conditions, stop, partial(context.store.record_qa_trouble, why))


def tell_of_missing(context: Context, wanted: Mapping[str, Sequence[str]], answer: QaAnswer) -> str | None:
    """Let people know of checks that FlowAPI has no outcomes of at all, and return which these are, in words."""
    if missing := missing_checks(wanted, answer):
        message = f"FlowAPI has no outcomes of QA checks that quality in workflows.yml names: {'; '.join(missing)}"
        context.conditions.begin(MISSING, message, logging.WARNING)
        return f"it has none at all of {'; '.join(missing)}"
    context.conditions.end(MISSING, "FlowAPI has outcomes of all QA checks that are asked for")
    return None


def missing_checks(wanted: Mapping[str, Sequence[str]], answer: QaAnswer) -> list[str]:
    """Name the checks that FlowAPI has no outcomes of at all, with what may be meant."""
    by_check: dict[str, list[str]] = {}
    for cdr_type, checks in wanted.items():
        for check in checks:
            if check not in answer.listed.get(cdr_type, ()):
                by_check.setdefault(check, []).append(cdr_type)
    return [_missing(check, cdr_types, answer) for check, cdr_types in by_check.items()]


def _missing(check: str, cdr_types: Sequence[str], answer: QaAnswer) -> str:
    listed = list(dict.fromkeys(name for each in cdr_types for name in answer.listed.get(each, ())))
    meant = closest(check, listed)
    there = f"did you mean {meant}?" if meant else f"it has {', '.join(listed)}" if listed else "it has none"
    return f"{check} of {', '.join(cdr_types)} ({there})"


def quality_of(run: Run, rule: DataRule, listed: ListedDates, missing: Sequence[dt.date] = ()) -> dict[str, Any]:
    """Say for a manifest what was asked of the data of a run, and what people have decided instead; mostly nothing.

    Parameters
    ----------
    missing
        Dates that it is made without.
    """
    checks = [_as_written(check) for check in rule.quality]
    accepted = [
        {
            "date": date.isoformat(),
            "reason": override.reason,
            "since": override.since.isoformat(),
            "despite": [str(hold) for hold in replace(listed, overrides={}).why_held(date, rule, override.since)],
        }
        for (workflow, date), override in listed.overrides.items()
        if workflow == run.workflow.name and override.accepted and _reads(run, date)
    ]
    found = fingerprints(listed.outcomes, listed.wanted(rule.cdr_types), _days_read(run))
    version = version_of(found, missing)
    data = {DATA_VERSION: version, **({"fingerprints": found} if found else {})} if version else {}
    return {"checks": checks, "accepted": accepted, **data} if checks or accepted or data else {}


def data_digest_of(run: Run, rule: DataRule, listed: ListedDates, missing: Sequence[dt.date] = ()) -> str | None:
    """Return what tells the data of a run from others; None where QA checks do not tell of all of them."""
    used = {dt.date.fromordinal(day) for day in _days_read(run)} - {*missing}
    there = {name: used & listed.by_type.get(name, {}).keys() for name in listed.wanted(rule.cdr_types)}
    days = {name: [date.toordinal() for date in dates] for name, dates in there.items()}
    return digest_of(listed.outcomes, days, missing)


def _days_read(run: Run) -> Iterator[int]:
    for start, end in run.parameters.get("date_ranges", ()):
        yield from range(dt.date.fromisoformat(start).toordinal(), dt.date.fromisoformat(end).toordinal())


def _as_written(check: Check) -> dict[str, str]:
    limits = {"at_most": check.at_most, "at_least": check.at_least}
    found = {"check": check.check, **{key: str(bound) for key, bound in limits.items() if bound is not None}}
    return found if check.within is None else {**found, "within": f"{check.within:g}%"}


def _reads(run: Run, date: dt.date) -> bool:
    ranges = run.parameters.get("date_ranges", ())
    return date == run.reference_date or any(start <= date.isoformat() < end for start, end in ranges)


def outcomes_in(answer: QaAnswer) -> Outcomes:
    """Take an answer to a question of somebody who knew nothing before."""
    return Outcomes(
        {
            (cdr_type, check): {year: block for year, block in years.items() if block is not None}
            for cdr_type, checks in answer.changed.items()
            for check, years in checks.items()
        }
    )
