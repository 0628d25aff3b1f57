# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""`concurrency: auto` with real kernels, on a machine that says of itself what the test lets it say."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from autoflow.demo_flowapi import FlowapiStandin
from autoflow.machine import Reading
from autoflow.runs import AttemptState
from tests.conftest import Deployment
from tests.integration.test_daemon import change_code, hourly
from tests.living import living

CALM = Reading(cores=2, busy=0.2, cpu_pressure=0, memory=8000, free=7000, memory_pressure=0)


def test_notebooks_that_wait_all_run_and_the_youngest_is_put_back_when_memory_is_short(
    deployment: Deployment, flowapi: FlowapiStandin, caplog: pytest.LogCaptureFixture
) -> None:
    # the clock is months ahead of FlowAPI's
    deployment.environment["FLOWAPI_TOKEN"] = flowapi.token(dt.timedelta(days=3000))
    flowapi.set_days(6)
    hourly(deployment, "hangs_on_one_date", sensor="  concurrency: auto\n", retries={"attempts": 1})
    gate = deployment.inputs / "gate"
    gate.touch()
    waits = f"import os, time\nwhile os.path.exists({str(gate)!r}): time.sleep(0.01)"
    change_code(deployment, "hangs_on_one_date", "if reference_date == '2016-01-01':", f"{waits}\nif False:")
    with living(deployment, caplog) as life:
        seen = [CALM]
        life.context = context = replace(life.context, machine=lambda: seen[0])

        async def steps() -> None:
            with life.overtaking("notebook", most=6):
                await life.until(lambda: life.count("notebook hangs_on_one_date started") == 6)
                seen[0] = replace(CALM, free=300)
                await life.until(lambda: life.count("was interrupted and will be retried") == 1)
                assert context.conditions.by_name["memory"].startswith(
                    "memory is short: AutoFlow keeps 800 MB free, and less"
                )
                assert len(context.steering.running()) == 5
                seen[0] = CALM
                await life.until(lambda: len(context.steering.running()) == 6)
            gate.unlink()
            await life.until(lambda: life.count(" succeeded") == 6)

        life.serve(steps, now=True)
        assert "memory" not in context.conditions.by_name
        (put_back,) = context.store.read.attempts(states=[AttemptState.INTERRUPTED])
        assert (put_back.run, put_back.attempt) == (6, 1)
        assert str(put_back.failure) == "put back to make room: memory was short, 300 MB free"
        assert sorted(succeeded for *_, succeeded in context.store.read.peaks()) == [False, *[True] * 6]
