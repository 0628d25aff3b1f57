# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The token is found in an executed notebook in whatever guise, and the cell is named."""

from __future__ import annotations

import base64
import bz2
import codecs
import gzip
import io
import json
import lzma
import pickle
import quopri
import random
import struct
import textwrap
import time
import zipfile
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoflow.notebooks.token_scan import Leak, TokenScan, refuse_leak

HEADER, PAYLOAD, SIGNATURE = (
    "eyJhbGciOiJSUzI1NiJ9",
    "eyJzdWIiOiJhbmFseXN0IiwiZXhwIjoxNzk4MTM1MjAwfQ",
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


def in_lines(width: int, line: str = "{piece}", text: str = TOKEN) -> str:
    pieces = [text[start : start + width] for start in range(0, len(text), width)]
    return "\n".join(line.format(number=number, piece=piece) for number, piece in enumerate(pieces))


def picture(text: bytes, *, packed: bool, pixels: bytes = b"") -> list[dict[str, Any]]:
    """Show a PNG with a text in its metadata."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    said = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(text)) if packed else chunk(b"tEXt", b"Comment\0" + text)
    png = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", bytes(13))
        + said
        + chunk(b"IDAT", zlib.compress(pixels, 0))
        + chunk(b"IEND", b"")
    )
    return [{"output_type": "display_data", "metadata": {}, "data": {"image/png": base64.encodebytes(png).decode()}}]


RAW = TOKEN.encode()
GUISES = {
    "reversed": TOKEN[::-1],
    "reversed, in base64": base64.b64encode(RAW[::-1]).decode(),
    "hexadecimal in capitals": RAW.hex().upper(),
    "hexadecimal with colons": RAW.hex(":"),
    "hexadecimal with spaces, in capitals": RAW.hex(" ").upper(),
    "a list of hexadecimal numbers": repr([hex(byte) for byte in RAW]),
    "base32": base64.b32encode(RAW).decode(),
    "base32, a text before": base64.b32encode(b"abc" + RAW + b"defg").decode(),
    "base32 in lower case": base64.b32encode(RAW).decode().lower(),
    "base85": base64.b85encode(RAW).decode(),
    "base85, a text before": base64.b85encode(b"abc" + RAW + b"defg").decode(),
    "ascii85": base64.a85encode(RAW).decode(),
    "ascii85 in lines": base64.a85encode(b"a" + RAW, wrapcol=40, adobe=True).decode(),
    "base64 in base64": base64.b64encode(base64.b64encode(RAW)).decode(),
    "base64 in base64 in base64": base64.b64encode(base64.b64encode(base64.b64encode(b"x" + RAW))).decode(),
    "base64 of hexadecimal": base64.b64encode(RAW.hex().encode()).decode(),
    "base64 without its end": "token=" + base64.urlsafe_b64encode(b"a" + RAW).decode().rstrip("="),
    "base64 of UTF-16": base64.b64encode(TOKEN.encode("utf-16")).decode(),
    "UTF-16": TOKEN.encode("utf-16-le").decode("latin-1"),
    "percent-encoded": "".join(f"%{byte:02x}" for byte in RAW),
    "percent-encoded in part": quote(TOKEN, safe="").replace("e", "%65").replace("A", "%41"),
    "entities of HTML": "".join(f"&#{byte};" for byte in RAW),
    "hexadecimal entities of HTML": "".join(f"&#x{byte:x};" for byte in RAW),
    "escapes by \\u": "".join(f"\\u{byte:04x}" for byte in RAW),
    "escapes by \\U": "".join(f"\\U{byte:08x}" for byte in RAW),
    "escapes by \\x": "".join(f"\\x{byte:02x}" for byte in RAW),
    "octal escapes": "".join(f"\\{byte:o}" for byte in RAW),
    "ordinals": repr(list(RAW)),
    "ordinals in a column": "\n".join(f"{number:4} {byte}" for number, byte in enumerate(RAW)),
    "octal numbers": repr([oct(byte) for byte in RAW]),
    "bits": " ".join(f"{byte:08b}" for byte in RAW),
    "swapped case": TOKEN.swapcase(),
    "capitals": TOKEN.upper(),
    "numbered lines": in_lines(20, "{number}: {piece}"),
    "numbered letters": in_lines(1, "{number:>4}  {piece}"),
    "lines with labels": in_lines(11, "part {number} of it: {piece}"),
    "a table of pieces": in_lines(9, "{number:<4}{piece}   0.25"),
    "a column for each letter": " ".join(f"{n:>3}" for n in range(70)) + "\n0 " + "  ".join(TOKEN),
    "lines of 76": in_lines(76),
    "lines of 7": in_lines(7),
    "lines as they are escaped": repr(in_lines(12)),
    "lines as they are escaped twice": json.dumps(repr(in_lines(12))),
    "without its signature": f"{HEADER}.{PAYLOAD}",
    "its signature alone": SIGNATURE,
    "gzip in base64": base64.b64encode(gzip.compress(b"before " * 50 + RAW)).decode(),
    "zlib in base64": base64.b64encode(zlib.compress(RAW)).decode(),
    "zlib in base64 for addresses": base64.urlsafe_b64encode(zlib.compress(RAW, 9)).decode(),
    "bz2 in base64": base64.b64encode(bz2.compress(RAW)).decode(),
    "xz in base64": base64.b64encode(lzma.compress(RAW)).decode(),
    "gzip in hexadecimal": gzip.compress(RAW).hex(),
    "rot13": codecs.encode(TOKEN, "rot13"),
    "quoted-printable": quopri.encodestring(RAW + b"=" * 3).decode(),
    "quoted-printable, all of it": "".join(f"={byte:02X}" for byte in RAW),
    "JSON in JSON": json.dumps(json.dumps({"a": [TOKEN]})),
    "with what cannot be seen": "\u200b".join(TOKEN),
    "among dots": "...".join(TOKEN),
}

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
    **{f"in other guise: {name}": printed(text) for name, text in GUISES.items()},
    "in a picture's text": picture(TOKEN.encode(), packed=False),
    "in a picture's packed text": picture(TOKEN.encode(), packed=True),
    "in a picture's text, in base64": picture(base64.b64encode(TOKEN.encode()), packed=False),
    "after a picture's end": [
        {
            "output_type": "display_data",
            "data": {"image/jpeg": base64.b64encode(b"\xff\xd8\xff" + TOKEN.encode()).decode()},
        }
    ],
    "in a picture of HTML": printed(f'<img src="data:image/gif;base64,{base64.b64encode(TOKEN.encode()).decode()}">'),
    "in a table of HTML": [
        {
            "output_type": "display_data",
            "data": {"text/html": "".join(f"<tr><th>{n}</th><td>{c}</td></tr>\n" for n, c in enumerate(TOKEN))},
        }
    ],
    "in a list of JSON": [{"output_type": "display_data", "data": {"application/json": {"a": list(map(ord, TOKEN))}}}],
    "in wrapped JSON": [{"output_type": "display_data", "data": {"application/json": {"a": textwrap.fill(TOKEN, 20)}}}],
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
    [
        "",
        "a table of numbers 1 2 3",
        HEADER,
        "part of it: " + SIGNATURE[:19],
        base64.b64encode(b"another text " * 30).decode(),
    ],
)
def test_what_is_no_token_is_let_through(text: str) -> None:
    # the header is the same in the tokens of many, and opens nothing
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


@pytest.mark.parametrize(
    "secret",
    [
        "12345678",
        "!?%&/()=",
        "correct horse battery staple",
        "aB3-xyz9.q.7Ld",
        'Xk"9\\q7!Zw2',
        "\u00e4\u00f6 p4ssw\u00f6rd",
        "Zq7aKw3pL0xvR9mNbT2",
    ],
)
def test_a_secret_of_any_kind_is_found_and_other_text_is_not(secret: str) -> None:
    scan = TokenScan.of_secret(secret)
    encoded_ones = base64.b64encode(secret.encode()).decode(), secret.encode().hex()
    written = json.dumps({"p": secret}), repr(secret), repr(secret.encode()), quote(secret), secret[::-1]
    for text in (secret, f"key={secret}&", *encoded_ones, *written):
        assert scan.is_in(f"before {text} after"), text
    assert not scan.is_in("1 2 3 4 5 6 7 8, a horse, a battery, and words of no secret at all; p4ss, 12345")
    assert not TokenScan.of_secret("short").is_in("short")


def test_a_notebook_with_a_secret_is_removed_and_told_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "notebook.ipynb"
    path.write_text(json.dumps(notebook(*printed(base64.b64encode(b"pa55 of admin").decode()))))
    leak = refuse_leak(path, TOKEN, {"OTHER": "something else", "ADMIN_SECRET": "pa55 of admin"})
    assert "The secret ADMIN_SECRET is in what cell 2 shows" in str(leak)
    assert not path.exists()


def test_half_a_notebook_is_searched_as_text(tmp_path: Path) -> None:
    path = tmp_path / "notebook.ipynb"
    path.write_text(json.dumps(notebook(*printed(TOKEN)))[:-20])
    assert refuse_leak(path, TOKEN) == Leak(None)


def test_the_token_is_not_in_what_is_said_of_the_scan() -> None:
    assert SIGNATURE not in repr(TokenScan.of(TOKEN))


def test_pieces_in_several_cells_are_found() -> None:
    content = notebook(*printed(TOKEN[:20]))
    content["cells"] += notebook(*printed(TOKEN[20:70]))["cells"] + notebook(*printed(TOKEN[70:]))["cells"]
    for cell in content["cells"]:
        cell["source"] = ""
    content["cells"] = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    assert TokenScan.of(TOKEN).cell_in(content) is not None


@pytest.mark.parametrize("value", [None, 3, {"a": None}, [1, [2, "x"]]])
def test_notebooks_that_are_odd_are_searched_all_the_same(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "n.ipynb"
    content = notebook(*printed("x"))
    content["cells"][2]["metadata"] = {"odd": value}
    path.write_text(json.dumps(content))
    assert refuse_leak(path, TOKEN) is None
    content["cells"][2]["outputs"][0]["text"] = [value, TOKEN]
    path.write_text(json.dumps(content))
    assert refuse_leak(path, TOKEN) is not None


@given(st.binary(max_size=4000), st.text(max_size=2000), st.lists(st.integers(0, 10**6), max_size=200))
@settings(max_examples=100, deadline=None)
def test_ordinary_outputs_are_no_token(plot: bytes, text: str, numbers: list[int]) -> None:
    outputs = [
        *printed(text, repr(numbers)),
        {"output_type": "display_data", "data": {"image/png": base64.b64encode(plot).decode()}},
        {"output_type": "display_data", "data": {"application/json": numbers, "text/html": f"<pre>{plot.hex()}</pre>"}},
    ]
    assert TokenScan.of(TOKEN).cell_in(notebook(*outputs, metadata_of=text)) is None


def test_another_token_is_no_leak_of_this_one() -> None:
    other = f"{HEADER}.{base64.urlsafe_b64encode(random.Random(2).randbytes(300)).decode()}.{'x1Yz' * 40}"
    assert TokenScan.of(TOKEN).cell_in(notebook(*printed(other))) is None


def test_a_large_notebook_takes_seconds() -> None:
    plots = [picture(b"harmless", packed=True, pixels=random.Random(n).randbytes(4_000_000)) for n in range(9)]
    outputs = [output for plot in plots for output in plot]
    began = time.process_time()
    assert TokenScan.of(TOKEN).cell_in(notebook(*outputs, *printed("1 2 3\n" * 500_000))) is None
    # 50 MB of plots and 3 of text, in a second or two where nothing else is done
    assert time.process_time() - began < 15


def archive(name: str, text: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, text)
    return packed.getvalue()


FILES = {
    "text": f"token: {TOKEN}\n".encode(),
    "UTF-16": TOKEN.encode("utf-16"),
    "gzip": gzip.compress(RAW),
    "a member of a zip": archive("xl/sharedStrings.xml", f"<t>{TOKEN}</t>"),
    "pickle": pickle.dumps({"headers": {"Authorization": f"Bearer {TOKEN}"}}),
    "over the border of two pieces of a large file": b"x" * (4_000_000 - len(RAW) // 2) + RAW + b"y" * 1_000_000,
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_with_the_token_is_told_from_one_without(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(FILES[kind])
    assert TokenScan.of(TOKEN).is_in_file(file)
    assert not TokenScan.of(TOKEN.swapcase()[::-1].replace("a", "qz")).is_in_file(file)
