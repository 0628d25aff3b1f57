# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Formulas: LaTeX to pictures that stand in their lines."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

FORMULA = re.compile(r"image:autoflow-math-(inline|display)-([0-9a-f]*)\[\]")
ALONE = re.compile(rf"^{FORMULA.pattern}$", re.MULTILINE)

SIZE = 10.5
"""Points of the text that formulas stand in."""

ABOVE, BELOW = 1.069, 0.293
"""How far the reports' face reaches above and below its base line, in parts of its size."""

ET.register_namespace("", "http://www.w3.org/2000/svg")


@dataclass(frozen=True)
class Undrawn:
    """A formula that cannot be drawn."""

    formula: str
    message: str


def draw_formulas(asciidoc: str, workspace: Path) -> tuple[str, list[Undrawn]]:
    """Draw the formulas that `autoflow.child.report.markdown` has named, and refer to their pictures.

    Returns
    -------
    asciidoc : str
        A formula that cannot be drawn is in it as its source.
    undrawn : list of Undrawn
        Which those are.
    """
    drawn: dict[tuple[str, str], str] = {}
    undrawn: list[Undrawn] = []

    def refer(match: re.Match[str], *, block: bool) -> str:
        kind, name = match.group(1), match.group(2)
        if (kind, name) not in drawn:
            source = bytes.fromhex(name).decode()
            file = workspace / f"formula-{len(drawn) + 1}.svg"
            try:
                drawn[kind, name] = _draw(source, file, inline=kind == "inline")
            except Exception as error:  # noqa: BLE001  # any error of a library, from any LaTeX
                drawn[kind, name] = _source(source)
                reason = f"{error or type(error).__name__}"
                undrawn.append(Undrawn(source, f"the formula {_flat(source)!r} cannot be drawn ({reason})"))
        reference = drawn[kind, name]
        if block and reference.startswith("image:"):
            return f"\n{reference.replace('image:', 'image::', 1).replace('[', '[align=center,', 1)}\n"
        return reference

    def as_block(match: re.Match[str]) -> str:
        return refer(match, block=match.group(1) == "display")

    asciidoc = ALONE.sub(as_block, asciidoc)
    return FORMULA.sub(lambda match: refer(match, block=False), asciidoc), undrawn


def _draw(source: str, file: Path, *, inline: bool) -> str:
    with warnings.catch_warnings():
        # how the library finds its font is its own affair
        warnings.simplefilter("ignore", DeprecationWarning)
        # takes 0.2 s, for the few reports that have formulas
        from ziamath.config import config
        from ziamath.zmath import Latex

        # symbols that are used by reference are more than asciidoctor-pdf draws
        config.svg2 = False
        drawing = Latex(source, size=SIZE, inline=inline).svgxml()
    left, top, width, height = (float(each) for each in drawing.get("viewBox", "").split())
    if inline:
        # asciidoctor-pdf puts the middle of a picture into the middle of its line
        middle = (ABOVE - BELOW) / 2 * SIZE
        half = max(-top - middle, top + height + middle, (ABOVE + BELOW) / 2 * SIZE)
        top, height = -middle - half, 2 * half
    drawing.set("viewBox", f"{left:g} {top:g} {width:g} {height:g}")
    drawing.set("width", f"{width:g}pt")
    drawing.set("height", f"{height:g}pt")
    ET.ElementTree(drawing).write(file, encoding="utf-8", xml_declaration=False)
    alternative = re.sub(r'["\]\\,]', " ", _flat(source)) or "formula"
    return f'image:{file.name}["{alternative}",pdfwidth={width:g}pt,role=formula]'


def _source(source: str) -> str:
    return "pass:c[$" + _flat(source).replace("]", "\\]") + "$]"


def _flat(source: str) -> str:
    return " ".join(source.split())
