# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Serving the page, where the settings want it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from autoflow.context import Context
from autoflow.web.page_cache import PageCache


@asynccontextmanager
async def page_served(
    context: Context, pages: PageCache, health: Callable[[], Awaitable[Mapping[str, Any]]]
) -> AsyncIterator[None]:
    """Serve the page for as long as the context lasts.

    Parameters
    ----------
    health
        Says how the daemon is: ``healthy``, and what else there is to know.
    """
    if context.settings.http is None:
        yield
        return
    # only who uses it pays for its libraries
    from autoflow.web.server import Web

    async with Web(context, pages, health):
        yield
