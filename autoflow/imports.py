# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Importing a library without what it would bring along and nobody here needs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec


@contextmanager
def without(name: str) -> Iterator[None]:
    """Have a module missing for what is imported meanwhile, which can do without; afterwards it is there as ever."""
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
    """Have no TLS, and Python's own hashes where it has them, for what is imported meanwhile.

    In AutoFlow itself nothing but children speak TLS, and OpenSSL would be a tenth of an idle daemon.
    """
    own = ("_md5", "_sha2" if sys.version_info >= (3, 12) else "_sha256")
    with ExitStack() as stack:
        stack.enter_context(without("ssl"))
        if all(find_spec(name) for name in own):
            stack.enter_context(without("_hashlib"))
        yield
