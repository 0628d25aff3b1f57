# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a seed draws: a deployment, the dates that FlowAPI lists, what fails, and what people do."""

from __future__ import annotations

import datetime as dt
import json
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import yaml

from tests.simulation.additions import SECRET, VALUE, draw_additions
from tests.simulation.late import draw_late
from tests.simulation.quality import Told, draw_editions, draw_hold, draw_quality

OLDER_SEEDS = 200
"""Seeds that found faults before there were runs with dates missing that others wait for: they have none."""

DAY, HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)
START = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
DAYS = 30
"""How long a deployment lives: in twice as many days no more goes wrong."""
FIRST_DATE = dt.date(2026, 12, 20)
QUIET = 10 * DAY
"""At the end of each life: what fails heals, and all that can run has to be done."""

MOST_DATES_LEFT_OUT = 0.7
"""How many of the triggers run for a few of the dates alone."""

Span = tuple[dt.datetime, dt.datetime]


@dataclass(frozen=True)
class Event:
    """Something that happens at a moment, whatever AutoFlow is at."""

    at: dt.datetime
    kind: str
    value: Any = None


@dataclass
class World:
    """All that is around AutoFlow, drawn from a seed."""

    seed: int
    root: Path
    days: int = DAYS
    drawn: Counter[str] = field(default_factory=Counter)
    """How often each kind of fault came about."""
    requested: set[tuple[str, str]] = field(default_factory=set)
    """Runs that were requested, by people or by AutoFlow itself."""
    asked: set[tuple[str, str]] = field(default_factory=set)
    """Runs that somebody has ever asked for: they need not wait."""
    asked_at: list[str] = field(default_factory=list)
    """When people have asked for runs, or not to skip them any more."""
    attempts: dict[tuple[Any, str], int] = field(default_factory=dict)
    """The newest attempt for each trigger, by its parameter ``p``, and reference date."""
    begun: dict[int, tuple[str, str]] = field(default_factory=dict)
    """The runs of all attempts."""
    repaired: set[tuple[str, str]] = field(default_factory=set)
    """Runs that somebody has ever asked to repair: they go on with what they wrote before."""
    cancelled: set[int] = field(default_factory=set)
    """Numbers of the runs that somebody has ever cancelled."""
    told: Told = field(default_factory=Told)
    """What QA checks have said so far."""
    compared: dict[str, bool | None] = field(default_factory=dict)
    """Whether executed notebooks have the results of those before them, by their paths; None where it is not known."""
    accepted: set[tuple[str, dt.date]] = field(default_factory=set)
    """Workflows and dates of data that somebody has ever let count, whatever QA checks say."""
    held: set[tuple[str, dt.date]] = field(default_factory=set)
    """Workflows and dates of data that somebody has ever kept from counting."""
    holds: dict[tuple[str, dt.date], dt.datetime] = field(default_factory=dict)
    """Those that somebody keeps from counting at present, and since when by the machine's clock."""
    away: dict[str, Any] | None = None
    """The trigger that is out of workflows.yml for a while."""
    unskipped: set[tuple[str, str]] = field(default_factory=set)
    """Workflows and dates that were skipped for a while: nothing waited for them."""

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.end = START + self.days * DAY
        self.quiet_from = self.end - QUIET
        self.inputs, self.outputs = self.root / "inputs", self.root / "outputs"
        self.inputs.mkdir(parents=True)
        self.secrets = self.root / "secrets"
        self.secrets.mkdir()
        self.config = _draw_workflows(self.random)
        if self.seed % 2 == 0:
            # what is out of order shows where little goes on at a time
            self.config["available_dates_sensor"].setdefault("concurrency", {"most": 2})
        # draws of their own, so that a seed draws what it drew before there were these
        more = Random(f"{self.seed} more")
        draw_additions(more, self.config)
        if more.random() < 0.6:
            self.put_secret()
        if self.seed > OLDER_SEEDS:
            draw_late(Random(f"{self.seed} late"), self.config, in_order=True)
        of_quality = Random(f"{self.seed} quality")
        draw_quality(of_quality, self.config)
        draw_hold(Random(f"{self.seed} hold"), self.config)
        self.write_definitions(self.config)
        for name in ("a", "b", "c"):
            (self.inputs / f"{name}.ipynb").write_text(json.dumps(NOTEBOOK))
        self.arrivals = self._draw_arrivals()
        if self.seed > OLDER_SEEDS:
            self._delay(Random(f"{self.seed} arrivals"))
        self.editions = draw_editions(of_quality, self.arrivals, self.quiet_from)
        self.outages = [self._span(0.02, 0.4) for _ in range(self.random.randint(0, 4))]
        self.full_disks = [self._span(0.02, 0.5) for _ in range(self.random.choice((0, 0, 1, 2)))]
        self.write_token(START + self.random.choice((self.days + 30, 20, 35)) * DAY)
        events = [*self._draw_events(), *self._draw_decisions(Random(f"{self.seed} decisions"))]
        if self.seed > OLDER_SEEDS:
            events += self._draw_absence(Random(f"{self.seed} absence"))
        self.events = sorted(events, key=lambda event: event.at)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AUTOFLOW_INPUTS_DIR": str(self.inputs),
            "AUTOFLOW_OUTPUTS_DIR": str(self.outputs),
            **({"AUTOFLOW_WEBHOOK_URL": "http://127.0.0.1:9/hook"} if self.seed % 3 == 0 else {}),
            "FLOWAPI_URL": "http://127.0.0.1:9",
            "HOME": str(self.root),
        }

    def write_definitions(self, config: dict[str, Any]) -> None:
        (self.inputs / "workflows.yml").write_text(yaml.safe_dump(config, sort_keys=False))

    def put_secret(self) -> None:
        (self.secrets / SECRET).write_text(VALUE)

    def write_token(self, ends: dt.datetime) -> None:
        claims = {"sub": "simulation", "exp": int(ends.timestamp())}
        parts = [
            urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({"alg": "none"}, claims)
        ]
        (self.secrets / "FLOWAPI_TOKEN").write_text(".".join([*parts, "signature"]))
        self.token_ends = ends

    def listed(self, now: dt.datetime) -> dict[str, list[str]]:
        """Give what FlowAPI lists at a moment."""
        return {
            cdr_type: [
                date.isoformat() for date, spans in dates.items() if any(since <= now < until for since, until in spans)
            ]
            for cdr_type, dates in self.arrivals.items()
        }

    def outcomes(self, now: dt.datetime) -> dict[str, dict[str, str]]:
        """Give what QA checks say at a moment of the dates that are listed."""
        listed = self.listed(now)
        return {
            cdr_type: {
                f"{date}": f"{date} {there[-1]}+00"
                for date, editions in dates.items()
                if f"{date}" in listed[cdr_type] and (there := [last for at, last in editions if at <= now])
            }
            for cdr_type, dates in self.editions.items()
        }

    def is_out(self, now: dt.datetime) -> bool:
        return any(since <= now < until for since, until in self.outages)

    def is_full(self, now: dt.datetime) -> bool:
        return any(since <= now < until for since, until in self.full_disks)

    def fate(self, workflow: str, label: str, date: str) -> Random:
        """Give the draws of one notebook for one date: the same at each attempt."""
        return Random(f"{self.seed} {workflow} {label} {date}")

    def _span(self, least: float, most: float) -> Span:
        since = START + self.random.uniform(0, self.days - QUIET.days) * DAY
        return since, min(since + self.random.uniform(least, most) * DAY, self.quiet_from)

    def _draw_arrivals(self) -> dict[str, dict[dt.date, list[Span]]]:
        """Draw when each date is listed; some go and return, some never come."""
        arrivals: dict[str, dict[dt.date, list[Span]]] = {"calls": {}, "sms": {}}
        for dates in arrivals.values():
            for number in range(self.days + 12):
                date = FIRST_DATE + number * DAY
                over = dt.datetime.combine(date, dt.time(), dt.UTC) + DAY
                chance = self.random.random()
                if chance < 0.02:
                    continue
                late = self.random.uniform(1, 6) * DAY if chance < 0.15 else self.random.uniform(1, 12) * HOUR
                spans: list[Span] = [(over + late, self.end + 400 * DAY)]
                if self.random.random() < 0.05:
                    goes = over + late + self.random.uniform(0.2, 10) * DAY
                    returns = min(goes + self.random.uniform(0.2, 3) * DAY, self.quiet_from)
                    if goes < returns:
                        spans = [(over + late, goes), (returns, self.end + 400 * DAY)]
                        self.drawn["date that goes and returns"] += 1
                dates[date] = spans
        return arrivals

    def _delay(self, draw: Random) -> None:
        """Let more dates come when they are waited for no more."""
        for date in sorted({*self.arrivals["calls"], *self.arrivals["sms"]}):
            if draw.random() > 0.2:
                continue
            late = dt.datetime.combine(date, dt.time(), dt.UTC) + draw.uniform(4, 14) * DAY
            for dates in self.arrivals.values():
                if date in dates and late < self.quiet_from:
                    dates[date] = [(late, self.end + 400 * DAY)]

    def _draw_events(self) -> list[Event]:
        draw, events = self.random, []
        kinds = {
            "rerun": 3,
            "backfill": 1,
            "repair": 3,
            "cancel": 2,
            "skip": 2,
            "unskip": 1,
            "crash": 3,
            "crash in a file": 3,
            "restart": 2,
            "edit": 1,
            "invalid edit": 1,
            "clock ahead": 1,
            "clock back": 1,
            "reload": 1,
            "second": 1,
        }
        for kind, most in kinds.items():
            for _ in range(draw.randint(0, most)):
                at = START + draw.uniform(0.5, self.days - QUIET.days) * DAY
                events.append(Event(at, kind, draw.randrange(10**6)))
                if kind in ("invalid edit", "clock ahead", "clock back"):
                    events.append(Event(at + draw.uniform(0.05, 1) * DAY, f"end of {kind}", events[-1].value))
        if self.token_ends < self.end:
            events.append(Event(self.token_ends + draw.uniform(-5, 3) * DAY, "renew"))
        events += [Event(START + (day + draw.random()) * DAY, "check") for day in range(1, self.days, 2)]
        return [*events, Event(self.quiet_from, "quiet"), Event(self.end, "end")]

    def _draw_decisions(self, draw: Random) -> Iterator[Event]:
        """Draw when people decide of dates of data themselves."""
        sensor = self.config["available_dates_sensor"]
        # a held date is one that is missing, which late runs need not wait for
        if any("late" in trigger for trigger in sensor["workflows"]):
            return
        for kind, most in {"accept": 3 if "quality" in sensor else 1, "hold": 2, "unhold": 2}.items():
            for _ in range(draw.randint(0, most)):
                at = START + draw.uniform(0.5, self.days - QUIET.days) * DAY
                yield Event(at, kind, draw.randrange(10**6))

    def _draw_absence(self, draw: Random) -> Iterator[Event]:
        """Draw when somebody takes a trigger out of workflows.yml for a while: its runs of before are there still."""
        triggers = self.config["available_dates_sensor"]["workflows"]
        needed = {need["workflow"] for trigger in triggers for need in trigger.get("needs", ())}
        places = [place for place, each in enumerate(triggers) if each["workflow_name"] not in needed]
        if len(triggers) > 1 and places and draw.random() < 0.6:
            place = draw.choice(places)
            at = START + draw.uniform(3, self.days - QUIET.days - 4) * DAY
            yield Event(at, "trigger away", place)
            yield Event(at + draw.uniform(0.5, 3) * DAY, "end of trigger away", place)


