# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow import-record``: what the Prefect-based AutoFlow has done, from its PostgreSQL database or a CSV file."""

from __future__ import annotations

import argparse
import csv
import datetime as dt
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from autoflow.commands.reading import definitions_of
from autoflow.commands.terminal import confirm, print_json, print_line
from autoflow.errors import AutoflowError, DefinitionError, ExitCode, SettingsError
from autoflow.model import (
    PREDECESSORS_TABLE,
    OldRow,
    RunStore,
    TakenOver,
    open_for_reading,
)
from autoflow.settings import Settings, check_directories
from autoflow.wording import counted, shown

PATIENCE = 10
"""Seconds that a server may take to answer."""


def run(options: argparse.Namespace, settings: Settings) -> ExitCode:
    """Show what would be taken over, ask, and take it over."""
    rows = list(_rows(options.source))
    with closing(open_for_reading(settings.db_path, settings.places, missing_is_empty=True)) as reader:
        found = reader.count_rows(rows)
    unknown = _unknown(rows, settings)
    if not options.json:
        print_line(f"{counted(len(rows), 'row')}: {found}")
        if unknown:
            print_line(f"workflows.yml has no workflow {', '.join(map(shown, unknown))}; its runs are imported too")
    if not found.new:
        if options.json:
            print_json(options, _as_json(found, unknown, done=False))
        else:
            print_line("nothing to do")
        return ExitCode.OK
    question = f"Import {counted(found.new, 'successful run')}?"
    confirm(question, options, _as_json(found, unknown, done=False))
    check_directories(settings)
    with closing(RunStore(settings.db_path, settings.places)) as store:
        done = store.take_over(rows)
    if options.json:
        print_json(options, _as_json(done, unknown, done=True))
    else:
        print_line(f"imported {counted(done.new, 'run')}, which will not be run again")
    return ExitCode.OK


def _as_json(counted: TakenOver, unknown: list[str], *, done: bool) -> dict[str, Any]:
    return {
        "new": counted.new,
        "known": counted.known,
        "failed": counted.failed,
        "running": counted.running,
        "incomplete": counted.incomplete,
        "unknown_workflows": unknown,
        "done": done,
    }


def _unknown(rows: Iterable[OldRow], settings: Settings) -> list[str]:
    """List the workflows that workflows.yml does not have; it may not be there yet."""
    try:
        known = definitions_of(settings).workflows
    except (DefinitionError, SettingsError):
        return []
    return sorted({row[0] for row in rows if row[0] and row[2] == "success"} - known.keys())


def _rows(source: str) -> Iterator[OldRow]:
    if source.partition("://")[0].partition("+")[0] in ("postgresql", "postgres") and "://" in source:
        yield from _of_server(source)
    elif "://" in source:
        # what stands there may be a password
        raise AutoflowError("expected postgresql://user@host/database, or a CSV file of the predecessor's table")
    else:
        yield from _of_file(Path(source))


def _of_server(url: str) -> Iterator[OldRow]:
    """Read the predecessor's table; nothing that is said holds any of the address but host and database."""
    try:
        import psycopg
    except ImportError:
        raise AutoflowError(
            "PostgreSQL needs a package that is not installed; install it: pip install 'flowkit-autoflow[postgresql]',"
            f" or export the table: \\copy {PREDECESSORS_TABLE} to 'runs.csv' with csv header"
        ) from None
    place = _place(url)
    where = f"{place.get('host', 'the local server')}/{place.get('dbname', '')}"
    try:
        with psycopg.connect(**place) as connection:
            connection.read_only = True
            for row in connection.execute(
                f'SELECT workflow_name, parameters_hash, state::text, "timestamp" FROM {PREDECESSORS_TABLE}'  # noqa: S608
            ):
                yield _row(*row)
    except (psycopg.Error, ValueError, UnicodeError) as error:
        message = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        secret = str(place.get("password") or "")
        for text in (secret, url) if secret else (url,):
            message = message.replace(text, "***")
        passing = isinstance(error, psycopg.OperationalError)
        raise AutoflowError(f"{where}: cannot be read: {message}", passing=passing) from None


def _place(url: str) -> dict[str, Any]:
    try:
        parts = urlsplit(url)
        known = {
            "host": parts.hostname,
            "port": parts.port,
            "user": unquote(parts.username) if parts.username else None,
            "password": unquote(parts.password) if parts.password else None,
            "dbname": unquote(parts.path.removeprefix("/")) or None,
            **dict(parse_qsl(parts.query)),
        }
    except ValueError:
        raise AutoflowError(
            "the address of the database is not valid; expected postgresql://user:password@host:5432/database,"
            " with special characters in the password percent-encoded (%40, %2F)"
        ) from None
    return {"connect_timeout": PATIENCE, **{name: value for name, value in known.items() if value}}


def _of_file(path: Path) -> Iterator[OldRow]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            delimiter = max(",;\t", key=head.count)
            file.seek(0)
            reader = csv.DictReader(file, delimiter=delimiter)
            missing = set(OldRow._fields) - set(reader.fieldnames or ())
            if missing:
                raise AutoflowError(
                    f"{path}: line 1: found no column {', '.join(sorted(missing))}; expected the predecessor's table"
                    f" with its head, as from: \\copy {PREDECESSORS_TABLE} to 'runs.csv' with csv header"
                )
            for row in reader:
                try:
                    yield _row(*(row[column] for column in OldRow._fields))
                except ValueError:
                    raise AutoflowError(
                        f"{path}: line {reader.line_num}: timestamp: found {shown(row['timestamp'])}, expected one such"
                        " as 2021-05-01 00:00:00"
                    ) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise AutoflowError(f"{path}: cannot be read as a CSV file ({reason})") from error


def _row(
    workflow: str | None, parameters_hash: str | None, state: str | None, time: dt.datetime | str | None
) -> OldRow:
    """Write a row as the predecessor's sqlite record has it: times without a zone, in UTC."""
    moment = dt.datetime.fromisoformat(time.strip()) if isinstance(time, str) and time.strip() else time or None
    if isinstance(moment, dt.datetime) and moment.tzinfo:
        moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    text = moment.isoformat(" ", "microseconds") if isinstance(moment, dt.datetime) else None
    name = state.strip().rpartition(".")[2].lower() if state else ""
    return OldRow(workflow or None, parameters_hash or None, name or None, text)
