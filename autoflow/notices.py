# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a person should know of a report although it was made: a picture that it lacks, say."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Notice:
    """One warning about a report."""

    cell: int | None
    """Position in the notebook as its author wrote it; None where it is about all of it."""
    message: str

    def __str__(self) -> str:
        return f"cell {self.cell}: {self.message}" if self.cell is not None else self.message
