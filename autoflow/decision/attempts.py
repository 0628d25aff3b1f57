# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Whether a run may be tried, or tried again, and when."""

from __future__ import annotations

import datetime as dt

from autoflow.definitions import Retries
from autoflow.history import Failures, Request, Skip


def is_given_up(retries: Retries, failures: Failures) -> bool:
    """Whether a failed run has had all its attempts."""
    return retries.attempts is not None and failures.attempts >= retries.attempts


def is_asked_for(request: Request, failures: Failures | None) -> bool:
    """Whether a requested run has not been attempted yet: after a failure it is retried as any other."""
    return failures is None or failures.last < request.asked


def is_skipped(skip: Skip, request: Request | None) -> bool:
    """Whether a run may not be made; what was asked for after it was skipped may."""
    return request is None or request.asked <= skip.since


def next_try(retries: Retries, failures: Failures) -> dt.datetime:
    """When a failed run may be tried again: pauses double, up to a cap."""
    doublings = min(failures.attempts - 1, 32)
    return failures.last + dt.timedelta(seconds=min(retries.pause * 2**doublings, retries.max_pause))
