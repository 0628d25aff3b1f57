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
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from autoflow.files import sync
from autoflow.naming import BY_DATE, MANIFEST
from autoflow.threads import to_end
from autoflow.wording import own_parameters

LATEST = "latest"
"""Directory in the reports' own, of links to the newest."""


NEW = ".new"
"""How the names of links and copies end until they replace those before them."""

GROWING = ".autoflow-"
"""How the names of files begin that are being copied to another file system."""


class Outputs:
    """The two directories of outputs, and the names in them that are reserved for runs in progress."""

    def __init__(
        self, notebooks: Path, reports: Path, instance: str = "", check: Callable[[], None] = lambda: None
    ) -> None:
        self.check = check
        """Sees that the outputs are where they were; raises when they are not."""
        self._instance = instance
        self.notebooks = notebooks
        self.reports = reports
        self._reserved: set[str] = set()
        self._read: Counter[Path] = Counter()
        self.leading = asyncio.Lock()
        """Held while links are made in a thread: what is there is looked at first."""

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

    @contextmanager
    def reading(self, paths: Collection[Path]) -> Iterator[None]:
        """Keep outputs of other runs for as long as a run in progress reads them, whatever `keep` says."""
        self._read.update(paths)
        try:
            yield
        finally:
            self._read.subtract(paths)

    def is_read(self, path: Path) -> bool:
        """Whether a run in progress reads an output; a sweep asks, in a thread."""
        return self._read[path] > 0

    async def publish(self, source: Path, final: Path) -> None:
        """Give a complete file its final name; it survives a power cut as a whole or not at all.

        What has begun comes to its end, even when cancelled: nothing gets a name after its run has ended.
        """
        try:
            await to_end(self._publish, source, final)
        finally:
            self.release(final)

    def _publish(self, source: Path, final: Path) -> None:
        self.check()
        sync(source)
        try:
            source.replace(final)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._copy(source, final)
        sync(final.parent)

    def _copy(self, source: Path, final: Path) -> None:
        """Bring a file to another file system, where it has its name only when all of it is there."""
        beside = final.with_name(f"{GROWING}{self._instance}-{threading.get_ident()}-{final.name[-60:]}")
        try:
            shutil.copyfile(source, beside)
            with suppress(OSError):
                # some shares have no modes
                shutil.copymode(source, beside)
            sync(beside)
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
        for pattern in (f"{LATEST}/.*{NEW}", f"{BY_DATE}/*/*/.*{NEW}"):
            for left in self.reports.glob(pattern):
                with suppress(OSError):
                    left.unlink()

    def point(self, stems: tuple[str, str], finals: Sequence[Path]) -> None:
        """Point the links in ``latest`` at reports, unless they point at some of a later reference date.

        Parameters
        ----------
        stems
            Names without suffix: the plain one, and one that is for this notebook and its parameters alone. It is
            used where the links of another have the plain name already: names that differ only in what file
            names cannot hold, in their ends or in case come to that.
        finals
            The reports and their manifest.

        Raises
        ------
        OSError
            When neither links nor copies can be made.
        """
        self._lead(self.reports / LATEST, stems, finals, newest=True)

    def file(self, place: str, stems: tuple[str, str], finals: Sequence[Path]) -> None:
        """Point the links below ``by-date``, with readable names, at the reports of one reference date.

        Parameters
        ----------
        place
            Directory of a workflow and a date; the others are as for `point`.
        """
        self._lead(self.reports / BY_DATE / place, stems, finals, newest=False)

    def _lead(self, directory: Path, stems: tuple[str, str], finals: Sequence[Path], *, newest: bool) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        plain, own = (directory / f"{stem}{MANIFEST}" for stem in stems)
        fresh = _manifest(finals[0].with_suffix(MANIFEST))
        there = _manifest(own if os.path.lexists(own) else plain)
        stem = stems[0]
        if os.path.lexists(own) or (there and _source(there) != _source(fresh)):
            stem, there = stems[1], _manifest(own)
        good = newest and (directory / f"{stem}{finals[0].suffix}").exists()
        if good and str(there.get("reference_date", "")) > str(fresh.get("reference_date", "")):
            return
        for final in finals:
            growing = directory / f".{stem}{final.suffix}{NEW}"
            try:
                _link_or_copy(final, growing)
                growing.replace(directory / f"{stem}{final.suffix}")
            except OSError:
                with suppress(OSError):
                    growing.unlink(missing_ok=True)
                raise

    def release(self, path: Path) -> None:
        """Release a reserved name."""
        self._reserved.discard(_folded(path))


def _link_or_copy(final: Path, growing: Path) -> None:
    growing.unlink(missing_ok=True)
    try:
        growing.symlink_to(os.path.relpath(final, growing.parent))
    except OSError:
        # a share without links
        shutil.copyfile(final, growing)
        sync(growing)


def _manifest(path: Path) -> Mapping[str, Any]:
    """Read a manifest, also by a link; empty when there is none."""
    try:
        found = json.loads(path.resolve(strict=True).read_text(encoding="utf-8"))
    except (OSError, ValueError, RuntimeError):
        return {}
    return found if isinstance(found, dict) else {}


def _source(manifest: Mapping[str, Any]) -> tuple[object, ...]:
    """Say what a report is of, whatever its dates."""
    parameters = manifest.get("parameters")
    return manifest.get("workflow"), manifest.get("notebook"), own_parameters(parameters or {})


def _folded(path: Path) -> str:
    """Write a path so that those are the same that are one file where neither case nor accents' form counts."""
    return unicodedata.normalize("NFC", str(path)).casefold()


def _paths(directory: Path, stem: str, suffixes: Sequence[str]) -> list[Path]:
    return [directory / f"{stem}{suffix}" for suffix in suffixes]
