# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What holds slots while `concurrency` is `auto`, and what it needs: the state that `admission` decides by."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from autoflow.capacity.admission import NOTHING, Expected, Level, Rules, Use, fitting, next_level, puts_back, why_not
from autoflow.machine import Reading
from autoflow.runs import RunKey
from autoflow.wording import size_text

FIRST_NEED = 1000.0
"""MB that a notebook is expected to need at least before it has succeeded once: few of them take more."""

REMEMBERED, QUANTILE = 20, 0.95
"""From how many of the last peaks the need follows, and how many of these are not above it."""


def nothing_used() -> float:
    """Say that nothing is taken."""
    return 0.0


@dataclass(eq=False)
class Held:
    """A slot in use."""

    run: RunKey
    label: str | None
    """Of the notebook; None for a report."""
    used: Callable[[], float] = nothing_used
    """Says how many MB are taken now."""
    is_apart: bool = False
    """Whether it is one of this machine where the others are of workers."""
    asks: Mapping[str, int] = field(default_factory=dict)
    """What its worker must have."""
    peak: int | None = None
    """How many MB were taken at most, once that is known."""


class Needs:
    """How much memory notebooks need, learnt from what they have taken at most.

    Parameters
    ----------
    recorded
        Yields peaks as the record has them, the newest first: workflow, label, MB, and whether the notebook succeeded.
    """

    def __init__(self, recorded: Callable[[], Iterable[tuple[str, str, int, bool]]]) -> None:
        self._recorded = recorded
        self._peaks: dict[tuple[str, str], deque[int]] | None = None

    def of(self, workflow: str, label: str | None) -> Expected:
        """Say what a notebook is expected to need; without a label it is a report, which needs what notebooks do."""
        peaks = self._known()
        if label is not None and (own := peaks.get((workflow, label))):
            return Expected(_quantile(own))
        of_all = [each for some in peaks.values() for each in some]
        if label is None and of_all:
            return Expected(_quantile(of_all))
        return Expected(max(FIRST_NEED, _quantile(of_all) if of_all else 0.0), assumed=True)

    def note(self, workflow: str, label: str, peak: int, *, succeeded: bool) -> None:
        """Learn from a notebook that has ended."""
        if _counts(peak, succeeded):
            self._known().setdefault((workflow, label), deque(maxlen=REMEMBERED)).append(peak)

    def _known(self) -> dict[tuple[str, str], deque[int]]:
        if self._peaks is None:
            self._peaks = {}
            for workflow, label, peak, succeeded in self._recorded():
                if not _counts(peak, succeeded):
                    continue
                peaks = self._peaks.setdefault((workflow, label), deque(maxlen=REMEMBERED))
                if len(peaks) < REMEMBERED:
                    peaks.appendleft(peak)
        return self._peaks


class Governor:
    """Looks at the machine, and says what may start.

    Parameters
    ----------
    read
        Looks at the machine.
    needs
        What notebooks need.
    """

    def __init__(self, read: Callable[[], Reading], needs: Needs) -> None:
        self._read = read
        self.needs = needs
        self.rules = Rules(1, 1)
        self.level = Level(1)
        self.held: list[Held] = []
        self.runs: dict[RunKey, Sequence[str]] = {}
        """The labels of the notebooks of each run in progress."""
        self.reading = Reading(1.0)
        self.why = ""
        """Why the notebook that waited first does not start, as it was told last; empty where it does."""

    def look(self, now: float, *, wanted: bool, active: Iterable[RunKey]) -> None:
        """Look at the machine, and decide how many slots there are.

        Parameters
        ----------
        wanted
            Whether something waits for one.
        active
            Runs in progress, without those that only wait for a pool.
        """
        self.reading = self._read()
        use = replace(self.use(active), wanted=wanted)
        self.level = next_level(now, self.reading, use, self.level, self.rules)

    def need(self, workflow: str, *labels: str | None) -> Expected:
        """Say what the largest of some notebooks is expected to need: as before, or as others of it take right now."""
        before = [self.needs.of(workflow, label) for label in labels]
        now = [Expected(held.used()) for held in self.held if held.run[0] == workflow and held.label in labels]
        return max(before + now, default=NOTHING)

    def use(self, active: Iterable[RunKey], starting: RunKey | None = None) -> Use:
        """Say what goes on: runs, or the notebooks of a run that is among them."""
        # what has been learnt since they started counts, and is looked up once for all of a kind
        need = cache(self.need)
        holding = {held.run for held in self.held}
        without = [key for key in active if key not in holding and key != starting]
        promised = sum(max(need(held.run[0], held.label).mb - held.used(), 0.0) for held in self.held)
        promised += sum(need(key[0], *self.runs.get(key, ())).mb for key in without)
        return Use(len(self.held) + (0 if starting else len(without)), promised=promised)

    def why_not(self, use: Use, need: Expected) -> str:
        """Say why something cannot start now, by a fresh look at the memory; empty when it can."""
        if 0 < use.slots < self.level.slots:
            self.reading = self._read()
        return why_not(self.reading, use, self.level, need)

    def fitting(self, use: Use, need: Expected) -> float:
        """Say how many that need so much can go on at a time with those that do, by the last look at the memory."""
        return fitting(self.reading, use, need)

    def put_back(self, now: float, use: Use) -> str:
        """Say why the youngest run is to be put back now, and take note of it; empty when none is."""
        if not puts_back(now, self.reading, use, self.level):
            return ""
        self.level = replace(self.level, put_back=now)
        return f"put back to make room: memory was short, {size_text(self.reading.free or 0.0)} free"


def _counts(peak: int, succeeded: bool) -> bool:
    """Whether a peak says what a notebook needs: one that did not get to its end might have taken more."""
    return succeeded or peak > FIRST_NEED


def _quantile(values: Iterable[int]) -> float:
    ordered = sorted(values)
    return float(ordered[math.ceil(QUANTILE * len(ordered)) - 1])
