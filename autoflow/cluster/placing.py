# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Which workers have room for which notebooks, by what each worker has and each notebook asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autoflow.cluster.protocol import RESOURCE


def placed(free: Mapping[str, Mapping[str, int]], asked: Sequence[Mapping[str, int]]) -> list[str | None]:
    """Find a worker for each of some notebooks, beside those before it.

    Who asks for most comes first, and has the worker with least beside that: others may need what that one has not.

    Parameters
    ----------
    free
        What each worker has that is not in use, by its address.
    asked
        What each notebook asks for, beside a slot.

    Returns
    -------
    list of str or None
        The workers' addresses; None for a notebook that none has room for.
    """
    left = {address: dict(amounts) for address, amounts in free.items()}
    found: list[str | None] = [None] * len(asked)
    for number in sorted(range(len(asked)), key=lambda each: -sum(asked[each].values())):
        wanted = {RESOURCE: 1, **asked[number]}
        able = [address for address, has in left.items() if all(has.get(name, 0) >= wanted[name] for name in wanted)]
        if able:
            found[number] = chosen = min(able, key=lambda address: _beside(left[address], wanted))
            for name, amount in wanted.items():
                left[chosen][name] -= amount
    return found


def _beside(has: Mapping[str, int], wanted: Mapping[str, int]) -> int:
    """Count how much a worker has that a notebook does not ask for."""
    return sum(amount for name, amount in has.items() if name not in wanted)
