# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""How messages speak of what people wrote."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

LONGEST = 80
"""Characters of a value that a message shows."""


def shown(value: Any) -> str:
    """Show a value much as it stands in the file, and never at length."""
    if value is None:
        return "nothing"
    if isinstance(value, (dict, list)):
        kind = "mapping" if isinstance(value, dict) else "list"
        return f"a {kind}" if value else f"an empty {kind}"
    if isinstance(value, bool):
        return str(value).lower()
    return shortened(str(value) if isinstance(value, (int, float, dt.date)) else repr(value))


def shortened(text: str) -> str:
    """Cut what is too long for a message, and keep it on one line."""
    text = text if text.isprintable() else repr(text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def closest(word: str, known: Iterable[str]) -> str | None:
    """Find the known word that was probably meant, whatever its case."""
    # only who mistyped something pays for this import
    from difflib import get_close_matches

    by_folded = {name.casefold(): name for name in sorted(known, reverse=True)}
    close = get_close_matches(word.casefold(), by_folded, n=1)
    return by_folded[close[0]] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggest what may be meant, or name all that can be."""
    names = sorted(known)
    if meant := closest(word, names):
        return f"did you mean {meant!r}?"
    if len(names) == 1:
        return f"expected {names[0]!r}"
    return f"expected one of {shortened(', '.join(names))}" if names else "none is expected here"
