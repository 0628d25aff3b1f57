# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""One run: its notebooks in dependency order, and their reports."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from autoflow.context import Context, Written, recorded
from autoflow.definitions import DATA_VERSION, MISSING_DATES, Notebook
from autoflow.errors import OutputsLostError, SettingsError
from autoflow.files import file_hash
from autoflow.fitting import changed_inputs
from autoflow.jobs import Reply
from autoflow.log_writer import STEP
from autoflow.model import Attempt, RecordedNotebook
from autoflow.naming import dated_names, latest_stems, output_stem
from autoflow.notebooks import TokenScan, executed_with, record_cause, refuse_leak, scans_of
from autoflow.progress import Task
from autoflow.redaction import Redactor
from autoflow.runs import AttemptState, Failure, Run
from autoflow.settings import Token, read_secrets
from autoflow.shared_data import SharedDataError
from autoflow.sources import form_of, sources_of
from autoflow.threads import to_end
from autoflow.wording import KEPT_OUT, parameters_text, same_results_text, spans
from autoflow.workflows import queries
from autoflow.workflows.directories import Directories
from autoflow.workflows.governor import Held, nothing_used
from autoflow.workflows.other_runs import Origin, left_out, notebooks_of_others, without
from autoflow.workflows.replaced import Replaced
from autoflow.workflows.reports import ReportSource, make_reports
from autoflow.workflows.slots import Capacity, Taker

