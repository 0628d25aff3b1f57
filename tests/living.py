# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""A daemon that lives in the test's own process, on a clock that is held still: real store, children and HTTP."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import json
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from autoflow.app import open_context
from autoflow.context import Conditions, Context
from autoflow.daemon import serve
from autoflow.demo_flowapi import FlowapiStandin
from autoflow.parser import read_definitions
from autoflow.progress import Progress
from autoflow.settings import load_settings
from autoflow.system import Notifier
from tests.clock import Clock, HeldLoop
from tests.conftest import Deployment

HOUR = dt.timedelta(hours=1)
HOURLY = "0 * * * *"
START = dt.datetime(2027, 3, 1, 12, 30, tzinfo=dt.UTC)

LONGEST = 10 * 86400.0
"""Seconds of held time after which what is waited for does not come any more."""


class Life:
    """A daemon in progress, its clock, and what its log says."""

    def __init__(self, context: Context, loop: HeldLoop, clock: Clock, log: pytest.LogCaptureFixture) -> None:
        self.context = context
        self.clock = clock
        self._loop = loop
        self._log = log
        self._overtaken: tuple[str, int] = ("", 0)
        loop.busy = self._is_busy

    def messages(self) -> list[str]:
        return [record.getMessage() for record in self._log.records if record.levelno > logging.DEBUG]

    def count(self, words: str) -> int:
        return sum(words in message for message in self.messages())

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something, however long that takes; time jumps when nothing is in progress."""
        try:
            await self._loop.until(condition, LONGEST)
        except TimeoutError:
            pytest.fail(f"what was waited for did not come until {self.clock()}:\n" + "\n".join(self.messages()))

    @contextmanager
    def overtaking(self, kind: str, most: int = 1) -> Iterator[None]:
        """Let time jump though so many jobs of a kind are in progress: they hang.

        Notebooks hang once they are executed: time that jumps before that is over the limits for starting one.
        """
        self._overtaken = kind, most
        try:
            yield
        finally:
            self._overtaken = "", 0

    def _is_busy(self) -> bool:
        under_way, (kind, most) = self.context.jobs.under_way, self._overtaken
        most = min(under_way.count(kind), most)
        if kind == "notebook":
            told = self.context.settings.outputs_dir.glob(".autoflow/*/job-*/progress.json")
            most = min(most, len(list(told)))
        return len(under_way) > most

    def run(self, steps: Coroutine[Any, Any, None]) -> None:
        """Run something on the loop whose time is held."""
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(steps)

    def serve(self, steps: Callable[[], Coroutine[Any, Any, None]], now: bool = False) -> None:
        """Serve until the steps are over."""
        self.run(self._serve(steps, now))

    async def _serve(self, steps: Callable[[], Coroutine[Any, Any, None]], now: bool) -> None:
        definitions = read_definitions(self.context.settings.workflows_file)
        serving = asyncio.create_task(serve(self.context, definitions, Notifier({}), now=now))
        taking = asyncio.create_task(steps())
        try:
            await asyncio.wait({serving, taking}, return_when=asyncio.FIRST_COMPLETED)
            assert not serving.done() or taking.done(), "the daemon has ended by itself"
            await taking
            assert not serving.done()
        finally:
            taking.cancel()
            if not serving.done():
                os.kill(os.getpid(), signal.SIGTERM)
            assert await serving == 0


@contextmanager
def living(deployment: Deployment, log: pytest.LogCaptureFixture, start: dt.datetime = START) -> Iterator[Life]:
    """Open a context whose clock is held."""
    # an idle daemon collects garbage, many times in a test: it need not pass over what tests before have left
    gc.collect()
    gc.freeze()
    log.set_level(logging.DEBUG, logger="autoflow")
    settings = load_settings(deployment.environment, docker_secrets=deployment.inputs / "no secrets")
    with open_context(settings, deployment.environment, Progress()) as context:
        loop = HeldLoop()
        clock = Clock(start, loop)
        try:
            yield Life(replace(context, now=clock, conditions=Conditions(clock)), loop, clock, log)
        finally:
            loop.close()


def polls(flowapi: FlowapiStandin) -> int:
    return flowapi.requests.count("GET /api/0/available_dates")


def hourly(deployment: Deployment, *notebooks: str, **keys: object) -> None:
    """Write one workflow that is looked at each hour."""
    deployment.write_simple(*notebooks, **keys)
    path = deployment.inputs / "workflows.yml"
    path.write_text(path.read_text().replace("0 0 1 1 *", HOURLY))


def change_code(deployment: Deployment, notebook: str, old: str, new: str) -> None:
    """Put other code into the cells of a notebook."""
    path = deployment.inputs / f"{notebook}.ipynb"
    content = json.loads(path.read_text())
    sources = ["".join(cell["source"]) for cell in content["cells"]]
    assert any(old in source for source in sources)
    for cell, source in zip(content["cells"], sources, strict=True):
        cell["source"] = source.replace(old, new)
    path.write_text(json.dumps(content))
