# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What is left of printed text that writes over itself, as progress bars do."""

from __future__ import annotations


def last_state(text: str) -> str:
    """Return what a terminal, and Jupyter, show of printed text in the end.

    Carriage returns and backspaces go back, and what follows is written over what was there.
    """
    plain = text.replace("\r\n", "\n")
    if "\b" in plain:
        plain = _without_backspaces(plain)
    return "\n".join(map(_overwritten, plain.split("\n"))) if "\r" in plain else plain


def settled(text: str) -> str:
    """Leave out what is written over as a whole; what is left may have colours, and go on to write over itself."""
    return "\n".join(map(_settled, text.split("\n")))


def _without_backspaces(text: str) -> str:
    kept: list[str] = []
    for character in text:
        if character != "\b":
            kept.append(character)
        elif kept and kept[-1] != "\n":
            kept.pop()
    return "".join(kept)


def _overwritten(line: str) -> str:
    shown = ""
    for piece in line.split("\r"):
        shown = piece + shown[len(piece) :]
    return shown


def _settled(line: str) -> str:
    first, *others = line.split("\r")
    kept = [first]
    for piece in others:
        while piece and kept and len(kept[-1]) <= len(piece):
            kept.pop()
        kept.append(piece)
    # what was left out began at the same place
    return "\r".join(kept)
