# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The messenger beside a real daemon on a clock that is held: real runs that fail, a real web server that is told."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator
from contextlib import closing

import pytest

from autoflow.app import _run_once
from autoflow.demo_flowapi import FlowapiStandin
from autoflow.errors import ExitCode
from autoflow.parser import read_definitions
from tests.conftest import Deployment
from tests.living import HOUR, change_code, hourly, living, polls
from tests.receivers import Hook

SECRET = "/services/geheim-T0"


@pytest.fixture
def hook() -> Iterator[Hook]:
    with closing(Hook()) as hook:
        yield hook


@pytest.fixture(autouse=True)
def _told(deployment: Deployment, flowapi: FlowapiStandin, hook: Hook) -> None:
    deployment.environment["FLOWAPI_TOKEN"] = flowapi.token(dt.timedelta(days=3000))
    deployment.environment["AUTOFLOW_WEBHOOK_URL"] = hook.url + SECRET


def notify(deployment: Deployment, text: str) -> None:
    path = deployment.inputs / "workflows.yml"
    path.write_text(path.read_text() + f"notify: {{{text}}}\n")


def test_dates_that_fail_alike_are_one_message_and_one_more_when_they_recover(
    deployment: Deployment, flowapi: FlowapiStandin, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    flowapi.set_days(3)
    hourly(deployment, "raises", retries={"pause": "10m"})
    notify(deployment, "page: 'https://autoflow.example.org'")
    notebook = deployment.inputs / "raises.ipynb"
    with living(deployment, caplog) as life:

        async def steps() -> None:
            await life.until(lambda: hook.taken != [])
            await life.until(lambda: life.count("attempt 2") == 3)
            assert hook.events() == ["failed"]
            notebook.write_text(notebook.read_text().replace("raise ValueError('no such place')", "pass"))
            await life.until(lambda: len(hook.taken) == 2 and not life.context.store.read.outbox())

        life.serve(steps, now=True)
        told, recovered = hook.taken
        assert told["subject"] == "w: failed for 3 dates: ValueError in raises"
        assert told["dates"] == recovered["dates"] == ["2016-01-01", "2016-01-02", "2016-01-03"]
        assert "notebook raises, cell 3: ValueError: no such place" in told["text"]
        assert "3 dates: 2016-01-01 to 2016-01-03" in told["text"]
        assert "autoflow show 3" in told["text"]
        assert "Retry: from 2027-03-01" in told["text"]
        assert told["text"].endswith("https://autoflow.example.org")
        assert recovered["event"] == "recovered"
        assert recovered["subject"] == "w: recovered: 3 dates"
        assert life.context.store.read.known() == {}
        assert life.context.store.read.outbox() == []
        assert not [message for message in life.messages() if "geheim" in message]
        assert b"geheim" not in (deployment.outputs / "autoflow.db").read_bytes()


def test_a_run_that_is_given_up_is_told_once(
    deployment: Deployment, flowapi: FlowapiStandin, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    flowapi.set_days(1)
    hourly(deployment, "raises", retries={"pause": "10m", "attempts": 2})
    with living(deployment, caplog) as life:

        async def steps() -> None:
            await life.until(lambda: hook.events() == ["failed", "given_up"])
            asked = polls(flowapi)
            await life.until(lambda: polls(flowapi) == asked + 2)
            await asyncio.sleep(1800)
            assert hook.events() == ["failed", "given_up"]

        life.serve(steps, now=True)
        assert "w: given up: 2016-01-01" in hook.taken[1]["text"]
        assert "Given up after 2 attempts; to retry: autoflow rerun 1" in hook.taken[1]["text"]


@pytest.mark.parametrize("fault", ["500", "hang", "gone"])
def test_a_messenger_that_is_down_holds_up_nothing_and_loses_nothing(
    deployment: Deployment, flowapi: FlowapiStandin, hook: Hook, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    flowapi.set_days(2)
    hourly(deployment, "raises_on_one_date")
    hook.fault = fault
    if fault == "gone":
        deployment.environment["AUTOFLOW_WEBHOOK_URL"] = f"http://127.0.0.1:1{SECRET}"
    with living(deployment, caplog) as life:

        async def steps() -> None:
            await life.until(lambda: life.count("notification: w: failed for 2016-01-02") == 1)
            await life.until(lambda: fault == "gone" or hook.asked != [])
            asked = polls(flowapi)
            with life.overtaking("message", 1 if fault == "hang" else 0):
                await life.until(lambda: polls(flowapi) >= asked + 2)
            if fault != "hang":
                await life.until(lambda: life.count("notifications cannot be sent (webhook)") == 1)
            if fault == "500":
                hook.fault = None
                await life.until(lambda: hook.events() == ["failed"])
                await life.until(lambda: life.count("notifications can be sent again (webhook)") == 1)

        life.serve(steps, now=True)
        # the end of the daemon waits for no server
        waiting = life.context.store.read.outbox()
        assert [queued.message.event for queued in waiting] == ([] if fault == "500" else ["failed"])
        assert not [message for message in life.messages() if "geheim" in message]
    if fault == "hang":
        # the next start sends it, and tells nothing twice
        hook.fault = None
        with living(deployment, caplog, start=life.clock()) as life:

            async def next_steps() -> None:
                await life.until(lambda: hook.events() == ["failed"])
                await asyncio.sleep(1800)
                assert hook.events() == ["failed"]

            life.serve(next_steps)


def test_a_message_is_tried_again_though_the_clock_was_set_back(
    deployment: Deployment, flowapi: FlowapiStandin, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    flowapi.set_days(2)
    hourly(deployment, "raises_on_one_date")
    hook.fault = "429"
    with living(deployment, caplog) as life:

        async def steps() -> None:
            await life.until(lambda: life.count("notifications cannot be sent (webhook)") == 1)
            life.clock.set(-40 * HOUR)
            hook.fault = None
            await life.until(lambda: hook.events() == ["failed"])

        life.serve(steps, now=True)


def test_an_invalid_workflows_file_is_told_once_it_has_lasted_and_so_is_its_end(
    deployment: Deployment, flowapi: FlowapiStandin, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    hourly(deployment, "glues")
    path = deployment.inputs / "workflows.yml"
    good = path.read_text()
    with living(deployment, caplog) as life:

        async def steps() -> None:
            await life.until(lambda: polls(flowapi) == 1)
            path.write_text(f"{good}surprise: 1\n")
            await life.until(lambda: hook.events() == ["trouble"])
            path.write_text(good)
            await life.until(lambda: len(hook.taken) == 2)

        life.serve(steps, now=True)
    assert "surprise" in hook.taken[0]["text"]
    assert hook.taken[1]["subject"].startswith("over: ")


def test_trouble_that_lasts_is_told_and_so_is_its_end_also_after_a_restart(
    deployment: Deployment, flowapi: FlowapiStandin, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    flowapi.set_days(0)
    hourly(deployment, "glues")
    flowapi.set_fault("500")
    with living(deployment, caplog) as life:

        async def steps() -> None:
            await life.until(lambda: life.count("returned no available dates") == 1)
            assert hook.taken == []
            await life.until(lambda: hook.events() == ["trouble"])
            # an AutoFlow that ends before it has noted that would tell it again
            await life.until(lambda: not life.context.store.read.outbox())

        life.serve(steps, now=True)
    with living(deployment, caplog, start=life.clock()) as life:

        async def next_steps() -> None:
            await life.until(lambda: life.count("returned no available dates") == 2)
            await asyncio.sleep(1800)
            assert hook.events() == ["trouble"]
            flowapi.set_fault(None)
            await life.until(lambda: hook.events() == ["trouble", "trouble"])

        life.serve(next_steps)
    assert hook.taken[1]["subject"].startswith("over: FlowAPI at ")


def test_dates_that_stay_out_and_dates_that_are_not_done_are_told(
    deployment: Deployment, flowapi: FlowapiStandin, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    flowapi.set_days(2)
    hourly(deployment, "raises_on_one_date", retries={"pause": "1h"})
    notify(deployment, "events: [late], no_new_date: 12h, not_done_after: 6h")
    notebook = deployment.inputs / "raises_on_one_date.ipynb"
    with living(deployment, caplog) as life:

        async def steps() -> None:
            await life.until(lambda: polls(flowapi) == 1 and life.count("run 2: w 2016-01-02 failed") > 0)
            await life.until(lambda: life.count("succeeded") == 1 and not life.context.steering.running())
            life.clock.set(dt.timedelta(hours=7))
            await life.until(lambda: len(hook.taken) == 1)
            assert hook.taken[0]["subject"] == "w: late: 2016-01-02 not done within 6 hours"
            life.clock.set(dt.timedelta(hours=6))
            await life.until(lambda: len(hook.taken) == 2)
            assert hook.taken[1]["subject"] == "no new date for 12 hours"
            notebook.write_text(notebook.read_text().replace("2016-01-02", "2015-01-02"))
            flowapi.set_days(3)
            life.clock.set(dt.timedelta(hours=3))
            await life.until(lambda: len(hook.taken) == 4)
            assert {message["subject"] for message in hook.taken[2:]} == {
                "w: no dates are late now",
                "new dates have appeared; the newest is 2016-01-03",
            }

        life.serve(steps, now=True)


def test_a_heartbeat_follows_each_tick_that_was_made(
    deployment: Deployment, flowapi: FlowapiStandin, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    flowapi.set_days(0)
    hourly(deployment, "glues")
    deployment.environment["AUTOFLOW_HEARTBEAT_URL"] = f"{hook.url}/ping/geheim"
    with living(deployment, caplog) as life:

        async def steps() -> None:
            await life.until(lambda: hook.asked.count("GET /ping/geheim") >= 2)
            flowapi.set_fault("500")
            await life.until(lambda: life.count("returned no available dates") == 1)
            await asyncio.sleep(60)
            asked = hook.asked.count("GET /ping/geheim")
            await asyncio.sleep(3 * 3600)
            assert hook.asked.count("GET /ping/geheim") == asked

        life.serve(steps)
        assert hook.events() in ([], ["trouble"])


def test_a_record_that_can_not_be_written_is_told_all_the_same(
    deployment: Deployment, flowapi: FlowapiStandin, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    flowapi.set_days(0)
    hourly(deployment, "glues")
    with living(deployment, caplog) as life:
        store = life.context.store

        async def steps() -> None:
            await life.until(lambda: polls(flowapi) >= 1)
            store._connection.execute("PRAGMA query_only = ON")
            await life.until(lambda: hook.events() == ["trouble"])
            assert "readonly" in hook.taken[0]["text"]
            store._connection.execute("PRAGMA query_only = OFF")
            await life.until(lambda: hook.events() == ["trouble", "trouble"])

        life.serve(steps, now=True)
        assert hook.taken[1]["subject"].startswith("over: the record cannot be written")


def test_a_flood_of_causes_is_few_messages(
    deployment: Deployment, flowapi: FlowapiStandin, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    flowapi.set_days(7)
    hourly(deployment, "raises", retries={"pause": "1d"})
    raising = "raise type('E' + reference_date.replace('-', ''), (Exception,), {})('another each time')"
    change_code(deployment, "raises", "raise ValueError('no such place')", raising)
    with living(deployment, caplog) as life:

        async def steps() -> None:
            await life.until(lambda: hook.taken != [])
            await asyncio.sleep(1800)

        life.serve(steps, now=True)
        (told,) = hook.taken
        assert told["subject"].startswith("7 messages, the first: w: failed for 2016-01-01: E20160101 in raises")
        assert "- w: failed for 2016-01-07: E20160107 in raises" in told["text"]
        assert len(life.context.store.read.known()) == 7


def test_a_token_is_told_of_at_each_threshold_and_when_it_has_expired(
    deployment: Deployment, flowapi: FlowapiStandin, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    flowapi.set_days(0)
    hourly(deployment, "glues")
    deployment.environment["FLOWAPI_TOKEN"] = flowapi.token(dt.timedelta(days=1.1))
    with living(deployment, caplog, start=dt.datetime.now(dt.UTC)) as life:

        async def steps() -> None:
            for passed, messages in ((0, 1), (3, 2), (24, 3)):
                life.clock.set(dt.timedelta(hours=passed))
                await life.until(lambda expected=messages: len(hook.taken) >= expected)
            await asyncio.sleep(1800)

        life.serve(steps, now=True)
        assert hook.events() == ["token"] * 3
        for message, words in zip(
            hook.taken, ("in less than 3 days", "in less than 1 days", "expired at"), strict=True
        ):
            assert words in message["subject"]
        assert deployment.environment["FLOWAPI_TOKEN"] not in str(hook.taken)


def test_run_once_waits_for_no_messenger_for_long(
    deployment: Deployment, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    deployment.write_simple("raises")
    hook.fault = "hang"
    with living(deployment, caplog) as life:
        definitions = read_definitions(life.context.settings.workflows_file)

        async def once() -> None:
            ending = asyncio.create_task(_run_once(life.context, definitions))
            with life.overtaking("message"):
                await life.until(lambda: life.count("took longer than 15 s; the next start continues") == 1)
            # the end of what sends is real again: no limit for that is overtaken
            assert await ending == ExitCode.RUN_FAILED

        life.run(once())
        assert len(life.context.store.read.outbox()) == 1
