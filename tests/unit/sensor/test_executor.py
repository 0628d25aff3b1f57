# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""How much goes on at a time and why no more, with a real record, and notebooks that go on until the test ends them."""

from __future__ import annotations

import asyncio
import datetime as dt
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from autoflow.app import open_context
from autoflow.commands.health import pools_lines
from autoflow.context import WriteProbe
from autoflow.daemon import Agenda, daemon_state, health
from autoflow.dates import ListedDates
from autoflow.definitions import Definitions
from autoflow.jobs import Beginning, Jobs, Reply
from autoflow.machine import Reading
from autoflow.overview import Facts, explain
from autoflow.parser import read_definitions
from autoflow.progress import Progress, RememberedProgress
from autoflow.runs import AttemptState, Runs, build_run
from autoflow.sensor import Executor
from autoflow.sensor.executor import SlotsInUse, Work, cores_here
from autoflow.settings import load_settings
from tests.clock import HeldLoop
from tests.conftest import ROOT

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbmFseXN0In0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbi1hYmM"

CALM = Reading(cores=64, busy=0.5, cpu_pressure=0, memory=64000, free=60000, memory_pressure=0)

POLLED = dt.datetime(2016, 2, 1, tzinfo=dt.UTC)

LISTED = ListedDates({"calls": {dt.date(2016, 1, day): POLLED for day in range(1, 13)}}, POLLED)

TWO_KINDS = """
workflows:
  - name: trains
    notebooks: {train: {filename: glues.ipynb, resources: {gpu: 1}, parameters: {reference_date: reference_date}}}
  - name: w
    notebooks: {query: {filename: glues.ipynb, parameters: {reference_date: reference_date}}}
available_dates_sensor:
  schedule: "0 0 1 1 *"
  workflows: [{workflow_name: trains}, {workflow_name: w}]
"""
"""One that asks for what not all workers have, and one that does not."""

WORKFLOWS = """
workflows:
  - name: w
    notebooks: {query: {filename: glues.ipynb, parameters: {reference_date: reference_date}}}
available_dates_sensor:
  schedule: "0 0 1 1 *"
  workflows: [{workflow_name: w}]
"""

NEVER_PLACED, LOST = "waits for a worker: none is connected", "waits for a worker that is free, of 1"
"""What notebooks wait for that had no worker yet, and that have lost one."""


