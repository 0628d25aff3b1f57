# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a failed notebook or run is recorded with."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from autoflow.definitions import Notebook
from autoflow.jobs import Reply
from autoflow.notebooks import record_cause, refuse_leak
from autoflow.redaction import Redactor
from autoflow.runs import Failure
from autoflow.settings import Token
from autoflow.shared_data import SharedDataError
from autoflow.wording import first_few, seconds_text
from autoflow.workflows import queries
from autoflow.workflows.execution import Execution
from autoflow.workflows.other_runs import RemovedError

logger = logging.getLogger(__name__)


def failed_by(execution: Execution, error: Exception, *, timed_out: bool) -> Failure:
    """Log an error that failed an attempt, and return it as a failure."""
    run, attempt = execution.run, execution.attempt
    # some errors of the operating system are a TimeoutError too
    if isinstance(error, TimeoutError) and timed_out:
        failure = Failure(f"took longer than the run's timeout of {run.workflow.timeout:g} s{_waited(execution)}")
    elif isinstance(error, SharedDataError | RemovedError):
        failure = Failure(str(error))
    elif isinstance(error, OSError):
        failure = Failure(of_system(error))
    else:
        # a defect of AutoFlow's own must not stop the other dates
        logger.exception("run %d: %s: internal error", attempt.run, run)
        return Failure(f"internal error: {type(error).__name__}: {error}")
    logger.error("run %d: %s: %s", attempt.run, run, failure)
    return failure


def _waited(execution: Execution) -> str:
    """Say what notebooks of a run have waited for while its time ran."""
    long = sorted(((seconds, *which) for which, seconds in execution.waited.items() if seconds >= 1), reverse=True)
    waits = [f"{label} {seconds_text(seconds)} for {what}" for seconds, label, what in long]
    return f", in which notebooks waited: {first_few(waits)}" if waits else ""


def with_hint(execution: Execution, failure: Failure) -> Failure:
    """Add what to do about it, where FlowKit is the cause."""
    attempts = execution.context.store.read.attempts_of(execution.attempt.run)
    before = next((each.failure for each in reversed(attempts) if each.id < execution.attempt.id), None)
    hint = queries.hint(failure, before)
    if hint is None:
        return failure
    logger.error("run %d: %s: %s", execution.attempt.run, execution.run, hint)
    return replace(failure, message=f"{failure.message}; {hint}")


def notebook_failure(notebook: Notebook, reply: Reply, workspace: Path) -> Failure:
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


def of_system(error: OSError) -> str:
    """Say what the operating system refused, and of which file."""
    files = " to ".join(str(name) for name in (error.filename, error.filename2) if name)
    what = error.strerror or str(error) or type(error).__name__
    return f"{files}: {what}" if files else what


def secured(made: Path, token: Token, secrets: Mapping[str, str], failure: Failure | None) -> Failure | None:
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


def without_secrets(failure: Failure, secrets: Mapping[str, str]) -> Failure:
    """Take secrets out of what a failure says."""
    redactor = Redactor.of(*secrets.values())
    return replace(
        failure,
        message=redactor.redact(failure.message),
        traceback=failure.traceback and redactor.redact(failure.traceback),
    )
