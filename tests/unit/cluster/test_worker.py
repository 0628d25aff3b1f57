# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a worker says while no scheduler answers it."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest

pytest.importorskip("distributed")

from autoflow.cluster import worker


def test_what_keeps_a_scheduler_from_answering_is_said_once_until_it_is_something_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # dask takes the first bytes of a web server's answer for a length, and asks for as much memory
    answers = [MemoryError(), MemoryError(), OSError("no route\nto it"), OSError("in <TLS>: closed"), None]

    async def versions() -> dict[str, Any]:
        if error := answers.pop(0):
            raise error
        return {"packages": {"distributed": "1"}}

    monkeypatch.setattr(worker, "FIRST_PAUSE", 0.0)
    asking = cast("Any", SimpleNamespace(scheduler=SimpleNamespace(versions=versions)))
    with caplog.at_level(logging.WARNING):
        assert asyncio.run(worker._versions_there(asking)) == {"distributed": "1"}
    first, second, third = caplog.messages
    wrong = "(what answers there is no scheduler: MemoryError); see that its address and port are right; it is tried"
    assert wrong in first
    assert "(no route); it is tried again" in second
    assert "(it ended the connection, as it does with a certificate that it does not trust); its log says" in third
