# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What FlowAPI's token says of itself: its claims, and the roles that it was made with in FlowAuth.

Who makes another token has to choose the same roles again.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from typing import Any

from autoflow.wording import shortened

LARGEST = 4_000_000
"""Bytes that the claims may have when they are unpacked."""

GZIP = 31
"""The ``wbits`` with which zlib unpacks gzip."""


def claims_of(token: str) -> dict[str, Any] | None:
    """Read the claims of a token, without its key; None when it is none, or not all of one."""
    # b64decode passes over what is no base64, such as a line break in the middle
    parts = re.fullmatch(r"([\w-]+)\.([\w-]+)\.[\w-]+", token, re.ASCII)
    if parts is None:
        return None
    try:
        header, claims = (
            json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in parts.groups()
        )
    except (ValueError, RecursionError):
        return None
    return claims if isinstance(header, dict) and isinstance(claims, dict) else None


def roles_of(token: str) -> tuple[str, ...]:
    """Return the names of a token's roles; none where they cannot be read, as in tokens of other releases."""
    try:
        packed = base64.b64decode((claims_of(token) or {})["user_claims"])
        roles = json.loads(zlib.decompressobj(GZIP).decompress(packed, LARGEST))
        return tuple(shortened(name) for name in roles) if isinstance(roles, dict) else ()
    except (KeyError, TypeError, ValueError, RecursionError, zlib.error):
        return ()


def roles_text(token: str) -> str:
    """Name a token's roles, to be put after what is done with them; empty where they are not known."""
    roles = roles_of(token)
    if not roles:
        return ""
    return f" ({'role' if len(roles) == 1 else 'roles'} {shortened(', '.join(roles))})"
