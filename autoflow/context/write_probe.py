# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Whether directories can be written to: found by writing, out of the loop's way."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from autoflow.threads import Probe

FRESH = 1.0
"""Seconds for which what was found is good: requests for `/health` cause no more writes than that."""

PATIENCE = 5.0
"""Seconds that writing a byte may take."""

NO_NAMELESS = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL)
"""What file systems say that have no files without a name."""


class WriteProbe:
    """Writes to directories, one probe at a time."""

    def __init__(self, *directories: Path) -> None:
        self._directories = tuple(dict.fromkeys(directories))
        self._probe = Probe(lambda: unwritable(*self._directories))

    async def complaints(self) -> list[str]:
        """Say of each directory that cannot be written to, and why."""
        found = await self._probe.found(fresh=FRESH, patience=PATIENCE)
        if found is None:
            names = " or ".join(map(str, self._directories))
            return [f"{names} does not answer: to write there takes more than {PATIENCE:g} s"]
        return found


def unwritable(*directories: Path) -> list[str]:
    """Say of each directory that cannot be written to, and why; on a full disk, say."""
    found = []
    for directory in dict.fromkeys(directories):
        try:
            system = os.statvfs(directory)
            if system.f_flag & os.ST_RDONLY or not os.access(directory, os.W_OK | os.X_OK):
                found.append(f"{directory} cannot be written")
            elif system.f_bavail == 0:
                found.append(f"{directory} has no space left")
            else:
                # a file system that has stopped writing after an error may not say so
                _write(directory)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            found.append(f"{directory} {'has no space left' if full else 'cannot be written'} ({error.strerror})")
    return found


def _write(directory: Path) -> None:
    """Write a byte into a file without a name, of which no crash leaves anything, or with one."""
    try:
        descriptor, name = os.open(directory, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600), None
    except OSError as error:
        if error.errno not in NO_NAMELESS:
            raise
        descriptor, name = tempfile.mkstemp(prefix=".autoflow-probe-", dir=directory)
    try:
        os.write(descriptor, b".")
    finally:
        os.close(descriptor)
        if name is not None:
            Path(name).unlink()
