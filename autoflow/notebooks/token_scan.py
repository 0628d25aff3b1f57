# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The second line against secrets, FlowAPI's token first, in a file: found in whatever guise, and the file refused.

There are more guises than can be listed. So a text is not searched for each of them: it is decoded, layer
below layer, and of every layer only the letters are compared, without regard to case. What stands between
the pieces of a token, numbers, quotes, colours or new lines, is then gone by itself.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autoflow.notebooks.executed_notebook import cell_position
from autoflow.redaction import SHORTEST_SECRET, written_forms

SHORTEST_PART = 20
"""Letters from which on a part of a token is looked for on its own: by chance they stand in no text."""

SHORTEST_BARE = 12
"""Letters and digits from which on they are looked for without what stands between them."""

DEEPEST = 3
"""Layers, such as base64 in base64, that are decoded."""

SMALL = 100_000
"""Bytes of what a picture says beside its pixels that are decoded to the deepest layer."""

LONGEST_TOKEN = 20_000
"""Bytes, encoded, that two pieces of a large file have in common."""

LARGE = 4_000_000
"""Bytes of a layer from which on nothing below those that lie in it is looked at."""

UNPACKED = 1_000_000
"""Bytes of one compressed piece that are looked at."""

PACKED_PIECES = 200
"""Compressed pieces of one layer that are looked at."""

NUMBERED = 20_000_000
"""Bytes of text in which numbers are read as characters."""

WHAT_FLOWAPI_TAKES = "FlowAPI's token"
"""What people call it, beside the names of other secrets."""

BYTES = bytes(range(256))
LETTERS = re.sub(rb"[A-Za-z]", b"", BYTES)
ALPHANUMERIC = re.sub(rb"[A-Za-z0-9]", b"", BYTES)
BASE64 = re.sub(rb"[A-Za-z0-9+/_-]", b"", BYTES)
HEXADECIMAL = re.sub(rb"[A-Fa-f0-9]", b"", BYTES)
BASE32 = re.sub(rb"[A-Z2-7]", b"", BYTES), re.sub(rb"[a-z2-7]", b"", BYTES)
BASE85 = re.sub(rb"[!-~]", b"", BYTES)
"""What is left out of a text before it is read as one of these."""

TEXT = bytes([7, 8, 9, 10, 12, 13, 27, *range(32, 127)])
URL_SAFE = bytes.maketrans(b"-_", b"+/")
LOWER = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"abcdefghijklmnopqrstuvwxyz")

COLOUR = re.compile(rb"\x1b\[[0-9;]*[A-Za-z]|\\(?:x1b|033|u001b)\[[0-9;]*[A-Za-z]")
ESCAPED_SPACE = re.compile(rb"\\+[nrt]")
TAG = re.compile(rb"<[^<>]{0,2000}>")
LABEL = re.compile(rb"(?m)^.{0,60}?[:=|>)\]][ \t]+")
WEB_TOKEN = re.compile(r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}")
PICTURE = re.compile(r"data:image/[\w.+-]+;base64,([A-Za-z0-9+/=]+)")
PERCENT = re.compile(rb"[=%]([0-9A-Fa-f]{2})")
NUMBER = re.compile(rb"(?<![0-9])[0-9]{2,3}(?![0-9])")
BITS = re.compile(rb"(?<![0-9])[01]{7,8}(?![0-9])")
PACKED = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]|BZh[1-9]1AY|\xfd7zXZ\x00")


