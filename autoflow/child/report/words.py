# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Which of the words that were to be shown are there, however a page has broken, joined or turned them."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Self

WORD = re.compile(r"[^\W_]+")

INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufe00-\ufe0f]")
"""Soft hyphens, joiners, marks of direction, selectors."""

SHORTEST_BROKEN = 4
"""Letters of a word that may be broken over lines; shorter ones would be found in others by chance."""

ALPHABETS = re.compile(
    "[a-z\u00df-\u02af\u0370-\u10ff\u1200-\u1cff\u1e00-\u1fff\u2e80-\uabff\uac00-\ud7a3\uf900-\ufaff]+"
)
"""Letters that people write in, folded; signs, and the parts that Korean syllables are made of, are left out."""

LONGEST = 1000
"""Letters of a word beyond which it may go on over pages, and what stands at the head and foot of them is between."""

PIECE = 40
"""Letters of the pieces in which such a word is looked for."""

SHAPED = ("AL", "R", "NSM")
"""Classes of characters (Unicode's of direction) that a PDF may have in another order, or joined."""


def folded(text: str) -> str:
    """Write text so that a ligature, a letter in capitals and one with marks are what they stand for."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", INVISIBLE.sub("", text))
    # pages have marks in pieces of their own
    letters = "".join(character for character in apart if character.isascii() or not unicodedata.combining(character))
    return unicodedata.normalize("NFKC", letters).casefold()


def words_of(text: str) -> Counter[str]:
    """Count the words of a text."""
    return Counter(WORD.findall(folded(text)))


@dataclass(frozen=True)
class PageText:
    """The text of pages."""

    words: Counter[str]
    first: frozenset[str]
    """The words that pieces of text begin with."""
    last: frozenset[str]
    broken: Counter[str]
    """What would be words if the lines that they end in had no end."""
    text: str

    @classmethod
    def at(cls, pieces: Iterable[str], text: str) -> Self:
        """Take a page's pieces, in the order of drawing, and the text that they make."""
        apart: Counter[str] = Counter()
        first, last = [], []
        for piece in pieces:
            words = WORD.findall(folded(piece))
            apart.update(words)
            if words:
                first.append(words[0])
                last.append(words[-1])
        broken = Counter(f"{end}{start}" for end, start in zip(last, first[1:], strict=False))
        # a letter that is set lower is a piece of its own, and part of a word
        return cls(apart | words_of(text), frozenset(first), frozenset(last), broken, folded(text))

    @classmethod
    def of(cls, pages: Iterable[Self]) -> Self:
        """Join pages."""
        words: Counter[str] = Counter()
        first: set[str] = set()
        last: set[str] = set()
        broken: Counter[str] = Counter()
        texts = []
        for page in pages:
            words.update(page.words)
            first |= page.first
            last |= page.last
            broken.update(page.broken)
            texts.append(page.text)
        return cls(words, frozenset(first), frozenset(last), broken, "\n".join(texts))

    @cached_property
    def squeezed(self) -> str:
        """The letters alone."""
        return "".join(WORD.findall(self.text))


def lacking(wanted: Iterable[Counter[str]], seen: PageText, blank: frozenset[str]) -> set[str]:
    """Find the words that are not seen as often as they are wanted.

    Parameters
    ----------
    blank
        Characters that cannot be seen.
    """
    total: Counter[str] = Counter()
    for words in wanted:
        total.update(words)
    unseen = {character for each in blank for character in folded(each)}
    return {
        word
        for word, count in total.items()
        if seen.words[word] < count and not unseen.intersection(word) and not _is_there(word, count, seen)
    }


def is_gone(words: Counter[str], gone: set[str]) -> bool:
    """Return whether so many of a text's words are gone that it is no matter of how letters are read back.

    A single letter may be, or a word in letters that do not belong together; three of them, and a tenth of the text,
    are not.
    """
    own = [word for word in words if word in gone]
    return any(map(_is_certain, own)) or len(own) >= max(3, len(words) // 10)


def _is_certain(word: str) -> bool:
    """Return whether a word is read back as it was written: in letters of one script, without signs among them."""
    if word.isascii():
        return len(word) > 1 or word.isdigit()
    directions = {unicodedata.bidirectional(character) for character in word}
    one = len(directions) == 1 and len(set(map(_script, word))) == 1
    return len(word) > 1 and one and ALPHABETS.fullmatch(word) is not None


def _script(letter: str) -> str:
    """Name the script of a letter: letters of several are drawn in several fonts, piece by piece."""
    script = unicodedata.name(letter, "").partition(" ")[0]
    return "CJK" if script in ("HIRAGANA", "KATAKANA", "HANGUL") else script


def _is_there(word: str, count: int, seen: PageText) -> bool:
    """Look for a word that is broken over lines, in another order, or one of many without blanks between."""
    if any(unicodedata.bidirectional(character) in SHAPED for character in word):
        # a PDF has them from left to right, and is read the other way round
        return seen.squeezed.count(word) + seen.squeezed.count(word[::-1]) >= count
    if any(ord(character) > 0x2E7F for character in word):
        # Chinese, Japanese and Korean are broken anywhere, over pages too
        return sum(pair not in seen.squeezed for pair in map("".join, pairwise(word))) <= 1 + len(word) // LONGEST
    if seen.words[word] + seen.broken[word] >= count:
        return True
    if len(word) < SHORTEST_BROKEN:
        return False
    if seen.squeezed.count(word) >= count:
        return True
    if len(word) > LONGEST:
        pieces = [word[start : start + PIECE] for start in range(0, len(word), PIECE)]
        # a page has hundreds of them, and its end breaks one
        return sum(piece not in seen.squeezed for piece in pieces) <= len(pieces) // 20
    return any(word[:cut] in seen.last and word[cut:] in seen.first for cut in range(1, len(word)))
