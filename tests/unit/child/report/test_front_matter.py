# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What stands above the text of a report, and in its running head."""

from __future__ import annotations

import html

import pytest

from autoflow.child.report.front_matter import Heading, document
from autoflow.languages import LANGUAGES

LONGEST = 40
"""Characters that a third of the head of an A4 page has room for."""


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_running_head_of_a_provisional_report_fits_and_leaves_the_dates_to_the_text(language: str) -> None:
    missing = ("2016-09-03", "2016-09-05")
    heading = Heading("Monthly flows", "", "2016-09-30", language=language, missing_dates=missing, days=30)
    text = html.unescape(document("Text.\n", "Title", heading))
    (head,) = [line.partition(": ")[2] for line in text.splitlines() if line.startswith(":report-date:")]
    assert head.startswith(LANGUAGES[language].provisional.upper())
    assert len(head) <= LONGEST
    assert "2016-09-03, 2016-09-05" in text
