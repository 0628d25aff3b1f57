# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The daemon's life, on a clock that is held still: real store, real children, real HTTP."""

from __future__ import annotations

import asyncio
import datetime as dt
import errno
import os
import shutil
import signal
import sqlite3
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from autoflow.context.outputs import Outputs
from autoflow.daemon.loop import FIRST_PAUSE, RECORD_PATIENCE, Agenda, beside, handle_requests
from autoflow.definitions import Definitions
from autoflow.demo_flowapi import FlowapiStandin
from autoflow.model.store import Attempt, RunStore
from autoflow.parser.parser import read_definitions
from autoflow.runs.runs import AttemptState, Run, build_run
from autoflow.sensor.executor import Executor
from autoflow.sensor.sensor import take_asked, tell_of_long_runs
from autoflow.settings.settings import load_settings
from autoflow.system.control import ask
from autoflow.web import DaemonState, IndexPage, PageCache
from tests.clock import PATIENCE
from tests.conftest import Deployment
from tests.living import HOUR, START, change_code, hourly, living, polls


@pytest.fixture(autouse=True)
def _far_token(deployment: Deployment, flowapi: FlowapiStandin) -> None:
    # the daemon's clock is months ahead of FlowAPI's
    deployment.environment["FLOWAPI_TOKEN"] = flowapi.token(dt.timedelta(days=3000))


def test_a_new_installation_waits_for_its_first_tick_and_then_ticks_on_schedule(
    deployment: Deployment, flowapi: FlowapiStandin, caplog: pytest.LogCaptureFixture
) -> None:
    flowapi.set_days(0)
    hourly(deployment, "glues")
    with living(deployment, caplog) as life:

        async def steps() -> None:
            assert polls(flowapi) == 0
            for ticks in (1, 2, 3):
                await life.until(lambda expected=ticks: polls(flowapi) == expected)
                assert START + (ticks - 0.5) * HOUR < life.clock() < START + ticks * HOUR

        life.serve(steps)
        assert life.count("next tick at 2027-03-01 13:00:00 UTC") == 1


def test_ticks_that_were_missed_happen_once_and_at_once(
    deployment: Deployment, flowapi: FlowapiStandin, caplog: pytest.LogCaptureFixture
) -> None:
    flowapi.set_days(0)
    hourly(deployment, "glues")
    with living(deployment, caplog) as life:
        life.context.store.record_tick(START - 48 * HOUR)

        async def steps() -> None:
            await life.until(lambda: life.context.store.last_tick() >= START)  # type: ignore[operator]
            assert polls(flowapi) == 1
            await life.until(lambda: life.clock() > START + 0.45 * HOUR)
            assert polls(flowapi) == 1

        life.serve(steps)


def test_a_clock_that_jumps_makes_one_tick_and_one_that_is_set_back_goes_on(
    deployment: Deployment, flowapi: FlowapiStandin, caplog: pytest.LogCaptureFixture
) -> None:
    flowapi.set_days(0)
    hourly(deployment, "glues")
    with living(deployment, caplog) as life:

        async def steps() -> None:
            await life.until(lambda: life.count("next tick at") == 1)
            life.clock.set(30 * HOUR)
            await life.until(lambda: polls(flowapi) == 1)
            await life.until(lambda: life.clock() > START + 30.45 * HOUR)
            assert polls(flowapi) == 1
            # back to before the daemon's own last tick: it must not sleep for 30 hours
            life.clock.set(-40 * HOUR)
            await life.until(lambda: life.count("the clock was set back by") == 1)
            await life.until(lambda: polls(flowapi) == 2)
            assert life.clock() < START - 9 * HOUR

        life.serve(steps)


