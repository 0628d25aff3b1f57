# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""One run: its notebooks in dependency order, and their reports."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from autoflow.capacity import Capacity
from autoflow.context import Context, recorded
from autoflow.errors import OutputsLostError, SettingsError
from autoflow.log_writer import STEP
from autoflow.model import Attempt
from autoflow.naming import dated_names, latest_stems
from autoflow.runs import AttemptState, Failure, Run
from autoflow.settings import Token, read_secrets
from autoflow.threads import to_end
from autoflow.wording import KEPT_OUT, same_results_text, spans
from autoflow.workflows.directories import Directories
from autoflow.workflows.execution import Execution
from autoflow.workflows.failures import failed_by, with_hint
from autoflow.workflows.kept import note_kept_out
from autoflow.workflows.notebook import report_notebook, run_notebook
from autoflow.workflows.other_runs import Origin, left_out, notebooks_of_others, without
from autoflow.workflows.repair import reuse
from autoflow.workflows.replaced import Replaced

logger = logging.getLogger(__name__)


async def execute(
    context: Context,
    run: Run,
    token: Token,
    capacity: Capacity,
    stop: asyncio.Event,
    origin: Origin | None = None,
) -> AttemptState:
    """Make one attempt at a run, and record it.

    Six parameters: three say what is run, and three come from the executor, which all runs share.

    Parameters
    ----------
    context, run
        What to run, and with what.
    token
        FlowAPI's token, for the kernels.
    capacity
        Bounds the notebooks and conversions that go on at a time, over all runs.
    stop
        Once set, no further notebook starts, and a run that is not complete by then is interrupted.
    origin
        What the decision that started it knew.

    Returns
    -------
    AttemptState
        How the attempt ended, as recorded.

    Raises
    ------
    StoreError, sqlite3.Error
        When the record refuses it. What was recorded so far is put right by `RunStore.recover`.
    """
    store, origin = context.store, origin or Origin()

    def begin() -> tuple[Attempt, int | None, dict[str, Any]]:
        # what is to be repaired is known no more once the attempt has begun
        repairs, absent = store.read.repairs(run.key), left_out(context.past, run)
        begun = store.begin(run, context.now(), origin.missing, origin.data_digest, origin.cdr_types)
        return begun, repairs, dict(absent)

    attempt, repairs, others = await recorded(context.conditions, stop, begin)
    logger.info("run %d: %s started, attempt %d", attempt.run, run, attempt.attempt, extra=STEP)
    if origin.missing:
        are = "are" if len(origin.missing) > 1 else "is"
        logger.warning("run %d: made without %s, which %s missing", attempt.run, spans(origin.missing), are)
    if others:
        logger.info("run %d: left out, by when: %s", attempt.run, ", ".join(others))
    run = without(run, others)
    state, failure = AttemptState.INTERRUPTED, None
    with context.steering.under_way(attempt), context.jobs.workspace() as workspace:
        directories = Directories(context, run, attempt.id, workspace)
        execution = Execution(
            context,
            run,
            attempt,
            token,
            capacity,
            stop,
            origin=origin,
            others=others,
            replaced=Replaced.of(context, attempt, origin.missing),
            directories=directories,
        )
        try:
            state, failure = await _attempted(execution, repairs)
        finally:
            # it stays in progress, and so is not mistaken for one that a crash left, until its end is recorded
            context.steering.ending(attempt)
            try:
                await execution.record(partial(store.finish, attempt, state, context.now(), failure))
            except BaseException:
                directories.release()
                raise
            await directories.settle(execution.scans(), succeeded=state is AttemptState.SUCCEEDED)
            level = logging.ERROR if state is AttemptState.FAILED else logging.INFO
            logger.log(level, "run %d: %s %s", attempt.run, run, _PAST_TENSE[state])
    return state


async def _attempted(execution: Execution, repairs: int | None) -> tuple[AttemptState, Failure | None]:
    """Do what an attempt consists of, and say how it ended."""
    context, run, attempt = execution.context, execution.run, execution.attempt
    limit = asyncio.timeout(run.workflow.timeout)
    try:
        for name, path in notebooks_of_others(context.past, run, execution.origin.needs).items():
            execution.others.setdefault(name, path)
        with context.outputs.reading(_paths_of(execution.others)):
            return await _made(execution, repairs, limit)
    except asyncio.CancelledError:
        ended = context.steering.ended(attempt)
        if ended is None:
            raise
        # only this run was to end: the others continue
        if (task := asyncio.current_task()) is not None:
            task.uncancel()
        return ended.state, Failure(ended.reason)
    except sqlite3.Error:
        # it ends as interrupted, if that can be recorded, and is tried again
        raise
    except OutputsLostError as error:
        # it is AutoFlow that stops; the next start tries this run again
        logger.error("run %d: %s: %s", attempt.run, run, error)
        return AttemptState.INTERRUPTED, None
    except Exception as error:  # noqa: BLE001  # logged there; other dates go on
        return AttemptState.FAILED, failed_by(execution, error, timed_out=limit.expired())


