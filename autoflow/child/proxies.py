# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The proxies that environment variables name: which one is in the way, told without its password."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

from autoflow.wording import printable, shortened

HTTP_SCHEMES = ("http", "https")


def proxy_of(url: str) -> str | None:
    """Name the variable that has requests go through a proxy, and the proxy; None when they go directly."""
    parts = urlsplit(url)
    proxies = getproxies_environment()
    if proxy_bypass_environment(parts.netloc.rpartition("@")[2], proxies):
        return None
    for kind in (parts.scheme, "all"):
        if proxies.get(kind):
            return f"{_variable(kind)} ({shown_proxy(proxies[kind])})"
    return None


def complaint() -> str | None:
    """Say which variable names something that cannot be used as a proxy; None when all can."""
    for kind, proxy in getproxies_environment().items():
        if kind not in (*HTTP_SCHEMES, "all"):
            continue
        name = _variable(kind)
        try:
            scheme, usable = urlsplit(proxy).scheme, urlsplit(proxy).port != 0
        except ValueError:
            return f"{name} is not the address of a proxy; expected one such as http://proxy.example.org:3128"
        if scheme.startswith("socks"):
            return (
                f"{name} ({shown_proxy(proxy)}) names a SOCKS proxy, which needs a missing package;"
                f" install it with: pip install 'httpx[socks]', or unset {name}"
            )
        if not usable or ("://" in proxy and scheme not in HTTP_SCHEMES):
            return (
                f"{name} ({shown_proxy(proxy)}) is not the address of a proxy; expected one such as http://proxy:3128"
            )
    name = _variable("no")
    exceptions = os.environ.get(name, "")
    return f"{name} cannot be read ({shortened(exceptions)})" if re.search(r"[][]", exceptions) else None


def shown_proxy(proxy: str) -> str:
    """Show a proxy without its user and password."""
    scheme, separator, rest = proxy.rpartition("://")
    return shortened(printable(f"{scheme}{separator}{rest.rpartition('@')[2]}"))


def _variable(kind: str) -> str:
    """Find how a variable is written; the lower-case one counts where both are set."""
    name = f"{kind}_proxy"
    return name if name in os.environ else name.upper()
