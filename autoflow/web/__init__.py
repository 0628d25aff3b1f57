# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Pages to look at: the one that is served, the one beside the reports, and figures for Prometheus."""

from autoflow.web.index_page import INDEX, OLDEST_INDEX, IndexPage
from autoflow.web.page_cache import DaemonState, PageCache
from autoflow.web.serving import page_served

__all__ = [
    "INDEX",
    "OLDEST_INDEX",
    "DaemonState",
    "IndexPage",
    "PageCache",
    "page_served",
]
