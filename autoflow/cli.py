# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The command line: what people type, what they see, and exit codes."""

from __future__ import annotations

import argparse
import atexit
import io
import logging
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from autoflow import __version__
from autoflow.commands.arguments import Formatter, add_commands
from autoflow.errors import AutoflowError, ExitCode, may_pass

if TYPE_CHECKING:
    from autoflow.log_writer import LogWriter
    from autoflow.settings import Settings
    from autoflow.warm_process import WarmProcess

DESCRIPTION = "Runs workflows of Jupyter notebooks for each new date of data that FlowAPI lists."
EPILOG = """\
Settings come from environment variables: AUTOFLOW_INPUTS_DIR, AUTOFLOW_OUTPUTS_DIR, FLOWAPI_URL and
FLOWAPI_TOKEN are needed; AUTOFLOW_LOG_LEVEL, AUTOFLOW_DB_URI, SSL_CERTIFICATE_FILE and AUTOFLOW_CONFIG
are optional. docs/reference/commands.md describes them all.

Without a command or an option, AutoFlow runs as a daemon, as with `autoflow serve`.
`autoflow COMMAND --help` describes a command, with examples.

exit codes:
  0  all due runs succeeded, AutoFlow was asked to stop, or the command succeeded
  1  a run failed, or the running daemon is not healthy or does not answer (health)
  2  a mistake in the settings, workflows.yml or the arguments, or the command was not confirmed
  3  FlowAPI could not be reached
 75  AutoFlow could not start for a reason that may be temporary: the token has expired or is missing, the
     inputs are not mounted yet, the record is held by another AutoFlow or busy, a port is in use, a disk is
     full; the systemd unit tries again
"""

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""

LIVES = ("once", "serve", "health")
"""Commands that start with as few imports as they can."""

