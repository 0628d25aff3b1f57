# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Builds everything from the settings, and lives its life: once, or until told to stop."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from autoflow import sensor
from autoflow.channels import channels_of
from autoflow.clock import utc_now
from autoflow.cluster import Cluster, LifeBefore, require_dask
from autoflow.context import Backlog, Conditions, Context, Ledger, Outputs, Steering, WriteProbe
from autoflow.daemon import (
    RECORD_PATIENCE,
    Agenda,
    answer,
    beside,
    daemon_state,
    done_or_stopped,
    handle_requests,
    health,
    serve,
    sweep,
)
from autoflow.decision import held_requests
from autoflow.definitions import Definitions
from autoflow.errors import AutoflowError, ExitCode, FlowapiError, TokenError
from autoflow.jobs import Jobs
from autoflow.messages import TOKEN_CONDITION, Messenger
from autoflow.model import RecordedAttempt, RunStore
from autoflow.parser import check_tools, read_definitions
from autoflow.progress import Progress, RememberedProgress
from autoflow.runs import AttemptState
from autoflow.sensor import Executor, preload_of
from autoflow.settings import Settings, Token, check_directories, job_environment, make_caches, read_token
from autoflow.shared_data import SharedData
from autoflow.system import Control, Notifier, Presence, Signals
from autoflow.warm_process import WarmProcess
from autoflow.web import INDEX, IndexPage, PageCache
from autoflow.wording import counted, outcomes, parameters_text, shortened
from autoflow.workflows import note_kept

MOST_NAMED, MOST_LOOKED_AT = 5, 1000
"""Failed runs that the end of `--run-once` names, and attempts among which it looks for them."""

MESSAGES_PATIENCE = 15.0
"""Seconds that `--run-once`, and what is run for a request, give messages at their end."""

logger = logging.getLogger(__name__)


@contextmanager
def open_context(
    settings: Settings,
    environment: Mapping[str, str],
    progress: Progress,
    warm_process: WarmProcess | None = None,
) -> Iterator[Context]:
    """Open the store and the doors, and clean up after a crash; close them at the end."""
    check_directories(settings)
    store = RunStore(settings.db_path, settings.places)
    presence = None
    try:
        made_again = {settings.notebooks_dir, settings.reports_dir} - {settings.outputs_dir}
        presence = Presence(settings.db_path, settings.outputs_dir, made_again)
        make_caches(passed := job_environment(environment, settings), settings)
        work_dir = settings.work_dir / settings.instance
        jobs = Jobs(work_dir, settings.instance, passed, settings.interrupt_grace, warm_process)
        conditions, backlog = Conditions(utc_now), Backlog()
        try:
            presence.watch(work_dir)
            outputs = Outputs(settings.notebooks_dir, settings.reports_dir, settings.instance, presence.check)
            context = Context(
                settings=settings,
                store=store,
                ledger=Ledger(store.read),
                jobs=jobs,
                outputs=outputs,
                shared=SharedData(settings.outputs_dir / "shared"),
                progress=progress,
                conditions=conditions,
                steering=Steering(store),
                backlog=backlog,
                **_of_workers(settings, conditions, jobs, store),
            )
            _clean_up(context)
            yield context
        finally:
            jobs.close()
    finally:
        if presence:
            presence.release()
        store.close()


def _of_workers(settings: Settings, conditions: Conditions, jobs: Jobs, store: RunStore) -> dict[str, Any]:
    """Make the door to workers, if notebooks run there, and what waits for what may be left on them."""
    if settings.workers is None:
        return {"freed": LifeBefore(settings, conditions.now).freed}
    require_dask()
    cluster = Cluster(settings, settings.workers, conditions, jobs, store.identity())
    return {"workers": cluster, "freed": cluster.freed}


def _clean_up(context: Context) -> None:
    """Put right what a crash left."""
    store = context.store
    context.outputs.sweep()
    for attempt in store.recover(context.now()):
        logger.warning(
            "run %d: %s %s was interrupted when AutoFlow or its machine stopped; it will be retried",
            attempt.run,
            attempt.workflow,
            attempt.reference_date,
        )
    context.shared.recover(lambda attempt: attempt.isdigit() and store.read.has_succeeded(int(attempt)))


