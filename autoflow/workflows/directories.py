# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The directories that the notebooks of one attempt read data from and write data to."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from autoflow.context import Context
from autoflow.definitions import Notebook
from autoflow.files import file_hash
from autoflow.naming import run_place, shared_name
from autoflow.notebooks import TokenScan
from autoflow.runs import Run
from autoflow.shared_data import (
    Changes,
    SharedDataError,
    SharedDirectory,
    Staged,
    View,
    Writer,
    file_hashes,
    file_names,
)
from autoflow.sources import modules_of
from autoflow.threads import to_end
from autoflow.wording import counted

logger = logging.getLogger(__name__)


Scans = Mapping[str, TokenScan]
"""What is looked for in files, by what people call it."""


class LeakError(SharedDataError):
    """A file that a notebook wrote holds FlowAPI's token or a secret."""


@dataclass
class Directories:
    """What an attempt's notebooks are given as ``run_dir``, ``shared_dir`` and ``inputs_dir``, and what becomes of it.

    `open` prepares those that the workflow's notebooks ask for. An attempt that succeeds calls `stage`, and after its
    end has been recorded every attempt calls `settle`.
    """

    context: Context
    run: Run
    attempt: int
    """Its id in the record."""
    workspace: Path
    """A directory of the attempt alone, on the file system of the outputs."""
    values: dict[str, str] = field(default_factory=dict)
    """Paths, by the names that notebooks' parameters are given."""
    _places: dict[str, Path] = field(default_factory=dict)
    _view: View | None = None
    _staged: Staged | None = None
    _holds: bool = False

    async def open(self, *, repair: bool) -> None:
        """Make the directories.

        Parameters
        ----------
        repair
            Whether to go on with what the attempt before has written, which is removed else.
        """
        wanted = self.run.workflow.directories(self.run.parameters)
        paths = self._places
        paths |= {"inputs_dir": self.context.settings.inputs_dir, "run_dir": self._run_directory}
        if "run_dir" in wanted.values():
            self.context.shared.in_use.add(self._run_directory)
            await to_end(self._open_run_directory, repair=repair)
        if "shared_dir" in wanted.values():
            if not repair:
                await to_end(self._shared.discard, self._writer)
            self._view = await to_end(self._shared.open_view, self.workspace / "shared", self._writer, repair=repair)
            paths["shared_dir"] = self._view.directory
        self.values = {name: str(paths[directory]) for name, directory in wanted.items()}

    async def written(self) -> Mapping[str, Mapping[str, str]]:
        """Hash what the attempt has written so far, by directory and path relative to it.

        Raises
        ------
        SharedDataError, OSError
            When there is something that cannot be kept.
        """
        found: dict[str, Mapping[str, str]] = {}
        if self._has_run_directory:
            found["run_dir"] = await to_end(file_hashes, self._run_directory)
        if self._view:
            changes = await to_end(self._view.changes)
            found["shared_dir"] = {name: file.sha256 for name, file in sorted(changes.written.items())}
        return found

    def read(self, notebook: Notebook) -> dict[str, str]:
        """Hash the files that a notebook says it reads, by directory and path relative to it, and modules beside it."""
        inputs = self.context.settings.inputs_dir
        modules = sorted(modules_of(inputs / notebook.filename))
        found = {
            path.relative_to(inputs).as_posix(): file_hash(path) for path in modules if path.is_relative_to(inputs)
        }
        for pattern in notebook.reads:
            name, _, below = pattern.partition("/")
            directory = self._places.get(name)
            if directory is None or not below:
                name, directory, below = "", inputs, pattern
            for path in sorted(directory.glob(below)):
                if path.is_file():
                    found[str(PurePath(name, path.relative_to(directory)))] = file_hash(path)
        return found

    async def stage(self, scans: Scans) -> None:
        """Make what was written into ``shared_dir`` ready for others, once nothing else can fail.

        Raises
        ------
        SharedDataError, OSError
            When it cannot be kept, or a file holds the token or a secret.
        """
        changes = await to_end(self._changes, scans)
        if changes is None:
            return
        self.context.outputs.check()
        await self._shared.committing.acquire()
        self._holds = True
        self._staged = await to_end(self._shared.stage, changes, str(self.attempt))

    async def settle(self, scans: Scans, *, succeeded: bool) -> None:
        """Show what is staged to others, or keep what a failed attempt wrote for its repair."""
        try:
            if succeeded:
                await self._commit()
            elif self._staged:
                await to_end(self._shared.drop, self._staged)
            elif changes := await to_end(self._changes, scans):
                await to_end(self._shared.keep, changes)
        except (OSError, SharedDataError) as error:
            logger.error("%s: what it wrote is not kept: %s", self.run, error)
        finally:
            self.release()

    def release(self) -> None:
        """Let others stage what they wrote; what is staged and not committed goes at the next start."""
        self.context.shared.in_use.discard(self._run_directory)
        if self._holds:
            self._holds = False
            self._shared.committing.release()

    async def _commit(self) -> None:
        if not self._view:
            return
        await to_end(self._shared.discard, self._writer)
        if not self._staged:
            return
        await to_end(self._shared.commit, self._staged)
        logger.info(
            "%s: %s in shared_dir: %s", self.run, counted(len(self._staged.written), "new file"), self._shared.visible
        )
        for name, date in self._staged.overruled.items():
            logger.warning(
                "%s: %s in shared_dir stays as the run of %s wrote it meanwhile: the later date wins",
                self.run,
                name,
                date,
            )

    @property
    def _has_run_directory(self) -> bool:
        return str(self._run_directory) in self.values.values()

    @property
    def _shared(self) -> SharedDirectory:
        return self.context.shared.directory(shared_name(self.run))

    @property
    def _run_directory(self) -> Path:
        return self.context.settings.outputs_dir / run_place(self.run)

    @property
    def _writer(self) -> Writer:
        time = self.context.now().isoformat(timespec="seconds")
        return Writer(self.run.parameters_hash, self.run.reference_date.isoformat(), time)

    def _changes(self, scans: Scans) -> Changes | None:
        """Find what was written into ``shared_dir``, and see that it holds no secret, nor what is in ``run_dir``."""
        if self._has_run_directory:
            _refuse_leaks("run_dir", self._run_directory, file_names(self._run_directory), scans)
        if not self._view:
            return None
        changes = self._view.changes()
        _refuse_leaks("shared_dir", changes.directory, changes.written, scans)
        return changes

    def _open_run_directory(self, *, repair: bool) -> None:
        if not repair:
            with suppress(FileNotFoundError):
                shutil.rmtree(self._run_directory)
        self._run_directory.mkdir(parents=True, exist_ok=repair)