@dataclass(frozen=True)
class TokenScan:
    """Finds a token in text: as it is, encoded, in pieces, or in several of these ways at once."""

    folded: tuple[bytes, ...] = field(default=(), repr=False)
    """Letters of what is looked for, in lower case."""
    plain: tuple[bytes, ...] = field(default=(), repr=False)
    """Letters and digits, of tokens that have too few letters."""
    encoded: tuple[bytes, ...] = field(default=(), repr=False)
    """In encodings that are quicker to write than to read."""
    exact: tuple[bytes, ...] = field(default=(), repr=False)
    """As they are: what has few letters would by chance stand in other texts if it was looked for in pieces."""

    @classmethod
    def of(cls, token: str | None) -> TokenScan:
        """Prepare to look for a token; None and what is too short to be one are not looked for."""
        token = (token or "").strip()
        if len(token) < SHORTEST_SECRET:
            return cls()
        _header, *rest = token.split(".")
        # the header is the same in all tokens, and says nothing
        parts = [part.encode() for part in (rest if len(rest) == 2 else [token])]
        long = [part for part in parts if len(part.translate(None, LETTERS)) >= SHORTEST_PART]
        turned = [codecs.encode(part.decode(), "rot13").encode() for part in long]
        folded = [part.translate(LOWER, LETTERS) for part in (*long, *turned)]
        plain = [] if long else [token.encode().translate(None, ALPHANUMERIC)]
        return cls(
            tuple(dict.fromkeys(way for part in folded for way in (part, part[::-1]))),
            tuple(dict.fromkeys(way for part in plain for way in (part, part[::-1]))),
            tuple(dict.fromkeys(way for part in (long or parts) for way in _encoded(part))),
        )

    @classmethod
    def of_secret(cls, secret: str) -> TokenScan:
        """Prepare to look for a secret that may be of any kind: for its letters alone only where it has many."""
        value = secret.strip().encode()
        if len(value.translate(None, LETTERS)) >= SHORTEST_PART and value.count(b".") != 2:
            return cls.of(secret)
        if len(value) < SHORTEST_SECRET:
            return cls()
        forms = written_forms(secret.strip())
        bare = value.translate(None, ALPHANUMERIC)
        return cls(
            plain=(bare, bare[::-1]) if len(bare) >= SHORTEST_BARE else (),
            exact=tuple(way.encode() for form in sorted(forms) for way in (form, form[::-1])),
        )

    def is_in(self, text: str) -> bool:
        """Whether a text holds the token."""
        return self._is_in([text], numbers=True)

    def is_in_file(self, path: Path) -> bool:
        """Whether a file of any kind holds the token: small ones are decoded as texts are, large ones are not.

        Of archives such as xlsx the members are looked at.
        """
        if not (self.folded or self.plain or self.exact):
            return False
        if path.stat().st_size <= LARGE:
            content = path.read_bytes()
            return self._below(content, DEEPEST) or self._in_members(content)
        with path.open("rb") as file:
            before = b""
            while chunk := file.read(LARGE):
                if self._below(before + chunk, 0):
                    return True
                before = chunk[-LONGEST_TOKEN:]
        return False

    def _in_members(self, content: bytes) -> bool:
        import zipfile

        if content[:2] != b"PK":
            return False
        unreadable = zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, zlib.error, EOFError
        with suppress(*unreadable), zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.infolist()[:PACKED_PIECES]:
                with archive.open(member) as packed:
                    if self._below(packed.read(UNPACKED), 1):
                        return True
        return False

    def cell_in(self, notebook: Mapping[str, Any]) -> int | None:
        """Find the cell with the token, by its position as the analyst counts; 0 is outside of all cells."""
        cells = notebook["cells"]
        texts = [list(_texts_of(cell)) for cell in cells]
        rest = list(_strings({key: value for key, value in notebook.items() if key != "cells"}))
        # one look at all of it: hardly ever is there a second one
        everything = [text for each in texts for text in each]
        if not self._is_in([*everything, *rest], numbers=False) and not self._in_numbers([*everything, *rest]):
            return None
        for index, each in enumerate(texts):
            if self._is_in(each, numbers=True):
                return cell_position(cells, index)
        # or in pieces, over several cells
        return 0

    def _is_in(self, texts: Iterable[str], *, numbers: bool) -> bool:
        if not (self.folded or self.plain or self.exact):
            return False
        joined = "\n".join(texts)
        pictures = PICTURE.findall(joined)
        if pictures:
            joined = PICTURE.sub("", joined)
        if self._below(joined.encode("utf-8", "replace"), DEEPEST):
            return True
        for said in map(_said_by, pictures):
            if self._below(said, DEEPEST if len(said) < SMALL else 1):
                return True
        return numbers and self._in_numbers([joined])

    def _in_numbers(self, texts: Iterable[str]) -> bool:
        """Whether it is there as numbers of characters, in a column beside other numbers too."""
        content = "\n".join(text for text in texts if " " in text or len(text) < LARGE)[:NUMBERED].encode(
            "utf-8", "replace"
        )
        found = NUMBER.findall(content)
        for read in (
            [int(number) for number in found],
            [int(number, 8) if number.translate(None, b"89") == number else 0 for number in found],
            [int(bits, 2) for bits in BITS.findall(content)],
        ):
            for way in (read, read[::2], read[1::2]):
                if self._shows(bytes(number if number < 256 else 0 for number in way)):
                    return True
        return False

    def _below(self, layer: bytes, depth: int) -> bool:
        """Whether it is in a layer, or in one below."""
        if any(map(self._shows, _cleaned(layer))):
            return True
        if any(map(layer.translate(None, BASE85).__contains__, self.encoded)):
            return True
        for out in BASE32:
            if any(map(layer.translate(None, out).__contains__, self.encoded)):
                return True
        if not depth:
            return False
        left = min(depth - 1, 1) if len(layer) > LARGE else depth - 1
        return any(self._below(below, left) for below in _decoded(layer) if len(below) >= SHORTEST_SECRET)

    def _shows(self, layer: bytes) -> bool:
        if self.folded:
            letters = layer.translate(LOWER, LETTERS)
            return any(map(letters.__contains__, self.folded))
        if any(map(layer.__contains__, self.exact)):
            return True
        return bool(self.plain) and any(map(layer.translate(None, ALPHANUMERIC).__contains__, self.plain))


