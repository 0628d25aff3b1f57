# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Slots and pools: who has a turn, and when, whatever happens to those who wait."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from autoflow.capacity.slots import Capacity, PoolInUse, Slots, Taker
from autoflow.runs import RunKey
from tests.clock import run_held


class Work:
    """Notebooks that hold a place in a pool for a second, and what they were seen to do."""

    def __init__(self, notebooks: int, pools: Mapping[str, int]) -> None:
        self.changes = 0
        self.capacity = Capacity(self._change)
        self.capacity.resize(notebooks, pools)
        self.began: list[tuple[float, str]] = []
        self.at_once = self.most = 0

    def _change(self) -> None:
        self.changes += 1

    async def notebook(self, name: str, pool: str | None = "flowdb", rank: int = 0) -> None:
        if pool is None:
            async with self.capacity.slots:
                await self._second(name)
        else:
            async with self.capacity.place(pool, key(name), Taker(rank, 1, name)), self.capacity.slots:
                await self._second(name)

    async def _second(self, name: str) -> None:
        self.began.append((round(asyncio.get_running_loop().time(), 1), name))
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(1)
        self.at_once -= 1


def key(name: str) -> RunKey:
    return name, ""


async def settled() -> None:
    """Let all that can go on do so."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_a_pool_bounds_its_notebooks_and_no_others() -> None:
    async def main() -> None:
        work = Work(10, {"flowdb": 2})
        await asyncio.gather(*(work.notebook(name) for name in "abcde"), *(work.notebook(name, None) for name in "xyz"))
        immediately = [(0, name) for name in "abxyz"]
        assert sorted(work.began) == [*immediately, (1, "c"), (1, "d"), (2, "e")]

    run_held(main())


def test_it_is_known_how_much_of_each_pool_is_in_use_and_who_waits_for_it() -> None:
    async def main() -> None:
        work = Work(10, {"flowdb": 1, "idle": 3})
        tasks = [asyncio.create_task(work.notebook(name, rank=rank)) for rank, name in ((1, "a"), (3, "c"), (2, "b"))]
        await settled()
        pools = work.capacity.pools()
        assert pools["idle"] == PoolInUse(3, 0, [])
        assert (pools["flowdb"].places, pools["flowdb"].in_use) == (1, 1)
        assert [taker.notebook for taker in pools["flowdb"].waiting] == ["b", "c"]
        await asyncio.gather(*tasks)
        assert work.capacity.pools()["flowdb"] == PoolInUse(1, 0, [])

    run_held(main())


def test_who_waits_for_a_pool_keeps_no_slot() -> None:
    async def main() -> None:
        work = Work(2, {"flowdb": 1})
        await asyncio.gather(*(work.notebook(name) for name in "abc"), work.notebook("x", None))
        assert sorted(work.began) == [(0, "a"), (0, "x"), (1, "b"), (2, "c")]

    run_held(main())


def test_the_run_that_started_first_has_the_next_place() -> None:
    async def main() -> None:
        work = Work(10, {"flowdb": 1})
        await asyncio.gather(
            *(work.notebook(name, rank=rank) for name, rank in [("a", 9), ("b", 3), ("c", 1), ("d", 3)])
        )
        assert [name for _, name in work.began] == ["a", "c", "b", "d"]

    run_held(main())


@pytest.mark.parametrize(
    ("pools", "began"),
    [
        ({"flowdb": 3}, [(0, "a"), (0.5, "b"), (0.5, "c"), (1, "d")]),
        ({}, [(0, "a"), (0.5, "b"), (0.5, "c"), (0.5, "d")]),
        ({"flowdb": 1, "other": 5}, [(0, "a"), (1, "b"), (2, "c"), (3, "d")]),
    ],
)
def test_a_new_size_counts_at_once_and_a_pool_that_is_gone_has_none(
    pools: Mapping[str, int], began: list[tuple[float, str]]
) -> None:
    async def main() -> None:
        work = Work(10, {"flowdb": 1})
        tasks = [asyncio.create_task(work.notebook(name)) for name in "abcd"]
        await asyncio.sleep(0.5)
        work.capacity.resize(10, pools)
        await asyncio.gather(*tasks)
        assert work.began == began

    run_held(main())


def test_a_pool_that_shrinks_lets_nobody_in_before_enough_have_left() -> None:
    async def main() -> None:
        work = Work(10, {"flowdb": 3})
        tasks = [asyncio.create_task(work.notebook(name)) for name in "abcde"]
        await asyncio.sleep(0.5)
        work.capacity.resize(10, {"flowdb": 1})
        await asyncio.gather(*tasks)
        assert work.began[3:] == [(1, "d"), (2, "e")]

    run_held(main())


def test_who_is_cancelled_or_runs_out_of_time_while_it_waits_takes_no_place() -> None:
    async def main() -> None:
        work = Work(10, {"flowdb": 1})
        tasks = [asyncio.create_task(work.notebook(name)) for name in "abcd"]
        await settled()
        tasks[1].cancel()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(tasks[2], 0.5)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert work.began == [(0, "a"), (1, "d")]
        assert not work.capacity.pool("flowdb").full

    run_held(main())


def test_a_place_that_comes_in_the_moment_of_a_cancellation_goes_to_the_next() -> None:
    async def main() -> None:
        slots = Slots(1)
        await slots.take()
        first, second = (asyncio.create_task(slots.take()) for _ in range(2))
        await settled()
        slots.give_back()
        first.cancel()
        await settled()
        assert first.cancelled()
        assert second.done()

        third = asyncio.create_task(slots.take())
        await settled()
        # the other way round: it is not handed to who has just been cancelled
        third.cancel()
        slots.give_back()
        await settled()
        assert not slots.full

    run_held(main())


def test_a_run_waits_for_a_pool_only_while_it_does_nothing_else() -> None:
    async def main() -> None:
        work = Work(10, {"flowdb": 1})
        capacity = work.capacity
        holder = asyncio.create_task(work.notebook("holder"))
        await settled()
        waiting = asyncio.create_task(work.notebook("run"))
        capacity.note_open(key("run"), 2)
        await settled()
        assert capacity.waits_for(key("run")) == set()
        before = work.changes
        capacity.note_open(key("run"), 1)
        assert capacity.waits_for(key("run")) == {"flowdb"}
        assert work.changes > before
        assert capacity.pool("flowdb").awaited
        await holder
        await settled()
        assert capacity.waits_for(key("run")) == set()
        assert not capacity.pool("flowdb").awaited
        await waiting

    run_held(main())
