# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Live many lives, or one again: ``python -m tests.simulation --seeds 1000``, ``--seed 17 --log``."""

from __future__ import annotations

import argparse
import sys
import time
import traceback

from tests.simulation.seeds import live, plant, try_seeds
from tests.simulation.world import DAYS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=300, help="how many seeds")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--days", type=int, default=DAYS, help="simulated days for each")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--mutations", action="store_true", help="plant faults, and say which seed finds each")
    parser.add_argument("--log", action="store_true", help="print what AutoFlow logged and what happened")
    options = parser.parse_args()
    if options.seed is not None:
        simulation, error = live(options.seed, options.days)
        if options.log:
            print("\n".join(simulation.log))
        if error is not None:
            traceback.print_exception(error)
        return int(error is not None)
    if options.mutations:
        return plant(options.seeds, options.days)
    began = time.monotonic()
    failures, steps, drawn = try_seeds(range(options.first, options.first + options.seeds), options.days)
    took = time.monotonic() - began
    print(f"{options.seeds} seeds of {options.days} days: {len(failures)} failed, {took:.1f} s, {steps} turns")
    print(", ".join(f"{kind} {count}" for kind, count in drawn.most_common()))
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
