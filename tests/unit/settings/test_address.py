# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Addresses: what people write, and what is refused."""

from __future__ import annotations

import pytest

from autoflow.settings.address import Address, parse_address


@pytest.mark.parametrize(
    ("text", "host", "port", "loopback"),
    [
        ("8080", "127.0.0.1", 8080, True),
        (":8080", "127.0.0.1", 8080, True),
        ("127.0.0.1:8080", "127.0.0.1", 8080, True),
        ("localhost:80", "127.0.0.1", 80, True),
        ("[::1]:8080", "::1", 8080, True),
        ("0.0.0.0:65535", "0.0.0.0", 65535, False),
        ("[::]:1", "::", 1, False),
        ("192.0.2.7:8080", "192.0.2.7", 8080, False),
    ],
)
def test_an_address_is_read(text: str, host: str, port: int, loopback: bool) -> None:
    address = parse_address(text)
    assert address == Address(host, port)
    assert address.is_loopback == loopback
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "text",
    ["", "x", "0", "65536", "127.0.0.1", "127.0.0.1:", "::1:80", "[127.0.0.1]:80", "a.example:80", "1.2.3:4", "-1"],
)
def test_what_is_no_address_is_told_with_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match="expected an IP address and a port such as"):
        parse_address(text)
