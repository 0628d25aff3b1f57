# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Which parameters papermill can set in notebooks of other languages than Python."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

SETTABLE = frozenset(
    (
        *("python", "R", "scala", "julia", "matlab", "bash", ".net-csharp", ".net-fsharp", ".net-powershell"),
        *("pysparkkernel", "sparkkernel", "sparkrkernel"),
    )
)
"""Kernels and languages that papermill 2 has a translator for."""

NO_INFINITY = frozenset(("R", "scala", "julia", ".net-csharp", ".net-fsharp", "sparkkernel", "sparkrkernel"))
"""Those in which it writes infinite numbers and those that are none as Python does, which is no number there."""


def why_not_settable(kernel: str, language: str, value: Any) -> str | None:
    """Say why papermill cannot give a notebook a value; None when it can.

    Parameters
    ----------
    kernel, language
        As the notebook names them; papermill looks for the kernel first.
    value
        A JSON value.
    """
    name = kernel if kernel in SETTABLE else language
    if name not in SETTABLE:
        return f"no parameters can be set in {language}"
    inside = list(_values_in(value))
    refused: list[tuple[bool, Callable[[Any], bool], str]] = [
        (name == "bash", lambda each: isinstance(each, dict), "bash has no mappings"),
        (name == ".net-csharp", lambda each: each is None, "null cannot be set in C#"),
        (name in NO_INFINITY, _is_no_finite_number, f"infinity and NaN cannot be set in {name}"),
    ]
    for applies, is_refused, why in refused:
        if applies and any(map(is_refused, inside)):
            return why
    if name == "bash" and isinstance(value, list) and any(isinstance(each, list) for each in value):
        return "bash has no lists of lists"
    return None


def _values_in(value: Any) -> Iterator[Any]:
    yield value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    for part in parts:
        yield from _values_in(part)


def _is_no_finite_number(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
