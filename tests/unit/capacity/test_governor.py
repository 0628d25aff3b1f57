# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What holds slots and what it needs, with a machine that says what the test lets it say."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from autoflow.capacity.admission import Expected, Rules, Use
from autoflow.capacity.governor import Governor, Held, Needs
from autoflow.capacity.slots import Capacity
from autoflow.machine import Reading
from tests.clock import run_held

CALM = Reading(cores=4, busy=0.5, cpu_pressure=0, memory=8000, free=4000, memory_pressure=0)


class Trial:
    """A machine whose memory the test fills, and what waits for it."""

    def __init__(self, *peaks: tuple[str, str, int], base: int = 4) -> None:
        self.reading = CALM
        self.governor = Governor(lambda: self.reading, Needs(lambda: [(*peak, True) for peak in peaks]))
        self.capacity = Capacity(lambda: None, self.governor)
        self.capacity.govern(Rules(base, 16), {})
        self.began: list[str] = []
        self.said: list[str] = []
        self.look(0)

    def look(self, now: float) -> None:
        self.governor.look(now, wanted=True, active=())
        self.capacity.slots.hand_out()

    async def notebook(self, name: str, seconds: float = 10, used: float = 0, peak: int | None = None) -> None:
        async with self.capacity.slot((name, ""), "a", self.said.append) as held:
            held.used = lambda: used
            self.began.append(name)
            await asyncio.sleep(seconds)
            if peak is not None:
                self.capacity.learn((name, ""), "a", peak, succeeded=True)


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_the_need_is_what_the_last_notebooks_have_taken_but_for_the_largest_of_twenty() -> None:
    peaks = [("flows", "a", 100 + number, True) for number in range(20)] + [("flows", "a", 9000, True)]
    needs = Needs(lambda: [*peaks, ("counts", "a", 700, True)])
    # of twenty, the largest is passed over; the twenty-first is too old
    assert needs.of("flows", "a") == Expected(118)
    assert needs.of("counts", "a") == Expected(700)
    needs.note("counts", "a", 800, succeeded=True)
    assert needs.of("counts", "a") == Expected(800)


def test_before_it_has_succeeded_a_notebook_may_need_a_gigabyte_or_what_others_do_where_that_is_more() -> None:
    assert Needs(tuple).of("flows", "a") == Expected(1000, assumed=True)
    assert Needs(lambda: [("flows", "a", 400, True)]).of("counts", "b") == Expected(1000, assumed=True)
    assert Needs(lambda: [("flows", "a", 1400, True)]).of("counts", "b") == Expected(1400, assumed=True)


def test_one_that_did_not_get_to_its_end_says_nothing_but_that_it_needs_much() -> None:
    recorded = [("flows", "a", 80, False), ("counts", "a", 1200, False)]
    needs = Needs(lambda: recorded)
    assert needs.of("flows", "a").assumed
    assert needs.of("counts", "a") == Expected(1200)
    needs.note("flows", "a", 90, succeeded=False)
    assert needs.of("flows", "a").assumed
    needs.note("flows", "a", 150, succeeded=True)
    assert needs.of("flows", "a") == Expected(150)


def test_a_report_needs_what_notebooks_do() -> None:
    assert Needs(lambda: [("flows", "a", 400, True)]).of("flows", None) == Expected(400)
    assert Needs(tuple).of("flows", None) == Expected(1000, assumed=True)


def test_until_the_first_has_succeeded_only_so_many_start_as_there_are_gigabytes_and_then_what_was_learnt_counts() -> (
    None
):
    async def main() -> None:
        trial = Trial()
        # 3,200 MB are above the reserve
        tasks = [asyncio.create_task(trial.notebook("new", 10 + number, peak=150)) for number in range(4)]
        await settled()
        assert len(trial.began) == 3
        assert trial.said == [
            "waits for memory: may need 1.0 GB, since what it needs is not known yet; of 4.0 GB free, 800 MB are the"
            " reserve, and 3.0 GB are what running notebooks are expected to take yet"
        ]
        trial.reading = replace(CALM, free=1300)
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        await settled()
        # beside the two that go on, and of which less is expected by now
        assert len(trial.began) == 4
        assert len(trial.governor.held) == 3
        await asyncio.gather(*tasks)

    run_held(main())