def run_once(
    settings: Settings,
    environment: Mapping[str, str],
    progress: Progress,
    warm_process: WarmProcess | None = None,
) -> ExitCode:
    """Poll once, execute what is due, and say how it went."""
    definitions = read_definitions(settings.workflows_file)
    check_tools(definitions)
    check_token(settings, environment, progress, definitions, warm_process)
    # for who asks meanwhile: `autoflow why`
    with open_context(settings, environment, RememberedProgress(progress), warm_process) as context:
        return asyncio.run(_run_once(context, definitions))


def run_on_schedule(
    settings: Settings, environment: Mapping[str, str], progress: Progress, *, now: bool = False
) -> ExitCode:
    """Tick on schedule until told to stop; with ``schedule: null``, once."""
    definitions = read_definitions(settings.workflows_file)
    if definitions.schedule is None:
        return run_once(settings, environment, progress)
    check_tools(definitions)
    check_token(settings, environment, progress, definitions)
    # pages too
    with open_context(settings, environment, RememberedProgress(progress)) as context:
        return asyncio.run(serve(context, definitions, Notifier(environment), now=now))


def carry_out_here(
    settings: Settings, environment: Mapping[str, str], progress: Progress, order: Mapping[str, Any]
) -> ExitCode:
    """Do what an order says in this process, where no other AutoFlow holds the record; see `Steering`."""
    definitions = read_definitions(settings.workflows_file)
    token = None
    if order["do"] == "run":
        check_tools(definitions)
        token = read_token(settings, utc_now())
    with open_context(settings, environment, progress) as context:
        answered = context.steering.carry_out(order, context.now(), definitions)
        if "error" in answered:
            raise AutoflowError(answered["error"])
        if order["do"] == "run":
            return asyncio.run(_run_asked(context, definitions, token))
        asyncio.run(note_kept(context, asyncio.Event()))
        return ExitCode.OK


def try_out(
    settings: Settings,
    environment: Mapping[str, str],
    progress: Progress,
    definitions: Definitions,
    prepare: Callable[[Context], Context],
    warm_process: WarmProcess | None = None,
) -> ExitCode:
    """Execute what ``prepare`` asks the record for, in the context that it returns; see `autoflow.commands.trial`.

    Six parameters: four of them are those of `open_context`.
    """
    with open_context(settings, environment, progress, warm_process) as context:
        return asyncio.run(_run_asked(prepare(context), definitions))


def check_token(
    settings: Settings,
    environment: Mapping[str, str],
    progress: Progress,
    definitions: Definitions,
    warm_process: WarmProcess | None = None,
) -> None:
    """Check that there is a usable token; where there is none people are told, since AutoFlow does not start.

    Raises
    ------
    TokenError
        When there is none.
    """
    try:
        read_token(settings, utc_now())
    except TokenError as error:
        if channels_of(definitions.notify, settings):
            with open_context(settings, environment, progress, warm_process) as context:
                # who has started it reads the error itself
                context.conditions.begin(TOKEN_CONDITION, str(error), logging.DEBUG)
                asyncio.run(_tell(context, definitions))
        raise


async def _tell(context: Context, definitions: Definitions) -> None:
    with Signals() as signals:
        await Messenger(context, lambda: definitions).finish(MESSAGES_PATIENCE, signals.stop)


async def _run_once(context: Context, definitions: Definitions) -> ExitCode:
    began = context.now()
    messenger = Messenger(context, lambda: definitions)
    async with _working(context, definitions) as (executor, signals):
        try:
            # the modules that kernels need are imported while FlowAPI is asked
            async with context.jobs.warmth(preload_of(definitions), at_once=True):
                context.progress.say("asking FlowAPI for dates")
                decision = await done_or_stopped(sensor.tick(context, definitions, executor, patient=False), signals)
                await done_or_stopped(executor.idle(), signals, context.settings.grace)
        except FlowapiError as error:
            context.conditions.begin("tick", str(error))
            code = error.exit_code
        else:
            context.conditions.end("tick", "FlowAPI is responding again")
            if decision is not None:
                await sweep(context, definitions)
                messenger.ticked()
            code = ExitCode.RUN_FAILED if decision is None else _summed_up(context, executor, began)
        await _send(context, messenger, signals)
    context.outputs.check()
    return code


async def _send(context: Context, messenger: Messenger, signals: Signals) -> None:
    """Tell people what has come of it, unless this is to end."""
    if not signals.stop.is_set():
        context.progress.say("sending notifications")
        await messenger.finish(MESSAGES_PATIENCE, signals.stop)


