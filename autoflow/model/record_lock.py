# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Who holds the record: one AutoFlow at a time, by whatever name it calls the file."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from contextlib import suppress
from pathlib import Path

from autoflow.clock import utc_now
from autoflow.errors import StoreError, is_not_mounted, may_pass

FAR_BYTE = 1 << 62
"""The byte of the database that is locked: none that it will ever have, nor one that sqlite locks itself."""

LOCK = "hhqqi4x"
"""The layout of the operating system's ``struct flock``."""

NO_SUCH_LOCKS = (errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class RecordLock:
    """Two locks of the operating system's, which end with the process, however that dies.

    One is on the file beside the database, where it really lies: what is written there only serves the message
    that a second AutoFlow gives. The other is on the database's own inode, for those that come by a hard link or a
    bind mount. Its descriptor is open for longer than any of sqlite's: closing it would end sqlite's locks.

    Raises
    ------
    StoreError
        When another AutoFlow holds the record, or the files cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._descriptors: list[int] = []
        real = path.resolve()
        try:
            self._lock_beside(path, real.with_name(real.name + ".lock"))
            self._lock_itself(path, real)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let others have it."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _lock_beside(self, path: Path, lock: Path) -> None:
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(
                f"{lock}: cannot be opened ({error.strerror}); the database's directory must exist and be writable",
                passing=may_pass(error) or (isinstance(error, FileNotFoundError) and is_not_mounted(lock.parent)),
            ) from error
        self._descriptors.append(descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise _held(path, os.read(descriptor, 200).decode(errors="replace").strip()) from error
        since = utc_now().strftime("%Y-%m-%d %H:%M:%S UTC")
        # a full disk does not matter: the lock is held
        with suppress(OSError):
            os.truncate(descriptor, 0)
            os.write(descriptor, f"pid {os.getpid()}, since {since}\n".encode())

    def _lock_itself(self, path: Path, real: Path) -> None:
        try:
            if real.exists() and not stat.S_ISREG(real.stat().st_mode):
                raise StoreError(f"{path}: cannot be used as AutoFlow's database: it is not a file")
            descriptor = os.open(real, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(
                f"{path}: cannot be used as AutoFlow's database ({error.strerror}); it must be writable for user id"
                f" {os.getuid()}",
                passing=may_pass(error),
            ) from error
        self._descriptors.append(descriptor)
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _far_lock())
        except OSError as error:
            # where the file system has none, the file beside it has to do
            if error.errno not in NO_SUCH_LOCKS:
                raise _held(path, "it has another name there") from error


def is_held(path: Path) -> bool | None:
    """Say whether an AutoFlow holds a record, on this machine or in a container of it; None where that is not known.

    Nothing is locked for it, so that one which starts at this moment is not kept from that. To be asked before this
    process opens the record: a descriptor that is closed would end sqlite's locks.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _far_lock())
        finally:
            os.close(descriptor)
    except OSError:
        return None
    return bool(struct.unpack(LOCK, found)[0] != fcntl.F_UNLCK)


def _far_lock() -> bytes:
    return struct.pack(LOCK, fcntl.F_WRLCK, os.SEEK_SET, FAR_BYTE, 1, 0)


def _held(path: Path, holder: str) -> StoreError:
    return StoreError(
        f"{path}: held by another AutoFlow ({holder or 'another process'}); stop that one, or give this one"
        " its own AUTOFLOW_OUTPUTS_DIR or AUTOFLOW_DB_URI",
        passing=True,
    )
