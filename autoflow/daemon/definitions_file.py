# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""workflows.yml as it is now, parsed again only where it or a file that it names has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from autoflow.bounded_file import LARGEST_NOTEBOOK, read_bounded
from autoflow.definitions import Definitions
from autoflow.parser import check_tools, load_definitions
from autoflow.threads import to_end

MOST_ROUNDS = 3
"""How often a file that changes while it is read is read at most."""


class DefinitionsFile:
    """Reads workflows.yml in a thread: a large one takes seconds to parse."""

    def __init__(self) -> None:
        self._reading = asyncio.Lock()
        self._definitions = Definitions({}, (), schedule=None)
        self._seen: str | None = None

    async def read(self, file: Path) -> Definitions:
        """Return the definitions; the same object as long as nothing has changed.

        Raises
        ------
        DefinitionError, SettingsError
        """
        async with self._reading:
            return await to_end(self._read, file)

    def _read(self, file: Path) -> Definitions:
        for _ in range(MOST_ROUNDS):
            seen = _fingerprint(file, self._definitions)
            if seen == self._seen:
                break
            self._seen = None
            # other notebooks may be named now: what these are like is seen in the next round
            self._definitions, _ = load_definitions(file)
            self._seen = seen
        check_tools(self._definitions)
        return self._definitions


def _fingerprint(file: Path, definitions: Definitions) -> str:
    """Write what the bytes are of a workflows.yml and of all files that it names."""
    found = sha256()
    for path in (file, *sorted({file.parent / name for name in _named(definitions)})):
        try:
            content = sha256(read_bounded(path, LARGEST_NOTEBOOK)).hexdigest()
        except OSError as error:
            content = str(error)
        found.update(f"{path}\0{content}\0".encode(errors="surrogateescape"))
    return found.hexdigest()


def _named(definitions: Definitions) -> Iterator[str]:
    for workflow in definitions.workflows.values():
        for notebook in workflow.notebooks:
            names = [notebook.filename, notebook.sheet.logo]
            names += [name for output in notebook.outputs for name in (output.template, output.theme)]
            yield from (name for name in names if name)
