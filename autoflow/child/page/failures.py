# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Failures as the messages tell of them: one for each cause, with dates, what comes next, and the user's own line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from autoflow.child.page.shared import LONGEST_TEXT, PageRequest, short
from autoflow.child.page.traceback_text import frames_of, own_line
from autoflow.messages import FailureGroup, Snapshot, current, failure_groups
from autoflow.model import FailedRun
from autoflow.runs import Failure

MOST_CAUSES, MOST_FAILING, MOST_LINKED = 8, 200, 12
"""Causes that are shown, failed runs of a workflow that are looked at, and runs that each cause links to."""

LONGEST_MESSAGE, LONGEST_TRACEBACK = 400, 4_000
"""Characters that the status page shows of a failure's message and of its traceback; the run's own page has more."""


@dataclass(frozen=True)
class Failing:
    """What is failing, by cause."""

    groups: Sequence[FailureGroup]
    snapshot: Snapshot


def failing(page: PageRequest) -> Failing:
    """Read what is failing, the newest cause first."""
    snapshot = Snapshot(
        page.definitions,
        page.now,
        failing=page.reader.failing(page.definitions.workflows, MOST_FAILING),
        run_history=page.reader.history(),
    )
    groups = failure_groups(snapshot, current(snapshot))
    return Failing(sorted(groups, key=lambda group: max(run.ended for run in group.runs), reverse=True), snapshot)


def shown_failures(page: PageRequest, found: Failing) -> list[dict[str, Any]]:
    """Return the causes as the template takes them."""
    return [_shown(page, group) for group in found.groups[:MOST_CAUSES]]


def traceback_parts(failure: Failure, longest: int = LONGEST_TEXT) -> dict[str, Any]:
    """Return what of a traceback is seen first, and what is folded; of a very long one the end."""
    text = (failure.traceback or "").rstrip()
    before = len(text) - longest
    frames = frames_of(f"… ({before} characters before these)\n{text[-longest:]}" if before > 0 else text)
    return {"own_line": own_line(text), "frames": frames, "has_own": any(each.own for each in frames)}


def _shown(page: PageRequest, group: FailureGroup) -> dict[str, Any]:
    newest = max(group.runs, key=lambda run: run.ended)
    failure = _whole_failure(page, newest)
    waits = len(group.runs) - group.given_up
    return {
        "workflow": group.workflow,
        "workflow_link": page.links.workflow(group.workflow),
        "what": short(group.what, 120),
        "where": f"{failure.label}, cell {failure.cell}" if failure.label and failure.cell else failure.label or "",
        "message": short(failure.message, LONGEST_MESSAGE),
        "exception": failure.exception or "",
        "dates": group.dates,
        "since": group.since,
        "links": _links(page, group, failure),
        "retry_at": group.retry_at if group.retry_at is not None and group.retry_at > page.now else None,
        "waits": waits,
        "given_up": group.given_up,
        "commands": [*group.commands, _remedy(page, group)],
        **traceback_parts(failure, LONGEST_TRACEBACK),
    }


def _links(page: PageRequest, group: FailureGroup, failure: Failure) -> list[tuple[str, str]]:
    """Give the executed notebook of the newest failure, and the runs, as far as they are pages."""
    runs = [(f"{run.reference_date}", page.links.page(f"runs/{run.run}")) for run in group.runs[-MOST_LINKED:]]
    found = [("Executed notebook", page.links.view(failure.notebook) or page.links.file(failure.notebook)), *runs]
    return [(text, link) for text, link in found if link]


def _whole_failure(page: PageRequest, run: FailedRun) -> Failure:
    """Read a failure with its traceback, whatever has become of the run since."""
    attempts = page.reader.attempts_of(run.run)
    return next((each.failure for each in reversed(attempts) if each.failure is not None), run.failure)


def _remedy(page: PageRequest, group: FailureGroup) -> tuple[str, str]:
    number = group.runs[-1].run
    if group.given_up == len(group.runs):
        return "Retry, when it is mended", f"autoflow rerun {number}"
    newest = page.reader.attempt(number)
    if newest is not None and page.reader.restated_since(newest):
        return "Run all of it again, since data were ingested anew", f"autoflow rerun {number}"
    return "Run what failed again", f"autoflow repair {number}"
