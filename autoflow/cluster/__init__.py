# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Notebooks on other machines, through dask, which is imported only there: the daemon's door, and programs to start."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from autoflow.cluster.door import Cluster, LifeBefore, require_dask
from autoflow.cluster.programs import (
    DIRECTORY,
    SCHEDULER,
    WORKER,
    WorkerOptions,
    become,
    check_can_listen,
    lock_directory,
    scheduler_command,
    why_unreachable,
    worker_command,
)
from autoflow.cluster.survey import Survey, survey_of

__all__ = [
    "DIRECTORY",
    "SCHEDULER",
    "WORKER",
    "Cluster",
    "LifeBefore",
    "Survey",
    "WorkerOptions",
    "become",
    "check_can_listen",
    "lock_directory",
    "make_certificates",
    "require_dask",
    "scheduler_command",
    "survey_of",
    "why_unreachable",
    "worker_command",
]


def make_certificates(directory: Path, now: dt.datetime) -> list[Path]:
    """Do as `autoflow.cluster.certificates.make_certificates`, which takes a while to import."""
    from autoflow.cluster.certificates import make_certificates

    return make_certificates(directory, now)
