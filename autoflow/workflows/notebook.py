# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""One notebook of a run: it waits for its turn, is executed, recorded and made a report of."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from autoflow.capacity import Held, Taker, nothing_used
from autoflow.context import Context
from autoflow.definitions import DATA_VERSION, MISSING_DATES, Notebook
from autoflow.errors import SettingsError
from autoflow.files import file_hash
from autoflow.log_writer import STEP
from autoflow.naming import output_stem
from autoflow.progress import Task
from autoflow.runs import AttemptState, Failure
from autoflow.settings import read_secrets
from autoflow.shared_data import SharedDataError
from autoflow.sources import form_of, sources_of
from autoflow.threads import to_end
from autoflow.wording import parameters_text
from autoflow.workflows.execution import Execution
from autoflow.workflows.failures import notebook_failure, of_system, secured, without_secrets
from autoflow.workflows.reports import ReportSource, make_reports

logger = logging.getLogger(__name__)


async def run_notebook(execution: Execution, notebook: Notebook) -> Path | Failure | None:
    """Execute a notebook when its turn comes; None if AutoFlow is to stop by then."""
    context, run, attempt = execution.context, execution.run, execution.attempt
    store, label = context.store, notebook.label
    async with _turn(execution, notebook) as held:
        if held is None or execution.stop.is_set():
            return None
        await execution.record(lambda: store.begin_notebook(attempt, label, context.now()))
        stem = output_stem(notebook.filename, run, context.now())
        final = context.outputs.reserve(context.outputs.notebooks, stem, ".ipynb")
        logger.info("run %d: notebook %s started", attempt.run, label, extra=STEP)
        state, failure = AttemptState.INTERRUPTED, None
        try:
            async with _unless_stopped(execution.stop) as note:
                failure = await _execute_notebook(execution, notebook, final, held, note)
                state = AttemptState.FAILED if failure else AttemptState.SUCCEEDED
        except OSError as error:
            state, failure = AttemptState.FAILED, Failure(of_system(error), label)
        finally:
            context.outputs.release(final)
            context.progress.drop(_task(execution, notebook))
            # who was cancelled meanwhile may have made it all the same
            kept = final if final.is_file() else None
            ended, peak = context.now(), held.peak
            finish = partial(store.finish_notebook, attempt, label, state, ended, notebook=kept, failure=failure)
            await execution.record(partial(finish, peak_mb=peak))
            if peak is not None:
                execution.capacity.learn(run.key, label, peak, succeeded=state is AttemptState.SUCCEEDED)
        if failure:
            logger.error("run %d: %s: %s", attempt.run, run, failure)
        elif state is AttemptState.SUCCEEDED:
            logger.info("run %d: notebook %s done: %s", attempt.run, label, final, extra=STEP)
            return final
        return failure


@asynccontextmanager
async def _unless_stopped(stop: asyncio.Event) -> AsyncIterator[Callable[[bool], None]]:
    """Leave this context as soon as AutoFlow is to stop, unless something has begun in it, which has its grace time.

    What is yielded notes whether something has: a notebook that has lost its worker has not, until it has another.
    """
    limit, clock, begun = asyncio.timeout(None), asyncio.get_running_loop().time, False

    def note(has_begun: bool) -> None:
        nonlocal begun
        begun = has_begun
        if stop.is_set() and not begun and limit.when() is None:
            limit.reschedule(clock())

    async def watch() -> None:
        await stop.wait()
        note(begun)

    watching = asyncio.create_task(watch())
    try:
        async with limit:
            yield note
    except TimeoutError:
        if not limit.expired():
            raise
    finally:
        watching.cancel()