def _draw_workflows(draw: Random) -> dict[str, Any]:
    """Draw one workflows.yml: up to three workflows, up to four triggers."""
    workflows = []
    for name in ("one", "two words", "three")[: draw.choice((1, 1, 2, 2, 3))]:
        notebooks: dict[str, Any] = {
            "a": {"filename": "a.ipynb", "parameters": {"date": "reference_date", "ranges": "date_ranges", "p": "p"}}
        }
        if draw.random() < 0.6:
            notebooks["b"] = {"filename": "b.ipynb", "parameters": {"reads": "a"}, "output": {"format": "pdf"}}
        if draw.random() < 0.3:
            notebooks["c"] = {"filename": "c.ipynb", "parameters": {"url": "flowapi_url"}}
        if draw.random() < 0.4:
            notebooks["a"]["parameters"]["shared"] = "shared_dir"
        workflow: dict[str, Any] = {"name": name, "notebooks": notebooks}
        if draw.random() < 0.8:
            workflow["retries"] = {"attempts": draw.randint(1, 4), "pause": draw.choice(("10m", "3h", "1d"))}
        if draw.random() < 0.3:
            workflow["concurrency"] = 1
        if draw.random() < 0.3:
            workflow["priority"] = draw.randint(-1, 2)
        if draw.random() < 0.4:
            workflow["timeout"] = draw.choice(("40m", "3h"))
        if draw.random() < 0.6:
            amounts = [5, "10d", 1]
            workflow["keep"] = {
                kind: draw.choice(amounts)
                for kind in ("notebooks", "reports", "attempts", "shared")
                if draw.random() < (0.2 if kind == "shared" else 0.7)
            } or {"attempts": 2}
        workflows.append(workflow)
    sensor: dict[str, Any] = {
        "schedule": draw.choice(("0 6 * * *", "30 */8 * * *", "15 2 * * 1,4")),
        "workflows": [_draw_trigger(draw, workflow["name"], number) for number, workflow in enumerate(workflows)],
    }
    if draw.random() < 0.3:
        sensor["workflows"].append(_draw_trigger(draw, workflows[0]["name"], 9))
    for number, trigger in enumerate(sensor["workflows"]):
        if draw.random() < 0.25:
            trigger["after"] = "previous"
        if 0 < number < len(workflows) and draw.random() < 0.35:
            needed = workflows[draw.randrange(number)]["name"]
            need = {"workflow": needed, "dates": draw.choice(([0], [-1, 0], [[-2, 1]]))}
            which = [each["parameters"] for each in sensor["workflows"] if each["workflow_name"] == needed]
            trigger["needs"] = [need if len(which) == 1 else {**need, "parameters": dict(draw.choice(which))}]
    if draw.random() < 0.5:
        sensor["order"] = "newest"
    if draw.random() < 0.5:
        sensor["concurrency"] = {"runs": draw.randint(1, 4), "notebooks": draw.randint(1, 4)}
    if draw.random() < 0.3:
        sensor["timezone"] = "Africa/Maputo"
    if draw.random() < 0.3:
        sensor["cdr_types"] = ["calls"]
    return {
        "workflows": workflows,
        "available_dates_sensor": sensor,
        "notify": {"no_new_date": "3d", "not_done_after": "4d"},
    }


