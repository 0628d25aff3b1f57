# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Some lives in each run of the suite; `make simulate` lives many more."""

from __future__ import annotations

import pytest

from tests.simulation.mutations import FOUND_BY, MUTATIONS
from tests.simulation.seeds import live

GROUP, GROUPS = 4, 6
"""How many seeds a test lives, and how many tests there are: they spread over the cores."""

CHEAPEST = (
    "no pause before the next attempt",
    "what is settled is looked up no more",
    "the plan leaves out a run",
    "half a shared directory is published",
    "metrics do not count failures",
)
"""Planted faults that are found within a simulated day."""


@pytest.mark.parametrize("group", range(GROUPS))
def test_what_has_to_hold_holds_through_a_month(group: int) -> None:
    """Whatever fails, each date that can run runs once with success, and record, files and notifications agree."""
    for seed in range(1 + group * GROUP, 1 + (group + 1) * GROUP):
        simulation, error = live(seed)
        if error is not None:
            told = "\n".join(simulation.log[-60:])
            pytest.fail(f"{error}\nagain: python -m tests.simulation --seed {seed} --log\n{told}")


@pytest.mark.parametrize("mutation", CHEAPEST)
def test_a_planted_fault_is_found(mutation: str) -> None:
    """The checks see what they are for; ``python -m tests.simulation --mutations`` plants all faults."""
    with MUTATIONS[mutation]():
        _, error = live(FOUND_BY[mutation])
    assert error is not None
