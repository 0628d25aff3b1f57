# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow cluster``: what the workers of an AutoFlow need: certificates, and a scheduler."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from autoflow.clock import utc_now
from autoflow.cluster import SCHEDULER, become, check_can_listen, make_certificates, require_dask, scheduler_command
from autoflow.commands.terminal import print_json, print_line
from autoflow.errors import AutoflowError, ExitCode
from autoflow.settings import Settings

UNITS = """\
on the machine of the scheduler, with ca.pem, scheduler.pem and scheduler-key.pem in {directory}:

    [Service]
    ExecStart={program} cluster scheduler %d --host ADDRESS
    LoadCredential=ca.pem:{directory}/ca.pem
    LoadCredential=scheduler.pem:{directory}/scheduler.pem
    LoadCredential=scheduler-key.pem:{directory}/scheduler-key.pem
    Restart=always
    DynamicUser=yes

on each machine that runs notebooks, with ca.pem, worker.pem and worker-key.pem:

    [Service]
    ExecStart={program} worker tls://SCHEDULER:{port} %d --host ADDRESS
    LoadCredential=ca.pem:{directory}/ca.pem
    LoadCredential=worker.pem:{directory}/worker.pem
    LoadCredential=worker-key.pem:{directory}/worker-key.pem
    Restart=always
    RestartPreventExitStatus=78
    StateDirectory=autoflow-worker
    DynamicUser=yes

for AutoFlow, with ca.pem, daemon.pem and daemon-key.pem:

    AUTOFLOW_WORKERS=tls://SCHEDULER:{port}
    AUTOFLOW_WORKERS_CERTIFICATES={directory}

Who has one of these certificates with its key can run programs on the workers, as their user."""


def run(options: argparse.Namespace, _: Settings | None) -> ExitCode:
    """Make certificates, or become dask's scheduler."""
    require_dask()
    directory: Path = options.directory.absolute()
    if options.what == "scheduler":
        command = scheduler_command(directory, options.host, options.port)
        check_can_listen(options.host, options.port)
        become(command, {**os.environ, **SCHEDULER})
        return ExitCode.OK
    try:
        files = make_certificates(directory, utc_now())
    except FileExistsError as error:
        raise AutoflowError(f"{error.filename}: is there already; choose another directory") from None
    except OSError as error:
        raise AutoflowError(f"{directory}: cannot be written ({error.strerror})") from error
    if options.json:
        print_json(options, {"files": [str(file) for file in files]})
        return ExitCode.OK
    for file in files:
        print_line(str(file))
    program = Path(sys.argv[0]).absolute()
    print_line("")
    for line in UNITS.format(directory=directory, program=program, port=options.port).splitlines():
        print_line(line)
    return ExitCode.OK
