# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Polls: they get what flowclient gets, and fail where it fails."""

from __future__ import annotations

import datetime as dt
import ssl
import warnings
from collections.abc import Iterator
from contextlib import closing
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import flowclient
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from autoflow.child.available_dates import NoAnswerError, work
from autoflow.demo_flowapi import FlowapiStandin


@pytest.fixture
def flowapi(monkeypatch: pytest.MonkeyPatch) -> Iterator[FlowapiStandin]:
    with FlowapiStandin(days=5, poll_seconds=0.0) as standin:
        monkeypatch.setenv("FLOWAPI_TOKEN", standin.token())
        yield standin


def ask(url: str, certificate: Path | None = None) -> dict[str, list[str]]:
    return work({"url": url, "ssl_certificate": str(certificate) if certificate else ""}, Path())


def ask_flowclient(url: str, token: str, certificate: Path | None = None) -> dict[str, Any]:
    with warnings.catch_warnings():
        # of http without TLS, and of the way in which flowclient passes a certificate to httpx
        warnings.simplefilter("ignore")
        connection = flowclient.connect(url=url, token=token, ssl_certificate=str(certificate or "") or True)
        with closing(connection.session):
            answer: dict[str, Any] = flowclient.get_available_dates(connection=connection)
    return answer


def test_the_dates_are_those_that_flowclient_gets(flowapi: FlowapiStandin) -> None:
    dates = ask(flowapi.url)
    assert dates == {cdr_type: sorted(days) for cdr_type, days in ask_flowclient(flowapi.url, flowapi.token()).items()}
    assert len(dates["calls"]) == 5


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("401", "it responded with status 401: Token has expired"),
        ("403", "it responded with status 403: User claims verification failed"),
        ("500", "it responded with status 500: "),
        ("truncated", "it cannot be reached: peer closed connection|its response is not a list of dates"),
        ("nonsense", "it responded with a web page"),
    ],
)
def test_it_fails_where_flowclient_fails(flowapi: FlowapiStandin, fault: str, message: str) -> None:
    flowapi.set_fault(fault)
    with pytest.raises(NoAnswerError, match=message):
        ask(flowapi.url)
    with pytest.raises(Exception):  # noqa: B017, PT011  # whatever flowclient makes of it
        ask_flowclient(flowapi.url, flowapi.token())


def test_a_server_that_is_not_there_and_a_wrong_address_are_told(flowapi: FlowapiStandin) -> None:
    url = flowapi.url
    with pytest.raises(NoAnswerError, match="it responded with status 404"):
        ask(f"{url}/elsewhere")
    flowapi.stop()
    with pytest.raises(NoAnswerError, match=r"it cannot be reached: .*refused"):
        ask(url)
    with pytest.raises(NoAnswerError, match="it cannot be reached"):
        ask("http://no-such-host.invalid")


def test_a_token_that_expired_is_told(flowapi: FlowapiStandin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWAPI_TOKEN", flowapi.token(dt.timedelta(seconds=-5)))
    with pytest.raises(NoAnswerError, match="401: Token has expired"):
        ask(flowapi.url)


@pytest.fixture
def certificate(flowapi: FlowapiStandin, tmp_path: Path) -> Path:
    """Let the stand-in speak TLS, with a certificate that only this file vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "FlowAPI's stand-in")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = tmp_path / "key.pem"
    plain = serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, private)
    flowapi.speak_tls(context)
    return path


def test_certificates_are_checked_as_flowclient_checks_them(flowapi: FlowapiStandin, certificate: Path) -> None:
    assert flowapi.url.startswith("https://")
    assert ask(flowapi.url, certificate) == ask_flowclient(flowapi.url, flowapi.token(), certificate)
    with pytest.raises(NoAnswerError, match="CERTIFICATE_VERIFY_FAILED"):
        ask(flowapi.url)
    with pytest.raises(flowclient.errors.FlowclientConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        ask_flowclient(flowapi.url, flowapi.token())


def test_a_certificate_in_the_environment_is_used_as_flowclient_uses_it(
    flowapi: FlowapiStandin, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert ask(flowapi.url) == ask_flowclient(flowapi.url, flowapi.token())
