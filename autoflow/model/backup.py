# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Copies of the record, made beside a daemon that writes it, and put in its place."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from autoflow.errors import StoreError, may_pass
from autoflow.files import give_to_owner_of, sync
from autoflow.model.reader import open_read_only
from autoflow.model.record_lock import RecordLock
from autoflow.model.tables import check_owner

BESIDE = ("-wal", "-shm", "-journal")
"""Files that sqlite has beside a database; those of another one would be taken for changes to it."""


def schema_of(path: Path) -> int:
    """Read which version of the tables a record has.

    Raises
    ------
    StoreError
        When it is not a record that this AutoFlow can read.
    """
    with closing(open_read_only(path)) as connection:
        try:
            check_owner(connection, path)
            return int(connection.execute("PRAGMA user_version").fetchone()[0])
        except sqlite3.Error as error:
            raise StoreError(f"{path}: cannot be read as AutoFlow's database ({error})") from error


def copy_record(path: Path, copy: Path) -> None:
    """Copy a record as it is at this moment into one file; a daemon may go on writing it.

    Raises
    ------
    StoreError
        When it cannot be read, is not AutoFlow's, or is damaged.
    """
    with closing(open_read_only(path)) as source, closing(sqlite3.connect(copy, isolation_level=None)) as target:
        try:
            check_owner(source, path)
            source.backup(target)
            # so that nothing is written beside it when it is read
            target.execute("PRAGMA journal_mode = DELETE")
            (found,) = target.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.Error as error:
            raise StoreError(f"{path}: cannot be copied ({error})", passing=may_pass(error)) from error
    if found != "ok":
        raise StoreError(
            f"{path}: is damaged ({' '.join(found.split())}); stop AutoFlow and restore a backup, or save what can be"
            " read with sqlite3's command .recover"
        )


def replace_record(path: Path, new: Path, aside: Path) -> bool:
    """Put a copy in the place of the record, which is kept; whatever stops this, one of the two is there.

    Parameters
    ----------
    new
        The copy; it is moved, so it must be on the same file system.
    aside
        What the record that was there is called from now on.

    Returns
    -------
    bool
        Whether there was one.

    Raises
    ------
    StoreError
        When an AutoFlow holds the record, or the files cannot be written.
    """
    real = path.resolve()
    was_there = real.exists() and real.stat().st_size > 0
    lock = RecordLock(path)
    try:
        if was_there:
            _keep(real, aside)
            give_to_owner_of(real, new, aside)
        else:
            give_to_owner_of(real.parent, new, real.with_name(f"{real.name}.lock"))
        sync(new)
        for suffix in BESIDE:
            real.with_name(real.name + suffix).unlink(missing_ok=True)
        new.replace(real)
        sync(real.parent)
    except OSError as error:
        raise StoreError(f"{error.filename or path}: {error.strerror}", passing=may_pass(error)) from error
    finally:
        lock.release()
        if not was_there and real.exists() and not real.stat().st_size:
            # the lock has made it
            real.unlink()
    return was_there


def _keep(real: Path, aside: Path) -> None:
    """Keep a copy of a record, and bring what lies beside it into the file; a damaged one is kept as it is."""
    try:
        with closing(sqlite3.connect(real, isolation_level=None)) as old:
            with closing(sqlite3.connect(aside)) as copy:
                old.backup(copy)
            # a reader that has it open does not matter: all of it is in the copy
            with suppress(sqlite3.Error):
                old.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error:
        for suffix in ("", *BESIDE):
            beside = real.with_name(real.name + suffix)
            if beside.exists():
                shutil.copyfile(beside, aside.with_name(aside.name + suffix))
    sync(aside)
    os.chmod(aside, real.stat().st_mode & 0o777)  # noqa: PTH101
