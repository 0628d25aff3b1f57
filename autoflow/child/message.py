# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Send one message on one channel. Where to is a secret, and is in no error."""

from __future__ import annotations

import os
import smtplib
import socket
import ssl
from collections.abc import Mapping, Sequence
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formataddr, formatdate
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from autoflow.child import proxies
from autoflow.child.http_library import httpx
from autoflow.redaction import Redactor
from autoflow.wording import printable

PATIENCE = 20.0
"""Seconds that the other side may take for each answer."""

LARGEST_REPLIES = 1_000_000
"""Bytes of all that a mail server says."""

MOST_REDIRECTS = 5
LONGEST_REASON = 500

SUBMISSION, SUBMISSION_TLS, RELAY = 587, 465, 25
"""Ports of mail servers: for those with a password, with TLS from the beginning, and without a password."""


class NotSentError(Exception):
    """The message was not taken; why, without a secret."""


def work(request: Mapping[str, Any], workspace: Path) -> dict[str, Any]:  # noqa: ARG001
    """Send it.

    Parameters
    ----------
    request
        ``channel``; ``message``, as `autoflow.model.messages.Message` has it; ``to``, addresses of an e-mail;
        ``id``, the same whenever this message is sent; ``made``, a timestamp; ``host``, ``instance`` and ``name``.
        Where the channel leads is in its environment variable.

    Returns
    -------
    dict
        ``refused``: addresses that did not take it where others did.

    Raises
    ------
    NotSentError
        When it was not taken.
    """
    send = {"email": _email, "webhook": _webhook, "heartbeat": _heartbeat, "apprise": _apprise}[request["channel"]]
    try:
        return {"refused": send(request)}
    except NotSentError:
        raise
    except Exception as error:  # noqa: BLE001  # its words may hold the address
        raise NotSentError(f"it cannot be sent ({type(error).__name__})") from None


def compose(request: Mapping[str, Any], sender: str) -> EmailMessage:
    """Make an e-mail of a message."""
    message = request["message"]
    email = EmailMessage(policy=SMTP.clone(utf8=False))
    called = f"AutoFlow {request['name']}" if request.get("name") else "AutoFlow"
    email["From"] = formataddr((called, sender))
    email["To"] = ", ".join(request["to"])
    email["Subject"] = f"[{called}] {message['subject']}"
    email["Date"] = formatdate(request["made"])
    # sent a second time, after a crash say, it is the same message
    email["Message-ID"] = f"<{request['id']}.{request['instance']}@{_domain(sender)}>"
    # no answers from robots (RFC 3834)
    email["Auto-Submitted"] = "auto-generated"
    email["X-AutoFlow-Event"] = message["event"]
    email.set_content("\n".join(message["lines"]) + "\n", charset="utf-8")
    return email


def _email(request: Mapping[str, Any]) -> Sequence[str]:
    url = urlsplit(os.environ["AUTOFLOW_SMTP_URL"])
    user, password = unquote(url.username or ""), unquote(url.password or "")
    hidden = Redactor.of(password, url.password)
    port = url.port or (SUBMISSION_TLS if url.scheme == "smtps" else SUBMISSION if password else RELAY)
    place = f"the mail server {url.hostname}:{port}"
    senders = parse_qs(url.query).get("from")
    sender = senders[0] if senders else user if "@" in user else f"autoflow@{socket.getfqdn()}"
    try:
        with _connected(url, port) as server:
            _secure(server, url, password, place)
            if password:
                server.login(user, password)
            refused = server.send_message(compose(request, sender), sender, request["to"])
    except ssl.SSLCertVerificationError as error:
        raise NotSentError(f"the certificate of {place} is not trusted: {error.verify_message}") from None
    except smtplib.SMTPAuthenticationError as error:
        raise NotSentError(f"{place} rejected the user name and password (status {error.smtp_code})") from None
    except smtplib.SMTPRecipientsRefused as error:
        reasons = "; ".join(_said(code, text) for code, text in error.recipients.values())
        raise NotSentError(hidden.redact(f"{place} rejected all addresses: {reasons}")) from None
    except smtplib.SMTPResponseException as error:
        said = _said(error.smtp_code, error.smtp_error)
        raise NotSentError(hidden.redact(f"{place} refused it: {said}")) from None
    except (smtplib.SMTPException, OSError) as error:
        # smtplib takes the silence of a server for its end
        if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
            raise NotSentError(f"{place} did not answer within {PATIENCE:g} s") from None
        raise NotSentError(hidden.redact(f"{place} cannot be used: {error or type(error).__name__}")) from None
    return sorted(refused)


