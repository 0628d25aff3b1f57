# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""One message on one channel: real servers that take it, refuse it, or are not to be trusted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from autoflow.child import message as sending
from autoflow.child.message import NotSentError, work
from autoflow.messages.content import tidy
from autoflow.model.messages import Message
from tests.receivers import Hook, MailServer, make_certificate, silent_server

# aiosmtpd warns of a server that takes passwords in the clear, which some of these have to be
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")

PASSWORD = "geheim/&@wort"
QUOTED = "geheim%2F%26%40wort"
HOSTILE = "naïve \N{SNOWMAN}\r\nBcc: all@example.org\r\n\r\n<script>" + "x" * 500


def request(channel: str, message: Message | None = None, **others: Any) -> dict[str, Any]:
    content = tidy(message or Message("failed", "flows: failed", ("notebook run, cell 3", "")))
    return {
        "kind": "message",
        "channel": channel,
        "message": asdict(content),
        "to": ["one@example.org", "two@example.org"],
        "id": 7,
        "made": 1_790_000_000.0,
        "host": "machine",
        "instance": "abc123",
        **others,
    }


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return make_certificate(tmp_path / "certificate.pem")


def mail_server(servers: ExitStack, *arguments: Any, **options: Any) -> MailServer:
    return servers.enter_context(closing(MailServer(*arguments, **options)))


