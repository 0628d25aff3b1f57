# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""A job as it travels: its request, the files that it reads by their content, and the paths that differ there.

A worker puts the files below a directory of its own, each under the path that it has on the daemon's machine:
to take that directory's name out of a text is to translate it back.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from autoflow.files import file_hash
from autoflow.settings import Settings

LARGEST = 50_000_000
"""Bytes of a directory of inputs that travels; a larger one has to be where workers find it."""

PIECE = 1_000_000
"""Bytes of files that are sent at once, or one file: where a connection breaks, no more is sent again."""

MOST_KEPT = 4 * LARGEST
"""Bytes of files that a worker keeps for jobs to come."""

LEFT_OUT = ("__pycache__", "node_modules")
"""Directories of inputs that no notebook reads, beside those whose names begin with a dot."""


NOT_THERE = (FileNotFoundError, PermissionError)
"""What is raised for a file that a notebook could not read on the daemon's machine either."""


class ParcelError(ValueError):
    """A job that a worker cannot do, and why."""


@dataclass(frozen=True)
class Parcel:
    """A job, in JSON values."""

    request: Mapping[str, Any]
    files: Mapping[str, str]
    """Hashes of the files that travel, by their absolute paths on the daemon's machine."""
    inputs: str
    """The directory of inputs on the daemon's machine."""
    too_large: bool
    """Whether the inputs do not travel."""
    outputs: tuple[str, ...]
    """The directories of outputs there."""
    unsent: tuple[str, ...]
    """Paths below those directories that a notebook is given and that do not travel."""
    marker: str
    """A file in the outputs ..."""
    mark: str
    """... and what it holds: who reads it there shares the storage of the daemon."""

    def as_text(self) -> str:
        """Write it for `parcel_of`: in JSON, since names of files need not be text in any encoding."""
        return json.dumps(asdict(self))


def parcel_of(text: str) -> Parcel:
    """Read what `Parcel.as_text` has written."""
    return Parcel(**json.loads(text))


class Hashes:
    """Hashes of files, each of which is read again only after it has changed."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[int, ...], str]] = {}

    def of(self, path: str, status: os.stat_result) -> str:
        """Return the hash of a file.

        Raises
        ------
        OSError
        """
        seen = (status.st_size, status.st_mtime_ns, status.st_ino)
        known = self._known.get(path)
        if known is None or known[0] != seen:
            known = self._known[path] = seen, file_hash(Path(path))
        return known[1]

    def of_all(self, files: Iterable[tuple[str, os.stat_result]]) -> dict[str, str]:
        """Hash files, but for those that have just gone or may not be read.

        Raises
        ------
        OSError
        """
        found = {}
        for path, status in files:
            with suppress(*NOT_THERE):
                found[path] = self.of(path, status)
        return found


class Packer:
    """Packs requests."""

    def __init__(self, settings: Settings) -> None:
        self._inputs = settings.inputs_dir
        outputs = (settings.outputs_dir, settings.notebooks_dir, settings.reports_dir)
        self._outputs = tuple(dict.fromkeys(map(str, outputs)))
        self._hashes = Hashes()
        self._marker = settings.work_dir / f"{settings.instance}.shared"
        self._mark = secrets.token_hex(16)
        self._marker.write_text(self._mark)

    def pack(self, request: Mapping[str, Any]) -> Parcel:
        """Say what a worker needs for a request.

        Files of the inputs that have just gone, or that AutoFlow may not read, do not travel.

        Raises
        ------
        OSError
            When the notebook cannot be read.
        """
        inputs = _travelling(self._inputs)
        too_large = inputs is None
        files = self._hashes.of_all(inputs or ())
        notebook = request["notebook"]
        files[notebook] = self._hashes.of(notebook, Path(notebook).stat())
        unsent = []
        for path in _texts([request["parameters"], request["environment"]]):
            if not _is_below(path, self._outputs):
                continue
            try:
                # executed notebooks are ever others: their hashes are not worth keeping
                files[path] = file_hash(Path(path))
            except (*NOT_THERE, IsADirectoryError):
                unsent.append(path)
        return Parcel(
            request=request,
            files=files,
            inputs=str(self._inputs),
            too_large=too_large,
            outputs=self._outputs,
            unsent=tuple(unsent),
            marker=str(self._marker),
            mark=self._mark,
        )


def contents_of(parcel: Parcel, wanted: Collection[str], most: int = PIECE) -> tuple[dict[str, bytes], Parcel]:
    """Read what is to be sent.

    Files may have changed since they were hashed, or have gone.

    Parameters
    ----------
    wanted
        Hashes of files.
    most
        Bytes after which no other file is read.

    Returns
    -------
    contents : dict
        By their hashes.
    parcel : Parcel
        The parcel with the files as they were read.

    Raises
    ------
    OSError
        When the notebook cannot be read.
    """
    contents, files = dict[str, bytes](), dict(parcel.files)
    for path in [path for path, content in files.items() if content in wanted]:
        if sum(map(len, contents.values())) >= most:
            break
        try:
            content = Path(path).read_bytes()
        except NOT_THERE:
            if path == parcel.request["notebook"]:
                raise
            del files[path]
        else:
            files[path] = sha256(content).hexdigest()
            contents[files[path]] = content
    return contents, replace(parcel, files=files)


@dataclass(frozen=True)
class Unpacked:
    """A job as a worker does it."""

    request: Mapping[str, Any]
    root: str
    """What stands before the daemon's paths here; empty where storage is shared."""

    def translated(self, value: Any) -> Any:
        """Put the daemon's paths into JSON values."""
        return _changed(value, lambda text: text.replace(self.root, "")) if self.root else value