@pytest.mark.parametrize(
    ("zone", "before", "ticks"),
    [
        ("Europe/Berlin", "2026-03-29 00:10", ["01:00", "00:30"]),
        ("Europe/Berlin", "2026-10-25 00:10", ["00:30", "01:30"]),
    ],
)
def test_a_daily_tick_comes_once_on_days_whose_clocks_change(
    deployment: Deployment, zone: str, before: str, ticks: list[str]
) -> None:
    deployment.write_simple("glues", sensor=f"  timezone: {zone}\n")
    path = deployment.inputs / "workflows.yml"
    path.write_text(path.read_text().replace("0 0 1 1 *", "30 2 * * *"))
    settings = load_settings(deployment.environment)
    definitions = read_definitions(settings.workflows_file)
    moment = dt.datetime.fromisoformat(before).replace(tzinfo=dt.UTC)
    agenda, found = Agenda(moment, definitions), []
    for _ in ticks:
        agenda.last_tick = agenda.next(agenda.last_tick)
        found.append(f"{agenda.last_tick:%H:%M}")
    assert found == ticks


@pytest.mark.parametrize("fault", ["401", "403", "500", "nonsense", "truncated", "hang", "gone"])
def test_a_flowapi_that_fails_is_told_once_and_asked_ever_more_rarely(
    deployment: Deployment, flowapi: FlowapiStandin, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    flowapi.set_days(0)
    hourly(deployment, "glues")
    if fault == "hang":
        deployment.environment["AUTOFLOW_POLL_TIMEOUT"] = "600s"
    with living(deployment, caplog) as life:

        def told() -> int:
            return life.count("returned no available dates") + life.count("did not answer within 600 s")

        def ticking() -> int:
            return sum(record.getMessage() == "ticking" for record in caplog.records)

        tried: list[float] = []

        async def steps() -> None:
            if fault == "gone":
                flowapi.stop()
            else:
                flowapi.set_fault(fault)
            # all are counted from here: one that is due may begin as soon as the one before has failed
            ticks, asked = ticking(), polls(flowapi)
            for number in range(1, 6):
                await life.until(lambda wanted=ticks + number: ticking() >= wanted)
                tried.append(asyncio.get_running_loop().time())
                if fault == "hang":
                    await life.until(lambda wanted=asked + number: polls(flowapi) >= wanted)
                    with life.overtaking("available_dates"):
                        await asyncio.sleep(600.0)
            assert told() == 1
            pauses = [later - earlier for earlier, later in pairwise(tried)]
            assert all(pause >= FIRST_PAUSE * 2**number for number, pause in enumerate(pauses))
            if fault == "gone":
                flowapi.start()
            else:
                flowapi.set_fault(None)
            await life.until(lambda: life.count("FlowAPI is responding again") == 1)
            assert told() == 1

        life.serve(steps, now=True)


def test_definitions_that_change_are_taken_up_and_invalid_ones_are_not(
    deployment: Deployment, flowapi: FlowapiStandin, caplog: pytest.LogCaptureFixture
) -> None:
    flowapi.set_days(0)
    hourly(deployment, "glues")
    path = deployment.inputs / "workflows.yml"
    good = path.read_text()
    with living(deployment, caplog) as life:

        async def steps() -> None:
            await life.until(lambda: polls(flowapi) >= 1)
            path.write_text(good.replace("filename:", "filenam:"))
            await life.until(lambda: life.count("unknown key; did you mean 'filename'?") == 1)
            asked = polls(flowapi)
            await life.until(lambda: polls(flowapi) >= asked + 2)
            assert life.count("unknown key") == 1
            path.write_text(good.replace("name: w", "name: v"))
            await life.until(lambda: life.count("has changed and was reloaded") == 1)
            assert life.count("is valid again") == 1

        life.serve(steps)


def test_a_run_that_fails_is_tried_again_after_its_pause(
    deployment: Deployment, flowapi: FlowapiStandin, caplog: pytest.LogCaptureFixture
) -> None:
    flowapi.set_days(1)
    deployment.write_simple("raises", retries={"attempts": 2, "pause": "10m"})
    with living(deployment, caplog) as life:

        async def steps() -> None:
            await life.until(lambda: life.count("given up after 2 failed attempts") == 1)
            assert life.count("attempt 1") == 1
            assert life.count("attempt 2") == 1
            assert life.clock() > START + dt.timedelta(minutes=10)
            failures = next(iter(life.context.store.read.history().failed.values()))
            assert failures.attempts == 2

        life.serve(steps, now=True)


def test_a_backlog_lets_newer_data_pass(
    deployment: Deployment, flowapi: FlowapiStandin, caplog: pytest.LogCaptureFixture
) -> None:
    """What a tick decides takes the place of what still waits."""
    flowapi.set_days(4)
    hourly(deployment, "glues", concurrency=1)
    path = deployment.inputs / "workflows.yml"
    path.write_text(path.read_text() + "  order: newest\n")
    gate = deployment.inputs / "gate"
    gate.touch()
    waits = f"import os, time\nwhile reference_date == '2016-01-03' and os.path.exists({str(gate)!r}): time.sleep(0.01)"
    change_code(deployment, "glues", "import scrapbook", f"{waits}\nimport scrapbook")
    with living(deployment, caplog) as life:

        async def steps() -> None:
            await life.until(lambda: life.count("succeeded") == 1 and life.context.steering.running() == [2])
            flowapi.set_days(5)
            with life.overtaking("notebook"):
                await life.until(lambda: len(life.context.backlog.due) == 3)
            gate.unlink()
            await life.until(lambda: life.count("succeeded") == 5)

        life.serve(steps, now=True)
        assert "could not be forked" not in caplog.text
        order = [message.split()[3] for message in life.messages() if "started, attempt" in message]
        assert [int(date[-2:]) for date in order] == [4, 3, 5, 2, 1]


def test_while_a_notebook_hangs_ticks_go_on_and_what_they_find_is_run(
    deployment: Deployment, flowapi: FlowapiStandin, caplog: pytest.LogCaptureFixture
) -> None:
    flowapi.set_days(1)
    # on one processor too
    hourly(deployment, "hangs_on_one_date", retries={"pause": "1h"}, sensor="  concurrency: {runs: 2}\n")
    deployment.environment["AUTOFLOW_GRACE"] = "1s"
    with living(deployment, caplog) as life:
        context = life.context

        def of(date: str) -> list[str]:
            runs = context.store.read.attempts(first=dt.date.fromisoformat(date), last=dt.date.fromisoformat(date))
            return [run.state.value for run in runs]

        async def steps() -> None:
            await life.until(lambda: of("2016-01-01") == ["running"])
            flowapi.set_days(2)
            asked = polls(flowapi)
            with life.overtaking("notebook"):
                await life.until(lambda: of("2016-01-02") == ["succeeded"])
            # the next tick it was, and not a later one
            assert polls(flowapi) == asked + 1
            assert of("2016-01-01") == ["running"]
            answer = await asyncio.to_thread(ask, context.settings.control_socket)
            assert "1 run in progress" in answer["doing"]
            assert answer["running"] == [1]
            # when FlowAPI fails meanwhile, people can see since when
            flowapi.set_fault("500")
            with life.overtaking("notebook"):
                await life.until(lambda: context.store.read.silence() is not None)
            polled = (await asyncio.to_thread(ask, context.settings.control_socket))["last_poll"]
            flowapi.set_fault(None)
            with life.overtaking("notebook"):
                await life.until(lambda: context.store.read.silence() is None)
            assert context.store.read.last_poll() > dt.datetime.fromisoformat(polled)  # type: ignore[operator]
            assert of("2016-01-01") == ["running"]

        life.serve(steps, now=True)
        assert of("2016-01-01") == ["interrupted"]
        # the next start takes it up at once
        assert context.store.read.unfinished()


def test_requests_are_handled_while_a_notebook_hangs_and_flowapi_too(
    deployment: Deployment, flowapi: FlowapiStandin, caplog: pytest.LogCaptureFixture
) -> None:
    flowapi.set_days(1)
    # on one processor too
    hourly(deployment, "hangs_on_one_date", sensor="  concurrency: {runs: 2}\n")
    deployment.environment |= {"AUTOFLOW_POLL_TIMEOUT": "600s", "AUTOFLOW_GRACE": "1s"}
    with living(deployment, caplog) as life:
        context = life.context
        definitions = read_definitions(context.settings.workflows_file)
        (trigger,) = definitions.triggers

        def order(do: str, **more: object) -> dict[str, object]:
            return ask(context.settings.control_socket, {"do": do, **more})

        async def steps() -> None:
            await life.until(lambda: context.steering.running() == [1])
            flowapi.set_fault("hang")
            asked = polls(flowapi)
            with life.overtaking("notebook"):
                await life.until(lambda: polls(flowapi) > asked)
            run = build_run(definitions.workflows["w"], trigger, dt.date(2016, 1, 2))
            runs = [{"workflow": "w", "parameters": run.parameters}]
            assert await asyncio.to_thread(order, "run", runs=runs) == {"done": 1}
            await life.until(lambda: life.count("2016-01-02") and life.count("succeeded") == 1)
            assert await asyncio.to_thread(order, "cancel", run=1, reason="it hangs") == {"done": 1}
            await life.until(lambda: life.count("was cancelled") == 1)
            assert polls(flowapi) == asked + 1

        life.serve(steps, now=True)


def test_a_retry_that_becomes_due_while_another_run_hangs_is_made(
    deployment: Deployment, flowapi: FlowapiStandin, caplog: pytest.LogCaptureFixture
) -> None:
    flowapi.set_days(2)
    text = """
workflows:
  - {name: hangs, notebooks: {a: {filename: hangs_on_one_date.ipynb, parameters: {reference_date: reference_date}}}}
  - name: raises
    notebooks: {a: {filename: raises_on_one_date.ipynb, parameters: {reference_date: reference_date}}}
    retries: {pause: 30m}
available_dates_sensor:
  schedule: "0 0 1 1 *"
  concurrency: {runs: 2}
  workflows: [{workflow_name: hangs}, {workflow_name: raises}]
"""
    deployment.write(text, "hangs_on_one_date", "raises_on_one_date")
    deployment.environment["AUTOFLOW_GRACE"] = "1s"
    with living(deployment, caplog) as life:

        async def steps() -> None:
            await life.until(lambda: len(life.context.steering.running()) == 1 and not life.context.backlog.due)
            with life.overtaking("notebook"):
                await life.until(lambda: life.count("raises 2016-01-02") and life.count("attempt 2") == 1)
            assert START + HOUR / 2 < life.clock() < START + HOUR
            assert len(life.context.steering.running()) >= 1

        life.serve(steps, now=True)


@pytest.mark.parametrize("told", [False, True], ids=["next tick", "SIGHUP"])
def test_concurrency_that_changes_counts_from_the_next_tick_on_or_at_once_when_told(
    deployment: Deployment, flowapi: FlowapiStandin, caplog: pytest.LogCaptureFixture, told: bool
) -> None:
    flowapi.set_days(3)
    hourly(deployment, "hangs_on_one_date", retries={"attempts": 1})
    path = deployment.inputs / "workflows.yml"
    one = path.read_text()
    path.write_text(one + "  concurrency: {runs: 1}\n")
    deployment.environment["AUTOFLOW_GRACE"] = "1s"
    with living(deployment, caplog) as life:

        async def steps() -> None:
            asked = polls(flowapi)
            await life.until(lambda: life.context.steering.running() == [1])
            with life.overtaking("notebook"):
                await life.until(lambda: polls(flowapi) > asked + 1)
            assert life.count("succeeded") == 0
            path.write_text(one + "  concurrency: {runs: 2}\n")
            asked = polls(flowapi)
            if told:
                os.kill(os.getpid(), signal.SIGHUP)
                await life.until(lambda: life.count("succeeded") == 2)
            else:
                with life.overtaking("notebook"):
                    await life.until(lambda: life.count("succeeded") == 2)
            assert (polls(flowapi) == asked) is told
            assert life.context.steering.running() == [1]

        life.serve(steps, now=True)
    assert "stopping; 1 run in progress" in [record.getMessage() for record in caplog.records]


def test_what_a_crash_left_half_done_is_taken_up_at_the_next_start(
    deployment: Deployment, flowapi: FlowapiStandin, caplog: pytest.LogCaptureFixture
) -> None:
    flowapi.set_days(1)
    deployment.write_simple("glues")
    with living(deployment, caplog) as life:
        life.context.store.record_tick(START, unfinished=True)

        async def steps() -> None:
            await life.until(lambda: life.count("succeeded") == 1)
            await life.until(lambda: not life.context.store.read.unfinished())

        life.serve(steps)


def test_a_token_near_its_end_is_warned_about_once_for_each_threshold(
    deployment: Deployment, flowapi: FlowapiStandin, caplog: pytest.LogCaptureFixture
) -> None:
    flowapi.set_days(0)
    hourly(deployment, "glues")
    deployment.environment["FLOWAPI_TOKEN"] = flowapi.token(dt.timedelta(days=7.2))
    with living(deployment, caplog, start=dt.datetime.now(dt.UTC)) as life:

        async def steps() -> None:
            await life.until(lambda: life.count("in less than 7 days") == 1)
            assert life.count("in less than 14 days") == 1
            asked = polls(flowapi)
            await life.until(lambda: polls(flowapi) >= asked + 2)
            assert life.count("in less than") == 2

        life.serve(steps, now=True)


def test_what_can_not_be_recorded_is_tried_again_and_not_forgotten(
    deployment: Deployment, flowapi: FlowapiStandin, caplog: pytest.LogCaptureFixture
) -> None:
    """A store that fails for a while, as on a full disk, stops no daemon, loses no date and does none twice."""
    flowapi.set_days(1)
    hourly(deployment, "glues")
    with living(deployment, caplog) as life:
        store = life.context.store

        async def steps() -> None:
            await life.until(lambda: life.count("notebook glues started") == 1)
            store._connection.execute("PRAGMA query_only = ON")
            await life.until(lambda: life.count("the record cannot be written (attempt to write a readonly") == 1)
            # while ticks go on, nobody takes it for one that a crash left
            asked = polls(flowapi)
            store._connection.execute("PRAGMA query_only = OFF")
            await life.until(lambda: life.count("succeeded") == 1)
            await life.until(lambda: polls(flowapi) > asked)

        life.serve(steps, now=True)
        assert len(deployment.made("notebooks/*")) == 1
        assert life.count("started, attempt") == 1


def test_while_another_process_holds_the_record_the_loop_turns_and_nothing_is_done_twice(
    deployment: Deployment, flowapi: FlowapiStandin, caplog: pytest.LogCaptureFixture
) -> None:
    flowapi.set_days(2)
    hourly(deployment, "glues", concurrency=1)
    with living(deployment, caplog) as life:
        socket, store = life.context.settings.control_socket, life.context.store
        other = sqlite3.connect(store.path, isolation_level=None)

        async def steps() -> None:
            await life.until(lambda: life.count("notebook glues started") == 1)
            other.execute("BEGIN IMMEDIATE")
            # the loop stands still for that long at a time, and no longer
            assert store._connection.execute("PRAGMA busy_timeout").fetchone()[0] == 1000 * RECORD_PATIENCE
            await life.until(lambda: life.count("the record cannot be written (database is locked)") > 0)
            for _ in range(5):
                await asyncio.to_thread(ask, socket, None, PATIENCE)
            other.execute("ROLLBACK")
            await life.until(lambda: life.count("succeeded") == 2)

        life.serve(steps, now=True)
        other.close()
        assert [run.state.value for run in store.read.attempts()] == ["succeeded", "succeeded"]
        assert len(deployment.made("notebooks/*")) == 2


def test_an_end_that_the_record_refuses_harms_no_other_run_and_is_put_right_at_the_next_tick(
    deployment: Deployment, flowapi: FlowapiStandin, caplog: pytest.LogCaptureFixture
) -> None:
    flowapi.set_days(2)
    hourly(deployment, "glues", concurrency=2)
    with living(deployment, caplog) as life:
        store = life.context.store
        store._connection.execute(
            "CREATE TRIGGER no BEFORE UPDATE ON runs WHEN NEW.reference_date = '2016-01-01'"
            " AND NEW.state = 'succeeded' BEGIN SELECT RAISE(ABORT, 'not this one'); END"
        )

        async def steps() -> None:
            await life.until(lambda: life.count("2016-01-01 could not be started") >= 1)
            await life.until(lambda: life.count("succeeded") == 1)
            store._connection.execute("DROP TRIGGER no")
            await life.until(lambda: life.count("succeeded") == 2)

        life.serve(steps, now=True)
        states = [(run.reference_date.day, run.attempt, run.state.value) for run in store.read.attempts()]  # type: ignore[union-attr]
        assert sorted(states)[-2:] == [(1, 2, "succeeded"), (2, 1, "succeeded")]
        assert sorted(states)[0] == (1, 1, "interrupted")


class SlowShare(Outputs):
    """Outputs on a share that gives up on one date."""

    async def publish(self, source: Path, final: Path) -> None:
        if "2016-01-01" in final.name:
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT), str(final))
        await super().publish(source, final)


