# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""A stand-in for FlowAPI: a real HTTP server with invented data, for the tutorial, the example and tests.

It answers as a real FlowAPI 1.34 with FlowMachine was recorded to, down to the messages, and does what that does where
one would not expect it: a query that was asked before gives the rows of then, whatever has been ingested since; a
query that failed stays failed; the list of dates may be two minutes old; a date is listed before its QA outcomes are
there. Kinds of queries: flows, spatial_aggregate (of daily_location and modal_location), total_network_objects and
unique_subscriber_counts, by admin0 to admin3. Left out: lon-lat, subsets of subscribers, samples other than everybody.

Start it with ``autoflow demo-flowapi``, or in Python::

    with FlowapiStandin(days=9) as flowapi:
        print(flowapi.url, flowapi.token())

While it runs, ``autoflow demo-flowapi restate 2016-01-03`` and the like change its data (see `CHANGES`).

FlowapiStandin: what goes wrong
    ``set_fault``    one of `FAULTS`, or None; ``stuck`` and ``errored`` mark queries for good
    ``start``, ``stop``    the server is there or not
    ``token``        one with other scopes, several roles, or another lifetime
FlowapiStandin: the data
    ``set_days``, ``dates``    the days of data, by CDR type
FlowapiStandin.flowmachine: the rest
    ``restate``, ``drop``      ingest a date anew with fewer subscribers, or take it away
    ``poll_seconds``           how long a query runs
    ``at_a_time``              how many queries run at a time; None: all
    ``dates_lag``              for how long the list of dates is kept (FlowMachine: 120 s; here none unless set)
    ``checks_lag``             how long after its data a date's QA outcomes come (none unless set)
    ``outcomes``               QA outcomes that are to be others: numbers, text, None
    ``flush_redis``            forget all query ids; what was computed stays
    ``reset_cache``            forget what was computed too
    ``pass_time``              let seconds pass at once: for queries and both lags
"""

from autoflow.demo_flowapi.changes import USAGE as CHANGES
from autoflow.demo_flowapi.server import FAULTS, FlowapiStandin
from autoflow.demo_flowapi.tokens import ALL_SCOPES

__all__ = ["ALL_SCOPES", "CHANGES", "FAULTS", "FlowapiStandin"]
