# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow backup``: the record and workflows.yml in one file, also while AutoFlow runs."""

from __future__ import annotations

import argparse
import datetime as dt
import re
import shlex
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from autoflow import __version__
from autoflow.clock import utc_now
from autoflow.commands.archive import Manifest, is_backup, write_backup
from autoflow.commands.terminal import print_json, print_line
from autoflow.errors import AutoflowError, ExitCode, may_pass
from autoflow.files import part_of, put_in_place
from autoflow.model import RecordFacts, copy_record, open_for_reading, schema_of
from autoflow.settings import Settings
from autoflow.wording import counted


def run(options: argparse.Namespace, settings: Settings) -> ExitCode:
    """Copy the record, and write it with workflows.yml to a file."""
    now = utc_now()
    piped = options.file == "-"
    if piped and (options.json or sys.stdout.isatty()):
        raise AutoflowError("a backup is not text; expected a file to write to, or a pipe without --json")
    file = _named(options.file, settings, now)
    if file.exists() and not piped and not is_backup(file):
        raise AutoflowError(f"{file}: is there, and is not a backup of AutoFlow; choose another name")
    with tempfile.TemporaryDirectory(prefix="autoflow-backup-") as directory:
        record = Path(directory) / "autoflow.db"
        copy_record(settings.db_path, record)
        manifest = Manifest(__version__, schema_of(record), now.isoformat(timespec="seconds"), settings.name)
        with closing(open_for_reading(record, settings.places)) as reader:
            facts = reader.facts()
        workflows = _workflows(settings)
        try:
            if piped:
                write_backup(sys.stdout.buffer, record, workflows, manifest)
                sys.stdout.buffer.flush()
                return ExitCode.OK
            _write(file, record, workflows, manifest)
        except BrokenPipeError:
            raise AutoflowError("the pipe was closed before the backup was complete") from None
        except OSError as error:
            raise AutoflowError(f"{file}: cannot be written ({error.strerror})", passing=may_pass(error)) from error
    _say(options, file, facts, manifest, has_workflows=workflows is not None)
    return ExitCode.OK


def _named(text: str, settings: Settings, now: dt.datetime) -> Path:
    """Give a backup in a directory a name of its own, so that a line of a crontab is enough."""
    file = Path(text)
    if not file.is_dir():
        if text.endswith("/"):
            raise AutoflowError(f"{text}: is not a directory; make it first, or name a file")
        return file
    name = re.sub(r"[^\w.-]+", "-", settings.name).strip("-.")
    return file / f"autoflow{f'-{name}' if name else ''}-{now:%Y%m%dT%H%M%SZ}.tar.gz"


def _workflows(settings: Settings) -> bytes | None:
    try:
        return settings.workflows_file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise AutoflowError(f"{settings.workflows_file}: {error.strerror}", passing=may_pass(error)) from error


def _write(file: Path, record: Path, workflows: bytes | None, manifest: Manifest) -> None:
    """Write a file that is complete or not there."""
    with part_of(file) as growing:
        with growing.open("wb") as target:
            write_backup(target, record, workflows, manifest)
        put_in_place(growing, file)


def _say(
    options: argparse.Namespace, file: Path, facts: RecordFacts, manifest: Manifest, *, has_workflows: bool
) -> None:
    size = file.stat().st_size
    if options.json:
        described = {"file": str(file), "bytes": size, **manifest.__dict__, "record": facts.__dict__}
        print_json(options, {**described, "workflows": has_workflows})
        return
    what = f"{counted(facts.runs, 'run')}, {counted(facts.attempts, 'attempt')}"
    print_line(f"{file}: {what}{' and workflows.yml' if has_workflows else ''}, {size / 1000:,.0f} kB")
    if not has_workflows:
        print_line("workflows.yml was not there", "yellow")
    print_line(f"`autoflow restore {shlex.quote(str(file))}` brings it back; copy the outputs as files, after this")