def looks_like_token(value: Any) -> bool:
    """Whether a JSON value has something in it that looks like a JSON Web Token, whosever it is."""
    return any(map(WEB_TOKEN.search, _strings(value)))


def scans_of(token: str | None, secrets: Mapping[str, str]) -> dict[str, TokenScan]:
    """Prepare to look for FlowAPI's token and for secrets of notebooks, by what people call them."""
    scans = {f"the secret {name}": TokenScan.of_secret(secret) for name, secret in secrets.items()}
    return {WHAT_FLOWAPI_TAKES: TokenScan.of(token), **scans}


@dataclass(frozen=True)
class Leak:
    """A token or a secret in an executed notebook."""

    cell: int | None
    """Position as the analyst counts; None is outside of all cells."""
    what: str = WHAT_FLOWAPI_TAKES

    def __str__(self) -> str:
        where = f"what cell {self.cell} shows" if self.cell else "its metadata, or spread over its cells"
        what = f"{self.what[0].upper()}{self.what[1:]}"
        return f"{what} is in {where}; the executed notebook is not kept: change the cell so that it is not shown"


def refuse_leak(path: Path, token: str | None, secrets: Mapping[str, str] | None = None) -> Leak | None:
    """Remove an executed notebook that holds the token or a secret, and say where; None when it holds none.

    Parameters
    ----------
    secrets
        Those of notebooks, by name.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    for what, scan in scans_of(token, secrets or {}).items():
        try:
            cell = scan.cell_in(json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            # not a whole notebook: then all of it is one text
            cell = 0 if scan.is_in(text) else None
        if cell is not None:
            path.unlink()
            return Leak(cell or None, what)
    return None


def _encoded(part: bytes) -> Iterator[bytes]:
    """Yield base32, base85 and ascii85 of a part, whatever stands before it in the text that is encoded with it."""
    for offset in range(5):
        core = base64.b32encode(bytes(offset) + part)[8 if offset else 0 : -8]
        yield core
        yield core.lower()
    for offset in range(4):
        whole = bytes(offset) + part
        whole = whole[: len(whole) // 4 * 4]
        for encode in (base64.b85encode, base64.a85encode):
            # groups of four bytes become five characters; four zeros would be one
            yield encode(whole[4 if offset else 0 :])


def _cleaned(layer: bytes) -> Iterator[bytes]:
    """Yield a layer as it is, and without what people and programs write between pieces."""
    yield layer
    if len(layer.translate(None, TEXT)) * 4 > len(layer):
        # bytes of something else, where nothing of the kind is to be expected
        return
    cleaned = layer
    if b"\x1b" in layer or b"\\" in layer:
        cleaned = ESCAPED_SPACE.sub(b"", COLOUR.sub(b"", cleaned))
    if b"<" in layer:
        cleaned = TAG.sub(b"", cleaned)
    if b"&" in layer:
        cleaned = html.unescape(cleaned.decode("latin-1")).encode("latin-1", "replace")
    if b"=" in layer or b"%" in layer:
        # of what is percent-encoded or quoted-printable; all of it is read as hexadecimal
        cleaned = PERCENT.sub(lambda code: bytes([int(code.group(1), 16)]), cleaned)
    if cleaned != layer:
        yield cleaned
    if b"\n" in layer:
        yield LABEL.sub(b"", cleaned)


def _decoded(layer: bytes) -> Iterator[bytes]:
    """Yield what a layer may be an encoding of."""
    # what ends in the middle of four characters ends so, too
    kept = layer.translate(URL_SAFE, BASE64) + b"AAA"
    for offset in range(4):
        yield binascii.a2b_base64(kept[offset : offset + (len(kept) - offset) // 4 * 4])
    for text in {layer, layer.replace(b"0x", b"")}:
        digits = text.translate(None, HEXADECIMAL)
        for offset in range(2):
            yield binascii.unhexlify(digits[offset : offset + (len(digits) - offset) // 2 * 2])
    yield from _unpacked(layer)


def _as_picture(text: str) -> str:
    """Write a picture's base64 as it is in pages, where it is recognised; one of SVG is left as it is."""
    return text if "<" in text else f"data:image/png;base64,{re.sub(r'[^A-Za-z0-9+/=]', '', text)}"