@pytest.mark.parametrize("limit", ["none", "1h"])
def test_a_file_system_that_times_out_is_not_taken_for_a_run_that_took_too_long(
    deployment: Deployment, flowapi: FlowapiStandin, caplog: pytest.LogCaptureFixture, limit: str
) -> None:
    hourly(deployment, "glues", timeout=limit, retries={"attempts": 1})
    with living(deployment, caplog) as life:
        directories = life.context.outputs.notebooks, life.context.outputs.reports
        life.context = replace(life.context, outputs=SlowShare(*directories))

        async def steps() -> None:
            await life.until(lambda: life.count("given up after 1 failed attempt") == 1)
            await life.until(lambda: life.count("succeeded") == 1)

        life.serve(steps, now=True)
        (failed,) = life.context.store.read.attempts(states=[AttemptState.FAILED])
        assert str(failed.failure).endswith("Connection timed out")
        assert "took longer" not in str(failed.failure)


def test_what_failed_while_the_clock_was_ahead_is_tried_again_when_it_is_right(
    deployment: Deployment, flowapi: FlowapiStandin, caplog: pytest.LogCaptureFixture
) -> None:
    flowapi.set_days(1)
    hourly(deployment, "raises", retries={"pause": "20m"})
    year = dt.timedelta(days=365)
    with living(deployment, caplog, start=START + year) as life:

        async def steps() -> None:
            await life.until(lambda: life.count("raises, cell") >= 1 and not life.context.steering.running())
            life.clock.set(-year)
            await life.until(lambda: life.count("the clock was set back by") == 1)
            await life.until(lambda: life.count("attempt 2") == 1)
            assert life.clock() < START + 4 * HOUR

        life.serve(steps, now=True)


