# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Figures for Prometheus, none of which takes a look at the whole record."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from autoflow import __version__
from autoflow.capacity import PoolInUse
from autoflow.context import Context
from autoflow.decision import judge, triggers_by_run
from autoflow.runs import AttemptState, RunKey, RunState
from autoflow.sensor import SlotsInUse
from autoflow.settings import token_expiry
from autoflow.web.disk import DiskProbe, Room
from autoflow.web.page_cache import PageCache

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

BUCKETS = (1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)
"""Seconds that runs take: from a trivial notebook to a day."""

POOLS: Mapping[str, tuple[str, Callable[[PoolInUse], int]]] = {
    "places": ("Notebooks of a pool that may be executed at a time.", lambda pool: pool.places),
    "places_in_use": ("Notebooks of a pool that are being executed.", lambda pool: pool.in_use),
    "waiting": ("Notebooks that wait for a place in a pool.", lambda pool: len(pool.waiting)),
}
"""What there is to say of each pool."""


@dataclass(frozen=True)
class _KnownRuns:
    """What the record says of runs of triggers, those that are provisional and due among them."""

    stamp: object
    """Something else when the record or the definitions have changed."""
    failing: Counter[tuple[str, RunState]]
    """How many fail or are given up, by workflow."""
    failed: Mapping[RunKey, dt.date]
    """These, with their dates."""
    provisional: Mapping[RunKey, dt.date]


