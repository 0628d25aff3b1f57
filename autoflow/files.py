# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Files on disk: what is in them, as a hash, and that they survive a power cut."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path

NO_SYNC = (errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF, errno.EACCES)
"""What file systems say that cannot sync a directory, as some shares."""


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal.

    Raises
    ------
    OSError
        When it cannot be read.
    """
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Sync a file, or the names in a directory, as far as the file system can.

    Raises
    ------
    OSError
        When a file cannot be synced, or a directory for another reason than that its file system cannot do so.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NO_SYNC or not path.is_dir():
            raise
    finally:
        os.close(descriptor)


@contextmanager
def part_of(final: Path) -> Iterator[Path]:
    """Give an empty file beside another, which only its owner may read; it is gone at the end unless it was moved.

    Raises
    ------
    OSError
        When there can be none.
    """
    # few programs need it
    import tempfile

    descriptor, name = tempfile.mkstemp(prefix=f".{final.name}.", suffix=".part", dir=final.parent)
    os.close(descriptor)
    part = Path(name)
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def put_in_place(part: Path, final: Path) -> None:
    """Give a complete file the name of another; it survives a power cut as a whole or not at all."""
    sync(part)
    part.replace(final)
    sync(final.parent)


def give_to_owner_of(place: Path, *paths: Path) -> None:
    """Give files to the user who owns another one: what root restores, the service has to write."""
    if os.geteuid() != 0:
        return
    owner = place.stat()
    for path in paths:
        if path.exists():
            os.chown(path, owner.st_uid, owner.st_gid)
