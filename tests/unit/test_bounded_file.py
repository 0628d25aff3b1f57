# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What is read from files is bounded, and nothing is waited for; each kind of file that a person names is tried."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from autoflow.bounded_file import read_bounded
from autoflow.dates.listed_dates import CDR_TYPES, listed_at, read_dates_file
from autoflow.errors import AutoflowError
from autoflow.notebooks.notebook_file import read_notebook
from autoflow.parser.yaml_reader import read_yaml
from autoflow.settings.settings import load_settings
from tests.unit.settings.test_settings import NOW


def as_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


def as_large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(200_000_000)


UNFIT = {
    "a pipe": os.mkfifo,
    "a directory": Path.mkdir,
    "an endless device": lambda path: path.symlink_to("/dev/zero"),
    "a socket": as_socket,
    "a huge file": as_large,
    "a circle": lambda path: path.symlink_to(path),
}
READERS: dict[str, Callable[[Path], object]] = {
    "workflows.yml": read_yaml,
    "notebook": read_notebook,
    "dates": lambda path: read_dates_file(path, NOW),
    "config": lambda path: load_settings({"AUTOFLOW_CONFIG": str(path)}),
    "secret": lambda path: load_settings(
        {
            "AUTOFLOW_INPUTS_DIR": "/",
            "AUTOFLOW_OUTPUTS_DIR": "/",
            "FLOWAPI_URL": "http://x",
            "CREDENTIALS_DIRECTORY": str(path.parent),
        }
    ),
}


@pytest.mark.parametrize("kind", UNFIT)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_ordinary_file_is_told_at_once(tmp_path: Path, kind: str, reader: str) -> None:
    path = tmp_path / "AUTOFLOW_WEBHOOK_URL"
    UNFIT[kind](path)
    with pytest.raises((AutoflowError, OSError)) as raised:
        READERS[reader](path)
    assert str(path) in str(raised.value)


def test_a_file_of_the_system_that_has_no_size_is_read() -> None:
    assert read_bounded(Path("/proc/self/comm"), 100)


def test_the_ends_of_the_calendar_are_dates_as_others(tmp_path: Path) -> None:
    path = tmp_path / "dates"
    path.write_text("0001-01-01\r\n9999-12-31\n")
    ends = ["0001-01-01", "9999-12-31"]
    assert read_dates_file(path, NOW) == listed_at(dict.fromkeys(CDR_TYPES, ends), NOW)