def _said_by(picture: str) -> bytes:
    """Return all but the pixels of a PNG, and all of another picture."""
    content = binascii.a2b_base64(picture.rstrip("=")[: len(picture.rstrip("=")) // 4 * 4])
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        return content
    said, position = [], 8
    while position + 8 <= len(content):
        length = int.from_bytes(content[position : position + 4], "big")
        if (kind := content[position + 4 : position + 8]) != b"IDAT":
            said.append(content[position + 8 : position + 8 + length])
        position += 12 + length
        if kind == b"IEND":
            break
    return b"\n".join([*said, content[position:]])


def _unpacked(layer: bytes) -> Iterator[bytes]:
    # hardly ever needed
    import bz2
    import lzma

    for count, found in enumerate(PACKED.finditer(layer)):
        if count == PACKED_PIECES:
            return
        packed = layer[found.start() : found.start() + UNPACKED]
        with suppress(zlib.error, OSError, lzma.LZMAError, EOFError, ValueError):
            if packed[:2] == b"BZ":
                yield bz2.BZ2Decompressor().decompress(packed, UNPACKED)
            elif packed[:1] == b"\xfd":
                yield lzma.LZMADecompressor().decompress(packed, UNPACKED)
            else:
                yield zlib.decompressobj(wbits=47).decompress(packed, UNPACKED)


def _texts_of(cell: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts of a cell, what was printed in pieces as one."""
    yield _joined(cell.get("source", ""))
    streams: dict[str, list[str]] = {}
    everything = []
    for output in cell.get("outputs", ()):
        if "text" in output:
            streams.setdefault(output.get("name", ""), []).append(_joined(output["text"]))
        for kind, content in output.get("data", {}).items():
            if isinstance(content, str) or (
                isinstance(content, list) and all(isinstance(line, str) for line in content)
            ):
                text = _joined(content)
            else:
                text = "\n".join(_strings(content))
            if kind.startswith("image/"):
                yield _as_picture(text)
            else:
                yield text
                everything.append(text)
        yield "\n".join([output.get("ename", ""), output.get("evalue", ""), *output.get("traceback", ())])
        yield from _strings(output.get("metadata", {}))
    for pieces in streams.values():
        yield "".join(pieces)
    yield "".join(everything)
    yield from _strings([cell.get("metadata", {}), cell.get("attachments", {}), cell.get("id", "")])


def _strings(value: Any) -> Iterator[str]:
    """Yield all that is text in a JSON value, and its numbers, which may stand for characters."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            if isinstance(key, str) and key.startswith("image/"):
                yield _as_picture(_joined(item))
            else:
                yield from _strings(item)
    elif isinstance(value, list):
        if all(isinstance(item, str) for item in value):
            # the lines of one text
            yield "".join(value)
        else:
            for item in value:
                yield from _strings(item)
    elif isinstance(value, (str, int, float)):
        yield str(value)


def _joined(text: Any) -> str:
    return "".join(map(str, text)) if isinstance(text, list) else str(text)
