# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Copies of files that cost nothing until they are written to, where the file system can make such."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from pathlib import Path

FICLONE = 0x40049409
"""The request of ioctl_ficlone(2): let two files share their blocks until one of them is written to."""

NOT_CLONED = (errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.ETXTBSY)
"""What the kernel says where blocks cannot be shared."""


def copy_file(source: Path, target: Path) -> None:
    """Copy a file with its mode: its blocks are shared where that is possible, never the file itself."""
    with source.open("rb") as reading, target.open("xb") as writing:
        try:
            fcntl.ioctl(writing, FICLONE, reading.fileno())
        except OSError as error:
            if error.errno not in NOT_CLONED:
                raise
            shutil.copyfileobj(reading, writing, 1 << 20)
        os.fchmod(writing.fileno(), os.fstat(reading.fileno()).st_mode & 0o7777)


def link_or_copy(source: Path, target: Path) -> None:
    """Put a file that is no longer written to in a second place."""
    try:
        target.hardlink_to(source)
    except FileExistsError:
        raise
    except OSError:
        copy_file(source, target)


def move(source: Path, target: Path) -> None:
    """Move a file, also to another file system."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy_file(source, target)
        source.unlink()