@asynccontextmanager
async def _turn(execution: Execution, notebook: Notebook) -> AsyncIterator[Held | None]:
    """Wait until there is room for a notebook: first in its pool, so that who waits for that keeps no slot.

    Yields None where AutoFlow is to stop by then.
    """
    capacity, attempt, label = execution.capacity, execution.attempt, notebook.label
    progress, task, key = execution.context.progress, _task(execution, notebook), execution.run.key
    taker = Taker(attempt.id, attempt.run, label)

    def say(what: str, of: str = "") -> None:
        if not said or of != said[-1]:
            logger.info("run %d: notebook %s %s", attempt.run, label, what, extra=STEP)
        said.append(of)
        progress.show(task, what)

    said, held = list[str](), None
    try:
        async with AsyncExitStack() as stack:
            async with _unless_stopped(execution.stop):
                if notebook.place == "here" or execution.context.workers is None:
                    with _timed(execution, label, "the end of what ran before"):
                        await execution.context.freed(partial(say, of="before"))
                    progress.drop(task)
                elif notebook.resources:
                    with capacity.aside(key, notebook.resources), _timed(execution, label, "a worker"):
                        waits = partial(say, of="worker")
                        await execution.context.notebooks.room_for(notebook.filename, notebook.resources, waits)
                    progress.drop(task)
                if notebook.pool is not None:
                    if capacity.pool(notebook.pool).full:
                        say(f"waits for the pool {notebook.pool}", "pool")
                    with _timed(execution, label, f"the pool {notebook.pool}"):
                        await stack.enter_async_context(capacity.place(notebook.pool, key, taker))
                    progress.drop(task)
                with _timed(execution, label, "a slot"):
                    slot = capacity.slot(key, label, say, here=notebook.place == "here", asks=notebook.resources)
                    held = await stack.enter_async_context(slot)
            progress.drop(task)
            yield held
    finally:
        progress.drop(task)


@contextmanager
def _timed(execution: Execution, label: str, what: str) -> Iterator[None]:
    """Take note of how long a notebook waits for something, also where its run is ended meanwhile."""
    clock = asyncio.get_running_loop().time
    began = clock()
    try:
        yield
    finally:
        execution.waited[label, what] = clock() - began


async def _execute_notebook(
    execution: Execution, notebook: Notebook, final: Path, held: Held, note: Callable[[bool], None]
) -> Failure | None:
    """Execute a notebook, note that it has begun, and give its final name to what was made, also when it failed."""
    context = execution.context
    try:
        secrets = await to_end(read_secrets, context.settings, notebook.secrets)
    except SettingsError as error:
        return Failure(str(error), notebook.label)
    execution.secrets.update(secrets)
    with context.jobs.workspace() as workspace:
        door = context.jobs if notebook.place == "here" else context.notebooks
        with _measured(context, held, workspace):
            reply = await door.call(
                "notebook",
                _request(execution, notebook, final, secrets),
                workspace,
                timeout=notebook.timeout,
                secrets={"FLOWAPI_TOKEN": execution.token.value, **secrets},
                on_begin=partial(_begun, execution, notebook, note),
                on_progress=_progress(execution, notebook, note),
            )
            held.peak = reply.peak
        failure = None if reply.cause == "done" else await to_end(notebook_failure, notebook, reply, workspace)
        made = workspace / "notebook.ipynb"
        # notebooks of one run may pass a secret on, which only one of them was given
        others = execution.secrets.keys() - secrets.keys()
        if made.exists() and (reply.cause in ("timeout", "died") or others):
            failure = await to_end(secured, made, execution.token, execution.secrets, failure)
        if failure and others:
            failure = without_secrets(failure, execution.secrets)
        if not made.exists():
            return failure
        await execution.record(partial(context.store.record_notebook, execution.attempt, notebook.label, final))
        await context.outputs.publish(made, final)
        return replace(failure, notebook=str(final)) if failure else None


async def _begun(execution: Execution, notebook: Notebook, note: Callable[[bool], None]) -> None:
    """Record what a notebook is made of as it begins: it may have waited for a worker, or have lost one."""
    note(True)
    record, began = execution.context.store.record_sources, execution.context.now()
    inputs, label = execution.context.settings.inputs_dir, notebook.label
    made_of = await to_end(sources_of, inputs, notebook)
    execution.sources[label] = await to_end(_sha256, inputs / notebook.filename)
    execution.read[label] = await to_end(execution.directories.read, notebook)
    await execution.record(partial(record, execution.attempt, label, made_of, began))


@contextmanager
def _measured(context: Context, held: Held, workspace: Path) -> Iterator[None]:
    """Let a slot know what memory its notebook takes, and at most: what is seen, and what the job says itself."""
    held.used = lambda: context.jobs.memory(workspace).used
    try:
        yield
    finally:
        seen = round(context.jobs.memory(workspace).peak)
        held.peak, held.used = max(seen, held.peak or 0) or None, nothing_used


def _request(execution: Execution, notebook: Notebook, final: Path, secrets: Mapping[str, str]) -> dict[str, Any]:
    """Say what the child is to execute."""
    context = execution.context
    return {
        "notebook": str(context.settings.inputs_dir / notebook.filename),
        "parameters": _values(execution, notebook),
        "final": str(final),
        # what libraries read as they are imported has to be there by then
        "warm": notebook.warm and not notebook.environment and notebook.kernel is None,
        "kernel": notebook.kernel,
        "secrets": list(secrets),
        "environment": dict(notebook.environment),
        "resources": dict(notebook.resources),
        # for what is said of it on the way
        "run": execution.attempt.run,
        "keep_kernel": context.progress.keeps_kernels,
        # what will be made of this run's notebooks can be got ready meanwhile
        "formats": [output.format for each in execution.run.workflow.notebooks for output in each.outputs],
    }


