# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Markdown to asciidoc: all texts of a notebook in one call of pandoc."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from autoflow.resources import config_file

SEPARATOR = "autoflow-part-boundary-7f3a"
READER = (
    "commonmark_x-attributes-bracketed_spans-fenced_divs-raw_attribute-implicit_header_references-gfm_auto_identifiers"
)
"""pandoc's reader that is closest to what Jupyter shows."""

DELIMITER = re.compile(r"(-{4,}|\.{4,}|={4,}|\+{4,}|_{4,}|\*{4,}|\|===)")
HEADING = re.compile(r"(={2,6}) (.*)")
DIRECTIVE = re.compile(r"^(include|ifdef|ifndef|ifeval|endif)::", re.MULTILINE)
FENCE = re.compile(r"^```", re.MULTILINE)
FENCED = re.compile(r"(^(?:```|~~~).*?^(?:```|~~~)[ \t]*$)", re.MULTILINE | re.DOTALL)
BARE_FORMULA = re.compile(
    r"^\\begin\{(equation|align|gather|multline|eqnarray|aligned|gathered)(\*?)\}.*?\\end\{\1\2\}[ \t]*$",
    re.MULTILINE | re.DOTALL,
)
FOLDED = re.compile(r"(\s*ifdef::backend-html5\[\]\n.*?\nendif::\[\]\n)*\s*", re.DOTALL)
"""Code before the first heading that most pages do not show."""

FILTER = "markdown.lua"


class PandocError(Exception):
    """pandoc could not convert a text."""


def convert_all(texts: Iterable[str]) -> dict[str, str]:
    """Convert markdown texts, each with the levels of its headings kept.

    Returns
    -------
    dict
        Asciidoc by the text that it comes from; ``#`` is ``==``.
    """
    wanted = list(dict.fromkeys(texts))
    if not wanted:
        return {}
    with TemporaryDirectory(prefix="autoflow-markdown-") as directory:
        files = [Path(directory, f"{number}.md") for number in range(len(wanted))]
        for number, (file, text) in enumerate(zip(files, wanted, strict=True)):
            file.write_text(f"{_boundary(number)}{_with_formulas_marked(text)}\n", encoding="utf-8")
        parts = _split(_pandoc([str(file) for file in files]))
    if len(parts) != len(wanted):
        raise PandocError(f"pandoc made {len(parts)} texts of {len(wanted)}")
    return {text: _without_directives(part) for text, part in zip(wanted, parts, strict=True)}


def _boundary(number: int) -> str:
    # a heading of each level: pandoc moves one up that has none of the level above it before it
    ladder = "\n\n".join(f"{'#' * level} {SEPARATOR}" for level in range(2, 7))
    return f"# {SEPARATOR}-{number}\n\n{ladder}\n\n"


def _split(asciidoc: str) -> list[str]:
    pieces = re.split(rf"^== {SEPARATOR}-\d+$", asciidoc, flags=re.MULTILINE)
    return [re.sub(rf"^=+ {SEPARATOR}$", "", piece, flags=re.MULTILINE).strip() for piece in pieces[1:]]


def _pandoc(files: list[str]) -> str:
    command = [
        "pandoc",
        # what one text leaves open, and the names of its links and footnotes, are its own
        "--file-scope",
        f"--lua-filter={config_file(FILTER)}",
        f"--from={READER}",
        "--to=asciidoc",
        "--wrap=none",
        *files,
    ]
    try:
        process = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=600, check=False)
    except FileNotFoundError:
        raise PandocError("pandoc not found; install with: apt-get install pandoc") from None
    if process.returncode != 0:
        raise PandocError(f"pandoc failed: {process.stderr.strip()[-500:]}")
    return process.stdout


def _with_formulas_marked(text: str) -> str:
    """Put dollars around LaTeX environments that stand alone, which Jupyter shows as formulas too."""
    pieces = FENCED.split(text)
    # every other piece is a block of code
    pieces[::2] = [BARE_FORMULA.sub(r"$$\g<0>$$", piece) for piece in pieces[::2]]
    return "".join(pieces)


def _without_directives(asciidoc: str) -> str:
    """Keep text that looks like a preprocessor's directive, or like a fence, from being one."""
    return FENCE.sub(r"{empty}\g<0>", DIRECTIVE.sub(r"\\\g<0>", asciidoc))


def on_headings(asciidoc: str, change: Callable[[int, str], str]) -> str:
    """Rewrite the headings of an asciidoc text, those inside of blocks excepted.

    Parameters
    ----------
    change
        Gets the level (``==`` is 1) and the words of a heading, and gives its new line.
    """
    lines, fence = [], None
    for line in asciidoc.split("\n"):
        if fence is None and DELIMITER.fullmatch(line):
            fence = line
        elif fence is not None:
            fence = None if line == fence else fence
        elif match := HEADING.fullmatch(line):
            line = change(len(match.group(1)) - 1, match.group(2))
        lines.append(line)
    return "\n".join(lines)


def with_title(asciidoc: str, fallback: str) -> tuple[str, str]:
    """Take the first heading as the document's title, if it is one of the first level and nothing is before it.

    If it is the only one of its level, those below it move up; levels that are left out are closed up,
    since asciidoctor wants none to be.

    Returns
    -------
    title, body : str
    """
    levels: list[int] = []
    first: list[str] = []

    def collect(level: int, words: str) -> str:
        levels.append(level)
        first.append(words)
        return ""

    on_headings(asciidoc, collect)
    before = FOLDED.match(asciidoc)
    code = before.group() if before else ""
    body = re.sub(r"^(?:\[\[[^\n]*\]\]\n)?", "", asciidoc[len(code) :])
    titled = bool(levels) and levels[0] == 1 and body.startswith(f"== {first[0]}")
    raised = titled and levels.count(1) == 1
    depth = 0
    seen = 0

    def rewrite(level: int, words: str) -> str:
        nonlocal depth, seen
        seen += 1
        if titled and seen == 1:
            return ""
        level = min(max(level - raised, 1), depth + 1, 5)
        depth = level
        return f"{'=' * (level + 1)} {words}"

    text = on_headings(code + body if titled else asciidoc, rewrite)
    return first[0] if titled else fallback, text.lstrip()


def lookup(converted: Mapping[str, str]) -> Callable[[str], str]:
    """Make the filter that templates call: what was converted already, else by a call of its own."""
    return lambda text: converted.get(text) or convert_all([text])[text]
