# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a run has changed in its copy of the shared data."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from autoflow.errors import AutoflowError
from autoflow.files import file_hash

KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class SharedDataError(AutoflowError):
    """What a notebook left in the shared directory cannot be kept."""


@dataclass(frozen=True)
class Writer:
    """The run that writes."""

    run: str
    """The same for all attempts at a run, and for no other run."""
    reference_date: str
    """ISO date; of two runs that write the same file at a time, the later one wins."""
    time: str = ""
    """ISO time of the attempt."""


@dataclass(frozen=True)
class SharedFile:
    """A file, or a symbolic link, of the shared data."""

    sha256: str
    size: int
    mode: int
    created_by: str
    """The run that this file did not exist before."""
    written_by: str
    """The run that its content is of."""
    reference_date: str
    """That of the run that its content is of."""
    time: str = ""
    """ISO time of the attempt that its content is of."""
    link: str | None = None
    """Where a symbolic link points to; None for a file."""


@dataclass(frozen=True)
class Changes:
    """What a run wrote and removed, by paths relative to the shared directory, with the previous content."""

    writer: Writer
    written: Mapping[str, SharedFile]
    removed: frozenset[str]
    base: Mapping[str, str]
    """Hashes of the files of the version that the run's copy was made of."""
    directory: Path
    """Where the written files are."""

    def save(self, path: Path) -> None:
        """Write all but the files, as JSON."""
        content = {
            "writer": asdict(self.writer),
            "written": {name: asdict(file) for name, file in self.written.items()},
            "removed": sorted(self.removed),
            "base": dict(self.base),
        }
        path.write_text(json.dumps(content))

    @classmethod
    def load(cls, path: Path, directory: Path) -> Changes:
        """Read what `save` wrote."""
        content: dict[str, Any] = json.loads(path.read_text())
        written = {name: SharedFile(**file) for name, file in content["written"].items()}
        return cls(Writer(**content["writer"]), written, frozenset(content["removed"]), content["base"], directory)


@dataclass(frozen=True)
class View:
    """A run's own copy of the shared data.

    ``stamps`` tell, without reading it, that a file has not been written to since the copy was made; they are
    missing for files that an earlier attempt at the same run wrote. ``base`` has the hashes of the files that the
    copy was made of.
    """

    directory: Path
    writer: Writer
    files: Mapping[str, SharedFile]
    stamps: Mapping[str, tuple[int, ...]]
    base: Mapping[str, str]

    def changes(self) -> Changes:
        """Find what has been written and removed.

        Raises
        ------
        SharedDataError
            When there is something that cannot be kept: a pipe, a socket, a device, a link that leads out.
        OSError
            When a file cannot be read.
        """
        found = dict(entries(self.directory))
        written = {}
        for name, status in found.items():
            before = self.files.get(name)
            if before and stamp(status) == self.stamps.get(name):
                continue
            now = self._described(name, status, before)
            if before is None or name not in self.stamps or (now.sha256, now.mode) != (before.sha256, before.mode):
                written[name] = now
        return Changes(self.writer, written, frozenset(self.base.keys() - found.keys()), self.base, self.directory)

    def _described(self, name: str, status: os.stat_result, before: SharedFile | None) -> SharedFile:
        path = self.directory / name
        link = _inner_link(self.directory, name) if stat.S_ISLNK(status.st_mode) else None
        return SharedFile(
            sha256=_content_hash(path, status),
            size=status.st_size,
            mode=stat.S_IMODE(status.st_mode),
            created_by=before.created_by if before else self.writer.run,
            written_by=self.writer.run,
            reference_date=self.writer.reference_date,
            time=self.writer.time,
            link=link,
        )


def entries(directory: Path, *, strict: bool = True) -> Iterator[tuple[str, os.stat_result]]:
    """List the files and symbolic links below a directory, by relative paths; empty directories do not count.

    Raises
    ------
    SharedDataError
        When there is something else, as a pipe, unless not ``strict``.
    """
    # a directory that cannot be read must not pass for an empty one
    for place, directories, files in os.walk(directory, onerror=_raise):
        links = [name for name in directories if os.path.islink(os.path.join(place, name))]  # noqa: PTH114, PTH118
        for name in (*files, *links):
            path = Path(place, name)
            status = path.lstat()
            if kind := KINDS.get(stat.S_IFMT(status.st_mode)):
                if not strict:
                    continue
                raise SharedDataError(f"{path.relative_to(directory)} in shared_dir is {kind}; only files can be kept")
            yield path.relative_to(directory).as_posix(), status


def file_names(directory: Path) -> list[str]:
    """List all files and links below a directory, by relative paths, in order."""
    return sorted(name for name, _ in entries(directory, strict=False))


def file_hashes(directory: Path) -> dict[str, str]:
    """Hash all files below a directory, by relative paths; links by where they point to."""
    return {name: _content_hash(directory / name, status) for name, status in sorted(entries(directory, strict=False))}


def _content_hash(path: Path, status: os.stat_result) -> str:
    if stat.S_ISLNK(status.st_mode):
        return sha256(os.fsencode(path.readlink())).hexdigest()
    return file_hash(path)


def stamp(status: os.stat_result) -> tuple[int, ...]:
    """Return numbers of which at least one changes when a file is written to, whatever it sets its times to."""
    return status.st_ino, status.st_size, status.st_mode, status.st_mtime_ns, status.st_ctime_ns


def _inner_link(directory: Path, name: str) -> str:
    target = str((directory / name).readlink())
    landing = os.path.normpath(PurePosixPath(name).parent / target)
    if os.path.isabs(target) or landing.split("/")[0] == "..":  # noqa: PTH117
        raise SharedDataError(
            f"{name} in shared_dir is a link to {target}, which is outside of it; copy what it points to instead"
        )
    return target


def _raise(error: OSError) -> None:
    raise error
