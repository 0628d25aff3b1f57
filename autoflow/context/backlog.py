# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What the last tick found and has not begun yet, for those who count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from autoflow.runs import Runs


@dataclass
class Backlog:
    """The work that is left."""

    due: Runs = field(default_factory=Runs)
    """Runs to be executed now, in order."""
    waiting: Mapping[str, int] = field(default_factory=dict)
    """How many dates of triggers are there, and lack others that their stencils want, by workflow."""
    held: Mapping[str, int] = field(default_factory=dict)
    """How many dates of triggers nothing but held data keeps from running, by workflow."""
