# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Durations as people write them: ``90s``, ``30m``, ``2h``, ``1d``, ``1h30m``."""

from __future__ import annotations

import re

from autoflow.wording import shown

LONGEST_DAYS = 3650
"""Nothing needs more, and no moment so far from now is beyond the calendar."""

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(text: str) -> float:
    """Read a duration.

    Parameters
    ----------
    text
        Whole or decimal numbers, each with a unit (s, m, h, d).

    Returns
    -------
    float
        Seconds; more than 0, and no more than 3650 days.

    Raises
    ------
    ValueError
        Saying what was found and what was expected.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([smhd])", text, re.ASCII)
    found = f"found {shown(text)}, expected a duration"
    if not parts or re.sub(r"\d+(?:\.\d+)?\s*[smhd]|\s", "", text, flags=re.ASCII):
        hint = (
            f"; did you mean '{text.strip()}s'?" if re.fullmatch(r"\s*\d{1,9}(\.\d{1,9})?\s*", text, re.ASCII) else ""
        )
        raise ValueError(f"{found} with units, such as 90s, 30m, 2h or 1d{hint}")
    seconds = sum(float(number) * UNITS[unit] for number, unit in parts)
    if seconds <= 0:
        raise ValueError(f"{found} of more than 0")
    if seconds > LONGEST_DAYS * UNITS["d"]:
        raise ValueError(f"{found} of no more than {LONGEST_DAYS}d")
    return seconds


def duration_text(seconds: float) -> str:
    """Write a duration as people do: ``2d``, ``1h30m``."""
    text = ""
    for unit, length in sorted(UNITS.items(), key=lambda item: -item[1]):
        number, seconds = divmod(seconds, length)
        text += f"{number:g}{unit}" if number else ""
    return text or "0s"
