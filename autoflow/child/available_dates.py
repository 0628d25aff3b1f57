# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Ask FlowAPI which dates have data.

With flowclient's own HTTP library, options and all, but without flowclient: importing that, and pandas with
it, takes longer than everything else in a tick. A test holds the two to the same answers.
"""

from __future__ import annotations

import datetime as dt
import os
import ssl
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from autoflow.imports import without

# its command line, which nobody calls here, takes longer to import than all else
with without("httpx._main"):
    import httpx


class NoAnswerError(Exception):
    """FlowAPI gave no list of dates; the message says why."""


def work(request: Mapping[str, Any], workspace: Path) -> dict[str, list[str]]:  # noqa: ARG001
    """Ask FlowAPI once, however long it takes: who wants an end to that kills this process.

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
    NoAnswerError
        When FlowAPI can not be reached, refuses, or gives something else.
    """
    certificate = request["ssl_certificate"]
    try:
        with httpx.Client(
            base_url=f"{request['url']}/api/0/",
            headers={"Authorization": f"Bearer {os.environ['FLOWAPI_TOKEN']}"},
            timeout=None,  # noqa: S113
            http2=find_spec("h2") is not None,
            verify=ssl.create_default_context(cafile=certificate) if certificate else True,
        ) as client:
            answer = client.get("available_dates")
    except (httpx.RequestError, OSError) as error:
        raise NoAnswerError(f"it can not be reached: {error or type(error).__name__}") from error
    if answer.status_code != httpx.codes.OK:
        raise NoAnswerError(f"it answered with status {answer.status_code}: {_message(answer)}")
    try:
        return {
            str(cdr_type): sorted({dt.date.fromisoformat(date).isoformat() for date in dates})
            for cdr_type, dates in answer.json()["available_dates"].items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise NoAnswerError(f"its answer is no list of dates by CDR type ({error})") from error


def _message(answer: httpx.Response) -> str:
    """Find what FlowAPI has to say about a refusal."""
    try:
        return str(answer.json()["msg"])
    except (KeyError, TypeError, ValueError):
        return answer.reason_phrase or "without a word"
