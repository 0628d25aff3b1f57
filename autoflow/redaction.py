# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Keeping secrets out of everything that leaves a process."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

REDACTED = "[redacted]"

LONG_LINE = 16
"""Characters of a line of a secret, such as a key in PEM format, that are a secret by themselves."""

SHORTEST_SECRET = 8
"""Characters that a secret has at least; taking shorter ones out would shred the text."""


def written_forms(secret: str) -> set[str]:
    """Write a secret as it is, its longer lines alone, as it stands in URLs, and in the quotes of JSON and Python."""
    lines = [line.strip() for line in secret.splitlines()]
    return {
        form
        for part in (secret, *(line for line in lines if len(line) >= LONG_LINE and not line.startswith("-----")))
        for form in (part, quote(part, safe=""), *_quoted(part))
    }


def _quoted(text: str) -> tuple[str, ...]:
    whole = json.dumps(text), json.dumps(text, ensure_ascii=False), repr(text)
    return (*(each[1:-1] for each in whole), repr(text.encode())[2:-1])


@dataclass(frozen=True)
class Redactor:
    """Takes secrets out of text."""

    secrets: frozenset[str] = field(default=frozenset(), repr=False)

    @classmethod
    def of(cls, *secrets: str | None) -> Redactor:
        """Build one from secrets as they were read; None and what is too short do not count."""
        stripped = {secret.strip() for secret in secrets if secret}
        kept = {secret for secret in stripped if len(secret) >= SHORTEST_SECRET}
        return cls(frozenset(form for secret in kept for form in written_forms(secret)))

    def redact(self, text: str) -> str:
        # the longest first: one may be a part of another
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, REDACTED)
        return text

    def redact_json(self, value: Any) -> Any:
        """Remove secrets from every string in a JSON value, keys included."""
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, dict):
            return {self.redact(str(key)): self.redact_json(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.redact_json(item) for item in value]
        return value


class RedactingFormatter(logging.Formatter):
    """Formats a log record as another formatter does, tracebacks and all, and takes the secrets out.

    Parameters
    ----------
    formatter
        The other formatter.
    redactor
        Gives the secrets as they are at the time: a token may change while the daemon runs. Those of
        before stay out of the log as well, since a notebook may still have them.
    """

    def __init__(self, formatter: logging.Formatter, redactor: Callable[[], Redactor]) -> None:
        super().__init__()
        self._formatter = formatter
        self._redactor = redactor
        self._known = Redactor()

    def format(self, record: logging.LogRecord) -> str:
        self._known = Redactor(self._known.secrets | self._redactor().secrets)
        return self._known.redact(self._formatter.format(record))