def executing(store: RunStore, run: Run, since: dt.datetime) -> Attempt:
    """Record that the notebook of a run is being executed."""
    attempt = store.begin(run, since)
    store.begin_notebook(attempt, "n", since)
    store.record_sources(attempt, "n", {}, since)
    return attempt


def test_a_run_that_takes_far_longer_than_usual_is_a_warning_until_it_ends(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    deployment.write_simple("glues")
    with living(deployment, caplog) as life:
        context, store = life.context, life.context.store
        definitions = read_definitions(context.settings.workflows_file)
        (trigger,) = definitions.triggers

        def begin(day: int, ago: dt.timedelta) -> Attempt:
            run = build_run(definitions.workflows["w"], trigger, dt.date(2016, 1, day))
            return executing(store, run, START - ago)

        def told() -> bool:
            tell_of_long_runs(context)
            return "long runs" in context.conditions.by_name

        hangs = begin(1, 2 * HOUR)
        # nobody knows yet what is usual
        assert not told()
        good = begin(2, HOUR)
        store.finish_notebook(good, "n", AttemptState.SUCCEEDED, START - HOUR / 2)
        store.finish(good, AttemptState.SUCCEEDED, START - HOUR / 2)
        assert told()
        assert "run 1 (w 2016-01-01) since 2027-03-01 10:30 UTC" in context.conditions.by_name["long runs"]
        store.finish(hangs, AttemptState.INTERRUPTED, START)
        assert not told()
        # what waits for a worker all the time takes no longer than usual
        waits = begin(3, 2 * HOUR)
        store.record_sources(waits, "n", {}, START - HOUR / 2)
        assert not told()


def test_what_is_told_of_a_long_run_is_over_when_it_ends_and_not_with_the_next_tick(
    deployment: Deployment, flowapi: FlowapiStandin, caplog: pytest.LogCaptureFixture
) -> None:
    deployment.write_simple("glues")
    with living(deployment, caplog) as life:
        context, store = life.context, life.context.store
        definitions = read_definitions(context.settings.workflows_file)
        run = build_run(definitions.workflows["w"], definitions.triggers[0], dt.date(2016, 1, 2))

        async def steps() -> None:
            hangs = executing(store, run, START - 4 * HOUR)
            tell_of_long_runs(context)
            assert "long runs" in context.conditions.by_name
            store.finish(hangs, AttemptState.CANCELLED, START)
            # as each run's end, this one's wakes the daemon
            asked = {"workflow": "w", "parameters": {**run.parameters, "reference_date": "2016-01-01"}}
            assert context.steering.carry_out({"do": "run", "runs": [asked]}, context.now()) == {"done": 1}
            await life.until(lambda: "long runs" not in context.conditions.by_name)

        life.serve(steps)
        assert polls(flowapi) == 0


def test_what_is_told_is_over_when_people_have_seen_to_it(
    deployment: Deployment, flowapi: FlowapiStandin, caplog: pytest.LogCaptureFixture
) -> None:
    """Runs out of retries that are skipped, and CDR types and channels that workflows.yml no longer names."""
    flowapi.dates = {"calls": ["2016-01-01", "2016-01-02"]}
    hourly(deployment, "raises_on_one_date", sensor="  cdr_types: [calls]\n", retries={"attempts": 1})
    path = deployment.inputs / "workflows.yml"
    text = path.read_text()
    more = text.replace("w}]", "w}, {workflow_name: w, cdr_types: [mds], date_stencil: [-1]}]")
    path.write_text(f"{more}notify: {{email: [a@example.com]}}\n")
    deployment.environment["AUTOFLOW_SMTP_URL"] = "smtp://127.0.0.1:9"
    with living(deployment, caplog) as life:
        context = life.context

        def told() -> set[str]:
            return set(context.conditions.by_name) & {"given up", "no dates of mds", "messages by email"}

        async def steps() -> None:
            await life.until(lambda: len(told()) == 3)
            asked = polls(flowapi)
            skip = {"do": "skip", "workflow": "w", "dates": ["2016-01-02"], "reason": "no towers"}
            assert context.steering.carry_out(skip, context.now()) == {"done": 1}
            await life.until(lambda: "given up" not in told())
            assert polls(flowapi) == asked
            path.write_text(text)
            os.kill(os.getpid(), signal.SIGHUP)
            await life.until(lambda: not told())

        life.serve(steps, now=True)


def test_a_repair_makes_again_the_queries_that_flowmachine_has_forgotten(
    deployment: Deployment, flowapi: FlowapiStandin, caplog: pytest.LogCaptureFixture
) -> None:
    flowapi.set_days(1)
    text = """
workflows:
  - name: w
    retries: {attempts: 1}
    notebooks:
      asks: {filename: glues.ipynb, parameters: {reference_date: reference_date}}
      gets: {filename: raises.ipynb, parameters: {previous: asks}}
      other: {filename: another.ipynb, parameters: {reference_date: reference_date}}
available_dates_sensor: {schedule: "0 0 1 1 *", workflows: [{workflow_name: w}]}
"""
    deployment.write(text, "glues", "raises")
    notebook = deployment.inputs / "raises.ipynb"
    cell = "raise ValueError('no such place')"
    assert cell in notebook.read_text()
    forgotten = "raise FileNotFoundError('http://flowapi/api/0/poll/d34e9d5fc9e6 not found.')"
    notebook.write_text(notebook.read_text().replace(cell, forgotten))
    shutil.copy(deployment.inputs / "glues.ipynb", deployment.inputs / "another.ipynb")
    with living(deployment, caplog) as life:
        context = life.context

        async def steps() -> None:
            await life.until(lambda: life.count("given up") >= 1)
            (run,) = context.store.read.attempts()
            assert "goes back to the notebooks that may have started it" in str(run.failure)
            notebook.write_text(notebook.read_text().replace(forgotten, "pass"))
            # nobody asks in the moment in which it fails
            await asyncio.sleep(1)
            order = {"do": "run", "runs": [{"workflow": "w", "parameters": run.parameters}], "repairs": run.id}
            assert await asyncio.to_thread(ask, context.settings.control_socket, order, 60.0) == {"done": 1}
            await life.until(lambda: life.count("succeeded") == 1)

        life.serve(steps, now=True)
        made = {each.label: each.reused_from for each in context.store.read.notebooks(2)}
        assert made == {"asks": None, "gets": None, "other": 1}


def test_the_daemon_says_how_it_is(deployment: Deployment, caplog: pytest.LogCaptureFixture) -> None:
    deployment.write_simple("glues")
    with living(deployment, caplog) as life:
        socket = life.context.settings.control_socket

        async def steps() -> None:
            await life.until(socket.exists)
            answer = await asyncio.to_thread(ask, socket)
            assert answer["doing"].startswith("next tick at 2028-01-01 00:00:00 UTC")
            assert answer["problems"] == []

        life.serve(steps)
        assert not socket.exists()
        with pytest.raises(OSError, match="No such file"):
            ask(socket)


def test_outputs_may_have_a_long_path(deployment: Deployment, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    deployment.environment["AUTOFLOW_OUTPUTS_DIR"] = str(tmp_path / ("long" * 40))
    test_the_daemon_says_how_it_is(deployment, caplog)


def test_what_is_asked_for_during_other_runs_and_fails_has_its_next_try(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    deployment.write_simple("raises_on_one_date", retries={"pause": "1h"})
    with living(deployment, caplog) as life:
        context = life.context
        definitions = read_definitions(context.settings.workflows_file)

        def ask_for(date: str) -> None:
            (trigger,) = definitions.triggers
            run = build_run(definitions.workflows["w"], trigger, dt.date.fromisoformat(date))
            order = {"do": "run", "runs": [{"workflow": "w", "parameters": run.parameters}]}
            assert context.steering.carry_out(order, context.now()) == {"done": 1}

        async def unchanged() -> Definitions:
            return definitions

        async def asked() -> None:
            ask_for("2016-01-01")
            executor = Executor(context, asyncio.Event())
            index = IndexPage(context, PageCache(context, lambda: DaemonState(context.now(), definitions)))
            take_asked(context, definitions, executor)
            async with beside(handle_requests(context, executor, index, unchanged)):
                await life.until(lambda: context.steering.running() == [1])
                ask_for("2016-01-02")
                await executor.idle()
            assert (executor.states, [*executor.waiting]) == ({"succeeded": 1, "failed": 1}, [])
            (failures,) = context.store.read.history().failed.values()
            assert executor.retry_at == failures.last + HOUR

        life.run(asked())


def test_sighup_reads_the_definitions_again_and_a_new_token_is_taken_up(
    deployment: Deployment, flowapi: FlowapiStandin, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    flowapi.set_days(0)
    deployment.write_simple("glues")
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    year = dt.timedelta(days=365)
    (credentials / "FLOWAPI_TOKEN").write_text(flowapi.token(scopes=["run"], lifetime=year))
    deployment.environment["CREDENTIALS_DIRECTORY"] = str(credentials)
    with living(deployment, caplog) as life:

        async def steps() -> None:
            await life.until(lambda: life.count("lacks the scope") > 0)
            (credentials / "FLOWAPI_TOKEN").write_text(flowapi.token(lifetime=year))
            path = deployment.inputs / "workflows.yml"
            path.write_text(path.read_text().replace("0 0 1 1 *", "* * * * *"))
            asked = life.clock()
            os.kill(os.getpid(), signal.SIGHUP)
            await life.until(lambda: life.count("FlowAPI is responding again") == 1)
            assert polls(flowapi) == 2
            assert life.count("has changed and was reloaded") == 1
            assert life.clock() - asked < dt.timedelta(minutes=2)

        life.serve(steps, now=True)
