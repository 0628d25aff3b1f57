# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Directories that say that they can be written to, and cannot."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from autoflow.context import write_probe
from autoflow.context.write_probe import WriteProbe, unwritable
from tests.system.test_start import mounted


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / "place"
    path.mkdir()
    return path


def complaints(*directories: Path) -> list[str]:
    return asyncio.run(WriteProbe(*directories).complaints())


def test_what_can_be_written_to_is_no_complaint_and_nothing_is_left_there(place: Path) -> None:
    assert complaints(place, place) == []
    assert list(place.iterdir()) == []


def test_space_without_room_for_a_file_is_none(place: Path) -> None:
    with mounted(place, "size=1m,nr_inodes=5"):
        for number in range(4):
            (place / str(number)).touch()
        assert os.statvfs(place).f_bavail > 0
        assert complaints(place) == [f"{place} has no space left (No space left on device)"]


def test_a_file_system_that_has_stopped_writing_and_does_not_say_so_is_found(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mounted(place, "size=1m"):
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        assert complaints(place) == [f"{place} cannot be written"]
        # as ext4 does that an error has stopped: its flags are those of before
        monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=0, f_bavail=100))
        monkeypatch.setattr(os, "access", lambda *_: True)
        assert complaints(place) == [f"{place} cannot be written (Read-only file system)"]


def test_where_there_are_no_files_without_a_name_one_is_made_and_removed(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really, named = os.open, list[str]()

    def without(path: Any, flags: int, *more: Any, **named_more: Any) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        named.append(str(path))
        return really(path, flags, *more, **named_more)

    monkeypatch.setattr(os, "open", without)
    assert unwritable(place) == []
    assert [Path(name).parent for name in named] == [place]
    assert list(place.iterdir()) == []


def test_a_directory_that_hangs_is_told_and_takes_one_thread(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers, begun = threading.Event(), list[int]()

    def hanging(*_: Path) -> list[str]:
        begun.append(1)
        answers.wait(60)
        return []

    monkeypatch.setattr(write_probe, "unwritable", hanging)
    monkeypatch.setattr(write_probe, "PATIENCE", 0.1)
    monkeypatch.setattr(write_probe, "FRESH", 0.0)

    async def asking() -> None:
        probe = WriteProbe(place)
        for _ in range(3):
            (told,) = await probe.complaints()
            assert told.startswith(f"{place} does not answer")
        assert begun == [1]
        answers.set()
        monkeypatch.setattr(write_probe, "PATIENCE", 30.0)
        assert await probe.complaints() == []

    asyncio.run(asking())
