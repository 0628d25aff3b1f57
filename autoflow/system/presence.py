# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Whether the record and the outputs are still where they were: not unmounted, removed or made anew."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from autoflow.errors import OutputsLostError, SettingsError

logger = logging.getLogger(__name__)


class Presence:
    """Holds the directories of outputs for one AutoFlow, and sees that nothing of them is lost.

    Parameters
    ----------
    record
        The database: were it removed or replaced, all that is recorded would be lost.
    outputs
        The directory of outputs, without which AutoFlow cannot go on.
    made_again
        Directories that are made again when they were removed.

    Raises
    ------
    SettingsError
        When another AutoFlow with another record, has outputs in one of the directories.
    """

    def __init__(self, record: Path, outputs: Path, made_again: Iterable[Path]) -> None:
        self._record, self._identity = record, _identity(record)
        self._needed = {outputs: _device(outputs)}
        self._made_again = {path: _device(path) for path in made_again}
        self._descriptors: list[int] = []
        held: set[object] = set()
        try:
            for path in (*self._needed, *self._made_again):
                if (identity := _identity(path)) not in held:
                    held.add(identity)
                    self._hold(path)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let others have the directories."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def watch(self, directory: Path) -> None:
        """See to another directory too without which AutoFlow cannot go on."""
        self._needed[directory] = _device(directory)

    def check(self) -> None:
        """Check that everything is there, and make a removed directory again where nothing is lost by it.

        Raises
        ------
        OutputsLostError
            When AutoFlow cannot go on.
        """
        if _identity(self._record) != self._identity:
            raise OutputsLostError(
                f"{self._record} was removed, replaced or unmounted while AutoFlow ran; AutoFlow stops, because"
                " new entries would be lost. Restore or mount the record; without one, the next start creates a new one"
            )
        for path, device in self._needed.items():
            if _device(path) != device:
                raise _lost(path)
        for path, device in self._made_again.items():
            found = _device(path)
            if found == device:
                continue
            if found is not None or _device(path.parent) != device:
                raise _lost(path)
            try:
                path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise _lost(path) from error
            logger.warning("%s was removed while AutoFlow ran; creating it again", path)

    def _hold(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._descriptors.append(descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # some file systems lock no directories
            if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN):
                raise SettingsError(
                    f"{path}: in use by another AutoFlow with another record; stop that one, or set a different"
                    " AUTOFLOW_OUTPUTS_DIR",
                    passing=True,
                ) from error


def _lost(path: Path) -> OutputsLostError:
    return OutputsLostError(f"{path} was removed or unmounted while AutoFlow ran; AutoFlow stops. Mount or restore it")


def _identity(path: Path) -> tuple[int, int] | None:
    with suppress(OSError):
        found = path.stat()
        return found.st_dev, found.st_ino
    return None


def _device(path: Path) -> int | None:
    identity = _identity(path)
    return identity[0] if identity and path.is_dir() else None
