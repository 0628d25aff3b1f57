# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""How messages speak of what people wrote."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

LONGEST = 80
"""Characters of a value that a message shows."""

KEPT_OUT = "its reports are kept out of latest"
"""What is said of a run whose results are doubted."""


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


CACHE_DOUBT = (
    "FlowMachine may have answered from its cache, which its administrator can reset (`reset_cache`), or the changed"
    " data make no difference to these results"
)
"""What it means that results are the same, although they were made of other data."""


def same_results_text(attempt: int, although: str = "", *, doubted: bool = True) -> str:
    """Say of an attempt that it shows what an earlier one showed, whose number is given, and what that means.

    Parameters
    ----------
    although
        In what its data are others, where that is not said beside it.
    doubted
        Whether nobody has said that they are right.
    """
    other = f", although {although}" if although else ""
    return f"its results are the same as those of attempt {attempt}{other}{f': {CACHE_DOUBT}' if doubted else ''}"


def other_data_text(*, restated: bool, came: Sequence[dt.date], left: Sequence[dt.date]) -> str:
    """Say in what the data of an attempt are others than those of an earlier one.

    Parameters
    ----------
    restated
        Whether data that that one used were ingested anew since.
    came, left
        Dates that only that one was made without, and those that only this one was.
    """
    parts = [
        "data were ingested anew since" if restated else "",
        f"that attempt was made without {spans(came)}" if came else "",
        f"this one was made without {spans(left)}" if left else "",
    ]
    return ", and ".join(part for part in parts if part)


def printable(text: str, keep: str = "", *, spaces: bool = True) -> str:
    """Write out what moves a cursor, turns text around, or cannot be encoded.

    Parameters
    ----------
    keep
        Characters that stay as they are.
    spaces
        Whether other white space becomes spaces, instead of its escape.
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character in keep
        else " "
        if spaces and character.isspace()
        else character.encode("unicode_escape").decode()
        for character in text
    )


def width(text: str) -> int:
    """Count the columns that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(each) else 2 if east_asian_width(each) in "WF" else 1 for each in text)


def cut(text: str, columns: int, *, middle: bool = False) -> str:
    """Leave out the end, or the middle, of what takes more columns than there are."""
    if width(text) <= columns:
        return text
    if columns < 1:
        return ""
    kept, end = text, text[-(columns // 2) :] if middle and columns > 4 else ""
    while width(end) > columns // 2:
        end = end[1:]
    while width(kept) + 1 + width(end) > columns:
        kept = kept[:-1]
    return f"{kept}…{end}"


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
        return f"did you mean {shown(meant)}?"
    if len(names) == 1:
        return f"expected {shown(names[0])}"
    return f"expected one of {shortened(', '.join(names))}" if names else "none is expected here"


def size_text(megabytes: float) -> str:
    """Write an amount of memory."""
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{megabytes:.0f} MB"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Write a number with its noun in agreement: 1 run, 2 runs."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def first_few(things: Sequence[object], most: int = 3, between: str = ", ") -> str:
    """Write the first few of some things, and how many more there are."""
    more = f" and {len(things) - most} more" if len(things) > most else ""
    return between.join(map(str, things[:most])) + more


def resources_text(resources: Mapping[str, int]) -> str:
    """Write what a notebook asks for."""
    return ", ".join(f"{name}: {amount}" for name, amount in resources.items())


def outcomes(**counts: int) -> str:
    """Write counts of runs by what became of them, without those that are 0: 3 runs succeeded, 1 failed."""
    present = [(number, what.replace("_", " ")) for what, number in counts.items() if number]
    first, *others = present
    return ", ".join([f"{counted(first[0], 'run')} {first[1]}", *(f"{number} {what}" for number, what in others)])


def own_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a run that tell one trigger of a workflow from another, without the dates."""
    return {name: value for name, value in parameters.items() if name not in ("reference_date", "date_ranges")}


def parameters_text(parameters: Mapping[str, Any] | None) -> str:
    """Write the parameters that tell one trigger of a workflow from another."""
    own = own_parameters(parameters or {})
    return ", ".join(f"{shortened(name)}={_plain(value)}" for name, value in own.items())


def seconds_text(seconds: float | None) -> str:
    """Write a length of time as people read it."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s" if minutes < 10 else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min"


def length_text(seconds: float, *, whole: bool = False) -> str:
    """Write a length of time in its largest unit: 3 days, 1.5 hours, or without what exceeds ``whole`` ones."""
    unit, name = next(
        ((unit, name) for unit, name in ((86400, "day"), (3600, "hour"), (60, "minute")) if seconds >= unit),
        (1, "second"),
    )
    number = f"{seconds // unit:.0f}" if whole else f"{seconds / unit:.3g}"
    return f"{number} {name}{'' if number == '1' else 's'}"


def _plain(value: Any) -> str:
    return shortened(value) if isinstance(value, str) else shown(value)


def spans(dates: Iterable[dt.date]) -> str:
    """Write dates as people do, those that follow each other as from and to."""
    parts: list[tuple[dt.date, dt.date]] = []
    for date in dates:
        if parts and date == parts[-1][1] + dt.timedelta(days=1):
            parts[-1] = parts[-1][0], date
        else:
            parts.append((date, date))
    return ", ".join(span_text(first, last) for first, last in parts)


def span_text(first: dt.date, last: dt.date) -> str:
    """Write a span of dates, both ends in it."""
    return str(first) if first == last else f"{first} to {last}"


def moment(time: dt.datetime) -> str:
    """Write a time to the minute, in UTC."""
    return f"{time.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
