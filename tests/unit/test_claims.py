# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The roles of a token, whatever is in it."""

from __future__ import annotations

import base64
import gzip
import json

import pytest

from autoflow.claims import LARGEST, roles_of, roles_text
from autoflow.demo_flowapi.tokens import Keys, make_token


def token_with(claims: object) -> str:
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.x"


def packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()


def test_roles_are_read_as_flowauth_writes_them() -> None:
    token = make_token(Keys.generate(), roles={"viewer": ["run"], "analyst": ["get_result"]})
    assert set(roles_of(token)) == {"viewer", "analyst"}
    assert roles_text(token).startswith(" (roles ")


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b.c",
        "no token",
        token_with([]),
        token_with({"user_claims": {"flows": True}}),
        token_with({"user_claims": "%%%"}),
        token_with({"user_claims": packed(b"[" * 100_000)}),
        token_with({"user_claims": packed(b"[1]")}),
        token_with({"user_claims": packed(b" " * (LARGEST + 1) + b'{"a": 1}')}),
    ],
)
def test_what_has_no_roles_names_none(token: str) -> None:
    assert (roles_of(token), roles_text(token)) == ((), "")


def test_names_are_shown_in_one_line_and_not_at_length() -> None:
    token = token_with({"user_claims": packed(json.dumps({"a\x1b[2J\nb": [], "x" * 1000: []}).encode())})
    assert roles_text(token).isprintable()
    assert len(roles_text(token)) < 120
