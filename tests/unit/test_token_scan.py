# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The token is found in an executed notebook in whatever guise, and the cell is named."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from autoflow.token_scan import Leak, TokenScan, refuse_leak

HEADER, PAYLOAD, SIGNATURE = (
    "eyJhbGciOiJSUzI1NiJ9",
    "eyJzdWIiOiJhbmFseXN0In0",
    "c2lnbmF0dXJlLW9mLXRoZS10b2tlbi1hYmM_x-y",
)
TOKEN = f"{HEADER}.{PAYLOAD}.{SIGNATURE}"


def notebook(*outputs: dict[str, Any], source: str = "", **metadata: Any) -> dict[str, Any]:
    cells = [
        {"cell_type": "code", "metadata": {"tags": ["injected-parameters"]}, "source": "", "outputs": []},
        {"cell_type": "markdown", "metadata": {}, "source": "# harmless"},
        {"cell_type": "code", "metadata": {}, "source": source, "outputs": list(outputs)},
    ]
    return {"cells": cells, "metadata": metadata}


def printed(*pieces: str, name: str = "stdout") -> list[dict[str, Any]]:
    return [{"output_type": "stream", "name": name, "text": piece} for piece in pieces]


def encoded(before: str) -> str:
    return base64.b64encode(f"{before}{TOKEN} and more".encode()).decode()


LEAKS = {
    "as it is": printed(f"it is {TOKEN}!"),
    "in chunks": printed(TOKEN[:7], TOKEN[7:30], TOKEN[30:]),
    "in chunks, with warnings between": [*printed(TOKEN[:9]), *printed("careful", name="stderr"), *printed(TOKEN[9:])],
    "one letter a line": printed("\n".join(TOKEN)),
    "as a list": printed(repr(list(TOKEN))),
    "in colours": printed(f"{TOKEN[:10]}\x1b[31m{TOKEN[10:]}\x1b[0m"),
    "in base64": printed(encoded("")),
    "in base64, one byte on": printed(encoded("x")),
    "in base64, two bytes on": printed(encoded("xy")),
    "in base64 for addresses": printed(base64.urlsafe_b64encode(TOKEN.encode()).decode()),
    "in base64, in lines": printed(base64.encodebytes(TOKEN.encode()).decode()),
    "in hexadecimal": printed(TOKEN.encode().hex()),
    "split at its dots": printed("\n".join(f"part: {part}" for part in TOKEN.split("."))),
    "in an error": [{"output_type": "error", "ename": "E", "evalue": TOKEN, "traceback": []}],
    "in HTML": [{"output_type": "display_data", "metadata": {}, "data": {"text/html": ["<b>", TOKEN, "</b>"]}}],
    "in a scrap": [{"output_type": "display_data", "metadata": {}, "data": {"application/json": {"a": [TOKEN]}}}],
    "in an output's metadata": [{"output_type": "display_data", "metadata": {"t": TOKEN}, "data": {}}],
}


@pytest.mark.parametrize("outputs", LEAKS.values(), ids=LEAKS)
def test_a_token_that_is_shown_is_found(outputs: list[dict[str, Any]]) -> None:
    # the cell that papermill has put in does not count
    assert TokenScan.of(TOKEN).cell_in(notebook(*outputs)) == 2


def test_code_and_metadata_are_searched_too() -> None:
    scan = TokenScan.of(TOKEN)
    assert scan.cell_in(notebook(source=f"token = '{TOKEN}'")) == 2
    assert scan.cell_in(notebook(papermill={"parameters": {"token": TOKEN}})) == 0


@pytest.mark.parametrize(
    "text",
    ["", "a table of numbers 1 2 3", HEADER, f"{HEADER}.{PAYLOAD}", base64.b64encode(b"another text " * 30).decode()],
)
def test_what_is_no_token_is_let_through(text: str) -> None:
    # header and payload are the same in the tokens of many, and open nothing
    assert TokenScan.of(TOKEN).cell_in(notebook(*printed(text))) is None


def test_without_a_token_nothing_is_found() -> None:
    for token in (None, "", "short"):
        assert TokenScan.of(token).cell_in(notebook(*printed("short"))) is None


def test_a_notebook_with_a_token_is_removed_and_told(tmp_path: Path) -> None:
    path = tmp_path / "notebook.ipynb"
    path.write_text(json.dumps(notebook(*printed(encoded("")))))
    leak = refuse_leak(path, TOKEN)
    assert leak == Leak(2)
    assert "FlowAPI's token is in what cell 2 shows" in str(leak)
    assert not path.exists()
    path.write_text(json.dumps(notebook(*printed("harmless"))))
    assert refuse_leak(path, TOKEN) is None
    assert path.exists()


def test_half_a_notebook_is_searched_as_text(tmp_path: Path) -> None:
    path = tmp_path / "notebook.ipynb"
    path.write_text(json.dumps(notebook(*printed(TOKEN)))[:-20])
    assert refuse_leak(path, TOKEN) == Leak(None)


def test_the_token_is_not_in_what_is_said_of_the_scan() -> None:
    assert SIGNATURE not in repr(TokenScan.of(TOKEN))