def _draw_trigger(draw: Random, workflow: str, number: int) -> dict[str, Any]:
    trigger: dict[str, Any] = {"workflow_name": workflow, "parameters": {"p": number}}
    if draw.random() < 0.5:
        trigger["date_stencil"] = draw.choice(([-1, 0], [[-6, 1]], [[-2, 0], 0], [[dt.date(2026, 12, 24), 1]]))
    if draw.random() < 0.3:
        trigger["earliest_date"] = FIRST_DATE + draw.randint(0, 20) * DAY
    if draw.random() < 0.2:
        trigger["latest_date"] = FIRST_DATE + draw.randint(30, 60) * DAY
    # with fewer dates there is more time for what goes wrong
    if draw.random() < MOST_DATES_LEFT_OUT:
        trigger["dates"] = draw.choice(("* * mon", "* * mon", "*/2 * *", "*/2 * *", "L * *"))
    if draw.random() < 0.2:
        trigger["exclude"] = [FIRST_DATE + draw.randint(5, 40) * DAY]
    if draw.random() < 0.3:
        trigger |= {"cdr_types": ["calls", "sms"], "require": "all"}
    if draw.random() < 0.2:
        trigger["lag"] = draw.choice(("6h", "2d"))
    return trigger


NOTEBOOK = {
    "cells": [],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}
