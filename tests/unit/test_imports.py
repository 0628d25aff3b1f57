# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""A module is missing for a while, and never for longer."""

from __future__ import annotations

import subprocess
import sys

import pytest

from autoflow import imports
from autoflow.imports import without, without_openssl


def test_a_module_is_missing_and_then_there_again() -> None:
    sys.modules.pop("cmd", None)
    with without("cmd"), pytest.raises(ImportError):
        import cmd
    import cmd

    assert cmd.Cmd


def test_a_module_that_is_loaded_stays() -> None:
    loaded = sys.modules["sys"]
    with without("sys"):
        import sys as again
    assert again is loaded is sys.modules["sys"]


def test_hashes_are_the_same_without_openssl_and_tls_is_there_afterwards() -> None:
    code = """
import sys
from autoflow.imports import without_openssl
with without_openssl():
    import asyncio, hashlib, hmac
print("libcrypto" in open("/proc/self/maps").read(), hashlib.md5(b"a").hexdigest(), hashlib.sha256(b"a").hexdigest())
import ssl
print(ssl.create_default_context().check_hostname, hmac.new(b"a", b"b", "sha256").hexdigest())
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert said == [
        "False",
        "0cc175b9c0f1b6a831c399e269772661",
        "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
        "True",
        "08de329931e295683776aa9a43529bd0b275286df3160300c49ba4e841833013",
    ]


@pytest.mark.parametrize("kind", ["available_dates", "flowapi_answer", "message", "qa_outcomes"])
def test_what_speaks_http_imports_no_command_line(kind: str) -> None:
    code = f"import sys, autoflow.child.{kind}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"click", "pygments", "rich"} & set(loaded)


def test_openssl_makes_the_hashes_where_python_has_none_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "_hashlib", raising=False)
    monkeypatch.setattr(imports, "find_spec", lambda _: None)
    with without_openssl():
        import _hashlib

        assert _hashlib.openssl_md5
