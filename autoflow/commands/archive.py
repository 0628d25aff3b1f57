# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What is in a backup: a tar file of the record and workflows.yml, with a manifest that says what they are."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import json
import tarfile
import zlib
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

from autoflow.errors import AutoflowError, may_pass
from autoflow.files import file_hash

MANIFEST, RECORD, WORKFLOWS = "autoflow-backup.json", "autoflow.db", "workflows.yml"
FORMAT = 1

LARGEST_MANIFEST, LARGEST_WORKFLOWS = 1_000_000, 64_000_000
"""Bytes; what has more is not ours."""

SQLITE = b"SQLite format 3\0"
CHUNK = 1 << 20
BROKEN = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, KeyError, TypeError, ValueError, RecursionError)
"""What reading a file gives that is no backup, or half of one."""


@dataclass(frozen=True)
class Manifest:
    """Where a backup comes from."""

    autoflow: str
    """The version that made it."""
    schema: int
    created: str
    """ISO time."""
    name: str
    """That of the deployment; may be empty."""


@dataclass(frozen=True)
class Backup:
    """A backup that has been read."""

    record: Path
    """A copy of the record, complete and undamaged."""
    workflows: bytes | None
    """What workflows.yml holds; None where there was none."""
    manifest: Manifest | None
    """None for a record alone, as AutoFlow keeps it before a migration."""


def write_backup(target: IO[bytes], record: Path, workflows: bytes | None, manifest: Manifest) -> None:
    """Write a backup to a file or a pipe.

    Raises
    ------
    OSError
        When it cannot be written.
    """
    hashes = {RECORD: file_hash(record)} | ({WORKFLOWS: sha256(workflows).hexdigest()} if workflows else {})
    about = {"format": FORMAT, **manifest.__dict__, "sha256": hashes}
    time = dt.datetime.fromisoformat(manifest.created).timestamp()
    with tarfile.open(fileobj=target, mode="w|gz") as tar:
        # first, so that who reads it knows what follows
        _add(tar, MANIFEST, json.dumps(about, indent=2).encode() + b"\n", time)
        if workflows is not None:
            _add(tar, WORKFLOWS, workflows, time)
        with record.open("rb") as file:
            tar.addfile(_member(RECORD, record.stat().st_size, time), file)


def read_backup(file: Path, directory: Path) -> Backup:
    """Read a backup, or a record alone, and see that it is complete.

    Parameters
    ----------
    directory
        Where its record is unpacked to.

    Raises
    ------
    AutoflowError
        When it cannot be read, is damaged, or is no backup.
    """
    try:
        with file.open("rb") as source:
            if source.read(len(SQLITE)) == SQLITE:
                return Backup(file, None, None)
            source.seek(0)
            return _unpacked(file, source, directory)
    except BROKEN as error:
        raise AutoflowError(
            f"{file}: is not a complete backup of AutoFlow ({_one_line(error)}); expected a file that"
            " `autoflow backup` has made"
        ) from error
    except OSError as error:
        raise AutoflowError(f"{error.filename or file}: {error.strerror}", passing=may_pass(error)) from error


def is_backup(file: Path) -> bool:
    """Whether a file is a backup, and may be replaced by a newer one."""
    try:
        with file.open("rb") as source, tarfile.open(fileobj=source, mode="r|gz") as tar:
            first = tar.next()
            return first is not None and first.name == MANIFEST
    except (*BROKEN, OSError):
        return False


def _unpacked(file: Path, source: IO[bytes], directory: Path) -> Backup:
    """Take the members that are known by their names; paths, links and devices in the file are never followed."""
    about: dict[str, Any] = {}
    workflows, record = None, directory / RECORD
    with tarfile.open(fileobj=source, mode="r|gz") as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isreg() else None
            if content is None:
                raise ValueError(f"found {member.name!r}, which is no file")
            if member.name == MANIFEST:
                about = json.loads(_bounded(content, LARGEST_MANIFEST, MANIFEST))
            elif member.name == WORKFLOWS:
                workflows = _bounded(content, LARGEST_WORKFLOWS, WORKFLOWS)
            elif member.name == RECORD:
                with record.open("wb") as copy:
                    while chunk := content.read(CHUNK):
                        copy.write(chunk)
    if not about:
        raise ValueError(f"it has no {MANIFEST}")
    if about["format"] > FORMAT:
        raise AutoflowError(f"{file}: was made by a newer AutoFlow, {about['autoflow']}; install that to restore it")
    found = {RECORD: file_hash(record)} | ({WORKFLOWS: sha256(workflows).hexdigest()} if workflows else {})
    if found != about["sha256"]:
        raise ValueError("its content does not have the hashes of its manifest")
    return Backup(record, workflows, Manifest(*(about[key] for key in Manifest.__dataclass_fields__)))


def _bounded(content: IO[bytes], most: int, name: str) -> bytes:
    data = content.read(most + 1)
    if len(data) > most:
        raise ValueError(f"{name} has more than {most:,} bytes")
    return data


def _add(tar: tarfile.TarFile, name: str, data: bytes, time: float) -> None:
    tar.addfile(_member(name, len(data), time), io.BytesIO(data))


def _member(name: str, size: int, time: float) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size, int(time), 0o600
    return member


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
