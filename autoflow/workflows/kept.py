# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What manifests say of reports that are kept out of ``latest``, and of those that a person says stay as they are."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

from autoflow.context import Context, recorded
from autoflow.definitions import Workflow
from autoflow.model import KeptReports, RecordedNotebook
from autoflow.naming import MANIFEST, dated_names, latest_stems, report_files
from autoflow.runs import Run, recorded_run
from autoflow.threads import to_end

logger = logging.getLogger(__name__)


async def note_kept(context: Context, stop: asyncio.Event) -> None:
    """Let manifests say why their reports are kept, and let ``latest`` have those that were kept out of it."""
    read = context.store.read
    for kept in read.kept_reports():
        for attempt in read.attempts(ids=[kept.attempt_id]):
            if attempt.parameters is not None:
                run = recorded_run(Workflow(attempt.workflow, ()), attempt.parameters, attempt.parameters_hash)
                for notebook in read.notebooks(attempt.id):
                    if notebook.report:
                        await _note(context, kept, run, notebook)
        await recorded(context.conditions, stop, partial(context.store.noted_kept, kept.attempt_id))


async def note_kept_out(context: Context, run: Run, manifests: Iterable[Path]) -> None:
    """Let manifests of reports that are kept out of ``latest`` say that these replace none."""
    for manifest in manifests:
        try:
            await _say(context, manifest, {"replaces": []})
        except (OSError, ValueError) as error:
            logger.warning("%s: that it replaces no report cannot be noted in %s: %s", run, manifest, error)


async def _note(context: Context, kept: KeptReports, run: Run, notebook: RecordedNotebook) -> None:
    report, outputs = Path(notebook.report or ""), context.outputs
    said: dict[str, Any] = {"kept": {"reason": kept.reason, "since": kept.since.isoformat(timespec="seconds")}}
    if kept.held:
        before = takewhile(lambda path: path != report, context.store.reports_of(run.key, notebook.label))
        said["replaces"] = [path.name for path in before]
    try:
        await _say(context, report.with_suffix(MANIFEST), said)
        if kept.held:
            paths = report_files(report)
            async with outputs.leading:
                await to_end(outputs.point, latest_stems(run, notebook.label), paths)
                await to_end(outputs.file, *dated_names(run, notebook.label), paths)
    except (OSError, ValueError) as error:
        # somebody has moved or removed it
        logger.warning("%s: that it is kept cannot be noted beside %s: %s", run, report, error)


async def _say(context: Context, manifest: Path, said: Mapping[str, Any]) -> None:
    with context.jobs.workspace() as workspace:
        made = workspace / manifest.name
        await to_end(_write, made, manifest, said)
        await context.outputs.publish(made, manifest)


def _write(made: Path, manifest: Path, said: Mapping[str, Any]) -> None:
    """Write a manifest with what is said of the reports."""
    content: dict[str, Any] = json.loads(manifest.read_text(encoding="utf-8"))
    text = json.dumps({**content, **said}, indent=1, ensure_ascii=False) + "\n"
    made.write_text(text, encoding="utf-8", errors="backslashreplace")
