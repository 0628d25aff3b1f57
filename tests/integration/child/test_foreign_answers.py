# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What is no FlowAPI, or an odd one: bounded in size, told in one line, with what to do about it."""

from __future__ import annotations

import gzip
import json
import re
import resource
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import pytest

from autoflow.child import available_dates
from autoflow.child.available_dates import NoAnswerError, work
from autoflow.child.message import NotSentError
from autoflow.child.message import work as send
from autoflow.demo_flowapi import FlowapiStandin
from tests.conftest import Deployment


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWAPI_TOKEN", "a.b.c")
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@contextmanager
def server(say: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve on 127.0.0.1: each connection's request is read, and answered by a function."""

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(30)
            connection.recv(65536)
            say(connection)

    def serve() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(listening.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


def answered(body: bytes, status: str = "200 OK", *headers: str) -> Callable[[socket.socket], None]:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return lambda connection: connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)


def complaint(say: Callable[[socket.socket], None]) -> str:
    with server(say) as url, pytest.raises(NoAnswerError) as raised:
        work({"url": url, "ssl_certificate": ""}, Path())
    said = str(raised.value)
    assert said.isprintable()
    assert len(said) < 1200
    return said


def listing(**types: list[str]) -> bytes:
    return json.dumps({"available_dates": types}).encode()


def endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        connection.sendall(b" " * 65536)


def endless_head(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X: " + b"x" * 65536 + b"\r\n")


def dripping(connection: socket.socket) -> None:
    """Send the blanks that JSON may begin with, one by one: there is always something to be read."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    for _ in range(1_000):
        connection.sendall(b" ")
        time.sleep(0.05)


@cache
def packed_zeros(encoding: str) -> bytes:
    """Pack 400 MB."""
    packer = zlib.compressobj(1, wbits={"gzip": 31, "deflate": 15}[encoding])
    return b"".join(packer.compress(bytes(1_000_000)) for _ in range(400)) + packer.flush()


def bomb(encoding: str) -> Callable[[socket.socket], None]:
    def say(connection: socket.socket) -> None:
        answered(packed_zeros(encoding), "200 OK", f"Content-Encoding: {encoding}")(connection)

    return say


@pytest.mark.parametrize(
    ("say", "words"),
    [
        (endless, "its response has more than 16,000,000 bytes"),
        (endless_head, "it cannot be reached: "),
        (bomb("gzip"), "its response has more than 16,000,000 bytes when decompressed"),
        (bomb("deflate"), "its response has more than 16,000,000 bytes when decompressed"),
        (answered(b"xxxx", "200 OK", "Content-Encoding: br"), "an unexpected encoding (br)"),
        (answered(b"xxxx", "200 OK", "Content-Encoding: gzip"), "cannot be decompressed"),
        (answered(b"[" * 1_000_000), "is not a list of dates by CDR type"),
        (answered(b'{"available_dates": ' + b"9" * 5000 + b"}"), "is not a list of dates by CDR type"),
        (answered(listing(calls=[f"{year:04}-01-01" for year in range(1, 9999)] * 2)), ""),
        (answered(b'{"available_dates": {"\\ud800": []}}'), r"the CDR type '\\ud800' is not a name"),
        (answered(b'{"available_dates": {"\\u001b[2J": []}}'), "is not a name"),
        (answered(b'{"available_dates": {"\\u202eabc": []}}'), "is not a name"),
        (answered(listing(**{"x" * 1_000_000: []})), "is not a name"),
        (answered(listing(**{"": []})), "is not a name"),
        (answered(b'{"available_dates": {"calls": "2016-01-01"}}'), "the dates of calls are not a list"),
        (answered(b'{"available_dates": {"calls": ["2016-13-01"]}}'), "is not a list of dates"),
        (answered(b'{"available_dates": {"calls": [null]}}'), "is not a list of dates"),
        (answered(b'{"msg": "a\\u001b[2J\\nb\\u202e' + b"x" * 10_000 + b'"}', "500 X"), "500: a\\x1b[2J b\\u202exxx"),
    ],
)
def test_an_answer_is_bounded_and_told_in_one_line(say: Callable[[socket.socket], None], words: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if words:
        assert words in complaint(say)
    else:
        with server(say) as url:
            assert len(work({"url": url, "ssl_certificate": ""}, Path())["calls"]) == 9998
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 200, f"{grown:.0f} MiB"


def test_more_dates_than_there_can_be_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(available_dates, "MOST_DATES", 3)
    dates = [f"2016-01-0{day}" for day in range(1, 5)]
    assert "it has 4 dates, more than 3" in complaint(answered(listing(calls=dates)))


@pytest.mark.parametrize(
    "pack",
    [
        lambda body: ("gzip", gzip.compress(body)),
        lambda body: ("deflate", zlib.compress(body)),
        lambda body: ("deflate", zlib.compress(body)[2:-4]),
        lambda body: ("identity", body),
    ],
)
def test_packed_answers_are_unpacked(pack: Callable[[bytes], tuple[str, bytes]]) -> None:
    encoding, packed = pack(listing(calls=["0001-01-01", "9999-12-31"], sms=[]))
    with server(answered(packed, "200 OK", f"Content-Encoding: {encoding}")) as url:
        dates = work({"url": url, "ssl_certificate": ""}, Path())
    assert dates == {"calls": ["0001-01-01", "9999-12-31"], "sms": []}


HTML = "Content-Type: text/html"
PAGE = b"<!doctype html><title>Log in\n here</title>"


@pytest.mark.parametrize(
    ("say", "words"),
    [
        (answered(b'{"msg": "Token has expired"}', "401 X"), "the token has expired: create a new one in FlowAuth"),
        (answered(b'{"msg": "Signature verification failed"}', "422 X"), "the token is not for this FlowAPI"),
        (answered(b'{"msg": "Audience doesn\'t match"}', "422 X"), "the token is not for this FlowAPI"),
        (answered(b'{"msg": "Token is missing the \\"aud\\" claim"}', "422 X"), "the token is not for this FlowAPI"),
        (answered(b'{"msg": "Not enough segments"}', "422 X"), "the token is damaged"),
        (answered(b'{"msg": "User claims verification failed"}', "403 X"), "lacks the scope get_available_dates"),
        (answered(PAGE, "200 OK", HTML), "a web page ('Log in here'); is FLOWAPI_URL the address of a login page"),
        (answered(PAGE, "404 Not Found", HTML), "404: Not Found ('Log in here'); FlowAPI was not found at FLOWAPI_URL"),
        (answered(b'{"msg": "no such route"}', "404 X"), "FLOWAPI_URL; is it the address of another server?"),
        (answered(b'{"msg": "Token has expired"}', "401 X"), "with the same roles, or press Renew there"),
        (answered(PAGE, "403 Forbidden", HTML), "is FLOWAPI_URL the address of a login page"),
        (answered(PAGE, "500 X", HTML), "FlowAPI failed internally"),
        (answered(PAGE, "502 Bad Gateway", HTML), "a proxy in front of FlowAPI responded, but FlowAPI did not"),
        (answered(PAGE, "400 Bad Request", HTML), "http:// instead of https://"),
        (
            answered(b"", "302 Found", "Location: https://me:pw@login.example.org/a?secret=1"),
            "302: Found; it redirects to login.example.org, which is not followed",
        ),
        (answered(b"", "302 Found", "Location: http://[::1"), "Invalid URL in location header"),
        (lambda connection: connection.sendall(b"\x15\x03\x01\x00\x02\x02\x46"), "http:// instead of https://"),
        (lambda connection: None, "http:// instead of https://"),
    ],
)
def test_what_to_do_is_told(say: Callable[[socket.socket], None], words: str) -> None:
    said = complaint(say)
    assert words in said
    assert "secret" not in said
    assert "pw" not in said


def test_https_where_http_is_spoken_is_told() -> None:
    with server(answered(b"{}", "400 Bad Request")) as url, pytest.raises(NoAnswerError) as raised:
        work({"url": url.replace("http://", "https://"), "ssl_certificate": ""}, Path())
    assert "https:// instead of http://" in str(raised.value)


def test_a_path_in_the_address_is_named() -> None:
    with server(answered(PAGE, "404 Not Found", HTML)) as url, pytest.raises(NoAnswerError) as raised:
        work({"url": f"{url}/flowkit/api", "ssl_certificate": ""}, Path())
    assert str(raised.value).endswith("FlowAPI was not found at FLOWAPI_URL; leave out its path, /flowkit/api")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:1", "nothing listens there; check host and port of FLOWAPI_URL"),
        ("http://no-such-host.invalid", "this machine does not know the host of FLOWAPI_URL"),
    ],
)
def test_why_there_is_no_way_to_the_server_is_told(url: str, words: str) -> None:
    with pytest.raises(NoAnswerError) as raised:
        work({"url": url, "ssl_certificate": ""}, Path())
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname mismatch, ...", "another host name"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired", "has expired; tell"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate", "SSL_CERTIFICATE_FILE"),
        ("[Errno 113] No route to host", "there is no way to the host"),
    ],
)
def test_a_certificate_that_is_not_good_and_a_missing_way_are_told_apart(said: str, words: str) -> None:
    hint = next(hint for pattern, hint in available_dates.UNREACHABLE if re.search(pattern, said))
    assert words in hint


def test_the_roles_of_the_token_are_named(monkeypatch: pytest.MonkeyPatch, flowapi: FlowapiStandin) -> None:
    """Who makes a new one has to choose them again."""
    monkeypatch.setenv("FLOWAPI_TOKEN", flowapi.token())
    said = complaint(answered(b'{"msg": "Signature verification failed"}', "422 X"))
    assert "for this server and with the same roles (role analyst); Renew would" in said
    assert "get_available_dates (role analyst)" in complaint(answered(b'{"msg": "no"}', "403 X"))


def test_a_certificate_file_without_certificates_is_told(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("nothing of the kind\n")
    with pytest.raises(NoAnswerError, match=r"SSL_CERTIFICATE_FILE: .*ca.pem contains no certificates"):
        work({"url": "https://127.0.0.1:1", "ssl_certificate": str(path)}, Path())


@pytest.mark.parametrize("url", ["http://exa mple.org", "http://" + "a" * 70 + ".org", "http://127.0.0.1:1/\ud800"])
def test_an_address_that_is_none_is_told(url: str) -> None:
    with pytest.raises(NoAnswerError, match="it cannot be reached"):
        work({"url": url, "ssl_certificate": ""}, Path())


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"ALL_PROXY": "socks5://me:geheim@127.0.0.1:1080"}, "ALL_PROXY (socks5://127.0.0.1:1080) names a SOCKS proxy"),
        ({"http_proxy": "ftp://127.0.0.1"}, "http_proxy (ftp://127.0.0.1) is not the address of a proxy"),
        (
            {"HTTP_PROXY": "http://me:geheim@127.0.0.1:1"},
            "refused, through the proxy of HTTP_PROXY (http://127.0.0.1:1)",
        ),
        ({"ALL_PROXY": "http://127.0.0.1:1"}, "through the proxy of ALL_PROXY (http://127.0.0.1:1)"),
        ({"NO_PROXY": "[::1"}, "NO_PROXY cannot be read ([::1)"),
    ],
)
def test_a_proxy_in_the_way_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: str
) -> None:
    monkeypatch.setenv("AUTOFLOW_HEARTBEAT_URL", "http://hooks.example.org/geheim")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(NoAnswerError) as refused:
        work({"url": "http://flowapi.example.org", "ssl_certificate": ""}, Path())
    with pytest.raises(NotSentError) as unsent:
        send({"channel": "heartbeat"}, Path())
    for said in (str(refused.value), str(unsent.value)):
        assert words in said
        assert "geheim" not in said


@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "502 Bad Gateway", "503 X"])
def test_a_proxy_that_refuses_is_named(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    with server(answered(b"", status)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        with pytest.raises(NoAnswerError) as raised:
            work({"url": "http://flowapi.example.org", "ssl_certificate": ""}, Path())
    assert f"that may come from the proxy of HTTP_PROXY ({proxy})" in str(raised.value)


def test_hosts_that_no_proxy_is_for_are_asked_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "example.org,127.0.0.1,::1")
    with server(answered(listing(calls=["2016-01-01"]))) as url:
        assert work({"url": url, "ssl_certificate": ""}, Path()) == {"calls": ["2016-01-01"]}
    with pytest.raises(NoAnswerError) as raised:
        work({"url": url, "ssl_certificate": ""}, Path())
    assert "proxy" not in str(raised.value)


@pytest.mark.parametrize("say", [endless, endless_head, bomb("gzip")])
def test_a_heartbeat_that_is_led_in_circles_or_told_too_much_ends(
    monkeypatch: pytest.MonkeyPatch, say: Callable[[socket.socket], None]
) -> None:
    def lead_on(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /again\r\n\r\n")
        while True:
            connection.sendall(b" " * 65536)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with server(lead_on) as url:
        monkeypatch.setenv("AUTOFLOW_HEARTBEAT_URL", url)
        with pytest.raises(NotSentError, match="it redirects more than 5 times"):
            send({"channel": "heartbeat"}, Path())
    with server(say) as url:
        monkeypatch.setenv("AUTOFLOW_HEARTBEAT_URL", url)
        with suppress(NotSentError):
            send({"channel": "heartbeat"}, Path())
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 100


@pytest.mark.parametrize("tls", [False, True])
def test_a_mail_server_that_does_not_stop_talking_is_told(monkeypatch: pytest.MonkeyPatch, tls: bool) -> None:
    def talk(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"220-welcome\r\n" * 1000)

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                connection = listening.accept()[0]
                with connection:
                    talk(connection)

        threading.Thread(target=serve, daemon=True).start()
        kind = "smtps" if tls else "smtp"
        monkeypatch.setenv("AUTOFLOW_SMTP_URL", f"{kind}://127.0.0.1:{listening.getsockname()[1]}")
        message = {"event": "failed", "subject": "s", "lines": [], "workflow": None, "dates": []}
        request = {"channel": "email", "to": ["me@example.org"], "id": "1", "made": 0, "instance": "x", "host": "h"}
        with pytest.raises(NotSentError) as raised:
            send({**request, "message": message}, Path())
    assert ("its response is too long" in str(raised.value)) is not tls


def test_a_poll_whose_answer_comes_byte_by_byte_has_its_end(deployment: Deployment) -> None:
    deployment.write_simple("glues")
    heard: list[socket.socket] = []

    def says(connection: socket.socket) -> None:
        dripping(connection)
        heard.append(connection)

    with server(says) as url:
        outcome = deployment.run("--run-once", FLOWAPI_URL=url, AUTOFLOW_POLL_TIMEOUT="2s")
    assert outcome.code == 3, outcome.log
    assert f"FlowAPI at {url} did not answer within 2 s" in outcome.log
    # it drips for 50 s
    assert heard == []
