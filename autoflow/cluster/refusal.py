# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Why somebody's certificate is not taken, in words: dask says only that it does not match."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

HAS_EXPIRED = 10
"""OpenSSL's number for that."""

RENEW = "`autoflow cluster certificates` makes new ones, for all machines"
ONE_AUTHORITY = "all machines need certificates that one `autoflow cluster certificates` has made, and its ca.pem"

ALERTS = {
    "alert certificate expired": ("it says that the certificate of this machine has expired", RENEW),
    "alert unknown ca": ("it does not know the authority of this machine's certificate", ONE_AUTHORITY),
    "alert bad certificate": ("it refuses the certificate of this machine", ONE_AUTHORITY),
    "alert certificate required": ("it got no certificate of this machine", ONE_AUTHORITY),
}
"""What the other side says, with what it means and what to do."""


@dataclass(frozen=True)
class Refusal:
    """What keeps two programs from trusting each other."""

    why: str
    advice: str


CUT = Refusal(
    "it ended the connection, as it does with a certificate that it does not trust",
    f"its log says why; {ONE_AUTHORITY}",
)


def refusal_of(error: BaseException) -> Refusal | None:
    """Say whose certificate is not taken, and what to do; None where a connection fails for another reason."""
    for each in _chain(error):
        # an `ssl.SSLCertVerificationError`, whose module would load OpenSSL into every daemon
        code = getattr(each, "verify_code", None)
        if code == HAS_EXPIRED:
            return Refusal("its certificate has expired", RENEW)
        if code is not None:
            message = getattr(each, "verify_message", "")
            return Refusal(f"its certificate is not trusted here: {message}", ONE_AUTHORITY)
        for alert, (why, advice) in ALERTS.items():
            if alert in str(each):
                return Refusal(why, advice)
    # the alert does not always arrive before the end
    return CUT if str(error).startswith("in <TLS") else None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
