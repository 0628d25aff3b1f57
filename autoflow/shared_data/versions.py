# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Versions of the shared data: the newest is what others see, and there is nothing between two of them.

shared/<name>                         a link to the files of the newest version, for people
shared/.versions/<name>/7/index.json  what is known of each file of version 7
shared/.versions/<name>/7/files/      the files, which are never written to
shared/.versions/<name>/staged-<attempt>/   the next version, until the attempt is recorded as a success
shared/.versions/<name>/kept-<run>/   what a failed attempt wrote, for the repair of its run
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath

from autoflow.files import sync
from autoflow.shared_data.changes import Changes, SharedDataError, SharedFile, View, Writer, entries, stamp
from autoflow.shared_data.copies import copy_file, link_or_copy, move

VERSIONS = ".versions"
STAGED, KEPT, PARTIAL = "staged-", "kept-", "partial-"
INDEX, FILES, CHANGES = "index.json", "files", "changes.json"


@dataclass(frozen=True)
class Version:
    """One state of the shared data."""

    number: int
    directory: Path
    files: Mapping[str, SharedFile]

    def path(self, name: str) -> Path:
        """Find a file of this version."""
        return self.directory / FILES / name


@dataclass(frozen=True)
class Staged:
    """The next version, complete on disk and not yet visible."""

    directory: Path
    number: int
    written: tuple[str, ...]
    """Files of the run that are in it."""
    overruled: Mapping[str, str] = field(default_factory=dict)
    """Files that are left as a run of a later reference date wrote them meanwhile, with that date."""


