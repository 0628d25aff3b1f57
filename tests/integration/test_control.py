# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The control socket, as it comes and goes."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from autoflow.control import Control


def test_the_socket_goes_without_a_word_whatever_was_opened_since(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its address names a descriptor, which other files take one after the other."""
    path = tmp_path / "control.sock"

    async def come_and_go() -> None:
        async with Control(path, lambda _: {}):
            assert path.is_socket()
            others = [os.open(os.devnull, os.O_RDONLY) for _ in range(10)]
        for other in others:
            os.close(other)

    asyncio.run(come_and_go())
    assert not path.exists()
    assert caplog.messages == []
