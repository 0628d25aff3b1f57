# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The tutorial does what it says: its commands, read out of the page, one after the other in one shell.

Those that install AutoFlow are run by tests/deployment/wheel.sh.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pages import sections_of, shell, steps_of
from tests.warm_parents import WarmParents

BEGIN = ("Start the stand-in", "Write a workflow", "Run one date")
BREAK = ("Break it", "Mend it")
GO_ON = ("Make a report", "Let it run", "Clean up")
OTHERS = ("Install", "Next")


# what is broken and mended is as it was before
@pytest.mark.parametrize("sections", [(*BEGIN, *BREAK), (*BEGIN, *GO_ON)], ids=["broken and mended", "left running"])
def test_every_command_of_the_tutorial_does_what_the_page_says(
    tmp_path: Path, warm_parents: WarmParents, sections: tuple[str, ...]
) -> None:
    page = sections_of(Path("tutorial/first-date.md"))
    assert page.keys() == {*BEGIN, *BREAK, *GO_ON, *OTHERS}
    with shell(tmp_path, warm_parents, 9090, 8080) as bash:
        bash.type_all("".join(page[name] for name in sections))
    assert (tmp_path / "first-date").exists() == ("Clean up" not in sections)


def test_a_page_that_says_something_else_is_found() -> None:
    (step,) = steps_of("```console\n$ autoflow plan\n...\n1 run\n```\n")
    assert step.pattern.fullmatch("a table\n1 run\n")
    assert not step.pattern.fullmatch("a table\n2 runs\n")
    assert not step.pattern.fullmatch("a table\n1 run\nand more\n")
