# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The first glance: whether all is well, and if not, what is wrong, since when, and what to do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autoflow.child.page.failures import Failing
from autoflow.child.page.shared import PageRequest, distance, short
from autoflow.messages import TOKEN_CONDITION
from autoflow.model import StaleSummary
from autoflow.overview import Load, PoolLoad, seconds_left
from autoflow.wording import CACHE_DOUBT, counted, seconds_text

TOKEN_WARNING = dt.timedelta(days=14)
"""How long before its end the token is something to see to."""

TOLD_BY_DATES = ("given up",)
"""Conditions that the failures tell of."""

ADVICE = {
    "tick": "autoflow doctor looks at the network, at FlowAPI and at the token.",
    "record": "Make room on the disk; autoflow doctor looks at what can be written to.",
    "workflows.yml": "autoflow check names each mistake with its line.",
    TOKEN_CONDITION: "Make a new token in FlowAuth and put it where AutoFlow reads it; the next tick takes it.",
    "defect": "Report it, with the log; AutoFlow goes on trying.",
    "code": "Restart AutoFlow.",
    "memory": "autoflow show RUN says what its notebooks took at most; end what else takes memory, or add some.",
    "misfits": "Change workflows.yml so that it fits the requested runs again.",
    "long runs": "autoflow cancel ends a run; see its notebook first.",
    "old files": "See that the directories of the outputs can be written to.",
    "index": "See that the directory of the reports can be written to.",
    "latest": "See that the directory of the reports can be written to.",
    "messages": "autoflow notify --test tries each channel.",
    "no dates of": "See cdr_types in workflows.yml.",
    "quality": "See quality in workflows.yml, and what autoflow quality lists.",
}
"""What to do about a condition, by how its name begins."""

LEVELS = {"red": ("✕", "AutoFlow cannot do its work"), "amber": ("▲", "Needs attention"), "green": ("✓", "All is well")}


@dataclass(frozen=True)
class Complaint:
    """One thing that is wrong."""

    text: str
    urgent: bool = False
    since: dt.datetime | None = None
    advice: str = ""
    link: str | None = None


@dataclass(frozen=True)
class HealthLine:
    """How all is, in a word and in words."""

    level: str
    sign: str
    headline: str
    complaints: Sequence[Complaint]


def health_line(page: PageRequest, found: Failing, stale: StaleSummary | None) -> HealthLine:
    """Say how all is."""
    found_wrong = [*_complaints(page, found), *([_stale(stale)] if stale else [])]
    complaints = sorted(found_wrong, key=lambda each: not each.urgent)
    level = "red" if any(each.urgent for each in complaints) else "amber" if complaints else "green"
    sign, headline = LEVELS[level]
    return HealthLine(level, sign, headline, complaints)


def _complaints(page: PageRequest, found: Failing) -> Iterator[Complaint]:
    names = [problem["name"] for problem in page.request["problems"]]
    for problem in page.request["problems"]:
        if problem["name"] not in TOLD_BY_DATES:
            advice = next((text for name, text in ADVICE.items() if problem["name"].startswith(name)), "See the log.")
            since = dt.datetime.fromisoformat(problem["since"])
            yield Complaint(short(problem["text"], 1000), bool(problem["urgent"]), since, advice)
    if TOKEN_CONDITION not in names:
        yield from _token(page)
    silence = page.reader.silence()
    if silence is not None and "tick" not in names:
        yield Complaint(f"FlowAPI gives no list of dates: {silence.why}", since=silence.since, advice=ADVICE["tick"])
    if found.groups:
        runs = [run for group in found.groups for run in group.runs]
        given_up = sum(group.given_up for group in found.groups)
        words = [f"{counted(len(runs) - given_up, 'date')} failing" if len(runs) > given_up else ""]
        words.append(f"{counted(given_up, 'date')} given up" if given_up else "")
        causes = f", by {counted(len(found.groups), 'cause')}"
        text = f"{', '.join(word for word in words if word)}{causes}."
        yield Complaint(text, since=min(group.since for group in found.groups), link="#failures")


def _stale(stale: StaleSummary) -> Complaint:
    """Say how many runs wait for somebody to say what becomes of them."""
    words = f"{counted(stale.runs, 'run is', 'runs are')} stale"
    if stale.changed == stale.runs:
        words += ": the data have changed since."
    else:
        words += f": the data of {stale.changed} have changed since." if stale.changed else "."
    if stale.same:
        words += f" {counted(stale.same, 'run has', 'runs have')} the same results as before: {CACHE_DOUBT}."
    if stale.held:
        words += f" Reports of {counted(stale.held, 'run')} are kept out of latest."
    again = f"{'when the cache has been reset, ' if stale.same else ''}autoflow rerun --stale runs those again"
    again += " whose data all count"
    advice = f"{again}; " if stale.runs > stale.gone else ""
    too = ", and puts its reports into latest if they are kept out of it" if stale.held else ""
    return Complaint(words, since=stale.since, advice=f"{advice}autoflow keep leaves one as it is{too}.", link="#stale")


def _token(page: PageRequest) -> Iterator[Complaint]:
    """Warn of a token that ends soon; when it has ended, the tick says so."""
    text = page.request.get("token_expires")
    expires = dt.datetime.fromisoformat(text) if text else None
    if expires is not None and expires - page.now < TOKEN_WARNING:
        ends = "ends" if expires > page.now else "ended"
        here = expires.astimezone(page.zone)
        words = f"FLOWAPI_TOKEN {ends} at {here:%Y-%m-%d %H:%M}, {distance(expires, page.now)}."
        yield Complaint(words, advice=ADVICE[TOKEN_CONDITION])


def batch_text(page: PageRequest, running: Sequence[tuple[str, float]]) -> str:
    """Say how far the runs in progress and those after them are, and about when all are done; empty without them.

    Parameters
    ----------
    running
        Of each run in progress, its workflow and the seconds that it has taken, without waiting.
    """
    batch: Mapping[str, Any] | None = page.request.get("batch")
    if not batch:
        return ""
    total = batch["done"] + batch["running"] + sum(batch["waiting"].values())
    if total < 1:
        return ""
    load = Load(batch["waiting"], running, batch["at_a_time"], [PoolLoad(**pool) for pool in batch.get("pools", ())])
    left = seconds_left(page.reader, load) if batch["at_a_time"] else None
    why = f"; the next {why}" if (why := page.request.get("why_no_more")) else ""
    return f"{batch['done']} of {counted(total, 'run')} done{f', about {seconds_text(left)} left' if left else ''}{why}"
