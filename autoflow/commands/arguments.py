# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The arguments of each command; light, since ``--help`` reads them all."""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autoflow.commands.examples import epilog

STATES = ("running", "succeeded", "provisional", "failed", "interrupted", "cancelled")
"""What attempts are called."""

DEMO_FAULTS = ("slow", "hang", "401", "403", "500", "truncated", "nonsense", "stuck", "errored", "no-database")
"""What the stand-in can do wrong: named here too, so that ``--help`` need not import it."""

DEMO_CHANGES = ("add", "drop", "restate", "outcome", "reset-cache")
"""How its data can be changed while it runs."""

SHELLS = ("bash", "zsh", "fish")

RENAMED = {"success": "succeeded", "done": "succeeded"}
"""What states were called before."""


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the commands, each with its arguments."""
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    _add_running(commands)
    _add_looking(commands)
    _add_trying(commands)
    _add_steering(commands)
    _add_trusting(commands)
    _add_preparing(commands)
    _add_cluster(commands)


def _add_running(commands: Any) -> None:
    _command(commands, "once", "poll once, run what is due and exit")
    serve = _command(commands, "serve", "run as a daemon, and tick on the schedule in workflows.yml", answers=False)
    serve.add_argument("--now", dest="at_once", action="store_true", help="tick immediately, then on schedule")
    words = "ask the running daemon how it is; exit with 1 when something is wrong, or it does not answer"
    health = _command(commands, "health", words)
    health.add_argument(
        "--alive", dest="alive_is_enough", action="store_true", help="exit with 0 if it answers, whatever it says"
    )


def _add_looking(commands: Any) -> None:
    plan = _command(commands, "plan", "show what the next tick would run, in order, and why")
    plan.add_argument("--at", type=_date, metavar="DATE", help="ignore dates after this one")
    plan.add_argument(
        "--dates",
        type=Path,
        metavar="FILE",
        help="file of dates to use instead of asking FlowAPI: its response, or one date per line",
    )
    plan.add_argument("--all", action="store_true", help="show all runs")

    why = _command(commands, "why", "show the state of a date, and why")
    why.add_argument("workflow", metavar="WORKFLOW")
    why.add_argument("date", type=_date, metavar="DATE", help="reference date, such as 2016-01-31")

    calendar = _command(commands, "calendar", "show the state of all dates")
    calendar.add_argument("workflow", nargs="?", metavar="WORKFLOW")
    _add_span(calendar)
    calendar.add_argument("--by", choices=("day", "week", "month", "year"), help="days per column; default: as fits")
    calendar.add_argument("--csv", action="store_true", help="print one line per trigger and date")

    runs = _command(commands, "runs", "list attempts at runs, newest first")
    runs.add_argument("--workflow", metavar="NAME", help="attempts at runs of this workflow only")
    words = "can be repeated; what is provisional has succeeded too"
    runs.add_argument("--state", type=_state, choices=STATES, action="append", help=words)
    _add_span(runs)
    runs.add_argument(
        "--last",
        dest="last_number",
        type=_count,
        default=20,
        metavar="N",
        help="maximum number of attempts (default: 20)",
    )

    show = _command(commands, "show", "show one run or attempt: attempts, notebooks, outputs and the error")
    show.add_argument("run", type=_attempt, metavar="RUN", help="number of a run such as 12, or of an attempt: 12.3")
    show.add_argument("--log", action="store_true", help="also show what its notebooks printed")


def _add_trying(commands: Any) -> None:
    words = "run a workflow for one date now, with outputs of its own and without a record"
    trial = _command(commands, "try", words)
    trial.add_argument("workflow", metavar="WORKFLOW")
    trial.add_argument("date", type=_date, metavar="DATE", help="reference date")
    trial.add_argument(
        "--outputs", type=Path, metavar="DIR", help="directory for what is made; default: a new one, which is printed"
    )
    trial.add_argument(
        "--set",
        type=_setting,
        action="append",
        metavar="NAME=VALUE",
        help="give a parameter of the workflow another value, written as in YAML; can be repeated",
    )
    trial.add_argument(
        "--notebook",
        metavar="LABEL",
        help="run this notebook alone; what it reads is taken from a recorded run of the date, or else run too",
    )
    trial.add_argument("--open", action="store_true", help="open the reports")
    trial.add_argument(
        "--keep-kernel",
        action="store_true",
        help="when a cell fails, wait and show how Jupyter can connect to its kernel",
    )

    diff = _command(commands, "diff", "compare the glued values, tables, texts and pictures of two runs")
    side = "run number, directory of outputs (as of `autoflow try`), or executed notebook"
    diff.add_argument("old", metavar="OLD", help=side)
    diff.add_argument("new", metavar="NEW", help="the same, to compare with it; exit code 1 when they differ")
    diff.add_argument(
        "--tolerance",
        type=_fraction,
        default=0.0,
        metavar="FRACTION",
        help="treat numbers that differ by no more than this as equal, such as 1e-9 or 0.01 for a hundredth",
    )
    diff.add_argument("--all", action="store_true", help="show all differences")


def _add_steering(commands: Any) -> None:
    rerun = _command(commands, "rerun", "run failed or succeeded runs again", asks=True)
    rerun.add_argument("runs", type=_run, nargs="*", metavar="RUN", help="run numbers, as shown by `autoflow runs`")
    rerun.add_argument("--workflow", metavar="NAME", help="select runs of this workflow instead of by number")
    rerun.add_argument(
        "--stale", action="store_true", help="select runs whose data were ingested anew, with what depends on them"
    )
    _add_span(rerun)
    rerun.add_argument(
        "--state",
        type=_state,
        choices=("failed", "succeeded", "all"),
        default="failed",
        help="select runs by state (default: failed)",
    )
    rerun.add_argument("--downstream", action="store_true", help="run again what depends on these runs too, in order")

    backfill = _command(commands, "backfill", "run dates that a trigger excludes, or ahead of their turn", asks=True)
    backfill.add_argument("workflow", metavar="WORKFLOW")
    backfill.add_argument("first", type=_date, metavar="FROM")
    backfill.add_argument("last", type=_date, metavar="TO", help="last reference date")

    repair = _command(commands, "repair", "run again only what failed, and what depends on it", asks=True)
    repair.add_argument("run", type=_run, metavar="RUN")

    cancel = _command(commands, "cancel", "stop a running run; it is not retried until requested", asks=True)
    cancel.add_argument("run", type=_run, metavar="RUN")
    cancel.add_argument("--reason", type=_reason, default="no reason given", metavar="TEXT")

    skip = _command(commands, "skip", "skip a date", asks=True)
    skip.add_argument("workflow", metavar="WORKFLOW")
    skip.add_argument("first", type=_date, metavar="DATE")
    skip.add_argument("last", type=_date, nargs="?", metavar="TO", help="last reference date, to skip several")
    _add_reason(skip)

    unskip = _command(commands, "unskip", "stop skipping a date", asks=True)
    unskip.add_argument("workflow", metavar="WORKFLOW")
    unskip.add_argument("first", type=_date, metavar="DATE")
    unskip.add_argument("last", type=_date, nargs="?", metavar="TO")


def _add_trusting(commands: Any) -> None:
    quality = _command(commands, "quality", "list FlowAPI's QA checks and their outcomes")
    quality.add_argument(
        "--suggest",
        action="store_true",
        help="print limits that the usual dates so far keep, and which dates fail them, as YAML for workflows.yml",
    )
    stale = _command(commands, "stale", "list runs that succeeded with data that were ingested anew since, or are gone")
    stale.add_argument("--workflow", metavar="NAME", help="runs of this workflow only")
    stale.add_argument(
        "--code",
        action="store_true",
        help="list runs that were made with older notebooks instead: or with other modules beside them, templates or"
        " files that `reads` names than those of today",
    )
    keep = _command(commands, "keep", "leave the reports of stale runs as they are, or put them into latest", asks=True)
    keep.add_argument("runs", type=_run, nargs="+", metavar="RUN", help="run numbers, as shown by `autoflow stale`")
    _add_reason(keep)
    for name, words in (
        ("accept", "let a date of data count for a workflow, whatever QA checks say"),
        ("hold", "keep a date of data from counting for a workflow"),
        ("unhold", "leave a date of data to QA checks again, after accept or hold"),
    ):
        override = _command(commands, name, words, asks=True)
        override.add_argument("workflow", metavar="WORKFLOW")
        override.add_argument("first", type=_date, metavar="DATE", help="date of the data")
        override.add_argument("last", type=_date, nargs="?", metavar="TO", help="last date, for several")
        if name != "unhold":
            _add_reason(override)


def _add_reason(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", type=_reason, required=True, metavar="TEXT", help="reason, shown by `autoflow why`")


def _add_preparing(commands: Any) -> None:
    words = "import the runs that succeeded in the Prefect-based AutoFlow"
    take_over = _command(commands, "import-record", words, asks=True)
    place = (
        "its database, postgresql://user@host/database (PGPASSWORD may hold the password), or a CSV file of its table"
    )
    take_over.add_argument("source", metavar="SOURCE", help=place)
    notify = _command(commands, "notify", "test notifications")
    notify.add_argument(
        "--test", action="store_true", help="send a test notification over every channel and show the results"
    )
    _command(commands, "check", "validate settings, workflows.yml and templates; FlowAPI is not contacted")
    _command(commands, "doctor", "show how all is that AutoFlow needs, in one screen, without secrets")
    backup = _command(commands, "backup", "copy the record and workflows.yml into one file, also while AutoFlow runs")
    place = "file to write, or a directory, where it gets a name with the time; - writes to a pipe"
    # a path leaves out the slash at the end, which says that it is a directory
    backup.add_argument("file", metavar="FILE", help=place)
    restore = _command(commands, "restore", "put a backup in place; what is there is kept", asks=True)
    restore.add_argument("file", type=Path, metavar="FILE", help="backup, or a record that AutoFlow has kept")
    restore.add_argument("--record-only", action="store_true", help="leave workflows.yml as it is")
    schema = _command(
        commands, "schema", "print the JSON Schema of workflows.yml, for editors, or of what --json prints"
    )
    schema.add_argument(
        "document", nargs="?", choices=("workflows", "json"), default="workflows", help="of which (default: workflows)"
    )
    dag = _command(commands, "import-dag", "write a first workflows.yml from an Airflow DAG, which is read and not run")
    dag.add_argument("file", type=Path, metavar="FILE.py")
    dag.add_argument("-o", "--output", type=Path, metavar="FILE", help="file to write; default: print it")
    dag.add_argument("--dag", metavar="ID", help="which DAG, where the file has several")
    init = _command(commands, "init", "create a workflows.yml and a first notebook")
    init.add_argument("directory", type=Path, metavar="DIR")
    completion = _command(commands, "completion", "print what lets a shell complete commands, options and workflows")
    completion.add_argument("shell", choices=SHELLS, metavar="SHELL", help=f"one of {', '.join(SHELLS)}")
    _add_demo(commands)


def _add_demo(commands: Any) -> None:
    words = "serve a stand-in for FlowAPI with invented data on 127.0.0.1, or change the data of one that runs"
    demo = _command(commands, "demo-flowapi", words)
    _add_demo_changes(demo)
    demo.add_argument("--port", type=_number_to(65535), default=9090, help="0 picks a free one (default: 9090)")
    demo.add_argument(
        "--days", type=_number_to(36500), default=21, metavar="N", help="days of data, from 2016-01-01 (default: 21)"
    )
    demo.add_argument("--token-file", type=Path, metavar="FILE", help="write a token there, for you alone to read")
    demo.add_argument(
        "--token-days",
        type=_number_to(36500, -36500, whole=False),
        default=30.0,
        metavar="DAYS",
        help="days until the token expires; -1: it has expired (default: 30)",
    )
    demo.add_argument(
        "--poll-seconds",
        type=_number_to(86400, whole=False),
        default=1.0,
        metavar="SECONDS",
        help="how long a query runs (default: 1)",
    )
    demo.add_argument(
        "--dates-lag",
        type=_number_to(86400, whole=False),
        default=0.0,
        metavar="SECONDS",
        help="for how long the list of dates is kept; 120 in FlowMachine (default: 0)",
    )
    demo.add_argument("--fault", choices=DEMO_FAULTS, help="misbehave as a FlowAPI can")
    demo.add_argument(
        "--without-scope",
        action="append",
        default=[],
        metavar="SCOPE",
        help="leave this out of the token, such as admin2:flows:modal_location; can be repeated",
    )


def _add_demo_changes(demo: argparse.ArgumentParser) -> None:
    demo.add_argument(
        "do",
        nargs="?",
        choices=DEMO_CHANGES,
        help="change the data of the stand-in that runs on this port: let dates arrive (`add DATE [TO]`), go (`drop"
        " DATE [TO]`) or be ingested anew (`restate DATE [TO]`), set the outcome of a QA check (`outcome DATE CHECK"
        " OUTCOME`; without OUTCOME, as usual), or empty FlowMachine's cache (`reset-cache`)",
    )
    demo.add_argument("values", nargs="*", metavar="VALUE", help="dates and the like")
    demo.add_argument(
        "--share",
        type=_number_to(1, whole=False),
        metavar="FRACTION",
        help="with restate: part of the subscribers that are in the new data (default: 0.6)",
    )


def _add_cluster(commands: Any) -> None:
    cluster = _command(commands, "cluster", "prepare workers: make certificates, or be the scheduler")
    cluster.add_argument("what", choices=("certificates", "scheduler"), metavar="certificates|scheduler")
    cluster.add_argument("directory", type=Path, metavar="DIR", help="directory of the certificates")
    _add_host(cluster)
    cluster.add_argument("--port", type=_number_to(65535, 1), default=8786, help="of the scheduler (default: 8786)")

    worker = _command(commands, "worker", "execute notebooks for an AutoFlow on another machine", answers=False)
    worker.add_argument("address", metavar="ADDRESS", help="of the scheduler, such as tls://host:8786")
    worker.add_argument("certificates", type=Path, metavar="DIR", help="directory of the certificates")
    worker.add_argument(
        "--directory",
        type=Path,
        metavar="DIR",
        help="for files of this worker alone; default: $STATE_DIRECTORY, else below ~/.local/state",
    )
    worker.add_argument("--slots", type=_count, metavar="N", help="notebooks at a time (default: number of cores)")
    worker.add_argument(
        "--resource",
        type=_resource,
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help="what this worker has for notebooks with such `resources`, such as gpu=1; can be repeated",
    )
    _add_host(worker)


def _add_host(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", metavar="ADDRESS", help="IP address to listen on; default: that of the network")


class Formatter(argparse.HelpFormatter):
    """Fits descriptions to the terminal, and leaves what has lines of its own as it is."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)