async def _run_asked(context: Context, definitions: Definitions, token: Token | None = None) -> ExitCode:
    """Execute what is asked for.

    With a token, FlowAPI is asked for dates before, if it never was, and people are told of it as after a tick: what
    is tried out, in a record of its own, is nobody's business.
    """
    began = None if token is None else context.now()
    async with _working(context, definitions) as (executor, signals):
        if token is not None and context.store.read.last_poll() is None:
            await done_or_stopped(sensor.poll(context, definitions, token, signals.stop), signals)
        sensor.take_asked(context, definitions, executor)
        await done_or_stopped(executor.idle(), signals, context.settings.grace)
        code = _summed_up(context, executor, began)
        if token is not None:
            await _send(context, Messenger(context, lambda: definitions), signals)
    if held := held_requests(definitions, context.store.read.history()):
        runs = counted(len(held), "requested run waits", "requested runs wait")
        logger.warning("%s for others that have not succeeded; `autoflow why` names them", runs)
        return ExitCode.RUN_FAILED
    return code


@asynccontextmanager
async def _working(context: Context, definitions: Definitions) -> AsyncIterator[tuple[Executor, Signals]]:
    """Hear signals, and handle requests over the control socket, until all that is due is done."""
    agenda = Agenda(context.now(), definitions, doing="running once")

    async def unchanged() -> Definitions:
        return definitions

    context.store.set_right(context.now())
    context.store.wait_at_most(RECORD_PATIENCE)
    with Signals() as signals:
        index = IndexPage(context, PageCache(context, lambda: daemon_state(context, agenda, executor, once=True)))
        executor = Executor(context, signals.stop, index)
        probe = WriteProbe(context.settings.db_path.parent, context.settings.outputs_dir)
        how = partial(health, context, agenda, executor, probe)
        async with (
            Control(context.settings.control_socket, partial(answer, context, agenda, signals.stop, how)),
            beside(handle_requests(context, executor, index, unchanged)),
        ):
            try:
                yield executor, signals
                if not signals.stop.is_set():
                    context.progress.say("writing the index of reports")
                    await index.settle()
            finally:
                context.progress.say("")


def _summed_up(context: Context, executor: Executor, began: dt.datetime | None) -> ExitCode:
    """Say how it went, what has failed since it began, what to do about that, and where everything is.

    Without a beginning, commands about failed runs are left out: they would be about those of another record.
    """
    states, not_started = executor.states, len(executor.waiting)
    if not states and not not_started:
        logger.info("no runs were due")
    else:
        said = outcomes(
            succeeded=states[AttemptState.SUCCEEDED],
            failed=states[AttemptState.FAILED],
            interrupted=states[AttemptState.INTERRUPTED],
            cancelled=states[AttemptState.CANCELLED],
            not_started=not_started,
        )
        logger.info("%s", said)
    if states[AttemptState.FAILED] and began is not None:
        for line in what_failed(context.store.read.attempts(states=[AttemptState.FAILED], limit=MOST_LOOKED_AT), began):
            logger.error("%s", line)
    if context.outputs.reports.is_relative_to(context.settings.outputs_dir):
        page = context.outputs.reports.relative_to(context.settings.outputs_dir) / INDEX
        logger.info("outputs are in %s; %s there leads to the reports", context.settings.outputs_dir, page)
    undone = states.total() - states[AttemptState.SUCCEEDED] + not_started
    return ExitCode.RUN_FAILED if undone else ExitCode.OK


def what_failed(attempts: Iterable[RecordedAttempt], began: dt.datetime) -> Iterator[str]:
    """Say which attempts failed since then, the first first, and which commands come next."""
    failed = [each for each in attempts if each.ended is not None and each.ended >= began][::-1]
    for each in failed[:MOST_NAMED]:
        parameters = parameters_text(each.parameters)
        what = f"{each.workflow} {each.reference_date}{f' ({parameters})' if parameters else ''}"
        yield f"failed: run {each.run}, {what}: {shortened(_reason(each))}"
    if len(failed) > MOST_NAMED:
        yield f"and {len(failed) - MOST_NAMED} more, which `autoflow runs --state failed` lists"
    if failed:
        run = failed[0].run
        yield f"`autoflow show {run}` has the traceback, and `autoflow repair {run}` runs only what failed"


def _reason(attempt: RecordedAttempt) -> str:
    # the executed notebook's path is in the log, and in what `autoflow show` says
    return str(replace(attempt.failure, notebook=None)).partition("\n")[0] if attempt.failure else "unknown reason"
