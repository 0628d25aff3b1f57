# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""workflows.yml, read by the daemon again and again, and parsed when there is something new in it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from autoflow.daemon import definitions_file
from autoflow.daemon.definitions_file import DefinitionsFile
from autoflow.errors import DefinitionError
from tests.conftest import NOTEBOOKS, Deployment


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """List the times at which a file was parsed."""
    found, load = list[Path](), definitions_file.load_definitions
    monkeypatch.setattr(definitions_file, "load_definitions", lambda path: found.append(path) or load(path))
    return found


@pytest.mark.parametrize(
    "change",
    [
        lambda inputs: (inputs / "workflows.yml").write_text((inputs / "workflows.yml").read_text() + "# more\n"),
        lambda inputs: shutil.copy(NOTEBOOKS / "computes.ipynb", inputs / "glues.ipynb"),
    ],
    ids=["workflows.yml", "a notebook"],
)
def test_it_is_parsed_again_when_it_or_a_notebook_has_changed_and_only_then(
    deployment: Deployment, parsed: list[Path], change: Callable[[Path], object]
) -> None:
    deployment.write_simple("glues")
    path = deployment.inputs / "workflows.yml"

    async def reading() -> None:
        file = DefinitionsFile()
        first = await file.read(path)
        times = len(parsed)
        assert await file.read(path) is first
        assert len(parsed) == times
        change(deployment.inputs)
        assert await file.read(path) == first
        assert len(parsed) == times + 1

    asyncio.run(reading())


def test_what_is_wrong_is_said_each_time_until_it_is_mended(deployment: Deployment, parsed: list[Path]) -> None:
    deployment.write_simple("glues")
    path = deployment.inputs / "workflows.yml"
    text = path.read_text()

    async def reading() -> None:
        file = DefinitionsFile()
        first = await file.read(path)
        path.write_text("workflows: 3\n")
        for _ in range(2):
            with pytest.raises(DefinitionError):
                await file.read(path)
        path.write_text(text)
        assert await file.read(path) == first
        (deployment.inputs / "glues.ipynb").unlink()
        with pytest.raises(DefinitionError, match=r"glues\.ipynb"):
            await file.read(path)

    asyncio.run(reading())
    assert parsed
