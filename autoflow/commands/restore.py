# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow restore``: put the record and workflows.yml of a backup in their places; what is there is kept."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoflow.clock import utc_now
from autoflow.commands.archive import Backup, read_backup
from autoflow.commands.terminal import confirm, print_json, print_line
from autoflow.errors import AutoflowError, ExitCode, SettingsError, StoreError, is_not_mounted, may_pass
from autoflow.files import give_to_owner_of, part_of, put_in_place
from autoflow.model import RecordFacts, copy_record, open_for_reading, replace_record
from autoflow.settings import Settings
from autoflow.wording import counted, moment, shown


@dataclass(frozen=True)
class Restored:
    """What a restore has done, or is about to do."""

    record: RecordFacts
    """What is in the backup."""
    missing: int
    """Outputs that it names, and that are not there."""
    replaces_record: bool
    replaces_workflows: bool
    """Whether another workflows.yml is there."""
    workflows: bytes | None
    """The one to be written; None when none has to be."""


def run(options: argparse.Namespace, settings: Settings) -> ExitCode:
    """Read a backup, say what it would replace, ask, and put it in place."""
    now = utc_now()
    with tempfile.TemporaryDirectory(prefix="autoflow-restore-") as directory:
        backup = read_backup(options.file, Path(directory))
        _check_places(settings, record_only=options.record_only or backup.workflows is None)
        with _beside(settings) as new:
            _copy(backup, options.file, new)
            plan = _planned(backup, new, settings, record_only=options.record_only)
            if not options.json:
                for line in _announced(plan, backup, settings):
                    print_line(line)
            if plan.replaces_record or plan.replaces_workflows:
                shown = _as_json(backup, plan, [])
                confirm("Replace what is there? It is kept under another name.", options, shown)
            kept = _put_in_place(plan, new, settings, now)
    if options.json:
        print_json(options, _as_json(backup, plan, kept))
    else:
        for path in kept:
            print_line(f"what was there is kept as {path}")
        print_line("restored; `autoflow plan` shows what the next tick runs: dates that are not in this record are due")
    return ExitCode.OK


def _as_json(backup: Backup, plan: Restored, kept: list[Path]) -> dict[str, Any]:
    manifest = backup.manifest.__dict__ if backup.manifest else None
    return {"backup": manifest, "record": plan.record.__dict__, "missing": plan.missing, "kept": kept}


def _check_places(settings: Settings, *, record_only: bool) -> None:
    """See that both can be written, before anything is."""
    settings.outputs_dir.mkdir(parents=True, exist_ok=True)
    if record_only:
        return
    inputs = settings.inputs_dir
    if not inputs.is_dir():
        raise SettingsError(
            f"AUTOFLOW_INPUTS_DIR: {inputs} is not a directory; make it, mount it, or leave workflows.yml out with"
            " --record-only",
            passing=is_not_mounted(inputs),
        )
    if not os.access(inputs, os.W_OK | os.X_OK):
        raise SettingsError(
            f"AUTOFLOW_INPUTS_DIR: {inputs} cannot be written; add --record-only, and take workflows.yml from the"
            " backup with: tar -xf FILE workflows.yml"
        )


@contextmanager
def _beside(settings: Settings) -> Iterator[Path]:
    """Give a place for a file on the file system of the record."""
    real = settings.db_path.resolve()
    with ExitStack() as stack:
        try:
            new = stack.enter_context(part_of(real))
        except OSError as error:
            raise StoreError(f"{real.parent}: cannot be written ({error.strerror})", passing=may_pass(error)) from error
        # what sqlite has beside it when it is killed
        stack.callback(new.with_name(f"{new.name}-journal").unlink, missing_ok=True)
        yield new


def _copy(backup: Backup, file: Path, new: Path) -> None:
    try:
        copy_record(backup.record, new)
    except StoreError as error:
        # what people know is the file that they have named
        raise StoreError(str(error).replace(str(backup.record), str(file)), passing=may_pass(error)) from error
    new.chmod(0o644)


def _planned(backup: Backup, new: Path, settings: Settings, *, record_only: bool) -> Restored:
    with closing(open_for_reading(new, settings.places)) as reader:
        facts = reader.facts()
        missing = sum(not os.path.lexists(path) for path in reader.outputs())
    there = settings.db_path.exists() and settings.db_path.stat().st_size > 0
    if record_only or backup.workflows is None:
        return Restored(facts, missing, there, replaces_workflows=False, workflows=None)
    try:
        old = settings.workflows_file.read_bytes()
    except FileNotFoundError:
        return Restored(facts, missing, there, replaces_workflows=False, workflows=backup.workflows)
    is_other = old != backup.workflows
    return Restored(facts, missing, there, is_other, workflows=backup.workflows if is_other else None)


def _announced(plan: Restored, backup: Backup, settings: Settings) -> Iterator[str]:
    """Say what the backup has, and what it would replace."""
    manifest, record = backup.manifest, plan.record
    about = (
        f"backup of {moment(dt.datetime.fromisoformat(manifest.created))}, by AutoFlow {manifest.autoflow}"
        if manifest
        else "a record alone"
    )
    newest = f", the newest of {moment(record.newest)}" if record.newest else ""
    yield f"{about}: {counted(record.runs, 'run')}, {counted(record.attempts, 'attempt')}{newest}"
    if manifest and manifest.name != settings.name:
        yield f"it is of the deployment {shown(manifest.name)}, and this one is {shown(settings.name)}"
    if plan.missing:
        where = settings.outputs_dir
        yield f"{counted(plan.missing, 'output')} that it names are not in {where}; copy them there too"
    if plan.replaces_record:
        yield f"it replaces {settings.db_path}"
    if plan.replaces_workflows:
        yield f"it replaces {settings.workflows_file}, which is another"


def _put_in_place(plan: Restored, new: Path, settings: Settings, now: dt.datetime) -> list[Path]:
    """Put the record in place, then workflows.yml; return what the files that were there are called now."""
    suffix = f".before-restore-{now:%Y%m%dT%H%M%SZ}"
    real = settings.db_path.resolve()
    aside = real.with_name(real.name + suffix)
    kept = [aside] if replace_record(settings.db_path, new, aside) else []
    if plan.workflows is not None:
        # where a link leads to, that is
        file = settings.workflows_file.resolve()
        try:
            kept += _write_workflows(file, plan.workflows, file.with_name(file.name + suffix))
        except OSError as error:
            raise AutoflowError(
                f"{file}: cannot be written ({error.strerror}); the record has been restored", passing=may_pass(error)
            ) from error
    return kept


def _write_workflows(file: Path, content: bytes, aside: Path) -> list[Path]:
    kept = []
    with part_of(file) as growing:
        growing.write_bytes(content)
        growing.chmod(file.stat().st_mode & 0o777 if file.exists() else 0o644)
        if file.exists():
            aside.write_bytes(file.read_bytes())
            kept.append(aside)
        give_to_owner_of(file if kept else file.parent, growing, *kept)
        put_in_place(growing, file)
    return kept
