# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The command line: what people type, what they see, and exit codes."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from autoflow import __version__
from autoflow.errors import AutoflowError, ExitCode

if TYPE_CHECKING:
    from autoflow.progress import Progress
    from autoflow.settings import Settings

DESCRIPTION = "Runs workflows of Jupyter notebooks for each new date of data that FlowAPI lists."
EPILOG = """\
Settings come from environment variables: AUTOFLOW_INPUTS_DIR, AUTOFLOW_OUTPUTS_DIR, FLOWAPI_URL and
FLOWAPI_TOKEN are needed; AUTOFLOW_LOG_LEVEL, AUTOFLOW_DB_URI, SSL_CERTIFICATE_FILE and AUTOFLOW_CONFIG
are optional. README.md describes them all.

exit codes:
  0  all that was due succeeded, or AutoFlow was asked to stop
  1  a run failed
  2  a mistake in the settings or in workflows.yml
  3  FlowAPI could not be asked
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says, and return the exit code."""
    options = build_parser().parse_args(arguments)
    try:
        return command(options, os.environ)
    except AutoflowError as error:
        # each line is a message of its own, as in a file of many mistakes
        for line in str(error).splitlines():
            print(f"autoflow: {line}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="autoflow",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--run-once", action="store_true", help="poll once, run what is due, and exit")
    mode.add_argument("--check", action="store_true", help="validate settings and workflows.yml, and exit")
    mode.add_argument("--health", action="store_true", help="ask the running daemon how it is, and exit with 0 or 1")
    parser.add_argument("--now", action="store_true", help="tick at once, then on schedule")
    parser.add_argument("--version", action="version", version=f"AutoFlow {__version__}")
    return parser


def command(options: argparse.Namespace, environment: Mapping[str, str]) -> ExitCode:
    """Read the settings, then check, run once or serve."""
    from autoflow.progress import progress_for
    from autoflow.settings import load_settings

    settings = load_settings(environment)
    progress = progress_for(sys.stderr)
    set_up_logging(settings, progress)
    if options.health:
        return health(settings)
    if options.check:
        return check(settings)

    from autoflow import app

    if options.run_once:
        return app.run_once(settings, environment, progress)
    return app.run_on_schedule(settings, environment, progress, now=options.now)


def check(settings: Settings) -> ExitCode:
    """Validate without asking FlowAPI; what is wrong is raised."""
    from autoflow.checks import check_tools
    from autoflow.parser import read_definitions
    from autoflow.settings import read_token

    definitions = read_definitions(settings.workflows_file)
    check_tools(definitions)
    read_token(settings)
    workflows, triggers = len(definitions.workflows), len(definitions.triggers)
    print(f"{settings.workflows_file}: valid: {workflows} workflows, {triggers} triggers")  # noqa: T201
    return ExitCode.OK


def health(settings: Settings) -> ExitCode:
    """Ask the running daemon how it is; it is healthy if it answers."""
    from autoflow.control import ask

    try:
        answer = ask(settings.control_socket)
    except (OSError, ValueError) as error:
        print(f"no answer from a daemon at {settings.control_socket} ({error})")  # noqa: T201
        return ExitCode.RUN_FAILED
    print(f"pid {answer['pid']}: {answer['doing']}")  # noqa: T201
    for problem in answer["problems"]:
        print(problem)  # noqa: T201
    return ExitCode.OK


def set_up_logging(settings: Settings, progress: Progress) -> None:
    """Log to standard error: one line a transition, never a secret."""
    from autoflow.progress import TerminalHandler, TerminalProgress
    from autoflow.redaction import RedactingFormatter, Redactor
    from autoflow.settings import current_token

    handler: logging.Handler
    if isinstance(progress, TerminalProgress):
        handler = TerminalHandler(sys.stderr, progress)
        formatter = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")
    else:
        handler = logging.StreamHandler(sys.stderr)
        formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
        formatter.converter = time.gmtime
    handler.setFormatter(RedactingFormatter(formatter, lambda: Redactor.of(current_token(settings))))
    # what libraries log goes the same way, so that it is redacted too
    logging.basicConfig(level="WARNING", handlers=[handler], force=True)
    logging.getLogger("autoflow").setLevel(settings.log_level)
