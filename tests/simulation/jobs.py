# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Jobs whose outcomes and durations are drawn, in the place of child processes."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from autoflow.jobs.jobs import Beginning, Memory, Reply
from autoflow.web.index_page import MONTHS
from tests.clock import Clock
from tests.simulation.additions import UnfitError, check_given, definition_of, use_run_dir
from tests.simulation.files import Crash
from tests.simulation.world import World


@dataclass
class Observed:
    """What happened in all lives of one simulation, seen from outside AutoFlow."""

    executions: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Executed notebooks by file and reference date."""
    sent: list[tuple[str, str, str]] = field(default_factory=list)
    """Notifications that were taken: when, event and content."""
    most_at_a_time: int = 0
    """Notebooks and conversions."""
    most_in_pool: int = 0
    unfit: list[str] = field(default_factory=list)
    """What notebooks were given that they are not to have, or the other way round."""
    polls: int = 0
    good_polls: int = 0


class SimulatedJobs:
    """The same door as `autoflow.jobs.Jobs`, with nothing behind it but draws."""

    def __init__(self, world: World, clock: Clock, observed: Observed, directory: Path) -> None:
        self._world, self._clock, self._observed = world, clock, observed
        self._directory = directory
        self._count = 0
        self._under_way: Counter[str] = Counter()
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)

    def close(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)

    slots, apart, absence = None, 0, ""
    """Notebooks are executed here."""

    async def measure(self) -> None:
        """Nothing takes memory here."""

    def memory(self, workspace: Path) -> Memory:
        return Memory()

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        self._count += 1
        path = self._directory / f"job-{self._count}"
        path.mkdir()
        try:
            yield path
        finally:
            # a life that has ended leaves it lying
            with suppress(Crash):
                shutil.rmtree(path, ignore_errors=True)

    @asynccontextmanager
    async def warmth(self, preload: Sequence[str], *, at_once: bool = False) -> AsyncIterator[None]:
        yield

    def lacks(self, _: Mapping[str, int]) -> str:
        return ""

    def busy(self, *_: object) -> str:
        return ""

    async def room_for(self, *_: object) -> None:
        """There is."""

    def keep_warm(self, preload: Sequence[str] | None) -> None:
        """Nothing is warm here."""

    def withhold(self, names: Iterable[str]) -> None:
        """There are no children that could see a secret."""

    async def call(
        self,
        kind: str,
        request: Mapping[str, Any],
        workspace: Path,
        *,
        timeout: float | None,  # noqa: ASYNC109  # as of the real ones
        secrets: Mapping[str, str] | None = None,
        on_begin: Beginning | None = None,
        on_progress: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> Reply:
        with self._counted(kind):
            if on_begin:
                await on_begin()
            if kind == "notebook":
                with self._fitting(request["parameters"], Path(request["notebook"]).name, secrets):
                    return await self._called(kind, request, workspace, timeout)
            return await self._called(kind, request, workspace, timeout)

    @contextmanager
    def _fitting(self, parameters: Mapping[str, Any], file: str, secrets: Mapping[str, str] | None) -> Iterator[None]:
        """See that a notebook was given what it is to have, and that there is room for it in its pool."""
        definition = definition_of(self._world.config, file, parameters)
        if definition is None:
            yield
            return
        try:
            check_given(definition, parameters, secrets)
        except UnfitError as error:
            self._observed.unfit.append(f"{file} {parameters}: {error}")
        pool = f"pool {definition.get('pool')}"
        self._under_way[pool] += 1
        if "pool" in definition:
            self._world.drawn["notebook in a pool"] += 1
            self._observed.most_in_pool = max(self._observed.most_in_pool, self._under_way[pool])
        try:
            yield
        finally:
            self._under_way[pool] -= 1

    @contextmanager
    def _counted(self, kind: str) -> Iterator[None]:
        self._under_way[kind] += 1
        at_a_time = self._under_way["notebook"] + self._under_way["report"]
        self._observed.most_at_a_time = max(self._observed.most_at_a_time, at_a_time)
        try:
            yield
        finally:
            self._under_way[kind] -= 1

    async def _called(self, kind: str, request: Mapping[str, Any], workspace: Path, timeout: float | None) -> Reply:  # noqa: ASYNC109
        seconds, finish = getattr(self, f"_{kind}")(request, workspace)
        if timeout is not None and seconds > timeout:
            await asyncio.sleep(timeout)
            self._world.drawn[f"{kind} over its time-out"] += 1
            return Reply("timeout", {}, {}, "timed out and was stopped", "")
        await asyncio.sleep(seconds)
        reply: Reply = finish()
        return reply

    def _available_dates(self, request: Mapping[str, Any], workspace: Path) -> tuple[float, Callable[[], Reply]]:
        def finish() -> Reply:
            self._observed.polls += 1
            if self._world.is_out(self._clock()):
                self._world.drawn["poll that fails"] += 1
                return _failed("FlowAPI is not there")
            self._observed.good_polls += 1
            listed = self._world.listed(self._clock())
            self._world.told.note_list(listed, self._clock())
            return _done(listed)

        return self._world.random.uniform(0.1, 20), finish

    def _qa_outcomes(self, request: Mapping[str, Any], workspace: Path) -> tuple[float, Callable[[], Reply]]:
        def finish() -> Reply:
            if self._world.is_out(self._clock()):
                return _failed("FlowAPI is not there")
            self._world.drawn["poll of QA checks"] += 1
            return _done(self._world.told.answer(request, self._world.outcomes(self._clock()), self._clock()))

        return self._world.random.uniform(0.1, 20), finish

    def _notebook(self, request: Mapping[str, Any], workspace: Path) -> tuple[float, Callable[[], Reply]]:
        parameters, file = request["parameters"], Path(request["notebook"]).name
        made = workspace / "notebook.ipynb"
        date = str(parameters.get("date", Path(parameters["reads"]).name if "reads" in parameters else ""))[:40]
        fate = self._world.fate(file, json.dumps(parameters.get("p")), date)
        chance, seconds = fate.random(), fate.lognormvariate(5, 1.2)
        metadata = {"papermill": {"parameters": dict(parameters)}}
        content = {"cells": [], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}

        def finish() -> Reply:
            if "shared" in parameters:
                self._share(Path(parameters["shared"]), str(parameters["p"]), date)
            if "work" in parameters:
                self._world.drawn["intermediate file"] += 1
                self._use_run_dir(file, parameters)
            if "reads" in parameters and not Path(parameters["reads"]).is_file():
                raise AssertionError(f"{file} is to read {parameters['reads']}, which is not there")
            if chance < 0.1 and self._clock() < self._world.quiet_from and self._world.random.random() < 0.8:
                self._world.drawn["notebook that fails"] += 1
                if chance > 0.02:
                    made.write_text(json.dumps(content))
                error = {"message": "an error", "exception": "ValueError", "cell": 1}
                return Reply("failed", {}, error, "", "") if chance < 0.08 else Reply("died", {}, {}, "killed", "")
            made.write_text(json.dumps(content))
            self._observed.executions[file, date] += 1
            return _done({})

        # a few go on for hours
        return seconds * (40 if fate.random() < 0.02 else 1), finish

    def _use_run_dir(self, file: str, parameters: Mapping[str, Any]) -> None:
        try:
            use_run_dir(Path(parameters["work"]), parameters)
        except UnfitError as error:
            self._observed.unfit.append(f"{file}: {error}")

    def _share(self, directory: Path, trigger: str, date: str) -> None:
        """Write two files of the run's own and one that all runs write, whatever becomes of the attempt."""
        attempt = self._world.attempts[int(trigger), date]
        for name in (f"{date}.txt", f"further/{date}.txt", "common.txt"):
            (directory / name).parent.mkdir(exist_ok=True)
            (directory / name).write_text(f"{trigger} {date} {attempt}")

    def _report(self, request: Mapping[str, Any], workspace: Path) -> tuple[float, Callable[[], Reply]]:
        def finish() -> Reply:
            if not Path(request["notebook"]).is_file():
                raise AssertionError(f"a report is to be made of {request['notebook']}, which is not there")
            if self._clock() < self._world.quiet_from and self._world.random.random() < 0.03:
                self._world.drawn["report that fails"] += 1
                return _failed("a picture is not there")
            for output in request["outputs"]:
                Path(output["path"]).write_text("a report")
            Path(request["manifest"]["path"]).write_text(json.dumps(request["manifest"]["known"]))
            return _done({"warnings": []})

        return self._world.random.uniform(0.3, 30), finish

    def _same_results(self, request: Mapping[str, Any], workspace: Path) -> tuple[float, Callable[[], Reply]]:
        def finish() -> Reply:
            self._world.drawn["comparison with what was before"] += 1
            draw = Random(f"{self._world.seed} {Path(request['new']).name}")
            died, same = draw.random() < 0.1, draw.choice((True, True, False, None))
            self._world.compared[request["new"]] = None if died else same
            return Reply("died", {}, {}, "killed", "") if died else _done({"same": same})

        return 0.1, finish

    def _page(self, request: Mapping[str, Any], workspace: Path) -> tuple[float, Callable[[], Reply]]:
        def finish() -> Reply:
            (workspace / "page.html").write_text("a page")
            (workspace / MONTHS).mkdir()
            return _done({"status": 200, "policy": ""})

        return 0.5, finish

    def _message(self, request: Mapping[str, Any], workspace: Path) -> tuple[float, Callable[[], Reply]]:
        def finish() -> Reply:
            if self._clock() < self._world.quiet_from and self._world.random.random() < 0.1:
                self._world.drawn["message that is not taken"] += 1
                return _failed("the receiver is not there")
            message = request["message"]
            self._observed.sent.append((self._clock().isoformat(), message["event"], json.dumps(message)))
            return _done({})

        return 1.0, finish


def _done(value: Mapping[str, Any]) -> Reply:
    return Reply("done", value, {}, "", "")


def _failed(message: str) -> Reply:
    return Reply("failed", {}, {"message": message}, "", "")
