# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Ask FlowAPI which dates have data, and say what else there is to know of its answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from autoflow.child import available_dates, proxies


def work(request: Mapping[str, Any], workspace: Path) -> dict[str, Any]:  # noqa: ARG001
    """Ask once.

    Parameters
    ----------
    request
        As for `available_dates.work`.

    Returns
    -------
    dict
        ``by_type``, as `available_dates.work` returns it; ``seconds`` that it took; ``date``, FlowAPI's time as HTTP
        writes it; ``proxy`` that it came through; both may be None.

    Raises
    ------
    NoAnswerError
        As by `available_dates.work`.
    """
    began = monotonic()
    by_type, headers = available_dates.answer(request)
    return {
        "by_type": by_type,
        "seconds": monotonic() - began,
        "date": headers.get("Date"),
        "proxy": proxies.proxy_of(request["url"]),
    }
