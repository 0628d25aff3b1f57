# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What FlowAPI's QA checks say of dates, and which dates can be trusted by it: pure functions of outcomes and rules."""

from autoflow.quality.check import ROWS, Bound, Breach, Check, OnMissing, breach, number_of
from autoflow.quality.history import DAYS, recent, sparkline
from autoflow.quality.judged import Judged, Outcomes
from autoflow.quality.outcomes import Outcome, blocks_of, digest, read_block
from autoflow.quality.restated import (
    FINGERPRINT,
    Change,
    changes_in,
    changes_text,
    digest_of,
    fingerprints,
    version_of,
    weight_of,
)
from autoflow.quality.suggestion import as_yaml, suggested

__all__ = [
    "DAYS",
    "FINGERPRINT",
    "ROWS",
    "Bound",
    "Breach",
    "Change",
    "Check",
    "Judged",
    "OnMissing",
    "Outcome",
    "Outcomes",
    "as_yaml",
    "blocks_of",
    "breach",
    "changes_in",
    "changes_text",
    "digest",
    "digest_of",
    "fingerprints",
    "number_of",
    "read_block",
    "recent",
    "sparkline",
    "suggested",
    "version_of",
    "weight_of",
]
