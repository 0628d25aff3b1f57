# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What to do about failures whose cause lies in FlowKit, by the words of flowclient's errors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from autoflow.model import RecordedNotebook
from autoflow.runs import Failure

ERRORED = re.compile(r"status code: 500 and status 'errored'")
FORGOTTEN = re.compile(r"/api/\d+/(?:poll|get)/\w+(?:\.\w+)? not found")

RESET = (
    "FlowMachine keeps this query as errored, and every attempt fails in the same way until FlowMachine's"
    " administrator resets the query"
)
MAKE_AGAIN = (
    "FlowMachine no longer knows this query; the next attempt runs it again, and so does `autoflow repair`,"
    " which goes back to the notebooks that may have started it"
)


def hint(failure: Failure, before: Failure | None) -> str | None:
    """Say what to do about a failure; None where its own words have to do.

    Parameters
    ----------
    before
        That of the attempt before.
    """
    if is_forgotten(failure):
        return MAKE_AGAIN
    if ERRORED.search(failure.message) and before is not None and ERRORED.search(before.message):
        same = (failure.label, failure.cell) == (before.label, before.cell)
        return RESET if same else None
    return None


def is_forgotten(failure: Failure) -> bool:
    """Whether a notebook asked for a query that FlowMachine does not know, since its memory was emptied."""
    return FORGOTTEN.search(failure.message) is not None


def to_make_again(dependencies: Mapping[str, set[str]], recorded: Iterable[RecordedNotebook]) -> set[str]:
    """Name the notebooks one of which has made a query that another did not find: all that this one reads.

    Parameters
    ----------
    dependencies
        The labels that each notebook reads.
    recorded
        The notebooks of an attempt.
    """
    found: set[str] = set()
    failed = {each.label for each in recorded if each.failure is not None and is_forgotten(each.failure)}
    left = {read for label in failed for read in dependencies.get(label, ())}
    while left:
        found |= left
        left = {read for label in left for read in dependencies[label]} - found
    return found
