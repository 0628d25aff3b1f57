# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Figures for Prometheus, none of which takes a look at the whole record."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from autoflow import __version__
from autoflow.context import Context
from autoflow.runs import AttemptState
from autoflow.settings import token_expiry
from autoflow.web.page_cache import PageCache

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

BUCKETS = (1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)
"""Seconds that runs take: from a trivial notebook to a day."""


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
        self._counted: set[int] = set()
        self._upto = context.store.read.newest_attempt()
        self._states: Counter[AttemptState] = Counter(context.store.read.counts())

    def text(self, *, healthy: bool) -> bytes:
        """Return the figures as they are now."""
        self._healthy = healthy
        self._count()
        return generate_latest(self._registry)

    def gauges(self) -> Iterator[Metric]:
        """Yield what has one value at a time."""
        context, now = self._context, self._context.now()
        backlog, read, daemon_state = context.backlog, context.store.read, self._pages.daemon_state
        yield _labelled("autoflow_build_info", "The version of AutoFlow.", "version", {__version__: 1})
        states = {state.value: self._states[state] for state in AttemptState if state is not AttemptState.RUNNING}
        states[AttemptState.RUNNING.value] = len(context.steering.running())
        yield _labelled("autoflow_attempts", "Attempts at runs, by their state.", "state", states)
        yield _plain("autoflow_healthy", "Whether /health answers 200.", int(self._healthy))
        yield _plain("autoflow_problems", "Conditions that a person should know of.", len(context.conditions.present()))
        yield _plain(
            "autoflow_due_runs", "Runs that the last tick found due and that have not begun.", len(backlog.due)
        )
        yield _plain("autoflow_waiting_dates", "Dates of triggers whose stencil is not complete.", backlog.waiting)
        oldest = min((run.reference_date for run in backlog.due), default=None)
        since = None if oldest is None else read.appeared(oldest)
        age = (now - since).total_seconds() if since else 0.0
        yield _plain(
            "autoflow_oldest_due_age_seconds",
            "Time since the oldest date that is due was first listed by FlowAPI.",
            age,
        )
        for name, text, moment in (
            ("last_poll", "When FlowAPI last listed its dates.", read.last_poll()),
            ("last_tick", "When the last tick was made.", read.last_tick()),
            ("next_tick", "When the next tick is.", daemon_state.next_tick),
            ("token_expiry", "When FlowAPI's token ends.", token_expiry(context.settings)),
        ):
            if moment is not None:
                yield _plain(f"autoflow_{name}_timestamp_seconds", text, moment.astimezone(dt.UTC).timestamp())

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


def _labelled(name: str, text: str, label: str, values: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