def missing(parcel: Parcel, store: Path) -> list[str]:
    """List the hashes of the files that have to be sent."""
    return sorted({each for each in parcel.files.values() if not _is_kept(store / each)})


def _is_kept(file: Path) -> bool:
    """Whether a file is kept, and note that it is in use."""
    try:
        os.utime(file)
    except FileNotFoundError:
        return False
    return True


def forget_unused(store: Path, in_use: Collection[str]) -> None:
    """Remove the files that were not in use for longest, until the others are few enough.

    Parameters
    ----------
    in_use
        Hashes of files that jobs are still to read.
    """
    files = sorted(((file.stat(), file) for file in store.iterdir()), key=lambda each: each[0].st_mtime_ns)
    size = sum(status.st_size for status, _ in files)
    for status, file in files:
        if size <= MOST_KEPT:
            return
        if file.name not in in_use:
            file.unlink()
            size -= status.st_size


def unpack(parcel: Parcel, root: Path, store: Path) -> Unpacked:
    """Lay out what a job reads, where not all of that is here anyway.

    Raises
    ------
    ParcelError
        When it needs storage that is shared with the daemon.
    OSError
    """
    shares_outputs = _shares_outputs(parcel)
    if parcel.too_large:
        raise ParcelError(_not_shared(parcel, shares_outputs=shares_outputs))
    if parcel.unsent and not shares_outputs:
        raise ParcelError(
            f"the notebook is given {parcel.unsent[0]}, which this worker does not have; `run_dir` and `shared_dir`"
            " need the outputs directory mounted on each worker under the same path"
        )
    ours = (parcel.inputs,) if shares_outputs else (parcel.inputs, *parcel.outputs)
    for path, content in parcel.files.items():
        if _is_below(path, ours):
            target = Path(f"{root}{path}")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(store / content, target)
    request = _changed(parcel.request, lambda text: f"{root}{text}" if _is_below(text, ours) else text)
    return Unpacked({**request, "final": parcel.request["final"]}, str(root))


def keep(store: Path, contents: Mapping[str, bytes]) -> None:
    """Keep files that were sent, under their hashes.

    Raises
    ------
    ParcelError, OSError
    """
    for name, content in contents.items():
        part = store / f"{name}.{secrets.token_hex(4)}"
        part.write_bytes(content)
        if file_hash(part) != name:
            part.unlink()
            raise ParcelError("a file was changed while it travelled")
        part.replace(store / name)


def _shares_outputs(parcel: Parcel) -> bool:
    try:
        return Path(parcel.marker).read_text() == parcel.mark
    except OSError:
        return False


def shares_all(parcel: Parcel, hashes: Hashes) -> bool:
    """Whether outputs, and inputs with the same content, are here under the same paths."""
    if not _shares_outputs(parcel):
        return False
    notebook = parcel.request["notebook"]
    try:
        if hashes.of(notebook, Path(notebook).stat()) != parcel.files[notebook]:
            return False
        # a copy that was made once has no more, and no less; of larger ones no more is known
        return parcel.too_large or hashes.of_all(_files_below(Path(parcel.inputs))) == _inputs_of(parcel)
    except OSError:
        return False


def _not_shared(parcel: Parcel, *, shares_outputs: bool) -> str:
    """Say what a worker lacks for inputs that do not travel."""
    inputs, outputs, notebook = parcel.inputs, parcel.outputs[0], parcel.request["notebook"]
    large = f"{inputs} holds more than {LARGEST // 1_000_000} MB, which does not travel; "
    if shares_outputs and Path(notebook).exists():
        return f"{large}{notebook} is another one on this worker: mount AutoFlow's own inputs there, and no copy"
    if shares_outputs:
        return f"{large}mount it on this worker too, under the same path, as {outputs} is"
    if Path(inputs).exists():
        needed = "which shows that both are AutoFlow's own"
        return f"{large}it is there on this worker, but not {outputs}, {needed}: mount that too, under the same path"
    return f"{large}mount it on this worker, and {outputs} too, both under the same paths"


def _inputs_of(parcel: Parcel) -> dict[str, str]:
    return {path: content for path, content in parcel.files.items() if _is_below(path, (parcel.inputs,))}


def _travelling(directory: Path) -> list[tuple[str, os.stat_result]] | None:
    """List the files of a directory of inputs; None where they are too large, without a look at what is left then."""
    files, size = [], 0
    for path, status in _files_below(directory):
        files.append((path, status))
        size += status.st_size
        if size > LARGEST:
            return None
    return files


def _files_below(directory: Path) -> Iterator[tuple[str, os.stat_result]]:
    """List the regular files of a tree of inputs; what links lead to counts as if it lay there."""
    for place, directories, names in os.walk(directory, followlinks=True):
        directories[:] = sorted(
            name
            for name in directories
            if not name.startswith(".") and name not in LEFT_OUT and not _leads_back(place, name, directory)
        )
        for name in sorted(names):
            path = Path(place, name)
            if not name.startswith("."):
                with suppress(OSError):
                    status = path.stat()
                    if stat.S_ISREG(status.st_mode):
                        yield str(path), status


def _leads_back(place: str, name: str, top: Path) -> bool:
    """Whether a directory is a link to one that it lies in, as the tree is walked: there is no end to such a way."""
    if not (link := Path(place, name)).is_symlink():
        return False
    target = os.path.realpath(link)
    return any(os.path.realpath(each) == target for each in link.parents if each == top or top in each.parents)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts(list(value.values()))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {name: _changed(each, change) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_changed(each, change) for each in value]
    return value


def _is_below(path: str, directories: Iterable[str]) -> bool:
    return any(path == each or path.startswith(f"{each}/") for each in directories)