class SharedDirectory:
    """The shared data of one workflow and its parameters.

    Its methods block. Whoever calls `stage` holds `committing` until `commit`; `open_view` may be called meanwhile.

    Parameters
    ----------
    root
        Directory of all shared data, among the outputs.
    name
        Name of this one, safe as a file name.
    """

    def __init__(self, root: Path, name: str) -> None:
        self.visible = root / name
        """The link for people."""
        self.committing = asyncio.Lock()
        self._place = root / VERSIONS / name
        self._read: Counter[int] = Counter()

    def current(self) -> Version:
        """Read the newest version; the one numbered 0 is empty."""
        numbers = [int(entry.name) for entry in _listed(self._place) if entry.name.isdigit()]
        if not numbers:
            return Version(0, self._place / "0", {})
        directory = self._place / str(max(numbers))
        files = json.loads((directory / INDEX).read_text())["files"]
        return Version(max(numbers), directory, {name: SharedFile(**file) for name, file in files.items()})

    def open_view(self, directory: Path, writer: Writer, *, repair: bool = False) -> View:
        """Make a run's own copy of the newest version.

        What this run alone has written before is left out: it is made again.

        Parameters
        ----------
        directory
            Where; it must not exist. On the file system of the shared data, so that copies can share blocks.
        repair
            Whether to go on with what an attempt that failed has written.
        """
        with self._reading() as version:
            directory.mkdir(parents=True)
            files = {name: file for name, file in version.files.items() if not _own(file, writer)}
            for name, file in files.items():
                _place_copy(version.path(name), directory / name, file)
        stamps = {name: stamp(status) for name, status in entries(directory)}
        base = {name: file.sha256 for name, file in files.items()}
        if repair and (kept := self._kept(writer)):
            for name in kept.removed | kept.written.keys():
                (directory / name).unlink(missing_ok=True)
                stamps.pop(name, None)
            for name, file in kept.written.items():
                _place_copy(kept.directory / name, directory / name, file)
                files[name] = file
            base |= {name: kept.base[name] for name in kept.base.keys() & (kept.removed | kept.written.keys())}
        return View(directory, writer, files, stamps, base)

    def take_copy(self, other: SharedDirectory) -> None:
        """Begin with a copy of the newest version of another, which others may be writing to."""
        while (version := other.current()).number:
            copy = self._place / str(version.number)
            _remove(copy)
            try:
                shutil.copytree(version.directory, copy, symlinks=True, copy_function=_copied)
            except (shutil.Error, FileNotFoundError):
                # there is a newer one, and this one was removed meanwhile
                if other.current().number == version.number:
                    raise
            else:
                return

    def keep(self, changes: Changes) -> None:
        """Keep what a failed attempt has written, for the repair of its run."""
        kept = self._place / f"{KEPT}{changes.writer.run}"
        partial = self._place / f"{PARTIAL}{kept.name}"
        _remove(partial)
        (partial / FILES).mkdir(parents=True)
        for name in changes.written:
            _parents(partial / FILES / name)
            move(changes.directory / name, partial / FILES / name)
        changes.save(partial / CHANGES)
        _remove(kept)
        partial.rename(kept)

    def stage(self, changes: Changes, attempt: str) -> Staged | None:
        """Make the next version without publishing it; None when there is nothing new.

        The files are moved out of the run's copy.

        Raises
        ------
        SharedDataError
            When a file of the run has the name of a directory that another run has made meanwhile, or the reverse.
        """
        version = self.current()
        overruled = {
            name: version.files[name].reference_date
            for name in changes.written.keys() | changes.removed
            if _overruled(name, changes, version)
        }
        own = {name for name, file in version.files.items() if _own(file, changes.writer)}
        removed = ((changes.removed | own) - changes.written.keys()) - overruled.keys()
        written = {name: file for name, file in changes.written.items() if name not in overruled}
        if not written and not removed & version.files.keys():
            return None
        made = self._stage(changes, attempt, version, written, removed)
        return replace(made, overruled=overruled)

    def commit(self, staged: Staged) -> None:
        """Show the next version to others, in one step, and forget the ones before."""
        staged.directory.rename(self._place / str(staged.number))
        sync(self._place)
        self.tidy()

    def prune(self, old: Callable[[Mapping[str, SharedFile]], Collection[str]]) -> int:
        """Leave old files out of the next version, and make that the newest; return how many there were.

        Parameters
        ----------
        old
            Chooses, by name, those that are to go.
        """
        version = self.current()
        going = set(old(version.files))
        if not going:
            return 0
        changes = Changes(Writer("", ""), {}, frozenset(going), {}, self._place)
        staged = self._stage(changes, "prune", version, {}, going)
        self.commit(staged)
        return len(going)

    def drop(self, staged: Staged) -> None:
        """Remove a next version that is not to be."""
        _remove(staged.directory)

    def discard(self, writer: Writer) -> None:
        """Remove what was kept for a repair: the run has succeeded, or begins anew."""
        _remove(self._place / f"{KEPT}{writer.run}")

    def tidy(self) -> None:
        """Point the link for people at the newest version, and remove those that are no longer read."""
        current = self.current()
        if not current.number:
            return
        with suppress(OSError):
            # a share without links: notebooks do not need them
            growing = self.visible.with_name(f".{self.visible.name}.new")
            growing.unlink(missing_ok=True)
            growing.symlink_to(os.path.relpath(current.directory / FILES, self.visible.parent))
            growing.replace(self.visible)
        for entry in _listed(self._place):
            if entry.name.isdigit() and int(entry.name) < current.number and not self._read[int(entry.name)]:
                _remove(Path(entry.path))

    def recover(self, succeeded: Callable[[str], bool]) -> None:
        """Put right what a crash left: what is staged for an attempt that is recorded as a success is committed.

        Parameters
        ----------
        succeeded
            Tells this of an attempt, by the name that it was staged under.
        """
        for entry in list(_listed(self._place)):
            if entry.name.startswith(STAGED) and succeeded(entry.name.removeprefix(STAGED)):
                number = json.loads(Path(entry.path, INDEX).read_text())["version"]
                Path(entry.path).rename(self._place / str(number))
            elif entry.name.startswith((STAGED, PARTIAL)):
                _remove(Path(entry.path))
        sync(self._place)
        self.tidy()

    def _stage(
        self,
        changes: Changes,
        attempt: str,
        version: Version,
        written: Mapping[str, SharedFile],
        removed: Collection[str],
    ) -> Staged:
        """Make the version after another one on disk."""
        unchanged = {n: file for n, file in version.files.items() if n not in written and n not in removed}
        _refuse_both(written, unchanged)
        staged, partial = self._place / f"{STAGED}{attempt}", self._place / f"{PARTIAL}{attempt}"
        _remove(staged)
        _remove(partial)
        self._build(partial, version, unchanged, changes, written)
        number = version.number + 1
        index = {name: asdict(file) for name, file in ({**unchanged, **written}).items()}
        (partial / INDEX).write_text(json.dumps({"version": number, "files": index}))
        sync(partial / INDEX)
        sync(partial)
        partial.rename(staged)
        sync(self._place)
        return Staged(staged, number, tuple(sorted(written)))

    @contextmanager
    def _reading(self) -> Iterator[Version]:
        """Hold the newest version so that it is not removed."""
        while True:
            version = self.current()
            self._read[version.number] += 1
            # it may have been removed before it was held
            if not version.number or version.directory.exists():
                break
            self._read[version.number] -= 1
        try:
            yield version
        finally:
            self._read[version.number] -= 1

    def _kept(self, writer: Writer) -> Changes | None:
        kept = self._place / f"{KEPT}{writer.run}"
        try:
            return Changes.load(kept / CHANGES, kept / FILES)
        except OSError:
            return None

    def _build(
        self,
        target: Path,
        version: Version,
        unchanged: Mapping[str, SharedFile],
        changes: Changes,
        written: Mapping[str, SharedFile],
    ) -> None:
        files = target / FILES
        files.mkdir(parents=True)
        for name, file in unchanged.items():
            _parents(files / name)
            if file.link is None:
                link_or_copy(version.path(name), files / name)
            else:
                (files / name).symlink_to(file.link)
        for name, file in written.items():
            _parents(files / name)
            move(changes.directory / name, files / name)
            if file.link is None:
                sync(files / name)
        for place, _, _ in os.walk(files):
            sync(Path(place))