REPORT = "report"
"""What is not the label of a notebook, for what reports need."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Execution:
    """One attempt at a run, as its notebooks see it."""

    context: Context
    run: Run
    attempt: Attempt
    token: Token
    capacity: Capacity
    stop: asyncio.Event
    executed: dict[str, Path] = field(default_factory=dict)
    """Executed notebooks by label, for those that read them."""
    reused: dict[str, RecordedNotebook] = field(default_factory=dict)
    """Notebooks that an earlier attempt has executed."""
    origin: Origin = field(default_factory=Origin)
    others: dict[str, Any] = field(default_factory=dict)
    """Paths of executed notebooks of other runs, by the names that parameters are given; None where there is none."""
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    """Secrets of all its notebooks, by name."""
    sources: dict[str, str] = field(default_factory=dict)
    """Hashes by label of the notebooks as they were when they were executed."""
    read: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """Hashes by label of the files that notebooks say they read, by path."""
    reports: dict[str, list[Path]] = field(default_factory=dict)
    """Reports and manifests by label."""
    replaced: Replaced | None = None
    """What was made of other data, and its results take the place of; None where there is no such attempt."""

    directories: Directories = field(kw_only=True)

    def scans(self) -> dict[str, TokenScan]:
        """What no file may hold."""
        return scans_of(self.token.value, self.secrets)

    async def record(self, write: Callable[[], Written]) -> Written:
        """Write to the record, and wait while it cannot be written."""
        return await recorded(self.context.conditions, self.stop, write)


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
        return store.begin(run, context.now(), origin.missing), repairs, dict(absent)

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
        execution = _Execution(
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


async def _attempted(execution: _Execution, repairs: int | None) -> tuple[AttemptState, Failure | None]:
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
        return AttemptState.FAILED, _failed_by(execution, error, timed_out=limit.expired())


async def _made(
    execution: _Execution, repairs: int | None, limit: asyncio.Timeout
) -> tuple[AttemptState, Failure | None]:
    """Execute the notebooks within a time limit, and make what comes of them."""
    execution.secrets.update(await to_end(_secrets_there_are, execution))
    await execution.directories.open(repair=repairs is not None)
    if repairs is not None:
        await _reuse(execution, repairs)
    async with limit:
        failures, complete = await _run_notebooks(execution)
    if failures:
        return AttemptState.FAILED, _with_hint(execution, failures[0])
    if complete:
        is_held = await _note_same_results(execution)
        await execution.directories.stage(execution.scans())
        if not is_held:
            await _point_at_latest(execution)
    return AttemptState.SUCCEEDED if complete else AttemptState.INTERRUPTED, None


async def _note_same_results(execution: _Execution) -> bool:
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
    # data that were ingested anew meanwhile are a reason of their own
    first, other = (mark.same_as, mark.other_data) if mark and mark.same_as else (before.attempt, replaced.other_data)
    logger.warning("run %d: %s%s", attempt.run, same_results_text(first, other), f"; {KEPT_OUT}" if hold else "")
    return hold


def _paths_of(others: Mapping[str, Any]) -> list[Path]:
    """List the executed notebooks of other runs that a run is given."""
    values = (each if isinstance(each, list) else [each] for each in others.values())
    return [Path(path) for paths in values for path in paths if path is not None]


def _secrets_there_are(execution: _Execution) -> dict[str, str]:
    """Read the secrets of all notebooks: one that a repair uses again may have left them in files."""
    found: dict[str, str] = {}
    for name in execution.run.workflow.secrets:
        # what is not there is told where it is needed
        with suppress(SettingsError):
            found |= read_secrets(execution.context.settings, [name])
    return found


def _failed_by(execution: _Execution, error: Exception, *, timed_out: bool) -> Failure:
    """Log an error that failed an attempt, and return it as a failure."""
    run, attempt = execution.run, execution.attempt
    # some errors of the operating system are a TimeoutError too
    if isinstance(error, TimeoutError) and timed_out:
        failure = Failure(f"took longer than the run's timeout of {run.workflow.timeout:g} s")
    elif isinstance(error, SharedDataError):
        failure = Failure(str(error))
    elif isinstance(error, OSError):
        failure = Failure(_of_system(error))
    else:
        # a defect of AutoFlow's own must not stop the other dates
        logger.exception("run %d: %s: internal error", attempt.run, run)
        return Failure(f"internal error: {type(error).__name__}: {error}")
    logger.error("run %d: %s: %s", attempt.run, run, failure)
    return failure


def _with_hint(execution: _Execution, failure: Failure) -> Failure:
    """Add what to do about it, where FlowKit is the cause."""
    attempts = execution.context.store.read.attempts_of(execution.attempt.run)
    before = next((each.failure for each in reversed(attempts) if each.id < execution.attempt.id), None)
    hint = queries.hint(failure, before)
    if hint is None:
        return failure
    logger.error("run %d: %s: %s", execution.attempt.run, execution.run, hint)
    return replace(failure, message=f"{failure.message}; {hint}")


def _of_system(error: OSError) -> str:
    """Say what the operating system refused, and of which file."""
    files = " to ".join(str(name) for name in (error.filename, error.filename2) if name)
    what = error.strerror or str(error) or type(error).__name__
    return f"{files}: {what}" if files else what


async def _reuse(execution: _Execution, repairs: int) -> None:
    """Take over what an earlier attempt has executed, as far as all that it read is taken over too."""
    context, workflow = execution.context, execution.run.workflow
    before = context.store.read.attempt(execution.attempt.run, repairs)
    recorded = {each.label: each for each in context.store.read.notebooks(before.id)} if before else {}
    if before and before.missing_dates != tuple(execution.origin.missing):
        logger.warning("run %d: other dates are missing now: all is executed again", execution.attempt.run)
        return
    if before and context.store.read.restated_since(before):
        logger.warning("run %d: data were ingested anew since: all is executed again", execution.attempt.run)
        return
    dependencies = workflow.dependencies()
    again = queries.to_make_again(dependencies, recorded.values())
    for label in TopologicalSorter(dependencies).static_order():
        notebook = recorded.get(label)
        if notebook is None or not notebook.executed or not dependencies[label] <= execution.reused.keys() - again:
            continue
        if label in again:
            logger.info("run %d: notebook %s is executed again, to repeat its queries", execution.attempt.run, label)
            continue
        path = Path(notebook.notebook or "")
        if why := await asyncio.to_thread(_why_not_reused, execution, label, path):
            logger.warning("run %d: %s: notebook %s is executed again", execution.attempt.run, why, label)
            continue
        if notebook.report and not await asyncio.to_thread(Path(notebook.report).is_file):
            notebook = replace(notebook, report=None)
        execution.executed[label] = path
        execution.reused[label] = notebook
        await execution.record(partial(context.store.reuse_notebook, execution.attempt, notebook, repairs))
        logger.info("run %d: notebook %s used again: %s", execution.attempt.run, label, path)


def _why_not_reused(execution: _Execution, label: str, path: Path) -> str | None:
    """Return why an executed notebook cannot be reused; workflows.yml may have changed since the request."""
    try:
        return changed_inputs(execution.run.workflow, label, executed_with(path), execution.run.parameters)
    except OSError:
        return f"{path} is gone"
    except ValueError as error:
        return str(error)


_PAST_TENSE = {
    AttemptState.SUCCEEDED: "succeeded",
    AttemptState.FAILED: "failed",
    AttemptState.INTERRUPTED: "was interrupted and will be retried",
    AttemptState.CANCELLED: "was cancelled",
}


def _secure(made: Path, token: Token, secrets: Mapping[str, str], failure: Failure | None) -> Failure | None:
    """Take token and secrets out of a notebook, or refuse it: its child had no time, or does not know of them."""
    redactor = Redactor.of(token.value, *secrets.values())
    try:
        text = made.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        made.unlink()
        return failure
    try:
        text = json.dumps(redactor.redact_json(json.loads(text)), indent=1, ensure_ascii=False) + "\n"
    except ValueError:
        # not a whole notebook
        text = redactor.redact(text)
    made.write_text(text, encoding="utf-8")
    leak = refuse_leak(made, token.value, secrets)
    if leak is None:
        return failure
    return replace(failure, message=f"{failure.message}; {leak}") if failure else Failure(str(leak), cell=leak.cell)


def _without_secrets(failure: Failure, secrets: Mapping[str, str]) -> Failure:
    redactor = Redactor.of(*secrets.values())
    return replace(
        failure,
        message=redactor.redact(failure.message),
        traceback=failure.traceback and redactor.redact(failure.traceback),
    )


def _sha256(path: Path) -> str:
    try:
        return file_hash(path)
    except OSError:
        # why it cannot be read is for its execution to say
        return ""


async def _point_at_latest(execution: _Execution) -> None:
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


async def _run_notebooks(execution: _Execution) -> tuple[list[Failure], bool]:
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
                        tasks[asyncio.create_task(_run_notebook(execution, notebooks[label]))] = label
                        continue
                    sorter.done(label)
                    ready += sorter.get_ready()
                    if notebooks[label].outputs and not execution.reused[label].report:
                        tasks[asyncio.create_task(_make_reports(execution, notebooks[label]))] = None
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
                        tasks[asyncio.create_task(_make_reports(execution, notebooks[ended]))] = None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        execution.capacity.forget(execution.run.key)


@asynccontextmanager
async def _turn(execution: _Execution, notebook: Notebook) -> AsyncIterator[Held]:
    """Wait until there is room for a notebook: first in its pool, so that who waits for that keeps no slot."""
    capacity, attempt, label = execution.capacity, execution.attempt, notebook.label
    progress, task, key = execution.context.progress, _task(execution, notebook), execution.run.key
    taker = Taker(attempt.id, attempt.run, label)

    def say(what: str, of: str = "") -> None:
        if not said or of != said[-1]:
            logger.info("run %d: notebook %s %s", attempt.run, label, what, extra=STEP)
        said.append(of)
        progress.show(task, what)

    said: list[str] = []
    try:
        async with AsyncExitStack() as stack:
            if notebook.pool is not None:
                if capacity.pool(notebook.pool).full:
                    say(f"waits for the pool {notebook.pool}", "pool")
                await stack.enter_async_context(capacity.place(notebook.pool, key, taker))
                progress.drop(task)
            held = await stack.enter_async_context(capacity.slot(key, label, say))
            progress.drop(task)
            yield held
    finally:
        progress.drop(task)


async def _run_notebook(execution: _Execution, notebook: Notebook) -> Path | Failure | None:
    """Execute a notebook when its turn comes; None if AutoFlow is to stop by then."""
    context, run, attempt = execution.context, execution.run, execution.attempt
    store, label = context.store, notebook.label
    async with _turn(execution, notebook) as held:
        if execution.stop.is_set():
            return None
        made_of = await to_end(sources_of, context.settings.inputs_dir, notebook)
        await execution.record(lambda: store.begin_notebook(attempt, label, context.now(), made_of))
        stem = output_stem(notebook.filename, run, context.now())
        final = context.outputs.reserve(context.outputs.notebooks, stem, ".ipynb")
        logger.info("run %d: notebook %s started", attempt.run, label, extra=STEP)
        state, failure = AttemptState.INTERRUPTED, None
        try:
            failure = await _execute_notebook(execution, notebook, final, held)
            state = AttemptState.FAILED if failure else AttemptState.SUCCEEDED
        except OSError as error:
            state, failure = AttemptState.FAILED, Failure(_of_system(error), label)
        finally:
            context.outputs.release(final)
            context.progress.drop(_task(execution, notebook))
            # who was cancelled meanwhile may have made it all the same
            kept = final if final.is_file() else None
            ended, peak = context.now(), held.peak
            finish = partial(store.finish_notebook, attempt, label, state, ended, notebook=kept, failure=failure)
            await execution.record(partial(finish, peak_mb=peak))
            if peak is not None:
                execution.capacity.learn(run.key, label, peak)
        if failure:
            logger.error("run %d: %s: %s", attempt.run, run, failure)
            return failure
        logger.info("run %d: notebook %s done: %s", attempt.run, label, final, extra=STEP)
        return final


async def _execute_notebook(execution: _Execution, notebook: Notebook, final: Path, held: Held) -> Failure | None:
    """Execute a notebook, and give its final name to what was made of it, also when it failed."""
    context = execution.context
    source = context.settings.inputs_dir / notebook.filename
    execution.sources[notebook.label] = await to_end(_sha256, source)
    execution.read[notebook.label] = await to_end(execution.directories.read, notebook)
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
                on_progress=_progress(execution, notebook),
            )
            held.peak = reply.peak
        failure = None if reply.cause == "done" else await to_end(_notebook_failure, notebook, reply, workspace)
        made = workspace / "notebook.ipynb"
        # notebooks of one run may pass a secret on, which only one of them was given
        others = execution.secrets.keys() - secrets.keys()
        if made.exists() and (reply.cause in ("timeout", "died") or others):
            failure = await to_end(_secure, made, execution.token, execution.secrets, failure)
        if failure and others:
            failure = _without_secrets(failure, execution.secrets)
        if not made.exists():
            return failure
        await execution.record(partial(context.store.record_notebook, execution.attempt, notebook.label, final))
        await context.outputs.publish(made, final)
        return replace(failure, notebook=str(final)) if failure else None


@contextmanager
def _measured(context: Context, held: Held, workspace: Path) -> Iterator[None]:
    """Let a slot know what memory its notebook takes, and at most: what is seen, and what the job says itself."""
    held.used = lambda: context.jobs.memory(workspace).used
    try:
        yield
    finally:
        seen = round(context.jobs.memory(workspace).peak)
        held.peak, held.used = max(seen, held.peak or 0) or None, nothing_used


def _request(execution: _Execution, notebook: Notebook, final: Path, secrets: Mapping[str, str]) -> dict[str, Any]:
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
        "keep_kernel": context.progress.keeps_kernels,
        # what will be made of this run's notebooks can be got ready meanwhile
        "formats": [output.format for each in execution.run.workflow.notebooks for output in each.outputs],
    }


async def _make_reports(execution: _Execution, notebook: Notebook) -> Path | Failure:
    context, attempt = execution.context, execution.attempt
    async with execution.capacity.slot(execution.run.key, REPORT):
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
            made = Failure(f"report: {_of_system(error)}", notebook.label, notebook=source, of_report=True)
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


async def _record_form(execution: _Execution, notebook: Notebook) -> None:
    """Record what reports are made with of a notebook that is used again, whose templates may be others by now."""
    reused = execution.reused.get(notebook.label)
    if reused is not None and reused.sources is not None:
        form = await to_end(form_of, execution.context.settings.inputs_dir, notebook)
        sources = {**reused.sources, **form}
        await execution.record(
            partial(execution.context.store.record_sources, execution.attempt, notebook.label, sources)
        )


def _values(execution: _Execution, notebook: Notebook) -> dict[str, Any]:
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


def _notebook_failure(notebook: Notebook, reply: Reply, workspace: Path) -> Failure:
    """Say why a notebook failed, in the reply's words or, where a kill left none, in ours."""
    error = reply.error
    if reply.cause == "timeout":
        exception, message = "Timeout", f"took longer than the notebook's timeout of {notebook.timeout:g} s"
    elif error:
        exception, message = error.get("exception", "Error"), error.get("message", "")
    else:
        exception, message = "Died", f"{reply.how}. {reply.log}".strip()
    cell = error.get("cell")
    if cell is None:
        try:
            cell = record_cause(workspace / "notebook.ipynb", exception, message)
        except (OSError, ValueError):
            # nothing was executed yet, or the kill came in the middle of a write: not to be kept
            (workspace / "notebook.ipynb").unlink(missing_ok=True)
    return Failure(message, notebook.label, cell, exception, error.get("traceback"))


def _task(execution: _Execution, notebook: Notebook) -> Task:
    run = execution.run
    # the date first: the end is what a narrow terminal has no room for
    name = f"{run.reference_date} {run.workflow.name} {parameters_text(run.parameters)}".rstrip()
    return Task(execution.attempt.run, name, notebook.label)


def _progress(execution: _Execution, notebook: Notebook) -> Callable[[Mapping[str, Any]], None] | None:
    progress = execution.context.progress
    if not progress.watched:
        return None
    task = _task(execution, notebook)
    progress.show(task, "starting")

    def look(at: Mapping[str, Any]) -> None:
        if "kernel" in at:
            progress.kept(task, at["kernel"], Path(at["release"]))
        else:
            where = f" on worker {at['worker']}" if "worker" in at else ""
            progress.show(task, at["waits"] if "waits" in at else f"cell {at['cell']}/{at['of']}{where}")

    return look
