# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Hints: where a library no longer has what a notebook uses, and where FlowAPI refuses.

The predecessor's notebooks were written for pandas 1, numpy 1 and what was current with these.
"""

from __future__ import annotations

import os
import re

from autoflow.claims import roles_text

STYLER, FRAME = "'Styler' object has no attribute", "'(DataFrame|Series)' object has no attribute"
KEYWORD = "unexpected keyword argument"

REMOVED = (
    (f"{STYLER} 'hide_index'", 'pandas 2.0 removed it; write .hide(axis="index")'),
    (f"{STYLER} 'hide_columns'", 'pandas 2.0 removed it; write .hide(columns, axis="columns")'),
    (f"{STYLER} 'set_precision'", "pandas 2.0 removed it; write .format(precision=...)"),
    (f"{STYLER} 'set_na_rep'", "pandas 2.0 removed it; write .format(na_rep=...)"),
    (f"{STYLER} 'render'", "pandas 2.0 removed it; write .to_html()"),
    (f"{STYLER} 'applymap'|{FRAME} 'applymap'", "pandas 3.0 removed it; write .map(...)"),
    (f"{FRAME} 'append'", "pandas 2.0 removed it; write pd.concat([first, second])"),
    (f"{FRAME} 'iteritems'", "pandas 2.0 removed it; write .items()"),
    (f"{FRAME} 'mad'", "pandas 2.0 removed it; write (data - data.mean()).abs().mean()"),
    (f"{FRAME} 'ix'", "pandas 1.0 removed it; write .loc[...] or .iloc[...]"),
    (f"{FRAME} 'is_monotonic'", "pandas 2.0 removed it; write .is_monotonic_increasing"),
    (f"{FRAME} '(pad|backfill)'", "pandas 3.0 removed it; write .ffill() or .bfill()"),
    (f"fillna\\(\\) got an {KEYWORD} 'method'", "pandas 3.0 removed it; write .ffill() or .bfill()"),
    (f"groupby\\(\\) got an {KEYWORD} 'axis'", "pandas 3.0 removed it; group the transposed frame, .T"),
    (f"{KEYWORD} 'level'", "pandas 2.0 removed it; write .groupby(level=...) before the method"),
    (f"{KEYWORD} 'line_terminator'", "pandas 2.0 renamed it; write lineterminator="),
    (f"{KEYWORD} '(error|warn)_bad_lines'", "pandas 2.0 removed it; write on_bad_lines="),
    (f"{KEYWORD} 'squeeze'", 'pandas 2.0 removed it; write .squeeze("columns") after reading'),
    (f"{KEYWORD} 'delim_whitespace'", 'pandas 3.0 removed it; write sep=r"\\s+"'),
    (f"{KEYWORD} 'date_parser'", "pandas 3.0 removed it; write date_format="),
    (
        "(Datetime(Index|Properties))' object has no attribute 'week(ofyear)?'",
        "pandas 2.0 removed it; write .isocalendar().week",
    ),
    (
        "'pandas' has no attribute '(Panel|datetime|np|Int64Index|Float64Index|UInt64Index)'",
        "pandas 2.0 removed it; import datetime and numpy themselves, and write pd.Index for an index",
    ),
    (
        "Invalid frequency: ([A-Z]+)\\b",
        "pandas 3.0 renamed frequencies; ME was M, QE was Q, YE was Y and A, h was H, min was T, s was S",
    ),
    (
        "(DataFrame|Series)\\.\\w+\\(\\) takes .* positional argument",
        "pandas 2.0 takes most arguments by name only; write their names",
    ),
    (
        "'numpy' has no attribute '(float|int|bool|complex|object|str|unicode)'",
        "numpy 1.24 removed it; write it without np. in front",
    ),
    (
        "'numpy' has no attribute '(in1d|trapz|product|cumproduct|msort|math|asscalar)'",
        "numpy 2 removed it; write np.isin, np.trapezoid, np.prod, np.cumprod, np.sort, import math, or .item()",
    ),
    ("compiled using NumPy 1|numpy.dtype size changed", "a library was built for numpy 1; install a newer one"),
    ("'matplotlib.cm' has no attribute 'get_cmap'", "matplotlib 3.9 removed it; write matplotlib.colormaps[name]"),
    ("'seaborn[\\w-]*' is not a valid", "matplotlib 3.8 renamed it; write seaborn-v0_8 for seaborn"),
    ("geopandas.dataset", "geopandas 1.0 removed its data sets; read a file of your own"),
    (f"sjoin\\(\\) got an {KEYWORD} 'op'", "geopandas 1.0 renamed it; write predicate="),
    ("'Multi\\w+' object is not (iterable|subscriptable)", "shapely 2.0 changed it; write .geoms after the geometry"),
    ("cannot import name '(Mapping|Sequence|Iterable|Callable)' from 'collections'", "import it from collections.abc"),
    ("from 'IPython.core.display'", "IPython 9 removed it; import it from IPython.display"),
)
"""What an error says, as a pattern, and what to do. numpy 2 itself names the successor of most that is gone."""


EXPIRED = "the token has expired: create a new one in FlowAuth with the same roles{roles}, or press Renew there"
ANOTHER_SERVER = (
    "the token is not for this FlowAPI: create a new one in FlowAuth, for this server and with the same roles{roles};"
    " Renew would make one for the server of the old one"
)

FLOWAPI = (
    (r"Token has expired", EXPIRED),
    (
        r"Missing Authorization Header|Bad Authorization header",
        "FlowAPI found no token: check FLOWAPI_TOKEN, and that no proxy on the way removes the header Authorization",
    ),
    (
        r"Signature verification failed|Audience doesn't match|Invalid audience|missing the \"?aud\"? claim"
        r"|specified alg value is not allowed",
        ANOTHER_SERVER,
    ),
    (
        r"Not enough segments|Invalid header string|Invalid payload string|Invalid crypto padding|Missing claim: sub",
        "the token is damaged: copy all of it from FlowAuth",
    ),
    (r"token is not yet valid", "the clock of FlowAPI or of FlowAuth is wrong, or the token is not valid yet"),
    (
        r"User claims verification failed",
        "the token lacks a scope{roles}. Notebooks need run, get_result, <unit>:<kind>:<nested kind> of each query"
        " (such as admin3:flows:daily_location), <unit>:geography:geography, get_available_dates, and get_qa_checks for"
        " QA, all in one role: ask FlowAuth's administrator, then create a new token",
    ),
    (
        r"Could not get reply for message",
        "FlowAPI responded, but FlowMachine behind it did not; tell its administrator",
    ),
    (r"No data for date", "FlowMachine has no data for a date that the query reads: has it been removed?"),
    (
        r"is not a known table",
        "FlowMachine has no data of this CDR type at all: name those that it has in the query's event_types",
    ),
    (
        r"finished with an error|status 'errored'",
        "FlowMachine failed at this query, and answers the same until its cache is reset: tell its administrator, and"
        " give the id of the query",
    ),
    (
        r"Parameter validation failed",
        "FlowAPI does not know the query as it is written; is it of another release than flowclient?",
    ),
)
"""What FlowAPI says, and flowclient after it; in regular expressions."""


def hint_for(exception: str, message: str) -> str | None:
    """Say what to do about an error of a notebook whose cause is known; None where it is not."""
    text = f"{exception}: {message}"
    for pattern, advice in REMOVED:
        if re.search(pattern, text):
            return f"Hint: {advice} (docs/how-to/old-notebooks.md)."
    if refused := refusal_hint(message):
        return f"Hint: {refused} (docs/troubleshooting.md)."
    return None


def refusal_hint(message: str) -> str | None:
    """Say what to do about what FlowAPI, or flowclient after it, says; None where that is not known."""
    advice = next((advice for pattern, advice in FLOWAPI if re.search(pattern, message)), None)
    return with_roles(advice) if advice else None


def with_roles(advice: str) -> str:
    """Name the roles of the token that is in use where an advice has a place for them."""
    return advice.replace("{roles}", roles_text(os.environ.get("FLOWAPI_TOKEN", ""))) if "{roles}" in advice else advice
