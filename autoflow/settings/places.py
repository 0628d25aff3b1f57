# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Paths as the record holds them: relative to the outputs, so that these can be moved."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """Where outputs are now."""

    outputs: Path
    notebooks: Path
    reports: Path

    @classmethod
    def below(cls, outputs: Path) -> Places:
        """Return the places that are used where the settings name no others."""
        return cls(outputs, outputs / "notebooks", outputs / "reports")

    def written(self, path: str | Path | None) -> str | None:
        """Write a path for the record: relative to the outputs if it is in them, else whole."""
        if path is None:
            return None
        try:
            return str(Path(path).relative_to(self.outputs))
        except ValueError:
            return str(path)

    def notebook(self, text: str | None) -> Path | None:
        """Find an executed notebook by what the record has of it."""
        return self._found(text, self.notebooks)

    def report(self, text: str | None) -> Path | None:
        """Find a report by what the record has of it."""
        return self._found(text, self.reports)

    def _found(self, text: str | None, directory: Path) -> Path | None:
        if text is None:
            return None
        # a whole path stays what it is
        path = self.outputs / text
        if path.parent == directory or os.path.lexists(path):
            return path
        # the settings name another directory now, and its content has moved with it
        moved = directory / path.name
        return moved if os.path.lexists(moved) else path

    def brought_over(self, path: str, directory: Path) -> str:
        """Rewrite a whole path of an older record, also of outputs that had another name then.

        Parameters
        ----------
        directory
            Where such files are now.
        """
        old = Path(path)
        if not old.is_absolute():
            return path
        here = directory / old.name
        if old.parent.name == directory.name and (os.path.lexists(here) or not os.path.lexists(old)):
            old = here
        return self.written(old) or path
