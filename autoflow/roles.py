# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The roles that a token of FlowAuth was made with: who makes another one has to choose them again."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

from autoflow.wording import shortened

LARGEST = 4_000_000
"""Bytes that the claims may have when they are unpacked."""

GZIP = 31
"""The ``wbits`` with which zlib unpacks gzip."""


def roles_of(token: str) -> tuple[str, ...]:
    """Return the names of a token's roles; none where they cannot be read, as in tokens of other releases."""
    try:
        claims = _json_of(token.split(".")[1])
        packed = base64.b64decode(claims["user_claims"])
        roles = json.loads(zlib.decompressobj(GZIP).decompress(packed, LARGEST))
        return tuple(shortened(name) for name in roles) if isinstance(roles, dict) else ()
    except (IndexError, KeyError, TypeError, ValueError, RecursionError, zlib.error):
        return ()


def roles_text(token: str) -> str:
    """Name a token's roles, to be put after what is done with them; empty where they are not known."""
    roles = roles_of(token)
    if not roles:
        return ""
    return f" ({'role' if len(roles) == 1 else 'roles'} {shortened(', '.join(roles))})"


def _json_of(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
