# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""`autoflow diff` shows what cells print, and says that it is no result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.conftest import Typed


def executed(path: Path, printed: str, shown: str) -> str:
    outputs: list[dict[str, Any]] = [
        {"output_type": "stream", "name": "stdout", "text": printed},
        {"output_type": "display_data", "metadata": {}, "data": {"text/plain": shown}},
    ]
    cell = {"cell_type": "code", "metadata": {}, "source": "x", "outputs": outputs}
    path.write_text(json.dumps({"cells": [cell], "metadata": {}}))
    return str(path)


def test_what_cells_print_is_shown_and_is_no_difference(typed: Typed, tmp_path: Path) -> None:
    old = executed(tmp_path / "old.ipynb", "asked for 3 days", "5")
    said = typed("diff", old, executed(tmp_path / "new.ipynb", "asked for 4 days", "5"))
    assert (said.code, "+asked for 4 days" in said.answer) == (0, True)
    assert said.answer.endswith(
        "no differences in glued values, tables, texts and pictures; 1 cell prints something else\n"
    )
    said = typed("diff", old, executed(tmp_path / "new.ipynb", "asked for 4 days", "6"))
    assert (said.code, said.answer.splitlines()[-1]) == (1, "different: 1 text")
