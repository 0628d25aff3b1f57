# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What pages let their readers try with the stand-in does what they say: each goes on from the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.pages import sections_of, shell
from tests.warm_parents import WarmParents

SECTIONS = {
    "weekly-monthly-late": ["Try it"],
    "quality": ["Try it"],
    "restatement": ["Try it", "Older notebooks"],
}
PAGES = [*SECTIONS]


@pytest.fixture(scope="module")
def type_page(tmp_path_factory: pytest.TempPathFactory, warm_parents: WarmParents) -> Iterator[Callable[[str], None]]:
    """Type what a page lets its readers try, once, into the shell of all."""
    left = [*PAGES]
    with shell(tmp_path_factory.mktemp("home"), warm_parents, 9090) as bash:

        def type_(page: str) -> None:
            if page in left:
                left.remove(page)
                sections = sections_of(Path("how-to", f"{page}.md"))
                bash.type_all("".join(sections[name] for name in SECTIONS[page]))

        yield type_


@pytest.fixture
def page(request: pytest.FixtureRequest, type_page: Callable[[str], None]) -> str:
    """Name a page when those before it have been tried; they have been, if this process had their tests."""
    for before in PAGES[: PAGES.index(request.param)]:
        type_page(before)
    return str(request.param)


# whatever the order of tests, a page comes after those before it
@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES, indirect=True)
def test_what_a_page_lets_its_readers_try_does_what_it_says(page: str, type_page: Callable[[str], None]) -> None:
    type_page(page)
