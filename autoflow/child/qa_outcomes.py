# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Ask FlowAPI for the outcomes of QA checks: one request for each CDR type and check; only what is new goes back."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from autoflow.child.available_dates import NoAnswerError, get, is_page, one_line, open_client, refusal_of
from autoflow.child.hints import with_roles
from autoflow.child.http_library import httpx
from autoflow.quality import Outcome, blocks_of, digest
from autoflow.wording import printable

PATH = "/api/0/qa/"

SCOPE = "get_qa_checks"

ALL = ["*"]
"""What is wanted where all checks are that there are."""

MOST_PAIRS, MOST_OUTCOMES = 500, 200_000
"""Pairs of CDR type and check, and dates of one of them."""

LONGEST_OUTCOME, LONGEST_NAME = 200, 200
"""Characters; what is longer is cut, and is no number or time anyway."""


def work(request: Mapping[str, Any], workspace: Path) -> dict[str, Any]:  # noqa: ARG001
    """Ask for what checks there are, then for the outcomes of those that are wanted.

    Parameters
    ----------
    request
        ``url`` and ``ssl_certificate`` as for `available_dates.work`; ``wanted``: names of checks, or `ALL`, by CDR
        type; ``first`` and ``last``: the dates that are of interest, both included; ``known``: digests by CDR type,
        check and year.

    Returns
    -------
    dict
        ``listed``: names of checks by CDR type; ``changed``: by CDR type, check and year the blocks that are others
        than those that are known, null for one that is gone; ``off``: why there are no QA checks to be had, or null.

    Raises
    ------
    NoAnswerError
        When FlowAPI cannot be reached, refuses, or gives something else.
    """
    source = Source(request["url"], request["first"], request["last"])
    with open_client(request["ssl_certificate"]) as client:
        response, body = get(client, f"{source.url}{PATH}")
        if off := _why_off(response, body):
            return {"listed": {}, "changed": {}, "off": off}
        if response.status_code != httpx.codes.OK:
            raise NoAnswerError(refusal_of(response, body, f"{source.url}{PATH}", SCOPE))
        listed = _listed(body)
        changed: dict[str, dict[str, dict[str, str | None]]] = {}
        for cdr_type, checks in request["wanted"].items():
            known = request["known"].get(cdr_type, {})
            for check in listed.get(cdr_type, ()) if checks == ALL else checks:
                there = check in listed.get(cdr_type, ())
                blocks = blocks_of(source.outcomes(client, cdr_type, check)) if there else {}
                if news := _news(blocks, known.get(check, {})):
                    changed.setdefault(cdr_type, {})[check] = news
    return {"listed": listed, "changed": changed, "off": None}


@dataclass(frozen=True)
class Source:
    """Where outcomes are asked for, and of which dates."""

    url: str
    first: str
    last: str

    def outcomes(self, client: httpx.Client, cdr_type: str, check: str) -> dict[str, Outcome]:
        """Ask for the outcomes of a check, by ISO date; there may be none."""
        path = f"{PATH}{quote(cdr_type, safe='')}/{quote(check, safe='')}"
        url = f"{self.url}{path}?start_date={self.first}&end_date={self.last}"
        response, body = get(client, url)
        if response.status_code == httpx.codes.NOT_FOUND and not is_page(response, body):
            # as it says of a check none of whose outcomes are of these dates, or whose name has capitals
            return {}
        if response.status_code != httpx.codes.OK:
            raise NoAnswerError(f"asked for {cdr_type} {check}, {refusal_of(response, body, url, SCOPE)}")
        try:
            return _outcomes(json.loads(body))
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            what = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else str(error)
            raise NoAnswerError(
                f"its response to {cdr_type} {check} is not a list of QA outcomes ({one_line(what)})"
            ) from error


def _why_off(response: httpx.Response, body: bytes) -> str | None:
    """Say why there are no QA checks to be had from this FlowAPI with this token."""
    if response.status_code == httpx.codes.FORBIDDEN and not is_page(response, body):
        return with_roles(
            f"the token lacks the scope {SCOPE}{{roles}}: ask FlowAuth's administrator to give it to the role that"
            " notebooks use, and create a new token with it"
        )
    if response.status_code == httpx.codes.NOT_FOUND:
        return "this FlowAPI has no QA checks (it is older than FlowKit 1.24); ask its administrator for a newer one"
    return None


def _listed(body: bytes) -> dict[str, list[str]]:
    """Read which checks there are for each CDR type."""
    try:
        pairs = [(pair["cdr_type"], pair["type_of_query_or_check"]) for pair in json.loads(body)]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise NoAnswerError(f"its response is not a list of QA checks ({one_line(str(error))})") from error
    if len(pairs) > MOST_PAIRS:
        raise NoAnswerError(f"it lists {len(pairs):,} QA checks, more than {MOST_PAIRS}")
    listed: dict[str, list[str]] = {}
    for pair in sorted(pair for pair in pairs if all(map(_is_name, pair))):
        listed.setdefault(pair[0], []).append(pair[1])
    return listed


def _is_name(text: Any) -> bool:
    return isinstance(text, str) and 0 < len(text) <= LONGEST_NAME and text.isprintable()


def _outcomes(answer: Any) -> dict[str, Outcome]:
    if not isinstance(answer, list):
        raise TypeError("it is not a list")
    if len(answer) > MOST_OUTCOMES:
        raise ValueError(f"it has {len(answer):,} entries, more than {MOST_OUTCOMES:,}")
    return {dt.date.fromisoformat(each["cdr_date"]).isoformat(): _text(each["outcome"]) for each in answer}


def _text(outcome: Any) -> Outcome:
    """Take an outcome as text; today's FlowAPI gives text or null, another may give numbers."""
    if outcome is None:
        return None
    if isinstance(outcome, str):
        # the first digits of a number are another number
        return printable(outcome if len(outcome) <= LONGEST_OUTCOME else f"{outcome[: LONGEST_OUTCOME - 1]}…")
    if isinstance(outcome, int | float) and not isinstance(outcome, bool):
        return str(outcome)
    raise TypeError(f"an outcome is {type(outcome).__name__}")


def _news(blocks: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str | None]:
    """Leave the blocks that are not known yet; None stands for one that is gone."""
    news: dict[str, str | None] = {year: block for year, block in blocks.items() if known.get(year) != digest(block)}
    return news | {year: None for year in known if year not in blocks}
