# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Where outputs get their final names: only when they are complete."""

from __future__ import annotations

import os
from pathlib import Path


class Outputs:
    """The two directories of outputs, and the names in them that are promised to runs under way."""

    def __init__(self, notebooks: Path, reports: Path) -> None:
        self.notebooks = notebooks
        self.reports = reports
        self._reserved: set[Path] = set()

    def reserve(self, directory: Path, stem: str, suffix: str) -> Path:
        """Promise a path that no other output has or will have."""
        path = directory / f"{stem}{suffix}"
        number = 1
        while path in self._reserved or path.exists():
            number += 1
            path = directory / f"{stem}-{number}{suffix}"
        self._reserved.add(path)
        return path

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

    def release(self, path: Path) -> None:
        """Take a promise back."""
        self._reserved.discard(path)