def _values(execution: Execution, notebook: Notebook) -> dict[str, Any]:
    """Find what the names that a notebook's parameters are given stand for."""
    known: dict[str, Any] = {
        MISSING_DATES: [*map(str, execution.origin.missing)],
        DATA_VERSION: execution.origin.quality.get(DATA_VERSION, ""),
        **execution.directories.values,
        **execution.others,
        **execution.run.parameters,
        "flowapi_url": execution.context.settings.flowapi_url,
        **{label: str(path) for label, path in execution.executed.items()},
    }
    return {parameter: known[name] for parameter, name in notebook.parameters.items()}


def _sha256(path: Path) -> str:
    try:
        return file_hash(path)
    except OSError:
        # why it cannot be read is for its execution to say
        return ""


async def report_notebook(execution: Execution, notebook: Notebook) -> Path | Failure:
    """Make the reports of an executed notebook, and record them or why they failed; the first of them is returned."""
    context, attempt = execution.context, execution.attempt
    async with _room_for_report(execution, notebook):
        context.progress.show(_task(execution, notebook), "report")
        try:
            await _record_form(execution, notebook)
            replaced = execution.replaced
            if replaced:
                await replaced.compare(notebook.label, execution.executed[notebook.label])
            basis = ReportSource(
                run=execution.run,
                attempt=attempt,
                notebook=notebook,
                executed=execution.executed,
                sources=execution.sources,
                availability=execution.origin.availability,
                quality=execution.origin.quality,
                read=execution.read,
                others=execution.others,
                missing=execution.origin.missing,
                before=replaced.said(notebook.label) if replaced else {},
                written=await execution.directories.written(),
            )
            made = await make_reports(context, basis, execution.token, execution.record)
        except OSError as error:
            source = str(execution.executed[notebook.label])
            made = Failure(f"report: {of_system(error)}", notebook.label, notebook=source, of_report=True)
        except SharedDataError as error:
            made = Failure(str(error), notebook.label)
        finally:
            context.progress.drop(_task(execution, notebook))
        if isinstance(made, Failure):
            await execution.record(partial(context.store.fail_notebook, attempt, notebook.label, made))
            logger.error("run %d: %s: %s", attempt.run, execution.run, made)
            return made
    execution.reports[notebook.label] = made
    return made[0]


@asynccontextmanager
async def _room_for_report(execution: Execution, notebook: Notebook) -> AsyncIterator[None]:
    """Wait until there is room for a report."""
    progress, task = execution.context.progress, _task(execution, notebook)
    try:
        async with execution.capacity.slot(
            execution.run.key, None, lambda what: progress.show(task, f"report {what}"), here=True
        ):
            yield
    finally:
        progress.drop(task)


async def _record_form(execution: Execution, notebook: Notebook) -> None:
    """Record what reports are made with of a notebook that is used again, whose templates may be others by now."""
    reused = execution.reused.get(notebook.label)
    if reused is not None and reused.sources is not None:
        form = await to_end(form_of, execution.context.settings.inputs_dir, notebook)
        sources = {**reused.sources, **form}
        await execution.record(
            partial(execution.context.store.record_sources, execution.attempt, notebook.label, sources)
        )


def _task(execution: Execution, notebook: Notebook) -> Task:
    run = execution.run
    # the date first: the end is what a narrow terminal has no room for
    name = f"{run.reference_date} {run.workflow.name} {parameters_text(run.parameters)}".rstrip()
    return Task(execution.attempt.run, name, notebook.label)


def _progress(
    execution: Execution, notebook: Notebook, note: Callable[[bool], None]
) -> Callable[[Mapping[str, Any]], None] | None:
    progress = execution.context.progress
    if not progress.watched and execution.context.workers is None:
        return None
    task = _task(execution, notebook)
    progress.show(task, "starting")

    def look(at: Mapping[str, Any]) -> None:
        note("waits" not in at)
        if "kernel" in at:
            progress.kept(task, at["kernel"], Path(at["release"]))
        else:
            where = f" on worker {at['worker']}" if "worker" in at else ""
            progress.show(task, at.get("waits") or at.get("words") or f"cell {at['cell']}/{at['of']}{where}")

    return look
