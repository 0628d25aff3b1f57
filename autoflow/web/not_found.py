# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The answer for what is not there: it leads to what is, and no process is started for it."""

from __future__ import annotations

import base64
from hashlib import sha256
from html import escape

STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem;overflow-wrap:anywhere}"
    "a{color:LinkText}"
)

NOT_FOUND_POLICY = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(sha256(STYLE.encode()).digest()).decode()}';"
    " img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

PLACES = {
    "": "the status page: how all is, each date, failures and reports",
    "runs": "all runs, by workflow, state and date",
    "health": "whether AutoFlow can do its work, as JSON",
    "metrics": "figures for Prometheus",
}


def not_found(path: str, reason: str = "") -> str:
    """Write the page for a path that leads nowhere, which it does not repeat.

    Parameters
    ----------
    reason
        What is not there, where that is known.
    """
    # relative, so that it works behind a proxy that serves this below a path of its own
    root = "../" * max(path.count("/") - 1, 0) or "./"
    what = "" if reason in ("", "Not Found") else f" {escape(reason)}."
    places = "".join(
        f'<li><a href="{root}{place}">{"/" + place}</a>: {escape(words)}</li>' for place, words in PLACES.items()
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>Not found · AutoFlow</title><style>{STYLE}</style></head>'
        f"<body><main><h1>Not found</h1><p>There is nothing at this address.{what}</p>"
        f"<p>What there is:</p><ul>{places}</ul></main></body></html>\n"
    )
