# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Ask FlowAPI which dates have data.

With flowclient's own HTTP library, options and all, but without flowclient: importing that, and pandas with
it, takes longer than everything else in a tick. A test holds the two to the same answers.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import ssl
import zlib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from autoflow.child import proxies
from autoflow.child.hints import refusal_hint, with_roles
from autoflow.child.http_library import httpx
from autoflow.wording import printable, shortened

LARGEST_ANSWER = 16_000_000
"""Bytes of an answer, and those that it has when it is unpacked."""

MOST_DATES = 200_000
"""Dates of all CDR types: more than a hundred years of four types."""

LONGEST_NAME, LONGEST_WORD = 100, 500
"""Characters of a CDR type's name, and of what FlowAPI says."""

UNPACKING = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""Encodings that are asked for, and the ``wbits`` with which zlib unpacks them."""


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
        When FlowAPI cannot be reached, refuses, or gives something else.
    """
    return answer(request)[0]


def answer(request: Mapping[str, Any]) -> tuple[dict[str, list[str]], Mapping[str, str]]:
    """Ask FlowAPI once, and return the headers of its answer too.

    Raises
    ------
    NoAnswerError
        As by `work`.
    """
    url = f"{request['url']}{PATH}"
    with open_client(request["ssl_certificate"]) as client:
        response, body = get(client, url)
    if response.status_code != httpx.codes.OK:
        raise NoAnswerError(refusal_of(response, body, url))
    try:
        return _dates(json.loads(body)["available_dates"]), response.headers
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        if is_page(response, body):
            raise NoAnswerError(f"it responded with a web page{title_of(body)}; {NOT_FLOWAPI}") from error
        what = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else str(error)
        raise NoAnswerError(f"its response is not a list of dates by CDR type ({one_line(what)})") from error


PATH = "/api/0/available_dates"

UNREACHABLE = (
    (
        r"(?i)hostname mismatch|IP address mismatch|doesn't match",
        "FLOWAPI_URL has another host name than the server's certificate is for; use the one that it names",
    ),
    (r"certificate has expired", "the server's certificate has expired; tell FlowAPI's administrator"),
    (r"CERTIFICATE_VERIFY_FAILED", "set SSL_CERTIFICATE_FILE to a file of certificates to trust"),
    (
        r"Errno -[235]\]|[Nn]ame or service not known|[Nn]ame resolution|No address associated",
        "this machine does not know the host of FLOWAPI_URL; check how it is spelt, the name server, and a VPN if it"
        " needs one",
    ),
    (
        r"Connection refused",
        "nothing listens there; check host and port of FLOWAPI_URL, and that FlowAPI is running",
    ),
    (r"unreachable|No route to host", "there is no way to the host of FLOWAPI_URL; check network, firewall and VPN"),
)
"""Why a connection was not made, as a pattern, and what to do."""

NOT_FLOWAPI = "is FLOWAPI_URL the address of a login page or another server?"


def open_client(certificate: str | None) -> httpx.Client:
    """Make a client as flowclient does."""
    try:
        context: ssl.SSLContext | bool = ssl.create_default_context(cafile=certificate) if certificate else True
    except OSError as error:
        why = getattr(error, "reason", None) or error.strerror
        raise NoAnswerError(f"SSL_CERTIFICATE_FILE: {certificate} contains no certificates ({why})") from error
    try:
        return httpx.Client(
            # what is not asked for is not unpacked: a small answer may have a large one in it
            headers={"Authorization": f"Bearer {os.environ['FLOWAPI_TOKEN']}", "Accept-Encoding": "gzip, deflate"},
            timeout=None,
            http2=find_spec("h2") is not None,
            verify=context,
        )
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        # httpx reads the proxies of the environment
        raise NoAnswerError(proxies.complaint() or f"the request failed: {one_line(str(error))}") from error


def get(client: httpx.Client, url: str) -> tuple[httpx.Response, bytes]:
    """Ask for one thing, and return what was answered, whatever its status.

    Raises
    ------
    NoAnswerError
        When FlowAPI cannot be reached.
    """
    try:
        with client.stream("GET", url) as response:
            return response, body_of(response)
    except NoAnswerError:
        raise
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise NoAnswerError(f"it cannot be reached: {_reason(error, url)}") from error


def body_of(answer: httpx.Response) -> bytes:
    """Read what was answered, within bounds, and unpack it."""
    packed = bytearray()
    for chunk in answer.iter_raw():
        packed += chunk
        if len(packed) > LARGEST_ANSWER:
            raise NoAnswerError(f"its response has more than {LARGEST_ANSWER:,} bytes")
    encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        return bytes(packed)
    if encoding not in UNPACKING:
        raise NoAnswerError(f"its response has an unexpected encoding ({one_line(encoding)})")
    try:
        body = zlib.decompressobj(UNPACKING[encoding]).decompress(packed, LARGEST_ANSWER + 1)
    except zlib.error:
        try:
            # "deflate" as some servers have it
            body = zlib.decompressobj(-zlib.MAX_WBITS if encoding == "deflate" else 31).decompress(
                packed, LARGEST_ANSWER + 1
            )
        except zlib.error as error:
            raise NoAnswerError(f"its response cannot be decompressed ({error})") from error
    if len(body) > LARGEST_ANSWER:
        raise NoAnswerError(f"its response has more than {LARGEST_ANSWER:,} bytes when decompressed")
    return body


