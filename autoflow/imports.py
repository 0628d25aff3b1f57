# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Importing a library without dependencies of it that are not needed here."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec


@contextmanager
def without(name: str) -> Iterator[None]:
    """Hide an optional dependency from what is imported meanwhile."""
    loaded = name in sys.modules
    if not loaded:
        # what is None here cannot be imported
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if not loaded:
            del sys.modules[name]


@contextmanager
def without_openssl() -> Iterator[None]:
    """Hide OpenSSL from what is imported meanwhile: no TLS, and Python's own hashes.

    In AutoFlow itself nothing but children speak TLS, and OpenSSL would be a tenth of an idle daemon.
    """
    own = ("_md5", "_sha2" if sys.version_info >= (3, 12) else "_sha256")
    with ExitStack() as stack:
        stack.enter_context(without("ssl"))
        if all(find_spec(name) for name in own):
            stack.enter_context(without("_hashlib"))
        yield
