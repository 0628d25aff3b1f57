# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""httpx without its command line, which is not used here and takes longer to import than all else of it."""

from __future__ import annotations

from autoflow.imports import without

with without("httpx._main"):
    import httpx

__all__ = ["httpx"]