class Gated:
    """A door behind which notebooks go on until the test lets them end."""

    def __init__(self, jobs: Jobs, slots: int | None = None) -> None:
        self._jobs = jobs
        self.slots = slots
        self.lacking = self.absence = self.in_vain = ""
        self.apart = 0
        self.gpus = 9
        self.gates: list[asyncio.Event] = []
        self.of_gpus: list[asyncio.Event] = []
        """Of those gates, the ones of notebooks that ask for something."""
        self.unplaced: Callable[[int], str] = lambda _: ""
        """Says of a notebook, by how many came before, what it waits for where no worker takes it."""
        self.came = 0
        self.peak: int | None = None
        """MB that the notebooks say that they have taken."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._jobs, name)

    @asynccontextmanager
    async def warmth(self, *_: object, **__: object) -> AsyncIterator[None]:
        yield

    def lacks(self, resources: Mapping[str, int]) -> str:
        """Say what the test lets it say, of what asks for something."""
        return self.lacking if resources else ""

    def busy(self, resources: Mapping[str, int], others: Sequence[Mapping[str, int]]) -> str:
        """Have room for so many as the test says."""
        return self.lacks(resources) or ("waits for a worker with gpu: 1 that is free" * (len(others) >= self.gpus))

    async def room_for(self, _: str, resources: Mapping[str, int], waits: Callable[[str], None]) -> None:
        """Wait for as long as the test says that something is lacking."""
        while resources and self.in_vain:
            waits(self.in_vain)
            await asyncio.sleep(1)

    def keep_warm(self, *_: object) -> None:
        """Nothing is warm."""

    async def measure(self) -> None:
        """Nothing is taken."""

    async def call(
        self,
        kind: str,
        request: Mapping[str, Any],
        workspace: Path,
        *,
        on_begin: Beginning | None = None,
        on_progress: Callable[[Mapping[str, Any]], None] | None = None,
        **_: object,
    ) -> Reply:
        assert kind == "notebook"
        waits, self.came = self.unplaced(self.came), self.came + 1
        if on_begin and waits != NEVER_PLACED:
            await on_begin()
        if on_progress and waits:
            on_progress({"waits": waits})
            await asyncio.Event().wait()
        self.gates.append(gate := asyncio.Event())
        if request["resources"]:
            self.of_gpus.append(gate)
        await gate.wait()
        shutil.copy(request["notebook"], workspace / "notebook.ipynb")
        return Reply("done", {}, {}, "", "", self.peak)

    def end_one(self) -> None:
        """Let the notebook end that began first."""
        self.gates.pop(0).set()


class Trial:
    """An executor, what it executes, and a machine that says of itself what the test lets it say."""

    def __init__(self, directory: Path) -> None:
        self.inputs = directory / "inputs"
        self.inputs.mkdir()
        shutil.copy(ROOT / "tests" / "notebooks" / "glues.ipynb", self.inputs)
        self.environment = {
            "AUTOFLOW_INPUTS_DIR": str(self.inputs),
            "AUTOFLOW_OUTPUTS_DIR": str(directory / "outputs"),
            "FLOWAPI_URL": "http://127.0.0.1:9",
            "FLOWAPI_TOKEN": TOKEN,
        }
        self.reading = CALM
        self.stop = asyncio.Event()

    def write(self, sensor: str = "", notebook: str = "", workflow: str = "") -> Definitions:
        """Write workflows.yml with more keys of the sensor, the notebook and the workflow."""
        text = WORKFLOWS.replace("glues.ipynb,", f"glues.ipynb, {notebook}")
        text = text.replace("  - name: w\n", f"  - name: w\n{workflow}").replace("  schedule", f"{sensor}  schedule")
        (self.inputs / "workflows.yml").write_text(text)
        return read_definitions(self.inputs / "workflows.yml")

    def run(self, steps: Callable[[], Coroutine[Any, Any, None]], days: int = 12, slots: int | None = None) -> None:
        """Take up so many days, and do some steps while their notebooks go on."""
        self.definitions = read_definitions(self.inputs / "workflows.yml")
        settings = load_settings(self.environment, docker_secrets=self.inputs / "no secrets")
        with open_context(settings, self.environment, RememberedProgress(Progress())) as context:
            self.door = Gated(context.jobs, slots)
            jobs = cast(Jobs, self.door)
            self.context = replace(context, jobs=jobs, workers=jobs, machine=lambda: self.reading)
            self.executor = Executor(self.context, self.stop)
            self.agenda = Agenda(context.now(), self.definitions, doing="next tick at noon")
            loop = HeldLoop(lambda: False)
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(self._steps(steps, days))

    async def _steps(self, steps: Callable[[], Coroutine[Any, Any, None]], days: int) -> None:
        workflows, first = self.definitions.workflows, dt.date(2016, 1, 1)
        due = Runs.of(
            build_run(workflows[trigger.workflow_name], trigger, first + dt.timedelta(days=day))
            for day in range(days)
            for trigger in self.definitions.triggers
        )
        self.executor.take_up(Work(self.definitions, due, ListedDates()))
        try:
            await steps()
        finally:
            self.stop.set()
            for gate in self.door.gates:
                gate.set()
            await self.executor.idle()

    async def until(self, notebooks: int) -> None:
        """Wait until so many notebooks go on, for as long as the machine needs for two more looks at most."""
        loop = cast(HeldLoop, asyncio.get_running_loop())
        await loop.until(lambda: len(self.door.gates) == notebooks, 120)

    async def health(self, **asked: str) -> dict[str, Any]:
        probe = WriteProbe(self.context.settings.db_path.parent, self.context.settings.outputs_dir)
        return await health(self.context, self.agenda, self.executor, probe, **asked)


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


def test_health_counts_the_runs_that_are_in_progress_when_it_is_asked(trial: Trial) -> None:
    trial.write("  concurrency: {most: 3}\n")

    async def steps() -> None:
        await trial.until(3)
        assert (await trial.health())["doing"] == "next tick at noon; 3 runs in progress, 9 waiting"
        assert daemon_state(trial.context, trial.agenda, trial.executor).doing.startswith("next tick at noon; 3 runs")
        trial.door.end_one()
        trial.door.end_one()
        await trial.until(3)
        assert (await trial.health())["doing"] == "next tick at noon; 3 runs in progress, 7 waiting"

    trial.run(steps)


def test_who_has_to_stop_announces_no_tick_and_no_further_run(trial: Trial) -> None:
    trial.write("  concurrency: {most: 2}\n")

    async def steps() -> None:
        await trial.until(2)
        trial.stop.set()
        how = await trial.health()
        assert how["doing"] == "stopping; 2 runs in progress, 10 waiting"
        assert how["slots"]["why"] == "run does not start: AutoFlow is stopping"
        state = daemon_state(trial.context, trial.agenda, trial.executor)
        assert (state.next_tick, state.batch and state.batch.at_a_time) == (None, 0)

    trial.run(steps)


@pytest.mark.parametrize("what", ["a slot", "a pool", "what no worker has", "a worker", "another worker"])
def test_a_run_that_only_waits_ends_at_once_when_autoflow_is_to_stop(trial: Trial, what: str) -> None:
    """One that goes on has its grace time."""
    asks = {"a pool": "pool: flowapi,", "what no worker has": "resources: {gpu: 1},"}.get(what, "")
    notebooks = 1 if what == "a slot" else 2
    trial.write(f"  concurrency: {{runs: 2, notebooks: {notebooks}}}\n  pools: {{flowapi: 1}}\n", asks)

    async def steps() -> None:
        loop, door, waits = cast(HeldLoop, asyncio.get_running_loop()), trial.door, {"a worker": NEVER_PLACED}
        if what.endswith("worker"):
            door.unplaced = lambda came: waits.get(what, LOST) if came else ""
        await trial.until(2 if what == "what no worker has" else 1)
        await loop.until(lambda: len(trial.executor.running) == 2, 120)
        if what == "what no worker has":
            door.end_one()
            door.in_vain = "waits for a worker with gpu: 1: none has it"
            await loop.until(lambda: trial.executor.states.total() == 1 and len(trial.executor.running) == 2, 120)
        said = trial.context.progress.tasks
        await loop.until(lambda: any("waits" in text for text in said().values()), 120)
        done = trial.executor.states.copy()
        trial.stop.set()
        await loop.until(lambda: len(trial.executor.running) == 1, 0.5)
        assert trial.executor.states - done == {AttemptState.INTERRUPTED: 1}
        door.end_one()
        await trial.executor.idle()
        assert trial.executor.states - done == {AttemptState.INTERRUPTED: 1, AttemptState.SUCCEEDED: 1}

    trial.run(steps, slots=2 if "worker" in what else None)


def test_while_it_grows_and_at_the_most_it_is_said_why_no_more_start(trial: Trial) -> None:
    trial.write("  concurrency: auto\n")

    async def steps() -> None:
        seen = []
        for number in range(cores_here(), 17):
            await trial.until(number)
            slots = trial.executor.slots
            assert slots.in_use <= slots.given
            seen.append(slots.why)
        in_use = f"all {cores_here()} are in use" if cores_here() > 1 else "the only one is in use"
        assert seen[0].startswith(f"run waits for a slot, {in_use}; ")
        assert seen[1].endswith("; one more is given every 2 s while cores are idle")
        assert "16 is the most by default, and `concurrency: {most: N}` in workflows.yml" in trial.executor.slots.why

    trial.run(steps, days=20)


def test_where_there_is_little_memory_one_run_goes_on_until_it_is_known_what_its_notebook_needs(trial: Trial) -> None:
    trial.write("  concurrency: auto\n")
    trial.reading = replace(CALM, memory=2000, free=1600)

    async def steps() -> None:
        await trial.until(1)
        await asyncio.sleep(20)
        assert len(trial.door.gates) == 1
        assert trial.executor.slots.why.startswith("run waits for memory: may need 1.0 GB, since what it needs is not")
        trial.door.peak = 150
        trial.door.end_one()
        await trial.until(7)
        await asyncio.sleep(20)
        assert len(trial.door.gates) == 7
        assert trial.executor.slots.why.startswith("run waits for memory: needs about 150 MB; ")

    trial.run(steps)


def test_a_run_that_holds_nothing_yet_is_counted_among_those_in_use(trial: Trial) -> None:
    trial.write("  concurrency: {most: 2}\n")

    async def steps() -> None:
        for _ in range(50):
            if trial.executor.running:
                break
            await asyncio.sleep(0)
        slots = trial.executor.slots
        assert not trial.door.gates
        assert 0 < slots.in_use == len(trial.executor.running)

    trial.run(steps)


def test_pools_are_told_with_who_waits_and_are_why_no_more_start(trial: Trial) -> None:
    trial.write("  pools: {flowdb: 2}\n", notebook="pool: flowdb,")

    async def steps() -> None:
        await trial.until(2)
        await asyncio.sleep(10)
        slots = (await trial.health())["slots"]
        pool = slots["pools"]["flowdb"]
        assert (pool["places"], pool["in_use"], pool["waiting"]) == (2, 2, [{"run": 3, "notebook": "query"}])
        assert slots["why"] == "run waits for the pool flowdb, as others do"
        assert list(pools_lines(slots["pools"])) == [
            "pool flowdb: 2 of 2 places in use; 1 notebook waits: run 3 (query)"
        ]

    trial.run(steps)


def test_a_run_over_its_time_says_what_its_notebooks_waited_for_meanwhile(trial: Trial) -> None:
    trial.write("  pools: {flowdb: 1}\n", notebook="pool: flowdb,", workflow="    timeout: 30s\n")

    async def steps() -> None:
        await trial.until(1)
        await trial.executor.idle()
        reader = trial.context.store.read
        failures = {str(each.reference_date): str(each.failure) for each in reader.attempts()}
        over = "took longer than the run's timeout of 30 s"
        assert failures["2016-01-01"] == over
        assert failures["2016-01-02"] == f"{over}, in which notebooks waited: query 30 s for the pool flowdb"

    trial.run(steps, days=2)


def test_runs_of_a_workflow_that_bounds_them_are_said_to_wait_for_it(trial: Trial) -> None:
    trial.write(workflow="    concurrency: 1\n")

    async def steps() -> None:
        await trial.until(1)
        await asyncio.sleep(5)
        assert trial.executor.slots.why == "run waits for its workflow, which has 1 run at a time"

    trial.run(steps)


def test_a_notebook_that_waits_where_no_run_does_is_told_too(trial: Trial) -> None:
    trial.write("  concurrency: {most: 1}\n")
    file = trial.inputs / "workflows.yml"
    other = "{other: {filename: glues.ipynb, parameters: {reference_date: reference_date}}, query:"
    file.write_text(file.read_text().replace("{query:", other))

    async def steps() -> None:
        await trial.until(1)
        await asyncio.sleep(3)
        why = "notebook waits for a slot, the only one is in use; 1 is the most that workflows.yml allows"
        assert trial.executor.slots == SlotsInUse(1, 1, why)

    trial.run(steps, days=1)


def test_fixed_numbers_are_told_as_what_runs_wait_for(trial: Trial) -> None:
    trial.write("  concurrency: {runs: 2, notebooks: 5}\n")

    async def steps() -> None:
        await trial.until(2)
        why = "run waits for a slot, all 2 are in use; `concurrency` in workflows.yml says 2"
        assert trial.executor.slots == SlotsInUse(2, 5, why)

    trial.run(steps)


@pytest.mark.parametrize("numbers", ["{runs: 3, notebooks: 1}", "{most: 1}"])
def test_a_notebook_says_that_it_waits_for_a_slot_and_that_it_keeps_a_place_meanwhile(
    trial: Trial, numbers: str
) -> None:
    trial.write(f"  concurrency: {numbers}\n  pools: {{flowdb: 3}}\n", notebook="pool: flowdb,")
    file = trial.inputs / "workflows.yml"
    others = "".join(
        f"{name}: {{filename: glues.ipynb, pool: flowdb, parameters: {{reference_date: reference_date}}}}, "
        for name in ("first", "second")
    )
    file.write_text(file.read_text().replace("{query:", f"{{{others}query:"))

    async def steps() -> None:
        await trial.until(1)
        await asyncio.sleep(3)
        slots = (await trial.health())["slots"]
        pool = slots["pools"]["flowdb"]
        assert (pool["in_use"], len(pool["without_slot"]), pool["waiting"]) == (3, 2, [])
        assert slots["why"].startswith("notebook waits for a slot, the only one is in use; ")
        (line,) = pools_lines(slots["pools"])
        assert line.startswith("pool flowdb: 3 of 3 places in use, 2 of them by 2 notebooks that wait for a slot: run ")
        told = [text for text in trial.context.progress.tasks().values() if "waits" in text]
        assert len(told) == 2
        assert all(text.startswith("waits for a slot") for text in told)
        for _ in range(3):
            trial.door.end_one()
            await asyncio.sleep(3)
        assert not any("waits" in text for text in trial.context.progress.tasks().values())

    trial.run(steps, days=1)


@pytest.mark.parametrize(("most", "expected"), [("auto", 5), ("{most: 3}", 3)])
def test_on_workers_auto_follows_their_slots_as_these_come_and_go(trial: Trial, most: str, expected: int) -> None:
    trial.write(f"  concurrency: {most}\n")
    trial.reading = replace(CALM, busy=64, free=0)

    async def steps() -> None:
        await trial.until(min(2, expected))
        assert "all 2 of the workers are in use" in trial.executor.slots.why
        trial.door.slots = 5
        await trial.until(expected)
        assert (trial.executor.slots.given, trial.executor.slots.in_use) == (expected, expected)
        # the last worker has gone: this machine decides, which is full
        trial.door.slots = None
        await asyncio.sleep(5)
        trial.door.end_one()
        await trial.until(expected - 1)
        assert "waits for" in trial.executor.slots.why
        assert len(trial.door.gates) == expected - 1

    trial.run(steps, slots=2)


def test_while_no_worker_is_there_it_is_that_and_not_this_machine_that_runs_wait_for(trial: Trial) -> None:
    trial.write()
    trial.reading = replace(CALM, busy=64)

    async def steps() -> None:
        trial.door.absence = "waits for a worker: none is connected"
        await trial.until(cores_here())
        await asyncio.sleep(5)
        slots = SlotsInUse(cores_here(), cores_here(), "run waits for a worker: none is connected")
        assert trial.executor.slots == slots
        trial.door.absence, trial.door.slots = "", cores_here() + 1
        await trial.until(cores_here() + 1)

    trial.run(steps)


def test_slots_are_those_of_the_workers_that_are_back_also_where_nothing_waits(trial: Trial) -> None:
    trial.write()

    async def steps() -> None:
        trial.door.absence = "waits for a worker: none is connected"
        await trial.until(1)
        await asyncio.sleep(5)
        trial.door.absence, trial.door.slots = "", 9
        await asyncio.sleep(5)
        assert trial.executor.slots == SlotsInUse(1, 9, "")

    trial.run(steps, days=1)


def test_what_runs_on_this_machine_takes_no_slot_of_a_worker(trial: Trial) -> None:
    trial.write(notebook="place: here,")
    file = trial.inputs / "workflows.yml"
    remote = "{remote: {filename: glues.ipynb, parameters: {reference_date: reference_date, before: query}}, query:"
    file.write_text(file.read_text().replace("{query:", remote))

    async def steps() -> None:
        # one of a worker, and one for each core here
        await trial.until(cores_here())
        assert (trial.executor.slots.given, trial.executor.slots.in_use) == (1, 0)
        trial.door.end_one()
        await trial.until(cores_here() + 1)
        assert (trial.executor.slots.given, trial.executor.slots.in_use) == (1, 1)
        assert trial.executor.slots.why == "run waits for a slot, the only one of the workers is in use"

    trial.run(steps, slots=1)


def test_what_runs_here_since_there_was_no_worker_is_not_counted_among_those_of_workers(trial: Trial) -> None:
    trial.write()

    async def steps() -> None:
        trial.door.apart = 1
        await trial.until(3)
        await asyncio.sleep(5)
        assert (trial.executor.slots.given, trial.executor.slots.in_use) == (2, 2)
        assert trial.executor.slots.why == "run waits for a slot, all 2 of the workers are in use"

    trial.run(steps, slots=3)


def test_runs_that_would_wait_for_what_no_worker_has_do_not_start(trial: Trial) -> None:
    trial.write(notebook="resources: {gpu: 1},")

    async def steps() -> None:
        await trial.until(2)
        trial.door.lacking, trial.door.slots = "waits for a worker with gpu: 1: none has it", 4
        await asyncio.sleep(10)
        assert len(trial.door.gates) == 2
        assert trial.executor.slots.why == "run waits for a worker with gpu: 1: none has it"
        assert [*trial.context.conditions.present()] == [
            "workers: runs do not start: w waits for a worker with gpu: 1: none has it"
        ]
        trial.door.lacking = ""
        await trial.until(4)
        assert trial.context.conditions.present() == []
        # what waits is withdrawn, and the last that goes on ends
        trial.door.lacking = "waits for a worker with gpu: 1: none has it"
        trial.door.end_one()
        await asyncio.sleep(5)
        assert len(trial.context.conditions.present()) == 1
        trial.executor.take_up(Work(trial.definitions, Runs(), ListedDates()))
        await asyncio.sleep(5)
        assert trial.context.conditions.present() == []

    trial.run(steps, slots=2)


@pytest.mark.parametrize("numbers", ["auto", "{runs: 3, notebooks: 3}"])
def test_what_waits_for_a_worker_in_vain_is_in_the_way_of_no_other(trial: Trial, numbers: str) -> None:
    (trial.inputs / "workflows.yml").write_text(
        TWO_KINDS.replace("  schedule", f"  concurrency: {numbers}\n  schedule")
    )

    async def steps() -> None:
        trial.door.in_vain = "waits for a worker with gpu: 1: none is connected"
        await trial.until(3)
        await asyncio.sleep(10)
        assert (trial.executor.slots.in_use, len(trial.door.of_gpus)) == (3, 0)
        # as many as would go on, and not the whole backlog
        assert 0 < len(trial.executor.running) - 3 <= 3
        trial.door.in_vain = ""
        # it looks each second
        await asyncio.sleep(2)
        trial.door.end_one()
        await cast(HeldLoop, asyncio.get_running_loop()).until(lambda: len(trial.door.of_gpus) == 1, 20)

    trial.run(steps, slots=3)


@pytest.mark.parametrize("numbers", ["auto", "{runs: 4, notebooks: 4}"])
def test_slots_of_workers_that_lack_what_a_notebook_asks_for_are_for_others(trial: Trial, numbers: str) -> None:
    """Of three workers with four slots, one has a GPU."""
    (trial.inputs / "workflows.yml").write_text(
        TWO_KINDS.replace("  schedule", f"  concurrency: {numbers}\n  schedule")
    )

    async def steps() -> None:
        trial.door.gpus = 1
        await trial.until(4)
        await asyncio.sleep(10)
        assert (len(trial.door.gates), len(trial.door.of_gpus)) == (4, 1)
        assert (trial.executor.slots.in_use, trial.executor.slots.given) == (4, 4)
        waiting = [text for text in trial.context.progress.tasks().values() if "waits" in text]
        assert set(waiting) <= {"waits for a worker with gpu: 1 that is free"}
        # only what asks for it is left
        while trial.executor.waiting.by_workflow().get("w"):
            trial.door.gates.remove(gate := next(each for each in trial.door.gates if each not in trial.door.of_gpus))
            gate.set()
            await asyncio.sleep(5)
        for gate in [each for each in trial.door.gates if each not in trial.door.of_gpus]:
            trial.door.gates.remove(gate)
            gate.set()
        await asyncio.sleep(10)
        assert (len(trial.door.gates), len(trial.door.of_gpus)) == (1, 1)
        assert trial.executor.slots.in_use == 1
        assert trial.executor.slots.why == "run waits for a worker with gpu: 1, as others do"
        trial.door.gpus = 2
        await trial.until(2)

    trial.run(steps, days=6, slots=4)


def test_where_no_run_waits_a_notebook_says_that_it_waits_for_what_it_asks_for(trial: Trial) -> None:
    trial.write(notebook="resources: {gpu: 1},")

    async def steps() -> None:
        trial.door.gpus = 1
        await trial.until(1)
        await asyncio.sleep(5)
        assert trial.executor.slots == SlotsInUse(1, 4, "notebook waits for a worker with gpu: 1 that is free")

    trial.run(steps, days=2, slots=4)


def test_with_fixed_numbers_a_run_starts_when_a_worker_comes_that_has_what_it_waits_for(trial: Trial) -> None:
    """And not only when another run ends."""
    trial.write("  concurrency: {runs: 1}\n", notebook="resources: {gpu: 1},")

    async def steps() -> None:
        await trial.until(1)
        trial.door.lacking = "waits for a worker with gpu: 1: none has it"
        trial.executor.resize(trial.write("  concurrency: {runs: 2}\n", notebook="resources: {gpu: 1},"))
        await asyncio.sleep(10)
        assert len(trial.door.gates) == 1
        assert trial.executor.slots.why == "run waits for a worker with gpu: 1: none has it"
        trial.door.lacking = ""
        await trial.until(2)

    trial.run(steps, slots=1)


@pytest.mark.parametrize("over", ["by the end of the work", "by numbers in workflows.yml"])
def test_that_memory_is_short_is_told_for_as_long_as_it_decides_anything(trial: Trial, over: str) -> None:
    trial.write("  concurrency: auto\n")

    async def steps() -> None:
        await trial.until(2)
        trial.reading = replace(CALM, free=3000)
        conditions = trial.context.conditions
        await cast(HeldLoop, asyncio.get_running_loop()).until(lambda: "memory" in conditions.by_name, 20)
        if over == "by numbers in workflows.yml":
            trial.executor.resize(trial.write("  concurrency: {runs: 2}\n"))
        else:
            trial.door.end_one()
            trial.door.end_one()
            await trial.executor.idle()
        assert "memory" not in conditions.by_name

    trial.run(steps, days=2)


def test_runs_of_a_workflow_that_is_gone_from_the_file_do_not_start(trial: Trial) -> None:
    trial.write("  concurrency: {runs: 1}\n")

    async def steps() -> None:
        await trial.until(1)
        there = trial.write("  concurrency: {runs: 2}\n")
        trial.executor.resize(replace(there, workflows={}, triggers=()))
        assert not trial.executor.waiting
        trial.door.end_one()
        await trial.executor.idle()
        assert trial.executor.states == {AttemptState.SUCCEEDED: 1}

    trial.run(steps)


def test_other_numbers_and_pools_count_at_once_for_runs_that_are_due_already(trial: Trial) -> None:
    trial.write("  concurrency: {most: 1}\n  pools: {flowdb: 9}\n", notebook="pool: flowdb,")

    async def steps() -> None:
        await trial.until(1)
        assert trial.executor.slots.why.endswith("the only one is in use; 1 is the most that workflows.yml allows")
        trial.executor.resize(trial.write("  concurrency: {most: 4}\n  pools: {flowdb: 9}\n", notebook="pool: flowdb,"))
        await trial.until(4)
        trial.executor.resize(trial.write("  concurrency: {runs: 6}\n  pools: {flowdb: 9}\n", notebook="pool: flowdb,"))
        await trial.until(6)
        trial.executor.resize(trial.write("  concurrency: {runs: 6}\n  pools: {flowdb: 2}\n", notebook="pool: flowdb,"))
        for _ in range(4):
            trial.door.end_one()
        await asyncio.sleep(10)
        pool = trial.executor.slots.pools["flowdb"]
        assert (len(trial.door.gates), pool.places, pool.in_use) == (2, 2, 2)

    trial.run(steps)


def test_who_asks_is_told_what_is_queued_and_how_much_goes_before_it(trial: Trial) -> None:
    trial.write("  concurrency: {runs: 1}\n")

    async def steps() -> None:
        await trial.until(1)
        assert (await trial.health(queued_on="2016-01-01"))["queued"] == []
        (told,) = (await trial.health(queued_on="2016-01-05"))["queued"]
        assert (told[0], told[2]) == ("w", 3)
        (trigger,), reader = trial.definitions.triggers, trial.context.store.read
        date = dt.date(2016, 1, 5)
        facts = Facts.read(trial.definitions, reader, LISTED, trial.context.now(), (date, date))
        assert explain(facts, trigger, date).reason.endswith("it runs at the next tick")
        asked = replace(facts, queued={(told[0], told[1]): told[2]})
        assert explain(asked, trigger, date).reason.endswith("it is queued, 3 runs go before it")
        asked = replace(facts, queued={(told[0], told[1]): 0})
        assert explain(asked, trigger, date).reason.endswith("it is the next to start")

    trial.run(steps)
