# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Some lives in each run of the suite; `make simulate` lives many more."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT

GROUP, GROUPS = 2, 6
"""How many seeds a test lives, and how many tests there are: they spread over the cores."""

MOST_CPU = 60
"""Seconds of the processor that lives may take, of which they take about five: others who use it do not count."""

CHEAPEST = (
    "no pause before the next attempt",
    "half a shared directory is published",
    "metrics do not count failures",
)
"""Planted faults that are found within a simulated day."""

KEPT = {
    29: "a run overtook those before it that had succeeded and were requested again",
    163: "keep removed a notebook of another run that a run in progress was to read",
    219: "what had failed before a run was provisional counted against the final one",
    119: "a run whose end a full disk kept from the record counted as settled, and those after it overtook it",
}
"""Seeds that found a fault of AutoFlow's which no other test showed, with the fault."""

PLANT = """
import sys
from tests.simulation.mutations import FOUND_BY, MUTATIONS
from tests.simulation.seeds import live
for name in sys.argv[1:]:
    with MUTATIONS[name]():
        _, error = live(FOUND_BY[name])
    print("missed:" if error is None else "found:", name, error)
"""


def in_another_process(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Live somewhere else: a life that crashes leaves coroutines that nobody has awaited, for the next test to find."""
    command = ["sh", "-c", f'ulimit -t {MOST_CPU} && exec "$@"', "sh", sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("group", range(GROUPS))
def test_what_has_to_hold_holds_through_a_month(group: int) -> None:
    """Whatever fails, each date that can run runs once with success, and record, files and notifications agree."""
    first = 1 + group * GROUP
    lived = in_another_process("-m", "tests.simulation", "--first", str(first), "--seeds", str(GROUP))
    assert lived.returncode == 0, lived.stdout + lived.stderr
    assert f"{GROUP} seeds of" in lived.stdout
    assert " 0 failed" in lived.stdout


@pytest.mark.parametrize("seed", KEPT)
def test_a_seed_that_found_a_fault_is_lived_again(seed: int) -> None:
    lived = in_another_process("-m", "tests.simulation", "--seed", str(seed))
    assert lived.returncode == 0, f"{KEPT[seed]}:\n{lived.stdout}{lived.stderr}"


def test_planted_faults_are_found() -> None:
    """The checks see what they are for; ``python -m tests.simulation --mutations`` plants all faults."""
    lived = in_another_process("-c", PLANT, *CHEAPEST)
    assert lived.returncode == 0, lived.stdout + lived.stderr
    assert lived.stdout.count("found: ") == len(CHEAPEST), lived.stdout
