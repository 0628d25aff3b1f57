# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""How much may go on at a time, numbers that may change meanwhile."""

from __future__ import annotations

import asyncio
import math
from bisect import insort
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence, Set
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from autoflow.capacity.admission import Rules
from autoflow.capacity.governor import Governor, Held
from autoflow.runs import RunKey
from autoflow.wording import resources_text

IN_TURN = "waits for a slot: other notebooks come first"
"""Why a notebook has to wait that is not the next."""

ON_WORKER = "worker with "
"""What the name begins with that stands for what a notebook asks of a worker; as a pool's name it cannot be used."""

OF_THIS_MACHINE = "waits for a slot of AutoFlow's own machine, all of them are in use"
"""Why what is made on this machine has to wait, where workers have slots for the rest."""


def _always() -> bool:
    return True


def _ignore(_: str) -> None:
    pass


def never_busy(_: Mapping[str, int], __: Sequence[Mapping[str, int]]) -> str:
    """Say that there is room for whatever a notebook asks for."""
    return ""


def asked_of_worker(resources: Mapping[str, int]) -> str:
    """Name what a notebook waits for that asks for resources, beside the names of pools."""
    return f"{ON_WORKER}{resources_text(resources)}"


def waits_for(names: Sequence[str]) -> str:
    """Say that a run waits for pools, or for what others ask of workers, by the names of these."""
    workers = [name for name in names if name.startswith(ON_WORKER)]
    pools = [name for name in names if not name.startswith(ON_WORKER)]
    found = [f"the pool {' and '.join(pools)}"] if pools else []
    found += [f"a {name}" for name in workers]
    return f"waits for {' and '.join(found)}, as others do" if found else ""


@dataclass(frozen=True)
class Taker:
    """A notebook that takes a place in a pool."""

    rank: int
    """The lowest has the next place."""
    run: int
    """The number of its run."""
    notebook: str


@dataclass(frozen=True)
class PoolInUse:
    """How much of a pool is in use."""

    places: int
    in_use: int
    waiting: Sequence[Taker]
    """Those that wait, the next first."""
    without_slot: Sequence[Taker] = field(default_factory=list)
    """Those that have a place, and wait for a slot before they are executed."""


