# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Ask FlowAPI which dates have data."""

from __future__ import annotations

import datetime as dt
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flowclient


def work(request: Mapping[str, Any], workspace: Path) -> dict[str, list[str]]:  # noqa: ARG001
    """Ask FlowAPI once.

    Parameters
    ----------
    request
        ``url``, and ``ssl_certificate``: path of a certificate, or None for the system's own.

    Returns
    -------
    dict
        ISO dates, sorted, by CDR type.

    Raises
    ------
    ValueError
        When the answer is no list of dates by CDR type.
    """
    with warnings.catch_warnings():
        # that plain http is not secure is said once, at the start, by the settings
        warnings.simplefilter("ignore")
        connection = flowclient.connect(
            url=request["url"], token=os.environ["FLOWAPI_TOKEN"], ssl_certificate=request["ssl_certificate"] or True
        )
    answer = flowclient.get_available_dates(connection=connection)
    try:
        return {
            str(cdr_type): sorted({dt.date.fromisoformat(date).isoformat() for date in dates})
            for cdr_type, dates in answer.items()
        }
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"FlowAPI's answer is no list of dates by CDR type ({error})") from error
