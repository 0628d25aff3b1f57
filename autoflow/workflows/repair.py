# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""A repair: what an earlier attempt has executed is used again."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from functools import partial
from graphlib import TopologicalSorter
from pathlib import Path

from autoflow.fitting import changed_inputs
from autoflow.naming import report_files
from autoflow.notebooks import executed_with
from autoflow.threads import to_end
from autoflow.workflows import queries
from autoflow.workflows.execution import Execution

logger = logging.getLogger(__name__)


async def reuse(execution: Execution, repairs: int) -> None:
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
        reports = await to_end(report_files, Path(notebook.report)) if notebook.report else []
        if notebook.report and Path(notebook.report) in reports:
            # `latest` has yet to get it: the run had failed
            execution.reports[label] = reports
        else:
            notebook = replace(notebook, report=None)
        execution.executed[label] = path
        execution.reused[label] = notebook
        await execution.record(partial(context.store.reuse_notebook, execution.attempt, notebook, repairs))
        logger.info("run %d: notebook %s used again: %s", execution.attempt.run, label, path)


def _why_not_reused(execution: Execution, label: str, path: Path) -> str | None:
    """Return why an executed notebook cannot be reused; workflows.yml may have changed since the request."""
    try:
        run = execution.run
        return changed_inputs(run.workflow, label, executed_with(path), run.parameters, execution.others)
    except OSError:
        return f"{path} is gone"
    except ValueError as error:
        return str(error)