class SharedData:
    """All shared data of an installation.

    Parameters
    ----------
    root
        Directory of all shared data, among the outputs.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._directories: dict[str, SharedDirectory] = {}
        self.in_use: set[Path] = set()
        """Directories of runs in progress, which nobody else removes."""

    def directory(self, name: str) -> SharedDirectory:
        """Find the shared data of this name, the same object each time."""
        if name not in self._directories:
            self._directories[name] = SharedDirectory(self._root, name)
        return self._directories[name]

    def recover(self, succeeded: Callable[[str], bool]) -> None:
        """Put right what a crash left in each of them; see `SharedDirectory.recover`."""
        for entry in _listed(self._root / VERSIONS):
            self.directory(entry.name).recover(succeeded)


def _own(file: SharedFile, writer: Writer) -> bool:
    """Whether only this run has changed a file."""
    return file.created_by == file.written_by == writer.run


def _overruled(name: str, changes: Changes, version: Version) -> bool:
    """Whether a file was written meanwhile, by a run of a later reference date."""
    now = version.files.get(name)
    if now is None or now.written_by == changes.writer.run or now.sha256 == changes.base.get(name):
        return False
    return now.reference_date > changes.writer.reference_date


def _refuse_both(written: Iterable[str], unchanged: Iterable[str]) -> None:
    """Refuse names that would be files and directories at a time."""
    for ours, theirs in ((set(written), unchanged), (set(unchanged), written)):
        for name in theirs:
            if both := ours.intersection(map(str, PurePosixPath(name).parents)):
                raise SharedDataError(f"{both.pop()} in shared_dir is a file, and in another run a directory")


def _place_copy(source: Path, target: Path, file: SharedFile) -> None:
    _parents(target)
    if file.link is None:
        copy_file(source, target)
    else:
        target.symlink_to(file.link)


def _copied(source: str, target: str) -> str:
    copy_file(Path(source), Path(target))
    return target


def _parents(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)


def _listed(place: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place) as found:
            return list(found)
    except FileNotFoundError:
        return []


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