class Metrics:
    """What Prometheus asks for, counted on from one question to the next."""

    def __init__(self, context: Context, pages: PageCache) -> None:
        self._context = context
        self._pages = pages
        self._registry = CollectorRegistry()
        self._durations = Histogram(
            "autoflow_attempt_duration_seconds",
            "How long attempts at runs took that have ended since AutoFlow was started.",
            ("workflow", "state"),
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._registry.register(_Gauges(self))
        settings = context.settings
        places = {"outputs": settings.outputs_dir, "notebooks": settings.notebooks_dir, "reports": settings.reports_dir}
        self._disk = DiskProbe({**places, "record": settings.db_path.parent}, settings.db_path)
        self._rooms: dict[str, Room] = {}
        self._record_size: int | None = None
        self._known: _KnownRuns | None = None
        self._counted: set[int] = set()
        self._upto = context.store.read.newest_attempt()
        self._states: Counter[AttemptState] = Counter(context.store.read.counts())

    async def look(self) -> None:
        """See how much room there is, before the figures are written."""
        self._rooms, self._record_size = await self._disk.look()

    def text(self, *, healthy: bool) -> bytes:
        """Return the figures as they are now."""
        self._healthy = healthy
        self._count()
        return generate_latest(self._registry)

    def gauges(self) -> Iterator[Metric]:
        """Yield what has one value at a time."""
        context, now = self._context, self._context.now()
        backlog, read, daemon_state = context.backlog, context.store.read, self._pages.daemon_state
        info = GaugeMetricFamily("autoflow_build_info", "The version of AutoFlow.", labels=["version", "name"])
        info.add_metric([__version__, context.settings.name], 1)
        yield info
        states = {state.value: self._states[state] for state in AttemptState if state is not AttemptState.RUNNING}
        states[AttemptState.RUNNING.value] = len(context.steering.running())
        yield _labelled("autoflow_attempts", "Attempts at runs, by their state.", "state", states)
        yield _plain("autoflow_healthy", "Whether /health answers 200.", int(self._healthy))
        yield _plain("autoflow_problems", "Conditions that a person should know of.", len(context.conditions.present()))
        yield _plain(
            "autoflow_due_runs", "Runs that the last tick found due and that have not begun.", len(backlog.due)
        )
        yield _plain(
            "autoflow_waiting_dates", "Dates of triggers whose stencil is not complete.", sum(backlog.waiting.values())
        )
        slots = daemon_state.slots or SlotsInUse(0, 0)
        yield _plain("autoflow_slots", "Notebooks and reports that may be made at a time now.", slots.given)
        yield _plain("autoflow_slots_in_use", "Notebooks and reports that are being made.", slots.in_use)
        for what, (text, number) in POOLS.items():
            values = {name: number(pool) for name, pool in slots.pools.items()}
            yield _labelled(f"autoflow_pool_{what}", text, "pool", values)
        yield from self._by_workflow(now)
        stale = Counter(read.count_stale())
        names = dict.fromkeys([*self._pages.daemon_state.definitions.workflows, *stale])
        text = "Runs that have succeeded with data that were ingested anew since."
        yield _labelled("autoflow_stale_runs", text, "workflow", {name: stale[name] for name in names})
        yield from self._room()
        for name, text, moment in (
            ("last_poll", "When FlowAPI last listed its dates.", read.last_poll()),
            ("last_tick", "When the last tick was made.", read.last_tick()),
            ("next_tick", "When the next tick is.", daemon_state.next_tick),
            ("token_expiry", "When FlowAPI's token ends.", token_expiry(context.settings)),
        ):
            if moment is not None:
                yield _plain(f"autoflow_{name}_timestamp_seconds", text, moment.astimezone(dt.UTC).timestamp())

    def _by_workflow(self, now: dt.datetime) -> Iterator[Metric]:
        """Yield what there is of each workflow in the definitions, be it nothing."""
        backlog, names = self._context.backlog, list(self._pages.daemon_state.definitions.workflows)
        known = self._known_runs()
        due = backlog.due.without(known.failed).by_workflow()
        # those that are to be made again are due, and no longer provisional
        made, again = Counter(name for name, _ in known.provisional), backlog.due.among(known.provisional).by_workflow()
        dates = GaugeMetricFamily(
            "autoflow_dates",
            "Dates of triggers that failed and are retried, are given up, are due, wait for data, are held, and are"
            " provisional.",
            labels=["workflow", "state"],
        )
        for name in names:
            for state, number in (
                (RunState.FAILED, known.failing[name, RunState.FAILED]),
                (RunState.GIVEN_UP, known.failing[name, RunState.GIVEN_UP]),
                (RunState.DUE, due[name]),
                (RunState.WAITING, backlog.waiting.get(name, 0)),
                (RunState.HELD, backlog.held.get(name, 0)),
                (RunState.PROVISIONAL, made[name] - again[name]),
            ):
                dates.add_metric([name, state.value], number)
        yield dates
        oldest = backlog.due.oldest()
        ages = {name: self._age(oldest.get(name), now) for name in {**dict.fromkeys(names), **oldest}}
        text = "Time since the oldest date that is due was first listed by FlowAPI"
        yield _plain("autoflow_oldest_due_age_seconds", f"{text}.", self._age(min(oldest.values(), default=None), now))
        yield _labelled("autoflow_workflow_oldest_due_age_seconds", f"{text}, by workflow.", "workflow", ages)

    def _age(self, date: dt.date | None, now: dt.datetime) -> float:
        since = None if date is None else self._context.store.read.appeared(date)
        return (now - since).total_seconds() if since else 0.0

    def _known_runs(self) -> _KnownRuns:
        """Read what is not as of the last tick; it is the same until the record or the definitions change."""
        definitions, store = self._pages.daemon_state.definitions, self._context.store
        stamp = store.changes, definitions
        if self._known is not None and self._known.stamp == stamp:
            return self._known
        history, triggers_of = store.read.history(), triggers_by_run(definitions)
        counts, keys = Counter[tuple[str, RunState]](), dict[RunKey, dt.date]()
        for key, date in store.read.unsettled() if history.failed else ():
            if next(triggers_of(key, date), None) is None:
                continue
            state = judge(history, key, date, RunState.DUE, definitions.workflows[key[0]].retries).state
            if state in (RunState.FAILED, RunState.GIVEN_UP):
                counts[key[0], state] += 1
                keys[key] = date
        provisional = {key: date for key, date in history.provisional.items() if any(triggers_of(key, date))}
        self._known = _KnownRuns(stamp, counts, keys, provisional)
        return self._known

    def _room(self) -> Iterator[Metric]:
        for what, text in (("size", "Bytes"), ("used", "Used bytes"), ("free", "Free bytes")):
            values = {name: getattr(room, what) for name, room in self._rooms.items()}
            where = f"{text} of the file systems where the outputs and the record are."
            yield _labelled(f"autoflow_disk_{what}_bytes", where, "place", values)
        if self._record_size is not None:
            yield _plain("autoflow_record_bytes", "What the record takes.", self._record_size)

    def _count(self) -> None:
        """Take account of the attempts that have ended since the last time."""
        going_on = None
        newest = self._upto
        for attempt_id, workflow, state, length in self._context.store.read.ends_after(self._upto):
            newest = attempt_id
            if state is AttemptState.RUNNING:
                going_on = going_on or attempt_id
            elif attempt_id not in self._counted:
                self._counted.add(attempt_id)
                self._states[state] += 1
                if length is not None:
                    self._durations.labels(workflow, state.value).observe(length)
        # an attempt that goes on is looked at again, and so are those after it
        self._upto = newest if going_on is None else going_on - 1
        self._counted = {attempt_id for attempt_id in self._counted if attempt_id > self._upto}


class _Gauges(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> list[Metric]:
        # nothing is read before metrics are requested
        return []

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics.gauges()


def _plain(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _labelled(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