class Slots:
    """A semaphore whose number can be changed; those who wait have their turns by rank, then as they came."""

    def __init__(self, number: float) -> None:
        self._number = number
        self.in_turn = True
        """Whether who cannot have a slot yet keeps all waiting that came later."""
        self._taken = 0
        self._came = count()
        self._waiting: list[tuple[int, int, asyncio.Future[None], Callable[[], bool]]] = []

    @property
    def full(self) -> bool:
        """Whether who comes now has to wait."""
        return (self.in_turn and bool(self._waiting)) or self._taken >= self._number

    @property
    def taken(self) -> int:
        """How many are in use."""
        return self._taken

    @property
    def awaited(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

    def resize(self, number: float) -> None:
        """Change the number; what is taken stays taken."""
        self._number = number
        self.hand_out()

    async def take(self, rank: int = 0, grant: Callable[[], bool] = _always) -> None:
        """Wait for a slot; the lowest rank has the next, once it is granted."""
        if not self.in_turn:
            # one that came before may be granted by now
            self.hand_out()
        if not self.full and grant():
            self._taken += 1
            return
        turn = asyncio.get_running_loop().create_future()
        entry = (rank, next(self._came), turn, grant)
        insort(self._waiting, entry)
        try:
            await turn
        except asyncio.CancelledError:
            if entry in self._waiting:
                self._waiting.remove(entry)
            elif not turn.cancelled():
                # its turn came in the same moment
                self.give_back()
            raise

    def give_back(self) -> None:
        """Let the next have a slot."""
        self._taken -= 1
        self.hand_out()

    async def __aenter__(self) -> None:
        await self.take()

    async def __aexit__(self, *_: object) -> None:
        self.give_back()

    def hand_out(self) -> None:
        """Give those who wait what there is."""
        for entry in list(self._waiting):
            _, _, turn, grant = entry
            if self._taken >= self._number:
                return
            if not turn.done() and not grant():
                if self.in_turn:
                    return
                continue
            self._waiting.remove(entry)
            if not turn.done():
                self._taken += 1
                turn.set_result(None)


class Capacity:
    """How many notebooks go on at a time, over all runs: of each pool, and all together.

    Parameters
    ----------
    changed
        Called when a run begins or ceases to wait for a pool.
    governor
        Decides what may start where no number does.
    """

    def __init__(self, changed: Callable[[], None], governor: Governor | None = None) -> None:
        self.slots = Slots(1)
        self.here: Slots | None = None
        """Those of this machine, where `slots` are of workers."""
        self.governor = governor
        self.governed = False
        """Whether the governor decides."""
        self._changed = changed
        self._sizes: Mapping[str, int] = {}
        self._pools: dict[str, Slots] = {}
        self._open: dict[RunKey, int] = {}
        self._waits: dict[RunKey, list[str]] = {}
        self._takers: list[tuple[str, Taker]] = []
        self._placed: list[tuple[str, RunKey, Taker]] = []
        self._slotless: list[tuple[RunKey, str | None]] = []
        self.why_full = ""
        """Why a notebook has to wait where a fixed number bounds them, in words."""
        self.why_busy: Callable[[Mapping[str, int], Sequence[Mapping[str, int]]], str] = never_busy
        """Says why no worker has room for what a notebook asks for, beside what those ask for that have slots."""
        self._refused: dict[int, str] = {}

    def resize(self, notebooks: float, pools: Mapping[str, int]) -> None:
        """Change the numbers; a pool that is no longer there has no limit, for runs that began with it."""
        self.slots.in_turn = self.governed
        self.slots.resize(notebooks)
        self._sizes = pools
        for name, pool in self._pools.items():
            pool.resize(pools.get(name, math.inf))

    def pool(self, name: str) -> Slots:
        """Return the slots of a pool."""
        return self._pools.setdefault(name, Slots(self._sizes.get(name, math.inf)))

    def pools(self) -> dict[str, PoolInUse]:
        """Say how much of each pool is in use that workflows.yml has now."""
        waiting = sorted(self._takers, key=lambda each: each[1].rank)
        placed = [each for each in self._placed if (each[1], each[2].notebook) in self._slotless]
        return {
            name: PoolInUse(
                places,
                self.pool(name).taken,
                [taker for pool, taker in waiting if pool == name],
                [taker for pool, _, taker in placed if pool == name],
            )
            for name, places in self._sizes.items()
        }

    def govern(self, rules: Rules, pools: Mapping[str, int]) -> None:
        """Let the governor decide how many notebooks go on at a time."""
        if self.governor is None:
            raise RuntimeError("there is no governor")
        self.governor.rules, self.governed = rules, True
        self.resize(math.inf, pools)

    @property
    def why_waits(self) -> str:
        """Why the notebook that waits first does not start, where a number bounds them."""
        return self.why_full if self.slots.full else next(iter(self._refused.values()), "")

    @asynccontextmanager
    async def slot(
        self,
        run: RunKey,
        label: str | None,
        waits: Callable[[str], None] = _ignore,
        *,
        here: bool = False,
        asks: Mapping[str, int] | None = None,
    ) -> AsyncIterator[Held]:
        """Wait for a slot for a notebook, and keep it for as long as the context lasts.

        Six parameters: two of them name the notebook, and three say what it needs.

        Parameters
        ----------
        label
            Of the notebook; None for a report.
        waits
            Called with what is waited for, in words.
        here
            Whether it is made on this machine, wherever others are.
        asks
            What its worker must have.
        """
        apart = self.here if here else None
        held = Held(run, label, is_apart=apart is not None, asks={} if here else asks or {})
        waiting, slots = (run, label), apart or self.slots
        if slots.full:
            waits(OF_THIS_MACHINE if apart else IN_TURN if self.governed else self.why_full)
        self._slotless.append(waiting)
        try:
            with ExitStack() as aside:
                await slots.take(grant=partial(self._grant, held, waits, aside))
        except BaseException:
            self._drop(held)
            raise
        finally:
            self._slotless.remove(waiting)
            self._refused.pop(id(held), None)
        try:
            yield held
        finally:
            self._drop(held)
            slots.give_back()

    def _grant(self, held: Held, waits: Callable[[str], None], aside: ExitStack) -> bool:
        if self.governor is None:
            return True
        self.governor.why = ""
        if held.asks and not self.governed and not self._has_room(held, waits, aside):
            return False
        if self.governed:
            active = [key for key in self.governor.runs if not self.waits_for(key)]
            need = self.governor.need(held.run[0], held.label)
            self.governor.why = self.governor.why_not(self.governor.use(active, held.run), need)
        if self.governor.why:
            waits(self.governor.why)
            return False
        self.governor.held.append(held)
        return True

    def _has_room(self, held: Held, waits: Callable[[str], None], aside: ExitStack) -> bool:
        """See whether some worker has room for what a notebook asks for; while none has, it is in the way of none."""
        others = [each.asks for each in self.governor.held if each.asks] if self.governor else []
        if not (why := self.why_busy(held.asks, others)):
            return True
        if id(held) not in self._refused:
            aside.enter_context(self.aside(held.run, held.asks))
        if why != self._refused.get(id(held)):
            self._refused[id(held)] = why
            waits(why)
        return False

    def learn(self, run: RunKey, label: str, peak: int, *, succeeded: bool) -> None:
        """Take note of the MB that a notebook has taken at most."""
        if self.governor:
            self.governor.needs.note(run[0], label, peak, succeeded=succeeded)

    def _drop(self, held: Held) -> None:
        if self.governor and held in self.governor.held:
            self.governor.held.remove(held)

    def note_open(self, run: RunKey, tasks: int) -> None:
        """Note how many tasks a run has begun that are not done; those that wait count."""
        self._open[run] = tasks
        self._changed()

    def forget(self, run: RunKey) -> None:
        """Take note that a run has no tasks any more."""
        self._open.pop(run, None)

    def is_apart(self, run: RunKey) -> bool:
        """Whether all that a run does now is made on this machine, while workers have slots for others."""
        held = [each for each in self.governor.held if each.run == run and each.is_apart] if self.governor else []
        return bool(held) and len(held) == self._open.get(run)

    def waits_for(self, run: RunKey) -> Set[str]:
        """Return the pools that a run waits for, where it does nothing else meanwhile."""
        waits = self._waits.get(run, [])
        return set(waits) if len(waits) == self._open.get(run) else set()

    @contextmanager
    def aside(self, run: RunKey, asks: Mapping[str, int]) -> Iterator[None]:
        """Note, for as long as the context lasts, that a notebook waits for a worker, as others need not."""
        with self._waiting(run, asked_of_worker(asks)):
            yield

    def awaited(self, name: str) -> bool:
        """Whether a notebook waits for a place in a pool, or for what it asks of a worker."""
        is_asked = name.startswith(ON_WORKER)
        return any(name in waits for waits in self._waits.values()) if is_asked else self.pool(name).awaited

    @contextmanager
    def _waiting(self, run: RunKey, name: str) -> Iterator[None]:
        self._waits.setdefault(run, []).append(name)
        self._changed()
        try:
            yield
        finally:
            self._waits[run].remove(name)
            if not self._waits[run]:
                del self._waits[run]
            self._changed()

    @asynccontextmanager
    async def place(self, name: str, run: RunKey, taker: Taker) -> AsyncIterator[None]:
        """Wait for a place in a pool, and keep it for as long as the context lasts."""
        pool, waiting, placed = self.pool(name), (name, taker), (name, run, taker)
        self._takers.append(waiting)
        try:
            with self._waiting(run, name):
                await pool.take(taker.rank)
            self._placed.append(placed)
        finally:
            self._takers.remove(waiting)
        try:
            yield
        finally:
            self._placed.remove(placed)
            pool.give_back()