async def _made(
    execution: Execution, repairs: int | None, limit: asyncio.Timeout
) -> tuple[AttemptState, Failure | None]:
    """Execute the notebooks within a time limit, and make what comes of them."""
    execution.secrets.update(await to_end(_secrets_there_are, execution))
    await execution.directories.open(repair=repairs is not None)
    if repairs is not None:
        await reuse(execution, repairs)
    async with limit:
        failures, complete = await _run_notebooks(execution)
    if failures:
        return AttemptState.FAILED, with_hint(execution, failures[0])
    if complete:
        is_held = await _note_same_results(execution)
        await execution.directories.stage(execution.scans())
        if is_held:
            manifests = (paths[-1] for paths in execution.reports.values())
            await note_kept_out(execution.context, execution.run, manifests)
        else:
            await _point_at_latest(execution)
    return AttemptState.SUCCEEDED if complete else AttemptState.INTERRUPTED, None


async def _note_same_results(execution: Execution) -> bool:
    """Record that a run shows what it showed when its data were others, and return whether it is kept back."""
    replaced, attempt = execution.replaced, execution.attempt
    if replaced is None:
        return False
    for label, path in execution.executed.items():
        await replaced.compare(label, path)
    if not replaced.is_same:
        return False
    context, before = execution.context, replaced.before
    has_reports = any(notebook.outputs for notebook in execution.run.workflow.notebooks)
    hold = execution.origin.holds_same_results and has_reports
    await execution.record(partial(context.store.note_same_results, attempt, before.id, context.now(), hold=hold))
    mark = context.store.read.stale_mark(attempt.id)
    # of several in a row, the first is the one that was made of other data
    first, other = (mark.same_as, mark.other_data) if mark and mark.same_as else (before.attempt, replaced.other_data)
    logger.warning("run %d: %s%s", attempt.run, same_results_text(first, other), f"; {KEPT_OUT}" if hold else "")
    return hold


def _paths_of(others: Mapping[str, Any]) -> list[Path]:
    """List the executed notebooks of other runs that a run is given."""
    values = (each if isinstance(each, list) else [each] for each in others.values())
    return [Path(path) for paths in values for path in paths if path is not None]


def _secrets_there_are(execution: Execution) -> dict[str, str]:
    """Read the secrets of all notebooks: one that a repair uses again may have left them in files."""
    found: dict[str, str] = {}
    for name in execution.run.workflow.secrets:
        # what is not there is told where it is needed
        with suppress(SettingsError):
            found |= read_secrets(execution.context.settings, [name])
    return found


_PAST_TENSE = {
    AttemptState.SUCCEEDED: "succeeded",
    AttemptState.FAILED: "failed",
    AttemptState.INTERRUPTED: "was interrupted and will be retried",
    AttemptState.CANCELLED: "was cancelled",
}


async def _point_at_latest(execution: Execution) -> None:
    """Let the links to the newest reports point at those of a run that has succeeded."""
    context, run = execution.context, execution.run
    for label, paths in execution.reports.items():
        try:
            async with context.outputs.leading:
                await to_end(context.outputs.point, latest_stems(run, label), paths)
                await to_end(context.outputs.file, *dated_names(run, label), paths)
        except OSError as error:
            message = f"links to the newest reports cannot be made in {context.outputs.reports}: {error.strerror}"
            context.conditions.begin("latest", message, logging.WARNING)
            return
    context.conditions.end("latest", "links to the newest reports can be created again")


async def _run_notebooks(execution: Execution) -> tuple[list[Failure], bool]:
    """Execute notebooks, each as soon as those it reads are done; independent ones go on after a failure.

    Returns
    -------
    failures : list of Failure
    complete : bool
        Whether every notebook and report was made.
    """
    workflow = execution.run.workflow
    notebooks = {notebook.label: notebook for notebook in workflow.notebooks}
    sorter = TopologicalSorter(workflow.dependencies())
    sorter.prepare()
    tasks: dict[asyncio.Task[Path | Failure | None], str | None] = {}
    failures: list[Failure] = []
    try:
        while True:
            if not execution.stop.is_set():
                ready = list(sorter.get_ready())
                while ready:
                    label = ready.pop(0)
                    if label not in execution.reused:
                        tasks[asyncio.create_task(run_notebook(execution, notebooks[label]))] = label
                        continue
                    sorter.done(label)
                    ready += sorter.get_ready()
                    if notebooks[label].outputs and not execution.reused[label].report:
                        tasks[asyncio.create_task(report_notebook(execution, notebooks[label]))] = None
            if not tasks:
                return failures, not sorter.is_active()
            execution.capacity.note_open(execution.run.key, len(tasks))
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                ended, result = tasks.pop(task), task.result()
                if isinstance(result, Failure):
                    failures.append(result)
                elif ended is not None and result is not None:
                    execution.executed[ended] = result
                    sorter.done(ended)
                    if notebooks[ended].outputs:
                        # what reads this notebook need not wait for its report
                        tasks[asyncio.create_task(report_notebook(execution, notebooks[ended]))] = None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        execution.capacity.forget(execution.run.key)
