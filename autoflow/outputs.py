# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Where outputs get their final names: only when they are complete."""

from __future__ import annotations

import asyncio
import errno
import glob
import json
import os
import shutil
import threading
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from autoflow.naming import MANIFEST

LATEST = "latest"
"""Directory in the reports' own, of links to the newest."""


GROWING = ".autoflow-"
"""How the names of files begin that are being copied to another file system."""

NO_SYNC = (errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF, errno.EACCES)
"""What file systems say that cannot sync a directory, as some shares."""


class Outputs:
    """The two directories of outputs, and the names in them that are promised to runs under way."""

    def __init__(self, notebooks: Path, reports: Path, instance: str = "") -> None:
        self._instance = instance
        self.notebooks = notebooks
        self.reports = reports
        self._reserved: set[str] = set()

    def reserve(self, directory: Path, stem: str, suffix: str) -> Path:
        """Promise a path that no other output has or will have."""
        return self.reserve_all(directory, stem, (suffix,))[0]

    def reserve_all(self, directory: Path, stem: str, suffixes: Sequence[str]) -> list[Path]:
        """Promise paths that differ in their suffixes alone, and that no other output has or will have."""
        number, tried = 1, stem
        while any(_folded(path) in self._reserved or path.exists() for path in _paths(directory, tried, suffixes)):
            number += 1
            tried = f"{stem}-{number}"
        paths = _paths(directory, tried, suffixes)
        self._reserved.update(map(_folded, paths))
        return paths

    async def publish(self, source: Path, final: Path) -> None:
        """Give a complete file its final name; it survives a power cut as a whole or not at all.

        What has begun comes to its end, whoever is cancelled: nothing gets a name after its run has ended.
        """
        publishing = asyncio.ensure_future(asyncio.to_thread(self._publish, source, final))
        try:
            await asyncio.shield(publishing)
        finally:
            while not publishing.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait({publishing})
            self.release(final)

    def _publish(self, source: Path, final: Path) -> None:
        _sync(source)
        try:
            source.replace(final)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._copy(source, final)
        _sync(final.parent)

    def _copy(self, source: Path, final: Path) -> None:
        """Bring a file to another file system, where it has its name only when all of it is there."""
        beside = final.with_name(f"{GROWING}{self._instance}-{threading.get_ident()}-{final.name[-60:]}")
        try:
            shutil.copyfile(source, beside)
            with suppress(OSError):
                # some shares have no modes
                shutil.copymode(source, beside)
            _sync(beside)
            beside.replace(final)
        except BaseException:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            raise
        source.unlink()

    def sweep(self) -> None:
        """Remove what a crash left of files that were being copied."""
        for directory in {self.notebooks, self.reports}:
            for left in directory.glob(f"{glob.escape(GROWING + self._instance)}-*"):
                with suppress(OSError):
                    left.unlink()

    def point(self, name: str, final: Path, reference_date: str) -> None:
        """Let ``latest/<name>`` point at a report, unless it points at one of a later reference date.

        Raises
        ------
        OSError
            When the file system has no symbolic links.
        """
        latest = self.reports / LATEST
        latest.mkdir(exist_ok=True)
        link = latest / name
        if self._reference_date(link) > reference_date:
            return
        fresh = latest / f".{name}.new"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.path.relpath(final, latest))
        fresh.replace(link)

    def _reference_date(self, link: Path) -> str:
        """Read the date of the report that a link points at; empty when there is none."""
        try:
            manifest = link.resolve(strict=True).with_suffix(MANIFEST)
            return str(json.loads(manifest.read_text(encoding="utf-8"))["reference_date"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def release(self, path: Path) -> None:
        """Take a promise back."""
        self._reserved.discard(_folded(path))


def unwritable(*directories: Path) -> list[str]:
    """Say of each directory that can not be written to, and why; on a full disk, say."""
    found = []
    for directory in dict.fromkeys(directories):
        try:
            system = os.statvfs(directory)
            if system.f_flag & os.ST_RDONLY or not os.access(directory, os.W_OK | os.X_OK):
                found.append(f"{directory} can not be written")
            elif system.f_bavail == 0:
                found.append(f"{directory} has no space left")
        except OSError as error:
            found.append(f"{directory} can not be written ({error.strerror})")
    return found


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NO_SYNC or not path.is_dir():
            raise
    finally:
        os.close(descriptor)


def _folded(path: Path) -> str:
    """Write a path so that those are the same that are one file where neither case nor accents' form counts."""
    return unicodedata.normalize("NFC", str(path)).casefold()


def _paths(directory: Path, stem: str, suffixes: Sequence[str]) -> list[Path]:
    return [directory / f"{stem}{suffix}" for suffix in suffixes]