def _refuse_leaks(name: str, directory: Path, files: Iterable[str], scans: Scans) -> None:
    """Remove files that hold the token or a secret.

    Raises
    ------
    LeakError
        When there are any.
    """
    files = list(files)
    _refuse_names(name, directory, files, scans)
    leaking: dict[str, str] = {}
    for file in files:
        path = directory / file
        if not path.is_symlink() and (found := next((what for what in scans if scans[what].is_in_file(path)), None)):
            leaking[file] = found
            path.unlink()
    if leaking:
        removed = "the file has been" if len(leaking) == 1 else "the files have been"
        raise LeakError(
            f"{' and '.join(dict.fromkeys(leaking.values()))} is in {', '.join(leaking)} in {name}; {removed} removed:"
            f" change the notebook that wrote {'it' if len(leaking) == 1 else 'them'}"
        )


def _refuse_names(name: str, directory: Path, files: Sequence[str], scans: Scans) -> None:
    """Remove files whose names, or links whose targets, hold the token or a secret.

    Raises
    ------
    LeakError
        When there are any.
    """
    said = [f"{file}\n{(directory / file).readlink() if (directory / file).is_symlink() else ''}" for file in files]
    for what, scan in scans.items():
        # one look at all of them: hardly ever is there a second one
        if not scan.is_in("\n".join(said)):
            continue
        for file, text in zip(files, said, strict=True):
            if scan.is_in(text):
                (directory / file).unlink()
        raise LeakError(f"{what} is in the name or the target of a file in {name}; change the notebook that wrote it")
