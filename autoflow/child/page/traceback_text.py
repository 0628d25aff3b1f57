# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""A traceback for readers: the user's own line first, and what libraries did folded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

FRAME = re.compile(r"^(?:Cell In\[|Input In |File )")
LIBRARY = re.compile(r"[/\\](?:site-packages|dist-packages|python3[.\d]*)[/\\]|<frozen |^File <(?!ipython|timed)")
ARROW = re.compile(r"^-+> *\d+ (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Frames:
    """Some frames of a traceback that follow each other, all of the user's own code or all of libraries."""

    own: bool
    text: str
    number: int


@dataclass(frozen=True)
class OwnLine:
    """The line of the user's own code that was being executed."""

    where: str
    code: str


def frames_of(traceback: str) -> list[Frames]:
    """Split a traceback as IPython writes it; one that is written otherwise stays whole."""
    found = [
        Frames(own, "\n".join(texts).strip("\n"), len(texts))
        for own, group in groupby(_split(traceback.splitlines()), key=_is_own)
        if (texts := list(group))
    ]
    return [each for each in found if each.text.strip()]


def own_line(traceback: str) -> OwnLine | None:
    """Find the innermost line of the user's own code; None where none can be told."""
    for text in reversed(_split(traceback.splitlines())):
        arrow = ARROW.search(text)
        if FRAME.match(text) and _is_own(text) and arrow:
            return OwnLine(text.splitlines()[0].strip().rstrip(":"), arrow[1].strip())
    return None


def _split(lines: Sequence[str]) -> list[str]:
    """Cut where a frame begins; what stands before the first, and the last line, are texts of their own."""
    parts: list[list[str]] = [[]]
    for line in lines:
        if FRAME.match(line):
            parts.append([])
        elif parts[-1] and not parts[-1][-1].strip() and line and not line[0].isspace() and not ARROW.match(line):
            # after a frame and an empty line, the exception itself
            parts.append([])
        parts[-1].append(line)
    return ["\n".join(part) for part in parts if any(line.strip() for line in part)]


def _is_own(text: str) -> bool:
    first = text.partition("\n")[0]
    return not (FRAME.match(first) and LIBRARY.search(first))
