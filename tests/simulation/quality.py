# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""QA outcomes of some deployments: what they are and when, which dates they hold, and which runs they make stale."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from autoflow.model.recorded import RecordedAttempt
from autoflow.quality.outcomes import blocks_of, digest

CHECK, ROWS = "latest_timestamp", "count_added_rows"
DAY, HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)

Arrivals = Mapping[str, Mapping[dt.date, list[tuple[dt.datetime, dt.datetime]]]]

Edition = tuple[dt.datetime, str]
"""When an outcome is there, and the time of the last event."""

Editions = Mapping[str, Mapping[dt.date, list[Edition]]]


def draw_quality(draw: Random, config: Mapping[str, Any]) -> None:
    """Let some deployments hold dates that are truncated, and look for those that are ingested anew."""
    sensor = config["available_dates_sensor"]
    # a held date is one that is missing, which late runs need not wait for
    late = any("late" in trigger for trigger in sensor["workflows"])
    if draw.random() < 0.5 and not late:
        sensor["quality"] = {"check": CHECK, "at_least": "18:00"}
        for trigger in sensor["workflows"]:
            if draw.random() < 0.2:
                trigger["quality"] = []
    if draw.random() < 0.6:
        sensor["restatement"] = draw.choice(("tell", "tell", "rerun")) if not late else "tell"


def draw_hold(draw: Random, config: Mapping[str, Any]) -> None:
    """Let some deployments keep reports back that show what they showed before a restatement."""
    sensor = config["available_dates_sensor"]
    if "restatement" in sensor and draw.random() < 0.6:
        sensor["restatement"] = {"do": sensor["restatement"], "same_result": "hold"}


def restating_of(sensor: Mapping[str, Any]) -> str | None:
    """Say what becomes of runs whose data are ingested anew; None: that is not looked for."""
    said = sensor.get("restatement") or ("tell" if sensor.get("quality") else None)
    return said["do"] if isinstance(said, dict) else said


def draw_editions(draw: Random, arrivals: Arrivals, quiet_from: dt.datetime) -> Editions:
    """Draw the outcomes of each date: some come late, some are of half a day, some are ingested anew."""
    editions: dict[str, dict[dt.date, list[Edition]]] = {}
    for cdr_type, dates in arrivals.items():
        for date, spans in dates.items():
            first = spans[0][0] + draw.choice((0, 0, draw.random())) * DAY
            found = [(first, "11:59:57" if draw.random() < 0.1 else "23:59:57")]
            again = first + draw.uniform(0.1, 8) * DAY
            if draw.random() < (0.7 if found[0][1] < "18" else 0.1) and again < quiet_from:
                found.append((again, draw.choice(("23:59:58", "23:59:58", "23:59:58", "10:30:00"))))
            editions.setdefault(cdr_type, {})[date] = found
    return editions


def trusted(arrivals: Arrivals, editions: Editions, types: list[str], date: dt.date, listing: int) -> list[dt.datetime]:
    """Give since when a date of each CDR type counts: at the earliest, or as far as it has to do so for good."""
    times = {name: arrivals[name][date][listing][0] for name in types if date in arrivals[name]}
    good = {name: [at for at, last in editions[name][date] if last > "18"] for name in times}
    if listing == 0:
        return [max(at, good[name][0]) for name, at in times.items() if good[name]]
    # whichever of the types fails, the date is held
    if any(editions[name][date][-1][1] < "18" for name in times):
        return []
    latest = max([*times.values(), *(editions[name][date][-1][0] for name in times)], default=None)
    return [latest for _ in times if latest is not None]


@dataclass
class Told:
    """What QA checks have said of each date: when, and the outcome, as far as that was news."""

    outcomes: dict[tuple[str, str], str] = field(default_factory=dict)
    changed: dict[tuple[str, str], list[dt.datetime]] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    """What FlowAPI has listed last."""
    left: dict[tuple[str, str], dt.datetime] = field(default_factory=dict)
    """When dates were seen to have left the list that are not back."""

    quiet_polls: int = 0
    """How many lists have said the same of late: what is recorded of the first of them, a crash may have taken."""

    def note_list(self, listed: Mapping[str, list[str]], now: dt.datetime) -> None:
        """Take note of what FlowAPI lists."""
        before = dict(self.left)
        self._note_left(listed, now)
        self.quiet_polls = self.quiet_polls + 1 if self.left == before else 0

    def _note_left(self, listed: Mapping[str, list[str]], now: dt.datetime) -> None:
        for cdr_type, dates in listed.items():
            # a whole type that is gone is an answer that is doubted
            if dates:
                gone = set(self.lists.get(cdr_type, ())) - set(dates)
                self.left |= {(cdr_type, date): now for date in gone}
                self.left = {key: time for key, time in self.left.items() if key[0] != cdr_type or key[1] not in dates}
                self.lists[cdr_type] = dates

    def answer(self, request: Mapping[str, Any], there: Mapping[str, Mapping[str, str]], now: dt.datetime) -> Any:
        """Answer as the child does, and note what is another outcome than before."""
        listed = {cdr_type: [ROWS, CHECK] for cdr_type, outcomes in there.items() if outcomes}
        changed: dict[str, dict[str, dict[str, str | None]]] = {}
        for cdr_type, checks in request["wanted"].items():
            for check in checks:
                blocks = blocks_of(there.get(cdr_type, {})) if check in (ROWS, CHECK) else {}
                known = request["known"].get(cdr_type, {}).get(check, {})
                news: dict[str, str | None] = {
                    year: block for year, block in blocks.items() if known.get(year) != digest(block)
                }
                news |= {year: None for year in known if year not in blocks}
                changed.setdefault(cdr_type, {})[check] = news
            for date, outcome in there.get(cdr_type, {}).items():
                if self.outcomes.get((cdr_type, date), outcome) != outcome:
                    self.changed.setdefault((cdr_type, date), []).append(now)
                self.outcomes[cdr_type, date] = outcome
        return {"listed": listed, "changed": changed, "off": None}

    def changes_of(self, run: RecordedAttempt, types: list[str]) -> Iterator[dt.datetime]:
        """Give when data that are in the windows of a run were seen to be others."""
        for key, times in self.changed.items():
            if _used(run, types, *key):
                yield from times

    def departures_of(self, run: RecordedAttempt, types: list[str]) -> Iterator[dt.datetime]:
        """Give when dates that are in the windows of a run were seen to be away, which they still are."""
        for key, time in self.left.items():
            if _used(run, types, *key):
                yield time


def _used(run: RecordedAttempt, types: list[str], cdr_type: str, date: str) -> bool:
    ranges = (run.parameters or {}).get("date_ranges", ())
    if dt.date.fromisoformat(date) in run.missing_dates:
        # it was made without
        return False
    return cdr_type in types and any(start <= date < end for start, end in ranges)
