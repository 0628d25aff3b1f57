# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What to do about errors whose own words do not say it."""

from __future__ import annotations

import re

EXPIRED = "the token has expired: make a new one in FlowAuth, or renew it there"
ANOTHER_SERVER = "the token is not for this FlowAPI: make a new one in FlowAuth, for this server"

FLOWAPI = (
    (r"Token has expired", EXPIRED),
    (r"Missing Authorization Header|Bad Authorization header", "FlowAPI found no token: look at FLOWAPI_TOKEN"),
    (
        r"Signature verification failed|Audience doesn't match|Invalid audience|missing the \"?aud\"? claim"
        r"|specified alg value is not allowed",
        ANOTHER_SERVER,
    ),
    (
        r"Not enough segments|Invalid header string|Invalid payload string|Invalid crypto padding|Missing claim: sub",
        "the token is damaged: copy it whole from FlowAuth",
    ),
    (r"token is not yet valid", "the clock of FlowAPI or of FlowAuth is wrong, or the token is for later"),
    (
        r"User claims verification failed",
        "the token lacks a scope. Notebooks need run, get_result, <unit>:<kind>:<nested kind> of each query (such as"
        " admin3:flows:daily_location), <unit>:geography:geography, get_available_dates, and get_qa_checks for QA, all"
        " in one role: ask FlowAuth's administrator, then make a new token",
    ),
    (r"Could not get reply for message", "FlowAPI answers, and FlowMachine behind it does not: tell its administrator"),
    (r"No data for date", "FlowMachine has no data for a date that the query reads: has it been taken out again?"),
)
"""What FlowAPI says, and flowclient after it; in regular expressions."""


def hint_for(error: str) -> str | None:
    """Find what to do about an error, by its words; None when they are not known."""
    return next((hint for pattern, hint in FLOWAPI if re.search(pattern, error)), None)
