# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow worker``: execute notebooks for an AutoFlow on another machine."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

from autoflow.cluster import (
    DIRECTORY,
    WORKER,
    WorkerOptions,
    become,
    check_can_listen,
    lock_directory,
    require_dask,
    why_unreachable,
    worker_command,
)
from autoflow.errors import AutoflowError, ExitCode
from autoflow.settings import Settings, parse_workers_address

logger = logging.getLogger(__name__)


def run(options: argparse.Namespace, _: Settings | None) -> ExitCode:
    """Become dask's worker, which imports `autoflow.cluster.worker`."""
    require_dask()
    try:
        address = parse_workers_address(options.address)
    except ValueError as error:
        raise AutoflowError(str(error)) from None
    directory = Path(options.directory or os.environ.get("STATE_DIRECTORY") or _home()).absolute()
    command = worker_command(
        WorkerOptions(
            address,
            options.certificates.absolute(),
            directory,
            options.host,
            options.slots or os.cpu_count() or 1,
            dict(options.resource),
        )
    )
    check_can_listen(options.host)
    lock_directory(directory)
    if why := why_unreachable(address):
        # it may be started later
        logger.warning(
            "no scheduler answers at %s (%s); it is tried again until one does. If the address is right, start"
            " `autoflow cluster scheduler` there",
            address,
            why,
        )
    become(command, {**os.environ, **WORKER, DIRECTORY: str(directory)})
    return ExitCode.OK


def _home() -> Path:
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "autoflow-worker"
