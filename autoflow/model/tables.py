# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""A record as it is found: whose it is, and how it is brought up to date."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from autoflow.errors import StoreError, may_pass
from autoflow.files import sync
from autoflow.model.migrations import MIGRATIONS
from autoflow.model.predecessor import PREDECESSORS_TABLE, OldRow, TakenOver, take_over
from autoflow.settings import Places

logger = logging.getLogger(__name__)

APPLICATION_ID = 0x4146_4C57
"""Marks a sqlite file as AutoFlow's."""


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Cursor]:
    """Do all that is done with the cursor, or nothing of it."""
    cursor = connection.cursor()
    cursor.execute("BEGIN IMMEDIATE")
    try:
        yield cursor
        cursor.execute("COMMIT")
    except BaseException:
        # an error may have rolled it back already, as on a full disk
        if connection.in_transaction:
            # whatever becomes of this, the first error is the one to tell
            with suppress(sqlite3.Error):
                cursor.execute("ROLLBACK")
        raise


def check_owner(connection: sqlite3.Connection, path: Path) -> None:
    """Check that a database is AutoFlow's, or the predecessor's, or empty; it is only read.

    Raises
    ------
    StoreError
        When it is another program's, or a newer AutoFlow's.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    ours = application == APPLICATION_ID and version > 0
    if not ours and (version or application or _has_other_tables(connection)):
        raise StoreError(f"{path}: is the database of another program; set AUTOFLOW_DB_URI to a file of AutoFlow's own")
    if version > len(MIGRATIONS):
        raise StoreError(
            f"{path}: was written by a newer AutoFlow (schema {version}; this one knows {len(MIGRATIONS)});"
            " install that version again, or restore the database from before the upgrade"
        )


def _has_other_tables(connection: sqlite3.Connection) -> bool:
    """Whether a database has anything in it that the predecessor has not made."""
    tables = {
        name
        for (name,) in connection.execute(
            "SELECT tbl_name FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        )
    }
    if tables - {PREDECESSORS_TABLE}:
        return True
    columns = {row[1] for row in connection.execute(f"PRAGMA table_info({PREDECESSORS_TABLE})")}
    return bool(tables) and not columns >= set(OldRow._fields)


def keep_copy(connection: sqlite3.Connection, path: Path) -> None:
    """Copy a record that is about to be changed to today's tables; the copy before this one goes.

    Raises
    ------
    StoreError
        When it cannot be copied: without a copy nothing is changed.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (size,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if version == len(MIGRATIONS) or not size:
        return
    prefix = f"{path.name}.before-schema-"
    copy = path.with_name(f"{prefix}{len(MIGRATIONS)}")
    growing = path.with_name(f".{copy.name}.part")
    try:
        growing.unlink(missing_ok=True)
        with closing(sqlite3.connect(growing)) as target:
            connection.backup(target)
        sync(growing)
        growing.replace(copy)
        for older in path.parent.iterdir():
            if older.name.startswith(prefix) and older != copy:
                older.unlink()
    except (OSError, sqlite3.Error) as error:
        with suppress(OSError):
            growing.unlink(missing_ok=True)
        raise StoreError(
            f"{copy}: the record cannot be copied before the migration ({error}); nothing was changed",
            passing=may_pass(error),
        ) from error
    logger.warning("%s: migrating from schema %d; a copy is kept as %s", path, version, copy.name)


def bring_up_to_date(connection: sqlite3.Connection, path: Path, places: Places) -> TakenOver:
    """Bring the tables up to date, and take over what the predecessor recorded in the same file."""
    check_owner(connection, path)
    with transaction(connection) as cursor:
        (version,) = cursor.execute("PRAGMA user_version").fetchone()
        for migration in MIGRATIONS[version:]:
            migration(cursor, places)
        if version < len(MIGRATIONS):
            cursor.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
            cursor.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        present = cursor.execute(
            "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (PREDECESSORS_TABLE,)
        ).fetchone()
        return take_over(cursor, PREDECESSORS_TABLE) if present else TakenOver()


def up_to_date_copy(connection: sqlite3.Connection, path: Path, places: Places) -> sqlite3.Connection:
    """Return a copy in memory that is up to date, of a record that is not; it is only read.

    Raises
    ------
    StoreError
        When it is not a record of AutoFlow's.
    """
    try:
        check_owner(connection, path)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == len(MIGRATIONS):
            return connection
        copy = sqlite3.connect(":memory:", isolation_level=None)
        connection.backup(copy)
    except BaseException:
        connection.close()
        raise
    connection.close()
    bring_up_to_date(copy, path, places)
    return copy