def _dates(answer: Mapping[str, Any]) -> dict[str, list[str]]:
    found = {}
    for cdr_type, dates in answer.items():
        if not cdr_type or not cdr_type.isprintable() or len(cdr_type) > LONGEST_NAME:
            raise ValueError(f"the CDR type {printable(cdr_type[:LONGEST_NAME])!r} is not a name")
        if not isinstance(dates, list):
            raise TypeError(f"the dates of {cdr_type} are not a list")
        found[cdr_type] = sorted({dt.date.fromisoformat(date).isoformat() for date in dates})
    if (number := sum(map(len, found.values()))) > MOST_DATES:
        raise ValueError(f"it has {number:,} dates, more than {MOST_DATES:,}")
    return found


def refusal_of(answer: httpx.Response, body: bytes, url: str, scope: str = "get_available_dates") -> str:
    """Say what an answer means that is not what was asked for, with the scope that it takes."""
    status = answer.status_code
    said = f"it responded with status {status}: {_message(answer, body)}"
    through = proxies.proxy_of(url)
    if 300 <= status < 400:
        place = re.match(r"\w+://[^/?#]*", answer.headers.get("Location", ""))
        where = f" to {one_line(place[0].rpartition('@')[2])}" if place else ""
        hint = f"it redirects{where}, which is not followed; {NOT_FLOWAPI}"
    elif status == httpx.codes.PROXY_AUTHENTICATION_REQUIRED or (through and status in (502, 503, 504)):
        hint = f"that may come from the proxy of {through or 'the environment'}"
    elif status == httpx.codes.FORBIDDEN and not is_page(answer, body):
        hint = with_roles(
            f"the token lacks the scope {scope}{{roles}}: ask FlowAuth's administrator to give it to the role"
            " that notebooks use, and create a new token with it"
        )
    elif is_page(answer, body):
        hint = {
            400: "does FLOWAPI_URL begin with http:// instead of https://?",
            404: _not_found(url),
            500: "FlowAPI failed internally, as it does for a token without claims; see its log",
            502: "a proxy in front of FlowAPI responded, but FlowAPI did not",
            503: "a proxy in front of FlowAPI responded, but FlowAPI did not",
            504: "a proxy in front of FlowAPI responded, but FlowAPI did not",
        }.get(status, NOT_FLOWAPI)
    elif status == httpx.codes.NOT_FOUND:
        hint = _not_found(url)
    else:
        hint = refusal_hint(said) or ""
    return f"{said}; {hint}" if hint else said


def _not_found(url: str) -> str:
    path = urlsplit(url).path.removesuffix(PATH)
    what = f"leave out its path, {shortened(path)}" if path else "is it the address of another server?"
    return f"FlowAPI was not found at FLOWAPI_URL; {what}"


def _reason(error: Exception, url: str) -> str:
    """Say why there was no answer, and what may be wrong with FLOWAPI_URL or a proxy."""
    said = one_line(str(error)) or type(error).__name__
    through = proxies.proxy_of(url)
    if through and "CERTIFICATE_VERIFY_FAILED" not in said:
        return (
            f"{said}, through the proxy of {through}; is it reachable, and meant for FlowAPI? NO_PROXY names exceptions"
        )
    if "WRONG_VERSION_NUMBER" in said or "wrong version number" in said:
        return f"{said}; the server does not use TLS: does FLOWAPI_URL begin with https:// instead of http://?"
    for words, hint in UNREACHABLE:
        if re.search(words, said):
            return f"{said}{f', through the proxy of {through}' if through else ''}; {hint}"
    if isinstance(error, httpx.RemoteProtocolError) and "location header" not in said and url.startswith("http://"):
        return f"{said}; does FLOWAPI_URL begin with http:// instead of https://?"
    return said


def _message(answer: httpx.Response, body: bytes) -> str:
    """Find what FlowAPI has to say about a refusal."""
    try:
        return one_line(str(json.loads(body)["msg"]))
    except (KeyError, TypeError, ValueError, RecursionError):
        return one_line(answer.reason_phrase) + title_of(body) or "without a word"


def is_page(answer: httpx.Response, body: bytes) -> bool:
    return "html" in answer.headers.get("Content-Type", "") or body[:200].lstrip().lower().startswith(
        (b"<!doc", b"<htm")
    )


def title_of(body: bytes) -> str:
    found = re.search(rb"<title[^>]*>([^<]{1,200})", body[:20_000], re.IGNORECASE)
    return f" ({one_line(found[1].decode(errors='replace'))!r})" if found else ""


def one_line(text: str) -> str:
    line = printable(" ".join(text.split()))
    return line if len(line) <= LONGEST_WORD else f"{line[: LONGEST_WORD - 1]}…"
