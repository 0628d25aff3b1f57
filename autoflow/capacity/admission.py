# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""How many notebooks a machine bears, decided from what is seen of it; time is an argument.

Two things are told apart. The level is how many may go on as far as the CPU is concerned: it starts with a fixed
number, grows by one at a time while cores are idle, and falls as notebooks end while all cores are in use. Memory is
looked at before each single start: what runs already is expected to grow to what it needs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from autoflow.machine import Reading
from autoflow.wording import size_text

GROWS_EVERY = 2.0
"""Seconds after which what has started shows what it takes, so that the next can be judged."""

GROWS = f"one more is given every {GROWS_EVERY:g} s while cores are idle"
"""Why there are no more at once where nothing stands against more."""

IDLE_CORES = 0.5
"""How much of the cores must be idle for one more."""

CROWDED_CORES, CROWDED_FOR = 0.1, 6.0
"""With less than this idle for so many seconds, what ends is not replaced; notebooks that start are done sooner."""

CPU_PRESSURE, MEMORY_PRESSURE = 50.0, 10.0
"""Percent of the time in which something waited, from which on it counts."""

RESERVE_SHARE, SMALLEST_RESERVE = 0.1, 512.0
"""What stays free of the memory, for all else on the machine; in MB."""

PATIENCE, PUTS_BACK_EVERY = 10.0, 30.0
"""Seconds for which memory must be short before a run is put back, and between two of them."""

LITTLE, PUTS_BACK_SOON = 0.2, 6.0
"""Below which part of the reserve the first look is enough, and the seconds between two runs that are put back then."""


@dataclass(frozen=True)
class Rules:
    """Between which numbers the level is."""

    base: int
    """What is given whatever the CPU does, as far as memory is there."""
    most: int
    is_default: bool = False
    """Whether workflows.yml does not say the most."""


@dataclass(frozen=True, order=True)
class Expected:
    """How much memory something is expected to need."""

    mb: float
    assumed: bool = False
    """Whether that is not known from what it needed before."""


NOTHING = Expected(0.0)


@dataclass(frozen=True)
class Use:
    """What goes on."""

    slots: int
    wanted: bool = False
    """Whether something waits for a slot."""
    promised: float = 0.0
    """MB that what goes on is expected to take beyond what it has."""


@dataclass(frozen=True)
class Level:
    """How many slots there are, as the last look left it."""

    slots: int
    grown: float = -math.inf
    """When it grew last."""
    why: str = ""
    """Why there are no more, in words; empty where one more may be given soon."""
    short_since: float | None = None
    """Since when memory is short."""
    crowded_since: float | None = None
    """Since when all cores are in use."""
    put_back: float = -math.inf
    """When a run was put back last."""


def reserve(reading: Reading) -> float:
    """Say how much memory stays free, in MB."""
    return max(RESERVE_SHARE * (reading.memory or 0.0), SMALLEST_RESERVE)


def is_short(reading: Reading) -> bool:
    """Whether memory runs out."""
    if reading.free is None:
        return False
    stalls = (reading.memory_pressure or 0.0) >= MEMORY_PRESSURE
    return reading.free < reserve(reading) / (1 if stalls else 2)


def next_level(now: float, reading: Reading, use: Use, before: Level, rules: Rules) -> Level:
    """Decide how many slots there are from now on."""
    base = min(rules.base, rules.most)
    slots, grown = min(max(before.slots, base), rules.most), before.grown
    # some are kept ready: what waits for a pool or for memory may find both for several at once
    may_grow = use.wanted and slots < use.slots + base and not _why_no_more(reading, slots, rules)
    crowded = reading.busy is not None and reading.busy > reading.cores - CROWDED_CORES
    crowded_since = (now if before.crowded_since is None else before.crowded_since) if crowded else None
    if reading.busy is None or reading.free is None:
        slots = min(slots, max(base, use.slots))
    elif crowded_since is not None and now - crowded_since >= CROWDED_FOR and use.slots < slots:
        slots = max(use.slots, base)
    elif may_grow and now - grown >= GROWS_EVERY:
        slots, grown = slots + 1, now
    since = before.short_since
    if is_short(reading):
        since = now if since is None else since
    elif reading.free is None or reading.free >= 0.75 * reserve(reading):
        since = None
    why = _why_no_more(reading, slots, rules)
    return replace(before, slots=slots, grown=grown, why=why, short_since=since, crowded_since=crowded_since)


def _why_no_more(reading: Reading, slots: int, rules: Rules) -> str:
    if slots >= rules.most:
        if rules.is_default:
            return f"{slots} is the most by default, and `concurrency: {{most: N}}` in workflows.yml changes that"
        return f"{slots} is the most that workflows.yml allows"
    if reading.is_first and reading.free is not None:
        return "the use of the CPU is being measured"
    if reading.busy is None or reading.free is None:
        return "how busy the machine is cannot be read"
    if reading.busy >= reading.cores - IDLE_CORES:
        return f"the CPU is in use: {reading.busy:.1f} of {reading.cores:g} cores"
    if (reading.cpu_pressure or 0.0) >= CPU_PRESSURE:
        return f"the CPU is in use: something waited for it {reading.cpu_pressure:.0f} % of the last 10 s"
    return ""


def why_not(reading: Reading, use: Use, level: Level, need: Expected = NOTHING) -> str:
    """Say why something that needs so much memory cannot start now; empty when it can. One may always go on."""
    if use.slots == 0:
        return ""
    if use.slots >= level.slots:
        which = f"all {level.slots} are" if level.slots > 1 else "the only one is"
        return f"waits for a slot, {which} in use; {level.why or GROWS}"
    if reading.free is None:
        return ""
    if level.short_since is not None:
        return f"waits for memory, which is short: {size_text(reading.free)} free"
    if need.mb > reading.free - use.promised - reserve(reading):
        about = f"needs about {size_text(need.mb)}"
        if need.assumed:
            about = f"may need {size_text(need.mb)}, since what it needs is not known yet"
        yet = f", and {size_text(use.promised)} are what running notebooks are expected to take yet"
        return f"waits for memory: {about}; of {size_text(reading.free)} free," + (
            f" {size_text(reserve(reading))} are the reserve{yet if use.promised >= 1 else ''}"
        )
    return ""


def fitting(reading: Reading, use: Use, need: Expected) -> float:
    """Say how many of a kind can go on at a time with those that do, as far as memory is concerned; at least one."""
    if reading.free is None or need.mb <= 0:
        return math.inf
    room = reading.free - use.promised - reserve(reading)
    return max(use.slots + math.floor(max(room, 0.0) / need.mb), 1)


def puts_back(now: float, reading: Reading, use: Use, level: Level) -> bool:
    """Whether the youngest run is to be put back: memory has been short for a while, and another one goes on.

    Where hardly any is left, the kernel kills before that while is over.
    """
    if use.slots <= 1 or level.short_since is None or reading.free is None or not is_short(reading):
        return False
    hurry = reading.free < LITTLE * reserve(reading)
    patience, pause = (0.0, PUTS_BACK_SOON) if hurry else (PATIENCE, PUTS_BACK_EVERY)
    return now - level.short_since >= patience and now - level.put_back >= pause
