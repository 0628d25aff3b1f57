# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Compares two executions of a notebook, which may be large."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autoflow.comparison import same_results


def work(request: Mapping[str, Any], workspace: Path) -> Mapping[str, Any]:  # noqa: ARG001  # as of all jobs
    """Say whether two executed notebooks have the same results; null where neither has any."""
    old, new = (json.loads(Path(request[name]).read_text(encoding="utf-8")) for name in ("old", "new"))
    return {"same": same_results(old, new)}