def test_an_email_has_what_mail_servers_and_people_want(
    servers: ExitStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = mail_server(servers)
    monkeypatch.setenv("AUTOFLOW_SMTP_URL", f"smtp://127.0.0.1:{server.port}?from=autoflow@example.org")
    assert work(request("email"), tmp_path) == {"refused": []}
    (message,) = server.taken
    assert message["From"] == "AutoFlow <autoflow@example.org>"
    assert message["To"] == "one@example.org, two@example.org"
    assert message["Subject"] == "[AutoFlow] flows: failed"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"] == "<7.abc123@example.org>"
    assert parsedate_to_datetime(message["Date"]).timestamp() == 1_790_000_000
    assert message.get_content().splitlines() == ["notebook run, cell 3", ""]
    assert message.get_content_charset() == "utf-8"


def test_a_hostile_name_makes_no_header_and_no_second_message(
    servers: ExitStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = mail_server(servers)
    monkeypatch.setenv("AUTOFLOW_SMTP_URL", f"smtp://127.0.0.1:{server.port}?from=a@b.c")
    lines = ("first\r\n.\r\nMAIL FROM:<x@y>", HOSTILE, "\x1b[2J\u202etxt.exe", *["line"] * 500)
    work(request("email", Message("failed", HOSTILE, lines)), tmp_path)
    (message,) = server.taken
    assert message["Bcc"] is None
    assert server.recipients == [["one@example.org", "two@example.org"]]
    assert "naïve \N{SNOWMAN} Bcc: all@example.org" in message["Subject"]
    assert len(message["Subject"]) < 150
    text = message.get_content().replace("\r\n", "\n")
    assert "\n.\n" in text
    assert "MAIL FROM:<x@y>" in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert len(text.splitlines()) <= 60
    assert max(map(len, text.splitlines())) <= 300


@pytest.mark.parametrize("tls", ["starttls", "smtps"])
def test_a_password_goes_over_a_connection_that_is_verified(
    servers: ExitStack, certificate: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tls: str
) -> None:
    server = mail_server(servers, certificate, tls=tls, password=PASSWORD)
    scheme = "smtps" if tls == "smtps" else "smtp"
    monkeypatch.setenv("AUTOFLOW_SMTP_URL", f"{scheme}://me%40example.org:{QUOTED}@localhost:{server.port}")
    with pytest.raises(NotSentError, match="is not trusted: self-signed certificate"):
        work(request("email"), tmp_path)
    assert server.logins == []
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert work(request("email"), tmp_path) == {"refused": []}
    assert server.logins == [b"me@example.org"]
    assert server.taken[0]["From"] == "AutoFlow <me@example.org>"


def test_a_certificate_of_another_host_is_refused(
    servers: ExitStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = make_certificate(tmp_path / "other.pem", "mail.example.org")
    server = mail_server(servers, other, tls="smtps")
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    monkeypatch.setenv("AUTOFLOW_SMTP_URL", f"smtps://localhost:{server.port}")
    with pytest.raises(NotSentError, match="is not trusted: Hostname mismatch"):
        work(request("email"), tmp_path)


def test_a_password_is_not_sent_in_the_clear(
    servers: ExitStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = mail_server(servers, password=PASSWORD)
    monkeypatch.setenv("AUTOFLOW_SMTP_URL", f"smtp://me:{QUOTED}@localhost:{server.port}")
    with pytest.raises(NotSentError, match=r"does not offer TLS \(STARTTLS\), and a password is not sent without"):
        work(request("email"), tmp_path)
    assert server.logins == []


def test_a_relay_that_wants_no_password_may_have_any_certificate(
    servers: ExitStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = make_certificate(tmp_path / "other.pem", "relay.example.org")
    server = mail_server(servers, other, tls="starttls")
    monkeypatch.setenv("AUTOFLOW_SMTP_URL", f"smtp://localhost:{server.port}?from=a@b.c")
    assert work(request("email"), tmp_path) == {"refused": []}
    assert server.encrypted == [True]


def test_a_wrong_password_and_refused_addresses_are_told_without_the_password(
    servers: ExitStack, certificate: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server = mail_server(servers, certificate, tls="starttls", password=PASSWORD)
    monkeypatch.setenv("AUTOFLOW_SMTP_URL", f"smtp://me:wrong-{QUOTED}@localhost:{server.port}")
    with pytest.raises(NotSentError, match=r"rejected the user name and password \(status 535\)") as raised:
        work(request("email"), tmp_path)
    assert "geheim" not in str(raised.value)
    monkeypatch.setenv("AUTOFLOW_SMTP_URL", f"smtp://me:{QUOTED}@localhost:{server.port}?from=a@b.c")
    server.refused = {"two@example.org"}
    assert work(request("email"), tmp_path) == {"refused": ["two@example.org"]}
    server.refused = {"one@example.org", "two@example.org"}
    with pytest.raises(NotSentError, match="rejected all addresses: 550 no such person here"):
        work(request("email"), tmp_path)


def test_a_webhook_gets_words_and_facts(servers: ExitStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hook = servers.enter_context(closing(Hook()))
    monkeypatch.setenv("AUTOFLOW_WEBHOOK_URL", f"{hook.url}/services/T0/geheim")
    message = Message("failed", "flows: failed", ("where", "", "what"), "flows", ("2016-01-01",))
    work(request("webhook", message), tmp_path)
    assert hook.asked == ["POST /services/T0/geheim"]
    assert hook.taken == [
        {
            "event": "failed",
            "workflow": "flows",
            "dates": ["2016-01-01"],
            "subject": "flows: failed",
            "text": "flows: failed\nwhere\n\nwhat",
            "host": "machine",
            "instance": "abc123",
            "name": "",
            "id": 7,
        }
    ]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("500", "answered with status 500"),
        ("404", "answered with status 404"),
        ("redirect", "answered with status 302"),
        ("hang", "did not answer within"),
        ("gone", "cannot be reached: "),
        ("nowhere", "cannot be reached: "),
        ("untrusted", "cannot be reached: .*certificate verify failed"),
        ("plain", "cannot be reached: "),
    ],
)
def test_what_is_wrong_with_a_webhook_is_told_without_its_address(
    servers: ExitStack, certificate: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: str, words: str
) -> None:
    monkeypatch.setattr(sending, "PATIENCE", 0.5)
    hook = Hook()
    url = hook.url
    if fault == "gone":
        hook.close()
    else:
        servers.enter_context(closing(hook))
        hook.fault = fault if fault in ("500", "404", "redirect", "hang") else None
    if fault == "nowhere":
        url = "https://no-such-host.invalid"
    if fault == "untrusted":
        url = f"https://localhost:{mail_server(servers, certificate, tls='smtps').port}"
    if fault == "plain":
        url = hook.url.replace("http:", "https:")
    monkeypatch.setenv("AUTOFLOW_WEBHOOK_URL", f"{url}/services/geheim-T0?key=geheim-key")
    with pytest.raises(NotSentError, match=words) as raised:
        work(request("webhook"), tmp_path)
    assert "geheim" not in str(raised.value)
    assert hook.taken == []


@pytest.mark.parametrize("what", ["silent", "gone", "nowhere"])
def test_a_mail_server_that_is_not_there_is_told(
    servers: ExitStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str
) -> None:
    monkeypatch.setattr(sending, "PATIENCE", 0.5)
    port = servers.enter_context(silent_server())
    if what == "gone":
        servers.close()
    host = "no-such-host.invalid" if what == "nowhere" else "127.0.0.1"
    monkeypatch.setenv("AUTOFLOW_SMTP_URL", f"smtp://me:{QUOTED}@{host}:{port}")
    with pytest.raises(NotSentError, match="did not answer within" if what == "silent" else "cannot be used") as error:
        work(request("email"), tmp_path)
    assert "geheim" not in str(error.value)


def test_a_defect_tells_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def stumble(*_: Any, **__: Any) -> Any:
        raise RuntimeError(f"at smtp://me:{PASSWORD}@host")

    monkeypatch.setattr("autoflow.child.message._Smtp", stumble)
    monkeypatch.setenv("AUTOFLOW_SMTP_URL", f"smtp://me:{QUOTED}@localhost")
    with pytest.raises(NotSentError, match=r"it cannot be sent \(RuntimeError\)"):
        work(request("email"), tmp_path)
