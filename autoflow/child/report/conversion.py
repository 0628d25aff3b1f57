# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Converts asciidoc to a PDF or to one file of HTML, both by asciidoctor-pdf."""

from __future__ import annotations

import re
import shutil
import subprocess
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoflow.child.asciidoctor import PROGRAM, Line
from autoflow.child.fonts import faces_for, package_of, script_of
from autoflow.child.report.asciidoc import unspelled
from autoflow.child.report.front_matter import Heading
from autoflow.child.report.html_page import finished
from autoflow.child.report.html_tables import size_role
from autoflow.child.report.table_layout import SMALLER
from autoflow.resources import config_file

THEME = "report-theme.yml"
STYLE = "report.css"
CONVERSION_TIMEOUT = 1500.0

CONDITION = re.compile(
    r"^(ifn?def)::backend-(pdf|html5)\[\]\n(?:(?!^if(?:n?def|eval)::).)*?^endif::\[\]$", re.MULTILINE | re.DOTALL
)
"""What is for one format only, and has no conditions inside."""

MISSING_PICTURE = "autoflow-missing-picture"
"""What a page shows in the place of a picture that could not be drawn, for the check that follows."""

EXTENDS = re.compile(r"^(extends:(?:.*[\s,\[\"'])?)report(?=[\s,\]\"']|$)", re.MULTILINE)
"""Where a theme says that it extends ours."""

NO_THEME = re.compile(r"could not locate or load the pdf theme .*? because of (?:\w+::)*(\w+.*?); reverting")

NO_CHARACTER = re.compile(r"Could not locate the character `(.)'", re.DOTALL)

JOINING = (
    "BENGALI", "DEVANAGARI", "GUJARATI", "GURMUKHI", "KANNADA", "KHMER", "MALAYALAM", "MYANMAR", "ORIYA", "SINHALA",
    "TAMIL", "TELUGU", "TIBETAN",
)  # fmt: skip
"""Scripts whose letters change with their neighbours; those from right to left are told by Unicode."""

TO_HTML = (
    "ruby",
    "-rasciidoctor",
    "-rasciidoctor/cli",
    "-e",
    "cli = Asciidoctor::Cli::Invoker.new(ARGV); cli.invoke!; exit cli.code",
    "--",
    "--backend=html5",
)
"""What the program asciidoctor does: it is in a package of its own, and the library comes with asciidoctor-pdf."""

EXTENSIONS = tuple(Path(__file__).with_name(name) for name in ("design.rb", "tables.rb", "text.rb"))
"""How pages are laid out, where asciidoctor-pdf has no setting for it."""


class ConversionError(Exception):
    """asciidoctor-pdf made no pages; the message is for a person."""


@dataclass(frozen=True)
class Note:
    """What is to be said of pages that were made."""

    message: str
    characters: tuple[str, ...] = ()
    """Those that it is about."""
    blank: tuple[str, ...] = ()
    """Those of them that no page shows."""


def to_pdf(source: Path, output: Path, theme: Path | None, line: Line | None = None) -> list[Note]:
    """Make a PDF, by a process at the end of a line where there is one, and give what is to be said of it."""
    pages = _only_for("pdf", source)
    text = pages.read_text(encoding="utf-8")
    chosen = theme or config_file(THEME)
    theme_file = source.with_name("pages-theme.yml")
    theme_file.write_text(_theme(_extending_ours(chosen, source.parent), text), encoding="utf-8")
    messages = _asciidoctor(
        pages,
        output,
        {"pdf-theme": str(theme_file), "pdf-themesdir": str(chosen.parent)},
        PROGRAM,
        line=line,
        extensions=EXTENSIONS,
    )
    for reason in filter(None, map(NO_THEME.search, messages)):
        # the pages have a look that nobody asked for
        raise ConversionError(f"the theme {chosen} cannot be loaded: {reason.group(1)}")
    return [*_in_words(messages), *_unjoined(text)]


def _only_for(backend: str, source: Path) -> Path:
    """Leave out what is for another format, but for its lines: asciidoctor runs out of stack where it skips thousands.

    The lines of messages are those of the source.
    """

    def kept(match: re.Match[str]) -> str:
        wanted = (match.group(1) == "ifdef") == (match.group(2) == backend)
        return match.group() if wanted else "//" + "\n//" * match.group().count("\n")

    only = source.with_name(f"{source.stem}-{backend}.adoc")
    text = CONDITION.sub(kept, source.read_text(encoding="utf-8"))
    # few faces have accents that are characters of their own
    only.write_text(unicodedata.normalize("NFC", text) if backend == "pdf" else text, encoding="utf-8")
    return only


def _extending_ours(theme: Path, directory: Path) -> Path:
    """Let a theme extend AutoFlow's, which need not be beside it."""
    text = theme.read_text(encoding="utf-8")
    ours = config_file(THEME)
    if not EXTENDS.search(text) or theme.with_name(THEME).is_file():
        return theme
    copy = directory / f"own-{theme.name}"
    copy.write_text(EXTENDS.sub(lambda match: f'{match.group(1)}"{ours}"', text), encoding="utf-8")
    return copy


