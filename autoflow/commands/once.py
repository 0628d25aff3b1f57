# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow once --json``: what became of the runs; the log has told people all of it."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable

from autoflow.clock import utc_now
from autoflow.commands.answer import problems_in
from autoflow.commands.reading import record
from autoflow.commands.runs import as_json
from autoflow.commands.terminal import print_json
from autoflow.errors import ExitCode
from autoflow.overview import attempt_word
from autoflow.settings import Settings


def with_outcome(options: argparse.Namespace, settings: Settings, run: Callable[[], ExitCode]) -> ExitCode:
    """Run, then print the attempts that ended meanwhile, and why FlowAPI gave no dates if it did not."""
    began = utc_now()
    code = run()
    with record(settings) as reader:
        attempts = [each for each in reader.attempts() if each.ended is not None and each.ended >= began]
        silence = reader.silence() if code is ExitCode.FLOWAPI_UNREACHABLE else None
    counts = Counter(map(attempt_word, attempts))
    content = {"counts": counts, "attempts": [as_json(each) for each in attempts]}
    print_json(options, content, code, problems_in(silence.why) if silence else ())
    return code
