# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Figures for Prometheus: right, and cheap on a record of ten years."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from autoflow.app import open_context
from autoflow.context.context import Context
from autoflow.definitions import Definitions, Workflow
from autoflow.model.store import RunStore
from autoflow.progress import Progress
from autoflow.runs.runs import AttemptState, Run
from autoflow.settings.settings import load_settings
from autoflow.web.metrics import Metrics
from autoflow.web.page_cache import DaemonState, PageCache
from tests.conftest import Deployment

NOW = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
HOSTILE = 'w"\\\n{}'


@pytest.fixture
def context(deployment: Deployment) -> Iterator[Context]:
    deployment.write_simple("glues")
    settings = load_settings(deployment.environment, docker_secrets=deployment.inputs)
    with open_context(settings, deployment.environment, Progress()) as context:
        yield context


def figures(metrics: Metrics) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.text(healthy=True).decode())
        for sample in family.samples
    }


def make(store: RunStore, number: int, state: AttemptState | None, seconds: float = 30.0, name: str = "w") -> None:
    run = Run(Workflow(name, ()), dt.date(2016, 1, 1) + dt.timedelta(number), {"number": number}, f"{number}")
    attempt = store.begin(run, NOW)
    if state is not None:
        store.finish(attempt, state, NOW + dt.timedelta(seconds=seconds))


def pages_of(context: Context) -> PageCache:
    """Give pages of an AutoFlow that has just been started."""
    return PageCache(context, lambda: DaemonState(context.now(), Definitions({}, (), schedule=None)))


def test_attempts_are_counted_once_each_whatever_their_order(context: Context) -> None:
    make(context.store, 0, AttemptState.FAILED)
    metrics = Metrics(context, pages_of(context))
    make(context.store, 1, None)
    make(context.store, 2, AttemptState.SUCCEEDED, 20)
    make(context.store, 3, AttemptState.SUCCEEDED, 400, HOSTILE)
    for _ in range(3):
        found = figures(metrics)
        assert found["autoflow_attempts", "succeeded"] == 2
        assert found["autoflow_attempts", "failed"] == 1
    context.store.recover(NOW)
    make(context.store, 4, AttemptState.FAILED)
    found = figures(metrics)
    assert found["autoflow_attempts", "interrupted"] == 1
    assert found["autoflow_attempts", "failed"] == 2
    # those from before the start are counted, and not among the durations
    assert found["autoflow_attempt_duration_seconds_count", "failed", "w"] == 1
    assert found["autoflow_attempt_duration_seconds_sum", "succeeded", HOSTILE] == 400


def test_the_oldest_date_that_is_due_has_an_age(context: Context) -> None:
    metrics = Metrics(context, pages_of(context))
    assert figures(metrics)["autoflow_oldest_due_age_seconds",] == 0
    listed = dt.datetime.now(dt.UTC) - dt.timedelta(hours=5)
    context.store.record_poll({"calls": ["2016-01-01", "2016-01-02", "2016-01-03"]}, listed)
    dates = (dt.date(2016, 1, 3), dt.date(2016, 1, 2))
    context.backlog.due = [Run(Workflow("w", ()), date, {}, str(date)) for date in dates]
    found = figures(metrics)
    assert found["autoflow_due_runs",] == 2
    assert found["autoflow_oldest_due_age_seconds",] == pytest.approx(5 * 3600, abs=60)
    assert context.store.read.appeared(dt.date(2016, 1, 4)) is None


def test_a_record_of_ten_years_costs_next_to_nothing(context: Context) -> None:
    connection = context.store._connection
    connection.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 180000)"
        " INSERT INTO runs (number, workflow, parameters_hash, reference_date, parameters)"
        " SELECT i, 'w', i, date('2016-01-01', (i / 50) || ' days'), '{}' FROM n",
    )
    connection.execute(
        "INSERT INTO attempts (run, attempt, state, started, ended) SELECT number, 1, 'succeeded', ?, ? FROM runs",
        (NOW.isoformat(), NOW.isoformat()),
    )
    context.store.record_poll({"calls": [f"2016-01-{day:02}" for day in range(1, 32)]}, NOW)
    metrics = Metrics(context, pages_of(context))
    assert figures(metrics)["autoflow_attempts", "succeeded"] == 180_000
    steps: list[int] = []
    connection.set_progress_handler(lambda: steps.append(1000), 1000)
    metrics.text(healthy=True)
    connection.set_progress_handler(None, 0)
    # to look at each run would be more than a million
    assert sum(steps) < 50_000
