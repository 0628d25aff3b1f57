# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Files that other people write: read whole if they are ordinary and not too large, and never waited for."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

LARGEST_SECRET = 1_000_000
LARGEST_CONFIG = 1_000_000
LARGEST_DEFINITIONS = 1_000_000
LARGEST_DATES = 16_000_000
LARGEST_NOTEBOOK = 100_000_000

KINDS = {
    stat.S_IFIFO: "is a pipe; expected a file",
    stat.S_IFSOCK: "is a socket; expected a file",
    stat.S_IFCHR: "is a device; expected a file",
    stat.S_IFBLK: "is a device; expected a file",
}


def read_bounded(path: Path, most: int) -> bytes:
    """Read a file.

    Parameters
    ----------
    most
        Bytes that it may have.

    Raises
    ------
    OSError
        Also when it is something else than an ordinary file, or too large; ``strerror`` says so for a person.
    """
    # a pipe without a writer would hang here
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
        if kind in KINDS:
            raise OSError(errno.EINVAL, KINDS[kind], str(path))
        if kind == stat.S_IFDIR:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        with open(descriptor, "rb", closefd=False) as file:
            # its size is not asked for: it may grow, and files of /proc have none
            content = file.read(most + 1)
    finally:
        os.close(descriptor)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"has more than {most:,} bytes", str(path))
    return content
