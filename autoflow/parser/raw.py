# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What is read of workflows.yml before its shape is known to be right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def parameters_in(raw: Any) -> Mapping[str, Any]:
    """Return the parameters of a notebook or a trigger; none where they are no mapping."""
    return mapping_in(mapping_in(raw).get("parameters"))


def mapping_in(raw: Any) -> Mapping[str, Any]:
    """Return a mapping as it is, and an empty one for anything else: its shape is told elsewhere."""
    return raw if isinstance(raw, dict) else {}


def list_in(raw: Any) -> list[Any]:
    """Return a list as it is, and an empty one for anything else."""
    return raw if isinstance(raw, list) else []


def complaint_of(check: Callable[[], object]) -> str | None:
    """Return what a check says is wrong; None where it says nothing."""
    try:
        check()
    except ValueError as error:
        return str(error)
    return None
