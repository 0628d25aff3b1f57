# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Where outputs get their final names: only when they are complete."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from autoflow.naming import MANIFEST

LATEST = "latest"
"""Directory in the reports' own, of links to the newest."""


class Outputs:
    """The two directories of outputs, and the names in them that are promised to runs under way."""

    def __init__(self, notebooks: Path, reports: Path) -> None:
        self.notebooks = notebooks
        self.reports = reports
        self._reserved: set[Path] = set()

    def reserve(self, directory: Path, stem: str, suffix: str) -> Path:
        """Promise a path that no other output has or will have."""
        return self.reserve_all(directory, stem, (suffix,))[0]

    def reserve_all(self, directory: Path, stem: str, suffixes: Sequence[str]) -> list[Path]:
        """Promise paths that differ in their suffixes alone, and that no other output has or will have."""
        number, tried = 1, stem
        while any(path in self._reserved or path.exists() for path in _paths(directory, tried, suffixes)):
            number += 1
            tried = f"{stem}-{number}"
        paths = _paths(directory, tried, suffixes)
        self._reserved.update(paths)
        return paths

    def publish(self, source: Path, final: Path) -> None:
        """Give a complete file its final name; it survives a power cut as a whole or not at all."""
        descriptor = os.open(source, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        source.replace(final)
        directory = os.open(final.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        self.release(final)

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
        self._reserved.discard(path)


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


def _paths(directory: Path, stem: str, suffixes: Sequence[str]) -> list[Path]:
    return [directory / f"{stem}{suffix}" for suffix in suffixes]
