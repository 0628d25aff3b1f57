# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""How much goes on at a time: slots and pools, and what the machine bears where workflows.yml says `auto`."""

from autoflow.capacity.admission import GROWS_EVERY, Level, Rules, Use, fitting, reserve, why_not
from autoflow.capacity.governor import Governor, Held, Needs, nothing_used
from autoflow.capacity.slots import Capacity, PoolInUse, Slots, Taker, asked_of_worker, waits_for

__all__ = [
    "GROWS_EVERY",
    "Capacity",
    "Governor",
    "Held",
    "Level",
    "Needs",
    "PoolInUse",
    "Rules",
    "Slots",
    "Taker",
    "Use",
    "asked_of_worker",
    "fitting",
    "nothing_used",
    "reserve",
    "waits_for",
    "why_not",
]
