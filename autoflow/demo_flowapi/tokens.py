# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Tokens as FlowAuth signs them and FlowAPI checks them: RS256, with compressed claims."""

from __future__ import annotations

import binascii
import datetime as dt
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from flowkit_jwt_generator.jwt import decompress_claims, generate_token

from autoflow.demo_flowapi.queries import scopes_of
from autoflow.demo_flowapi.schemas import KINDS

AUDIENCE = "flowapi.stand-in"

ALL_SCOPES = (
    "get_available_dates",
    "get_qa_checks",
    "get_result",
    "run",
    "lon-lat:geography:geography",
    *(f"admin{level}:geography:geography" for level in range(4)),
    *(scope for level in range(4) for kind in KINDS for scope in scopes_of(f"admin{level}", kind)),
)
"""Every scope that the stand-in asks for; their shape has changed between releases of FlowKit."""


class RefusedError(Exception):
    """FlowAPI's answer to a request whose token will not do."""

    def __init__(self, status: int, message: str | None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        """None where FlowAPI answers with a page instead of JSON."""


@dataclass(frozen=True)
class Keys:
    """The pair that signs and checks."""

    private: rsa.RSAPrivateKey

    @classmethod
    def generate(cls) -> Keys:
        return cls(rsa.generate_private_key(public_exponent=65537, key_size=2048))


def make_token(
    keys: Keys,
    *,
    lifetime: dt.timedelta = dt.timedelta(days=30),
    roles: Mapping[str, Iterable[str]] | None = None,
    audience: str = AUDIENCE,
) -> str:
    """Sign a token for an invented analyst."""
    with warnings.catch_warnings():
        # the generator still asks for the time in a way that Python 3.12 frowns on
        warnings.simplefilter("ignore", DeprecationWarning)
        token: str = generate_token(
            flowapi_identifier=audience,
            username="analyst",
            private_key=keys.private,
            lifetime=lifetime,
            roles={role: list(scopes) for role, scopes in (roles or {"analyst": ALL_SCOPES}).items()},
        )
    return token


def read_roles(keys: Keys, header: str | None) -> list[frozenset[str]]:
    """Check an Authorization header, and give the scopes of each role in its token.

    Raises
    ------
    RefusedError
        With the status and message that a FlowAPI answers with.
    """
    if header is None:
        raise RefusedError(401, "Missing Authorization Header")
    kind, _, token = header.partition(" ")
    if kind != "Bearer" or not token.strip():
        raise RefusedError(422, "Bad Authorization header. Expected value 'Bearer <JWT>'")
    try:
        claims: dict[str, Any] = jwt.decode(token.strip(), keys.private.public_key(), ["RS256"], audience=AUDIENCE)
    except jwt.ExpiredSignatureError:
        raise RefusedError(401, "Token has expired") from None
    except jwt.InvalidTokenError as error:
        raise RefusedError(422, str(error)) from None
    if "sub" not in claims:
        raise RefusedError(422, "Missing claim: sub")
    try:
        roles = decompress_claims(claims["user_claims"])
        return [frozenset(scopes) for scopes in roles.values()]
    except (KeyError, AttributeError, TypeError, ValueError, OSError, EOFError, binascii.Error):
        raise RefusedError(500, None) from None


def require(roles: Iterable[frozenset[str]], wanted: Iterable[str]) -> None:
    """Check that one role has all the scopes that are wanted.

    Raises
    ------
    RefusedError
        When none has.
    """
    needed = set(wanted)
    if not any(needed <= role for role in roles):
        raise RefusedError(403, "User claims verification failed")