WITHOUT_SETTINGS = ("schema", "init", "import-dag", "demo-flowapi", "doctor", "completion", "cluster", "worker")
ASKING_FLOWAPI = ("check", "try")
"""Other commands need FLOWAPI_URL only if they have to run something themselves."""
MODULES = {
    **dict.fromkeys(
        ("rerun", "backfill", "repair", "cancel", "skip", "unskip", "accept", "hold", "unhold", "keep"), "steering"
    ),
    # a module cannot have the name of a statement
    "try": "trial",
}
"""Modules of commands that have another name than these."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says, and return the exit code."""
    open_streams()
    typed = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = options_of(typed)
    except Mistyped as error:
        if asks_for_json(typed):
            answer_errors(error.command, ExitCode.USER_MISTAKE, error.message)
        raise
    try:
        if options.command in LIVES:
            return live(options, os.environ)
        return run_command(options, os.environ)
    except AutoflowError as error:
        return failed(options, error.exit_code, str(error), error)
    except KeyboardInterrupt:
        # `python -m` ends itself with SIGINT, whoever has caught it, if it came within exec() of a string (of which
        # dataclasses are made); it forgets that at the next exec()
        exec("")  # noqa: S102
        if options.json:
            answer_errors(options.command, INTERRUPTED, "interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # who read has seen enough, as `head` does
        leave_standard_output()
        return ExitCode.OK
    except Exception as error:
        if may_pass(error):
            # a disk that is full or fails, wherever that was noticed
            return failed(options, ExitCode.TRY_AGAIN, told(error))
        if options.json:
            # what the exception says may hold anything
            answer_errors(
                options.command, ExitCode.RUN_FAILED, "a defect of AutoFlow; standard error has the traceback"
            )
        if not logging.getLogger().handlers:
            raise
        # redacted, and never waiting for who reads it
        logging.getLogger("autoflow").critical("AutoFlow ends for a defect of its own", exc_info=True)
        return ExitCode.RUN_FAILED


def options_of(typed: Sequence[str]) -> argparse.Namespace:
    """Read what was typed."""
    parser = build_parser()
    if "_ARGCOMPLETE" in os.environ:
        # a shell asks what may come next, and nothing else is done
        from autoflow.commands.completion import complete

        complete(parser)
    options = parser.parse_args(typed)
    if options.command and (options.run_once or options.check or options.health or options.alive or options.now):
        parser.error(f"{options.command} cannot be combined with --run-once, --check, --health, --alive or --now")
    if not options.command:
        # what were options before they were commands
        asked = options.health or options.alive
        options.command = "once" if options.run_once else "check" if options.check else "health" if asked else "serve"
        options.at_once, options.alive_is_enough = options.now, options.alive
    return options


def asks_for_json(typed: Sequence[str]) -> bool:
    """Whether ``--json`` is among what was typed, if only by its first letters, whatever is wrong with the rest."""
    return any(len(word) > 2 and "--json".startswith(word) for word in typed)


def failed(options: argparse.Namespace, code: int, message: str, error: AutoflowError | None = None) -> int:
    """Say to people and to scripts why AutoFlow ends."""
    complain(message)
    if options.json:
        answer_errors(options.command, code, message, error)
    return code


def answer_errors(command: str | None, code: int, message: str, error: AutoflowError | None = None) -> None:
    """Print what is wrong as JSON, with what the error would have shown."""
    from autoflow.commands.answer import answer, as_text, problems_in, problems_of

    found = problems_in(message) if error is None else problems_of(error)
    text = as_text(answer(command, code, getattr(error, "shown", {}), found), sys.stdout.encoding)
    try:
        print(text, flush=True)  # noqa: T201
    except OSError:
        # this may be what is wrong
        leave_standard_output()


def leave_standard_output() -> None:
    """Let nothing more be written there; nothing is to be said of that at the exit either."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(message: str) -> None:
    """Say why AutoFlow ends, after all that the log says; each line of it is a message of its own."""
    from autoflow.log_writer import LogWriter, log_writer
    from autoflow.wording import printable

    log = log_writer()
    with closing(LogWriter(sys.stderr)) if log is None else nullcontext(log) as writer:
        for line in message.splitlines():
            writer.line(printable(f"autoflow: {line}"))
        writer.flush()


def told(error: Exception) -> str:
    """Say what the operating system or sqlite refused."""
    if isinstance(error, OSError) and error.filename:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return str(error)


def open_streams() -> None:
    """Open those of the standard streams that are closed: else the next file, the record perhaps, takes their place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
        elif mode == "w" and isinstance(stream := getattr(sys, name), io.TextIOWrapper):
            # what the encoding of a terminal or pipe does not have is written as its escape
            stream.reconfigure(errors="backslashreplace")


class Mistyped(SystemExit):
    """The end for what cannot be understood: people have been told, scripts may have to be."""

    def __init__(self, command: str | None, message: str) -> None:
        super().__init__(int(ExitCode.USER_MISTAKE))
        self.command = command
        self.message = message


class Parser(argparse.ArgumentParser):
    """Says of a command that there is not which one was probably meant."""

    def error(self, message: str) -> NoReturn:
        if unknown := re.match(r"argument COMMAND: invalid choice: '(.*?)' \(choose from (.*)\)", message):
            from autoflow.wording import closest, shown

            meant = closest(unknown.group(1), re.findall(r"[a-z-]+", unknown.group(2)))
            hint = f"did you mean {shown(meant)}?" if meant else "`autoflow --help` lists the commands"
            message = f"unknown command {shown(unknown.group(1))}; {hint}"
        self.print_usage(sys.stderr)
        print(f"{self.prog}: error: {message}", file=sys.stderr)  # noqa: T201
        raise Mistyped(self.prog.partition(" ")[2] or None, message)


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = Parser(
        prog="autoflow",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=Formatter,
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--run-once", action="store_true", help="the command once")
    mode.add_argument("--check", action="store_true", help="the command check")
    mode.add_argument("--health", action="store_true", help="the command health")
    mode.add_argument("--alive", action="store_true", help="the command health --alive")
    parser.add_argument("--now", action="store_true", help="the command serve --now")
    parser.add_argument("--version", action="version", version=f"AutoFlow {__version__}")
    parser.set_defaults(json=False)
    add_commands(parser)
    return parser


def run_command(options: argparse.Namespace, environment: Mapping[str, str]) -> ExitCode:
    """Import what a command needs, and do it."""
    name: str = options.command
    settings: Settings | None = None
    if name not in WITHOUT_SETTINGS:
        from autoflow.settings import load_settings

        try:
            settings = load_settings(environment, asks_flowapi=name in ASKING_FLOWAPI)
            set_up_logging(settings)
        except AutoflowError:
            # which tells them together with those of workflows.yml
            if name != "check":
                raise
    module = import_module(f"autoflow.commands.{MODULES.get(name, name.replace('-', '_'))}")
    code: ExitCode = module.run(options, settings)
    sys.stdout.flush()
    return code


def live(options: argparse.Namespace, environment: Mapping[str, str]) -> ExitCode:
    """Read the settings, then run once or on schedule, or ask for the health of the daemon.

    In one function, although it is long: what is imported when decides how soon AutoFlow has started.
    """
    from autoflow.imports import without_openssl

    with without_openssl():
        import hashlib  # noqa: F401
        import hmac  # noqa: F401
    from autoflow.progress import progress_for
    from autoflow.settings import load_settings

    is_once = options.command == "once"
    if options.command != "health":
        from autoflow.processes import leave_no_core
        from autoflow.signal_guard import guard, is_over

        guard(ExitCode.RUN_FAILED if is_once else ExitCode.OK)
        leave_no_core()
        # the last thing but one that an interpreter does
        atexit.register(is_over)
    settings = load_settings(environment)
    progress = progress_for(set_up_logging(settings))
    if options.command == "health":
        from autoflow.commands import health

        return health.run(options, settings)

    warm_process: WarmProcess | None = None
    if is_once:
        from autoflow.settings import job_environment
        from autoflow.warm_process import start_warm_process

        # imports what notebooks need while this process imports what it needs itself; not to have it costs time only
        with suppress(OSError):
            warm_process = start_warm_process(job_environment(environment, settings), settings.instance)
    with without_openssl():
        import asyncio  # noqa: F401
    from autoflow import app

    try:
        if is_once:
            run = partial(app.run_once, settings, environment, progress, warm_process)
            if options.json:
                from autoflow.commands.once import with_outcome

                return with_outcome(options, settings, run)
            return run()
        return app.run_on_schedule(settings, environment, progress, now=options.at_once)
    except Exception as error:
        if not may_pass(error):
            raise
        from autoflow.context import unwritable

        reasons = unwritable(settings.db_path.parent, settings.outputs_dir)
        raise AutoflowError("\n".join(reasons or [told(error)]), passing=True) from error


def set_up_logging(settings: Settings) -> LogWriter:
    """Log to standard error: one line a transition, never a secret."""
    from autoflow.log_writer import LogHandler, LogWriter
    from autoflow.redaction import RedactingFormatter, Redactor
    from autoflow.settings import current_secrets

    writer = LogWriter(sys.stderr)
    if writer.is_terminal:
        formatter = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")
    else:
        # lines of several deployments may meet in one place
        name = f"[{settings.name}] ".replace("%", "%%") if settings.name else ""
        formatter = logging.Formatter(f"%(asctime)sZ %(levelname)s {name}%(message)s", "%Y-%m-%dT%H:%M:%S")
        formatter.converter = time.gmtime
    handler = LogHandler(writer, settings.outputs_dir, terse=settings.log_level != "DEBUG")
    handler.setFormatter(RedactingFormatter(formatter, lambda: Redactor.of(*current_secrets(settings))))
    # what libraries log goes the same way, so that it is redacted too
    logging.basicConfig(level="WARNING", handlers=[handler], force=True)
    logging.getLogger("autoflow").setLevel(settings.log_level)
    return writer