def _theme(theme: Path, text: str) -> str:
    """Write the theme that a report is made with: the one asked for, with what AutoFlow counts on."""
    fonts = {name: path for name, path in faces_for(text).items() if Path(path).is_file()}
    sizes = "".join(f"  {size_role(size)}:\n    font-size: {size:g}\n" for size in SMALLER)
    catalog = "".join(f'    "{name}": "{path}"\n' for name, path in fonts.items())
    fallbacks = ", ".join(f'"{name}"' for name in ("M+ 1p Fallback", "Noto Emoji", *fonts))
    return (
        f'extends: ["default-with-font-fallbacks", "{theme}"]\n'
        f"font:\n  catalog:\n    merge: true\n{catalog}  fallbacks: [{fallbacks}]\n"
        f"role:\n{sizes}"
        f"image:\n  alt-content: '{MISSING_PICTURE} %{{target}}'\n"
        # as wide as its table would break the words of many a caption
        "table:\n  caption-max-width: none\n"
        "svg:\n  fallback-font-family: $base-font-family\n"
    )


def _in_words(messages: list[str]) -> list[Note]:
    """Return one line about characters that no font has, without what cannot be helped."""
    characters: dict[str, list[str]] = {}
    others = []
    for message in messages:
        if match := NO_CHARACTER.search(message):
            characters.setdefault(script_of(match.group(1)), []).append(match.group(1))
        elif re.search(r"\b(WARN|WARNING|ERROR|FAILED)\b", message):
            others.append(Note(_plainly(message)))
    return [*(_no_glyphs(script, found) for script, found in characters.items()), *others[:10]]


def _plainly(message: str) -> str:
    """Remove the name of a temporary file."""
    return re.sub(r"^asciidoctor: (WARNING|ERROR|FAILED): (report-\w+\.adoc: )?", "", message)


def _no_glyphs(script: str, characters: list[str]) -> Note:
    shown = " ".join(characters[:10]) + (" ..." if len(characters) > 10 else "")
    return Note(
        f"no installed font has the characters {shown} ({script.capitalize()}); they are left blank in the PDF;"
        f" install with: apt-get install {package_of(script)}",
        tuple(characters),
        tuple(characters),
    )


def _unjoined(text: str) -> list[Note]:
    """Name the scripts whose letters a PDF of asciidoctor-pdf's has in the wrong shape or order."""
    scripts: dict[str, list[str]] = {}
    for character in sorted(set(text)):
        name = unicodedata.name(character, "")
        if unicodedata.bidirectional(character) in ("R", "AL") or name.startswith(JOINING):
            scripts.setdefault(script_of(character), []).append(character)
    return [
        Note(
            f"the PDF has {script.capitalize()} letters side by side, neither joined nor from right to left where"
            " they should be; the format html shows them as they are written",
            tuple(characters),
        )
        for script, characters in sorted(scripts.items())
    ]


def to_html(source: Path, output: Path, heading: Heading, logo: Path | None = None) -> list[Note]:
    """Make one file of HTML, pictures inside, and give what is to be said of it."""
    # beside the report: what is elsewhere is not read
    shutil.copyfile(config_file(STYLE), source.with_name(STYLE))
    messages = _asciidoctor(
        _only_for("html5", source),
        output,
        {
            "data-uri": "",
            "stylesheet": STYLE,
            "webfonts!": "",
            "nofooter": "",
            "table-stripes": "none",
        },
        *TO_HTML,
    )
    output.write_text(finished(unspelled(output.read_text(encoding="utf-8")), heading, logo), encoding="utf-8")
    return [Note(_plainly(message)) for message in messages if re.search(r"\b(WARN|WARNING|ERROR|FAILED)\b", message)]


def _asciidoctor(
    source: Path,
    output: Path,
    attributes: Mapping[str, str],
    *program: str,
    line: Line | None = None,
    extensions: Sequence[Path] = (),
) -> list[str]:
    given = {"allow-uri-read!": "", "example-caption!": "", **attributes}
    # nothing is written outside of its directory either
    made = source.with_name(f"made-{output.name}")
    arguments = [
        # files outside of the workspace cannot be included
        "--safe-mode=safe",
        f"--base-dir={source.parent}",
        # says which characters no font has
        "--verbose",
        *(f"--require={extension}" for extension in extensions),
        *(f"--attribute={name}={value}" if value else f"--attribute={name}" for name, value in given.items()),
        f"--out-file={made}",
        str(source),
    ]
    printed = made.with_suffix(".txt")
    try:
        code = line.convert(arguments, printed, CONVERSION_TIMEOUT) if line else None
        if code is None:
            code = _start([*program, *arguments], printed)
    except FileNotFoundError:
        raise ConversionError(f"{program[0]} not found; install with: apt-get install ruby-asciidoctor-pdf") from None
    except (TimeoutError, subprocess.TimeoutExpired):
        raise ConversionError(f"{program[0]} did not finish within {CONVERSION_TIMEOUT:g} s") from None
    messages = printed.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    if code != 0 or not made.exists():
        # where in a program in Ruby it went wrong is nothing that its user can mend
        said = [message for message in messages if not message.startswith("\tfrom ")]
        raise ConversionError(f"{program[0]} failed (exit code {code}): {' '.join(said[-5:])}")
    made.replace(output)
    return messages


def _start(command: list[str], printed: Path) -> int:
    with printed.open("wb") as file:
        # nothing that it says is asked for on standard output
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, timeout=CONVERSION_TIMEOUT, check=False
        ).returncode