def test_notebooks_start_until_what_they_are_to_take_yet_is_all_that_there_is() -> None:
    async def main() -> None:
        trial = Trial(("big", "a", 1500), ("small", "a", 100))
        # 3,200 MB are above the reserve
        tasks = [asyncio.create_task(trial.notebook(name)) for name in ("big", "big", "big", "small")]
        await settled()
        # nobody overtakes who waits
        assert trial.began == ["big", "big"]
        assert trial.said[-2].startswith("waits for memory: needs about 1.5 GB; of 4.0 GB free, 800 MB are the reserve")
        assert trial.said[-1] == "waits for a slot: other notebooks come first"
        trial.reading = replace(CALM, free=6000)
        trial.look(2)
        await settled()
        assert trial.began == ["big", "big", "big", "small"]
        await asyncio.gather(*tasks)
        assert not trial.governor.held

    run_held(main())


def test_what_is_taken_already_is_not_expected_twice() -> None:
    async def main() -> None:
        trial = Trial(("big", "a", 1500))
        tasks = [asyncio.create_task(trial.notebook("big", used=1500)) for _ in range(4)]
        await settled()
        assert len(trial.began) == 4
        await asyncio.gather(*tasks)

    run_held(main())


def test_what_others_of_its_kind_take_is_expected_of_a_notebook_of_which_nothing_is_known_yet() -> None:
    async def main() -> None:
        trial = Trial()
        tasks = [asyncio.create_task(trial.notebook("big", used=3100))]
        await settled()
        trial.reading = replace(CALM, free=3800)
        tasks.append(asyncio.create_task(trial.notebook("big")))
        await settled()
        assert trial.began == ["big"]
        assert trial.said[-1].startswith("waits for memory: needs about 3.1 GB")
        tasks.append(asyncio.create_task(trial.notebook("small")))
        await asyncio.gather(*tasks)

    run_held(main())


def test_one_goes_on_however_little_memory_there_is_and_the_next_when_it_has_ended() -> None:
    async def main() -> None:
        trial = Trial()
        trial.reading = replace(CALM, free=0)
        trial.look(2)
        tasks = [asyncio.create_task(trial.notebook(name)) for name in "abc"]
        await asyncio.gather(*tasks)
        assert trial.began == ["a", "b", "c"]
        assert asyncio.get_running_loop().time() >= 30

    run_held(main())


def test_who_waits_for_memory_and_is_cancelled_leaves_nothing_behind() -> None:
    async def main() -> None:
        trial = Trial(("big", "a", 3000))
        first, second, third = (asyncio.create_task(trial.notebook("big", 1)) for _ in range(3))
        await settled()
        assert len(trial.governor.held) == 1
        second.cancel()
        await asyncio.gather(first, second, third, return_exceptions=True)
        assert trial.began == ["big", "big"]
        assert not trial.governor.held
        assert not trial.capacity.slots.awaited

    run_held(main())


def test_a_run_that_has_no_notebook_yet_is_expected_to_take_what_it_needs() -> None:
    trial = Trial(("big", "a", 1500), ("big", "b", 200), ("small", "a", 100))
    trial.governor.runs = {("big", ""): ["a", "b"], ("small", ""): ["a"]}
    trial.governor.held.append(Held(("small", ""), "a", lambda: 40))
    use = trial.governor.use([("big", ""), ("small", "")])
    assert use == Use(2, promised=1560)
    # what starts is not in its own way
    assert trial.governor.use([("big", ""), ("small", "")], starting=("big", "")) == Use(1, promised=60)


def test_more_than_the_level_wait_for_a_slot_and_are_told_why() -> None:
    async def main() -> None:
        trial = Trial(base=1)
        trial.reading = replace(CALM, busy=4.0)
        trial.look(2)
        tasks = [asyncio.create_task(trial.notebook(name, 1)) for name in "ab"]
        await settled()
        assert trial.began == ["a"]
        assert trial.said == ["waits for a slot, the only one is in use; the CPU is in use: 4.0 of 4 cores"]
        await asyncio.gather(*tasks)

    run_held(main())