class _BoundedReplies:
    """What a mail server says, bounded in length."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._size = 0

    def readline(self, most: int) -> bytes:
        line: bytes = self._file.readline(most)
        self._size += len(line)
        if self._size > LARGEST_REPLIES:
            raise OSError("its response is too long")
        return line

    def close(self) -> None:
        self._file.close()


class _Smtp(smtplib.SMTP):
    def getreply(self) -> tuple[int, bytes]:
        # as smtplib would, and again after TLS has begun
        if self.file is None and self.sock is not None:
            self.file = _BoundedReplies(self.sock.makefile("rb"))
        return super().getreply()


class _SmtpSsl(_Smtp, smtplib.SMTP_SSL):
    """Speaks TLS from the beginning."""


@contextmanager
def _connected(url: SplitResult, port: int) -> Any:
    host = url.hostname or ""
    if url.scheme == "smtps":
        context = ssl.create_default_context()
        server: smtplib.SMTP = _SmtpSsl(host, port, timeout=PATIENCE, context=context)
    else:
        server = _Smtp(host, port, timeout=PATIENCE)
    try:
        server.ehlo_or_helo_if_needed()
        yield server
        # what was taken is taken, however the server says goodbye
        with suppress(smtplib.SMTPException, OSError):
            server.quit()
    finally:
        server.close()


def _secure(server: smtplib.SMTP, url: SplitResult, password: str, place: str) -> None:
    """Go over to TLS where it is offered; a password goes no other way."""
    if url.scheme == "smtps":
        return
    if server.has_extn("starttls"):
        context = ssl.create_default_context()
        if not password:
            # what would go in the clear where no TLS is offered may go by any certificate (RFC 7435)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        server.starttls(context=context)
        server.ehlo()
    elif password:
        raise NotSentError(
            f"{place} does not offer TLS (STARTTLS), and a password is not sent without it; try smtps://"
        )


def _webhook(request: Mapping[str, Any]) -> Sequence[str]:
    message = request["message"]
    text = "\n".join((_subject(request), *message["lines"])).rstrip()
    content = {
        "event": message["event"],
        "workflow": message["workflow"],
        "dates": message["dates"],
        "subject": message["subject"],
        # what chat services show
        "text": text,
        "host": request["host"],
        "instance": request["instance"],
        "name": request.get("name", ""),
        "id": request["id"],
    }
    _ask("POST", os.environ["AUTOFLOW_WEBHOOK_URL"], "the webhook", json=content)
    return ()


def _subject(request: Mapping[str, Any]) -> str:
    """Write the subject, with the name of the deployment where it has one."""
    name, subject = request.get("name"), str(request["message"]["subject"])
    return f"[{name}] {subject}" if name else subject


def _heartbeat(request: Mapping[str, Any]) -> Sequence[str]:  # noqa: ARG001
    _ask("GET", os.environ["AUTOFLOW_HEARTBEAT_URL"], "the heartbeat URL")
    return ()


def _ask(method: str, url: str, what: str, **content: Any) -> None:
    place = f"{what} at {urlsplit(url).hostname}"
    try:
        status = _status(method, url, **content)
    except httpx.TimeoutException:
        raise NotSentError(f"{place} did not answer within {PATIENCE:g} s") from None
    except (httpx.HTTPError, OSError) as error:
        reason = Redactor.of(url, urlsplit(url).path, urlsplit(url).query).redact(str(error)) or type(error).__name__
        through = proxies.proxy_of(url)
        by = f", through the proxy of {through}" if through else ""
        raise NotSentError(f"{place} cannot be reached: {printable(reason)[:LONGEST_REASON]}{by}") from None
    except (ImportError, ValueError, httpx.InvalidURL):
        # httpx reads the proxies of the environment; its words may hold a password
        raise NotSentError(f"{place} cannot be asked: {proxies.complaint() or 'its address is not usable'}") from None
    if not 200 <= status < 300:
        raise NotSentError(f"{place} answered with status {status}")


def _status(method: str, url: str, **content: Any) -> int:
    """Ask, follow where a GET is led, and give the status; what is answered may have any length, and is not read."""
    with httpx.Client(timeout=PATIENCE) as client:
        request = client.build_request(method, url, **content)
        for _ in range(MOST_REDIRECTS):
            answer = client.send(request, stream=True)
            answer.close()
            if method != "GET" or answer.next_request is None:
                return answer.status_code
            request = answer.next_request
    raise httpx.TooManyRedirects(f"it redirects more than {MOST_REDIRECTS} times")


def _apprise(request: Mapping[str, Any]) -> Sequence[str]:
    import apprise

    message = request["message"]
    addresses = os.environ["AUTOFLOW_APPRISE_URLS"].split()
    refused, taken = [], 0
    for number, address in enumerate(addresses, 1):
        # one by one: what one service has taken is not sent to it again because another did not
        service = apprise.Apprise()
        name = f"address {number} of AUTOFLOW_APPRISE_URLS"
        if not service.add(address):
            refused.append(f"{name} (apprise does not understand it)")
        elif not service.notify(title=_subject(request), body="\n".join(message["lines"]) or message["subject"]):
            refused.append(name)
        else:
            taken += 1
    if not taken:
        raise NotSentError(f"rejected by {', '.join(refused)}")
    return refused


def _said(code: int, text: bytes | str) -> str:
    words = text.decode(errors="replace") if isinstance(text, bytes) else text
    return f"{code} {printable(' '.join(words[:2000].split()))}"[:200]


def _domain(sender: str) -> str:
    return sender.rpartition("@")[2]
