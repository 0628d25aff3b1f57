# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow try``: run a workflow for one date, with outputs of its own, and leave no trace in the record."""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import logging
import os
import signal
import sys
import tempfile
import webbrowser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autoflow.clock import utc_now
from autoflow.commands.lending import Lent, copy_data, find_lent, lend, reports_of
from autoflow.commands.reading import definitions_of, record, triggers_of
from autoflow.commands.runs import notebook_as_json, took
from autoflow.commands.terminal import print_json, print_line
from autoflow.context import Context
from autoflow.dates import EmptyIntervalError
from autoflow.definitions import Definitions, Trigger, Workflow
from autoflow.errors import AutoflowError, ExitCode
from autoflow.log_writer import LogWriter, log_writer
from autoflow.model import RecordedAttempt, RecordedNotebook, RunReader
from autoflow.notebooks import looks_like_token
from autoflow.parser import check_tools
from autoflow.progress import Counts, Progress, Task, progress_for
from autoflow.runs import Run, build_run
from autoflow.settings import Settings, job_environment, read_token
from autoflow.wording import did_you_mean, parameters_text, seconds_text, shown
from autoflow.workflows import left_out

MARK = ".autoflow-try"
"""File by which a directory is known as that of tries."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trial:
    """What is to be run, and what it takes from the record."""

    definitions: Definitions
    """With this workflow and trigger alone."""
    original: Run
    """The run as its trigger has it."""
    run: Run
    lent: Lent | None


def run(options: argparse.Namespace, settings: Settings) -> ExitCode:
    """Run it, and say where everything is."""
    trial = _trial(options, settings)
    check_tools(trial.definitions)
    read_token(settings, utc_now())
    directory = _directory(options.outputs, settings, trial.run)
    scratch = _scratch(settings, directory)
    copy_data(trial.original, trial.run, settings, scratch, with_run_dir=trial.lent is not None)
    progress = progress_for(log_writer())
    if options.keep_kernel:
        progress = KernelKeeper(progress, log_writer())
    with record(settings, missing_is_empty=True) as reader:
        code = _carry_out(trial, scratch, progress, reader)
    with record(scratch) as reader:
        found = reader.attempts(key=trial.run.key, limit=1)[0]
        notebooks = reader.notebooks(found.id)
    reports = reports_of(notebooks)
    if options.json:
        print_json(options, _as_json(found, notebooks, reports, directory), code)
    else:
        _print(found, notebooks, reports, directory)
    if options.open:
        _open(reports or [Path(each.notebook) for each in notebooks if each.notebook])
    return code


def _trial(options: argparse.Namespace, settings: Settings) -> Trial:
    definitions = definitions_of(settings)
    values = dict(options.set or ())
    trigger = _trigger(triggers_of(definitions, options.workflow), values)
    workflow = definitions.workflows[options.workflow]
    if options.notebook is not None:
        workflow = _reduced(workflow, options.notebook)
    if options.keep_kernel:
        notebooks = tuple(replace(notebook, timeout=None) for notebook in workflow.notebooks)
        workflow = replace(workflow, notebooks=notebooks, timeout=None)
    changed = replace(trigger, parameters={**trigger.parameters, **values})
    original, run = _run(workflow, trigger, options.date), _run(workflow, changed, options.date)
    lent = None
    if options.notebook is not None:
        with record(settings, missing_is_empty=True) as reader:
            absent = {*left_out(reader, original), options.notebook}
            read = [each.label for each in workflow.notebooks if each.label not in absent]
            lent = find_lent(reader, original.key, read)
    only = replace(definitions, workflows={workflow.name: workflow}, triggers=(changed,))
    return Trial(only, original, run, lent)


def _run(workflow: Workflow, trigger: Trigger, date: dt.date) -> Run:
    try:
        return build_run(workflow, trigger, date)
    except EmptyIntervalError as error:
        raise AutoflowError(f"{workflow.name} {date}: {error}") from error


def _trigger(triggers: Sequence[Trigger], values: Mapping[str, Any]) -> Trigger:
    """Choose the trigger that shares most with the values that are set, the first of several."""
    known = {name for trigger in triggers for name in trigger.parameters}
    for name, value in values.items():
        if name not in known:
            there = did_you_mean(name, known) if known else "it has none"
            raise AutoflowError(f"--set {name}: workflow {triggers[0].workflow_name!r} has no such parameter; {there}")
        if looks_like_token(value):
            raise AutoflowError(f"--set {name}: this looks like a token, and would be in notebooks and reports")
    shared = [sum(each.parameters.get(name) == value for name, value in values.items()) for each in triggers]
    chosen = triggers[shared.index(max(shared))]
    if len(triggers) > 1 and not values:
        parameters = parameters_text(chosen.parameters) or "no parameters"
        logger.warning("the first of %d triggers: %s; --set NAME=VALUE chooses another", len(triggers), parameters)
    return chosen


def _reduced(workflow: Workflow, label: str) -> Workflow:
    """Leave of a workflow a notebook and all that it reads; reports are made of that one alone."""
    labels = [notebook.label for notebook in workflow.notebooks]
    if label not in labels:
        raise AutoflowError(
            f"workflow {shown(workflow.name)} has no notebook {shown(label)}; {did_you_mean(label, labels)}"
        )
    dependencies, needed, left = workflow.dependencies(), set[str](), {label}
    while left:
        needed |= left
        left = {read for each in left for read in dependencies[each]} - needed
    notebooks = [
        # what is named runs, whatever its `when` says
        replace(notebook, when=None) if notebook.label == label else replace(notebook, outputs=())
        for notebook in workflow.notebooks
        if notebook.label in needed
    ]
    return replace(workflow, notebooks=tuple(notebooks))


def _directory(named: Path | None, settings: Settings, run: Run) -> Path:
    """Make the directory of outputs: a new one, or one that only tries have used."""
    if named is None:
        prefix = f"autoflow-try-{run.reference_date}-"
        directory = Path(tempfile.mkdtemp(prefix=prefix))
    else:
        directory = named.absolute()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            others = any(directory.iterdir()) and not (directory / MARK).exists()
        except OSError as error:
            raise AutoflowError(f"{directory}: cannot be used for outputs ({error.strerror})") from error
        if others or directory.resolve() == settings.outputs_dir.resolve():
            raise AutoflowError(f"{directory}: holds other files; name a new directory, or that of an earlier try")
    (directory / MARK).touch()
    return directory


def _scratch(settings: Settings, directory: Path) -> Settings:
    """Return settings with a record and outputs of their own, which tell nobody anything."""
    return replace(
        settings,
        outputs_dir=directory,
        notebooks_dir=directory / "notebooks",
        reports_dir=directory / "reports",
        db_path=directory / "autoflow.db",
        smtp_url=None,
        webhook_url=None,
        heartbeat_url=None,
        apprise_urls=None,
        http=None,
        # who tries something and stops it does not want to wait
        grace=0.0,
    )


def _carry_out(trial: Trial, settings: Settings, progress: Progress, reader: RunReader) -> ExitCode:
    from autoflow.signal_guard import guard
    from autoflow.warm_process import start_warm_process

    guard(ExitCode.RUN_FAILED)
    warm = None
    if trial.definitions.warm:
        # imports what notebooks need while this process imports what it needs itself
        warm = start_warm_process(job_environment(os.environ, settings), settings.instance)
    from autoflow.app import try_out

    def prepare(context: Context) -> Context:
        context.store.ask_for([trial.run], context.now())
        if trial.lent is not None:
            repairs = lend(context, trial.run, trial.lent)
            context.store.ask_for([trial.run], context.now(), repairs)
        return replace(context, beside=reader)

    return try_out(settings, os.environ, progress, trial.definitions, prepare, warm)


class KernelKeeper(Progress):
    """Keeps the kernels of cells that failed until Enter is pressed, and passes on what it is told."""

    keeps_kernels = True
    watched = True

    def __init__(self, shown: Progress, writer: LogWriter | None) -> None:
        self._shown = shown
        self._writer = writer
        self._releases: list[Path] = []

    def show(self, task: Task, text: str) -> None:
        self._shown.show(task, text)

    def drop(self, task: Task) -> None:
        self._shown.drop(task)

    def say(self, text: str) -> None:
        self._shown.say(text)

    def count(self, counts: Counts) -> None:
        self._shown.count(counts)

    def kept(self, task: Task, connection_file: str, release: Path) -> None:
        self._releases.append(release)
        lines = [
            f"notebook {task.label} failed; its kernel is kept. To look into it, from another terminal:",
            f"  jupyter console --existing {connection_file}",
            "Press Enter or Ctrl-C to end the kernel.",
        ]
        for line in lines:
            if self._writer is not None:
                self._writer.line(line)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._release)
        # what cannot be waited for is nothing that anybody could type into, as a file
        with suppress(OSError):
            loop.add_reader(sys.stdin, self._typed)

    def _typed(self) -> None:
        # the next kernel that is kept waits for another line
        os.read(sys.stdin.fileno(), 4096)
        self._release()

    def _release(self) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            loop.remove_reader(sys.stdin)
        # asks AutoFlow to stop again, as before
        loop.add_signal_handler(signal.SIGINT, os.kill, os.getpid(), signal.SIGTERM)
        while self._releases:
            self._releases.pop().touch()


def _print(
    found: RecordedAttempt, notebooks: Sequence[RecordedNotebook], reports: Sequence[Path], directory: Path
) -> None:
    took = seconds_text((found.ended - found.started).total_seconds()) if found.ended else ""
    print_line(f"{found.workflow} {found.reference_date}: {found.state}, {took}", "bold")
    if found.failure is not None:
        print_line(str(found.failure))
    for line in _outputs(notebooks, reports):
        print_line(line)
    print_line(f"outputs: {directory} (nothing was recorded; remove it when you are done)")


def _outputs(notebooks: Sequence[RecordedNotebook], reports: Sequence[Path]) -> Iterator[str]:
    for each in notebooks:
        if each.notebook:
            yield f"notebook {each.label}{' (used again)' if each.reused_from else ''}: {each.notebook}"
    for path in reports:
        yield f"report: {path}"


def _as_json(
    found: RecordedAttempt, notebooks: Sequence[RecordedNotebook], reports: Sequence[Path], directory: Path
) -> dict[str, Any]:
    return {
        "workflow": found.workflow,
        "reference_date": found.reference_date,
        "parameters": found.parameters,
        "state": found.state,
        "started": found.started,
        "ended": found.ended,
        "seconds": took(found),
        "error": str(found.failure) if found.failure else None,
        "notebooks": [notebook_as_json(each) for each in notebooks],
        "reports": [str(path) for path in reports],
        "outputs": str(directory),
    }


def _open(paths: Sequence[Path]) -> None:
    """Open what was made in the programs that the desktop has for it."""
    for path in paths:
        if not webbrowser.open(path.absolute().as_uri()):
            logger.warning("%s cannot be opened: no browser was found", path)
            return