def _command(
    commands: Any, name: str, words: str, *, asks: bool = False, answers: bool = True
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=words,
        description=words[0].upper() + words[1:] + ".",
        epilog=epilog(name),
        formatter_class=Formatter,
    )
    if answers:
        parser.add_argument("--json", action="store_true", help="print JSON, for scripts")
    if asks:
        parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    return parser


def _add_span(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="first", type=_date, metavar="DATE", help="first reference date")
    parser.add_argument("--to", dest="last", type=_date, metavar="DATE", help="last reference date")


def _date(text: str) -> dt.date:
    from autoflow.dates import as_date

    date = as_date(text)
    if date is None:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a date such as 2016-01-31")
    return date


def _resource(text: str) -> tuple[str, int]:
    name, _, amount = text.partition("=")
    if not name.isidentifier() or not amount.isascii() or not amount.isdigit():
        raise argparse.ArgumentTypeError(f"found {text!r}, expected NAME=NUMBER, such as gpu=1")
    return name, int(amount)


def _setting(text: str) -> tuple[str, Any]:
    import yaml

    name, separator, value = text.partition("=")
    if not separator or not name:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected NAME=VALUE")
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError:
        raise argparse.ArgumentTypeError(f"found {text!r}, whose value is not YAML; put it in quotes") from None


