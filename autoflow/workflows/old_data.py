# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What goes of the data that runs wrote, by the `keep` of their workflows."""

from __future__ import annotations

import datetime as dt
import json
import logging
import shutil
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from pathlib import Path

from autoflow.context import Context
from autoflow.definitions import Definitions, Workflow
from autoflow.naming import run_places, shared_name_of
from autoflow.shared_data import SharedFile
from autoflow.threads import to_end
from autoflow.values import Amount
from autoflow.wording import counted

logger = logging.getLogger(__name__)


async def remove_old_data(context: Context, definitions: Definitions) -> None:
    """Remove what workflows.yml does not want kept of ``run_dir`` and ``shared_dir``.

    Raises
    ------
    OSError
        When something cannot be removed.
    """
    now = context.now()
    for workflow in definitions.workflows.values():
        if workflow.keep.run_dirs is not None:
            wanted = {hashed for _, hashed in context.store.read.requests()}
            await to_end(_remove_run_directories, context, workflow, now, wanted)
        if workflow.keep.shared is not None:
            for name in _shared_names(definitions, workflow):
                shared = context.shared.directory(name)
                async with shared.committing:
                    count = await to_end(shared.prune, partial(_old_files, amount=workflow.keep.shared, now=now))
                if count:
                    logger.info(
                        "removed %s from %s (keep in workflows.yml)", counted(count, "old file"), shared.visible
                    )


def _shared_names(definitions: Definitions, workflow: Workflow) -> set[str]:
    """Name the shared data of a workflow with the parameters of each of its triggers."""
    return {
        shared_name_of(workflow.name, json.loads(json.dumps(trigger.parameters, default=str)))
        for trigger in definitions.triggers
        if trigger.workflow_name == workflow.name
    }


def _old_files(files: Mapping[str, SharedFile], *, amount: Amount, now: dt.datetime) -> list[str]:
    if isinstance(amount, int):
        kept = _newest((file.reference_date for file in files.values()), amount)
        return [name for name, file in files.items() if file.reference_date not in kept]
    return [name for name, file in files.items() if amount and now - dt.datetime.fromisoformat(file.time) > amount]


def _remove_run_directories(context: Context, workflow: Workflow, now: dt.datetime, wanted: Collection[str]) -> None:
    """Remove directories of runs that are neither in progress nor to be repaired."""
    amount = workflow.keep.run_dirs
    place = context.settings.outputs_dir / run_places(workflow.name)
    found = [path for path in place.glob("????-??-??_*") if path.is_dir()]
    kept = _newest((path.name[:10] for path in found), amount) if isinstance(amount, int) else set()
    count = 0
    for path in found:
        hashed = path.name.partition("_")[2]
        if path in context.shared.in_use or any(each.startswith(hashed) for each in wanted):
            continue
        age = now - dt.datetime.fromtimestamp(_changed(path), dt.UTC)
        if age > amount if isinstance(amount, dt.timedelta) else path.name[:10] not in kept:
            shutil.rmtree(path)
            count += 1
    if count:
        said = counted(count, "directory", "directories")
        logger.info("removed %s of runs of %s (keep in workflows.yml)", said, workflow.name)


def _changed(directory: Path) -> float:
    """Say when a directory, or what is directly in it, was last changed."""
    return max(path.stat(follow_symlinks=False).st_mtime for path in (directory, *directory.iterdir()))


def _newest(dates: Iterable[str], amount: int) -> set[str]:
    return set(sorted(set(dates), reverse=True)[:amount])
