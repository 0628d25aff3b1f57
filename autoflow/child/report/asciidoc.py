# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Text to asciidoc, so that no character of it is syntax.

Whatever asciidoc may read as syntax is written as a numeric character reference, which it reads as that
character and nothing else.
"""

from __future__ import annotations

import re
from html import escape

from nbconvert.filters import strip_ansi

from autoflow.child.printed import last_state

SYNTAX = re.compile(
    r"(?!(?<=[0-9A-Za-z])[.,](?=[0-9A-Za-z])"
    r"|(?<=[A-Za-z]{2})[.,](?= |$)"
    r"|(?<![^ 0-9A-Za-z])-(?=[0-9A-Za-z]))"
    r"[!-/:-@\[-`{-~\u00a0\u1680\u2000-\u200a\u2022\u202f\u205f\u3000]"
)
"""ASCII's punctuation, the bullet that begins a list, and blanks that Ruby takes for one at the start of a line.

Points, commas and hyphens of numbers, dates and sentences are never syntax where a word or a digit touches them;
a page of numbers is made half as long again where they are spelled.
"""

DIRECTIVE = re.compile(r"^\\?(?:include|ifdef|ifndef|ifeval|endif)::", re.MULTILINE)

LINK = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
"""How programs tell a terminal of a link, or give it a title."""

REFERENCE = re.compile(r"&#(\d{2,5});")

UNSEEN = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
"""Characters that neither XML nor a page has."""

SURROGATE = re.compile(r"[\ud800-\udfff]")
"""Halves of a character, which no file can hold."""


def clean(text: str) -> str:
    """Leave out what no page can show."""
    return SURROGATE.sub("\ufffd", UNSEEN.sub("", text))


def spelled(text: str) -> str:
    """Spell what may be syntax as numeric character references."""
    return SYNTAX.sub(lambda match: f"&#{ord(match.group())};", clean(text))


def unspelled(page: str) -> str:
    """Read the references back where HTML has no need of them, for people and programs that look into the file."""
    return REFERENCE.sub(lambda match: escape(chr(int(match.group(1)))).replace("&#x27;", "'"), page)


def literal(text: str) -> str:
    """Write text for one line: in a paragraph, a cell of a table, a heading or, between double quotes, an attribute."""
    return spelled(re.sub(r"[ \t\n\r\f\v]+", " ", text).strip(" "))


def printed(text: str) -> str:
    """Return what a terminal would show in the end of text that was printed."""
    return clean(last_state(strip_ansi(LINK.sub("", text)))).expandtabs().rstrip()


def literal_block(text: str, mark: str = ".") -> str:
    """Show text as it is, in letters of one width."""
    plain = printed(text)
    if not plain:
        return ""
    longest = max((len(line) for line in re.findall(rf"^[{mark}]{{4,}}$", plain, re.MULTILINE)), default=3)
    fence = mark * (longest + 1)
    text = re.sub(r"[&<]", lambda match: f"&#{ord(match.group())};", plain)
    # what is read before anything is known of blocks
    text = DIRECTIVE.sub(lambda match: match.group().replace(":", "&#58;"), text)
    return f"[subs=none]\n{fence}\n{text}\n{fence}"


def source_block(code: str) -> str:
    """Show code as it is."""
    block = literal_block(code, "-")
    return f"[source]\n{block}" if block else ""
