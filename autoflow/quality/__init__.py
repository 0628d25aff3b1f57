# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What FlowAPI's QA checks say of dates, and which dates can be trusted by it: pure functions of outcomes and rules."""

from autoflow.quality.outcomes import Outcome, Outcomes, blocks_of, digest, read_block

__all__ = ["Outcome", "Outcomes", "blocks_of", "digest", "read_block"]