def _run(text: str) -> int:
    run, attempt = _attempt(text)
    if attempt is not None:
        raise argparse.ArgumentTypeError(f"found {text!r}, an attempt, expected the number of its run: {run}")
    return run


def _attempt(text: str) -> tuple[int, int | None]:
    numbers = run_and_attempt(text)
    if numbers is None:
        raise argparse.ArgumentTypeError(
            f"found {text!r}, expected a run number such as 12, or 12.3 for its third attempt, as shown by"
            " `autoflow runs`"
        )
    return numbers


def run_and_attempt(text: str) -> tuple[int, int | None] | None:
    """Read the number of a run, ``12``, or of an attempt at it, ``12.3``; None when it is neither."""
    numbers = text.split(".")
    if len(numbers) > 2 or not all(each.isascii() and each.isdigit() and len(each) <= 18 for each in numbers):
        return None
    return int(numbers[0]), int(numbers[1]) if numbers[1:] else None


def _reason(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError(f"found {text!r}, expected why, in words, such as 'a holiday'")
    return text.strip()


def _state(text: str) -> str:
    if text in RENAMED:
        raise argparse.ArgumentTypeError(f"{text!r} is {RENAMED[text]!r} now")
    return text


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 10**9:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number greater than 0")
    return int(text)


def _fraction(text: str) -> float:
    try:
        fraction = float(text)
    except ValueError:
        fraction = -1.0
    if not 0 <= fraction < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a fraction from 0 to 1, such as 0.01")
    return fraction


def _number_to(most: int, least: int = 0, *, whole: bool = True) -> Callable[[str], float]:
    """Make what reads a number within bounds."""

    def read(text: str) -> float:
        try:
            number = int(text) if whole else float(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            kind = "a whole number" if whole else "a number"
            raise argparse.ArgumentTypeError(f"found {text!r}, expected {kind} from {least} to {most}")
        return number

    return read
