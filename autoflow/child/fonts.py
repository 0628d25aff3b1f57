# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The faces that pages are set in, which of them are installed, and which package has what is missing.

Apart from what makes reports, whose libraries take most of a second to import: who asks what is installed needs none.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from pathlib import Path

SYSTEM_FONTS = {
    "DejaVu Sans": "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "Droid Sans Fallback": "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
}
"""Where Debian keeps faces that have what the ones of asciidoctor-pdf lack."""

NOTO_PACKAGE = "fonts-noto-core"
NOTO = "/usr/share/fonts/truetype/noto/NotoSans{}-Regular.ttf"
PACKAGES = {"CJK": "fonts-droid-fallback", "HANGUL": "fonts-droid-fallback", "ARABIC": "fonts-dejavu-core"}
LOOKED_FOR = ("BENGALI", "DEVANAGARI", "ETHIOPIC", "KHMER", "MYANMAR", "TAMIL", "THAI")
"""Scripts beside those that have a package of their own."""


def faces_for(text: str) -> Mapping[str, str]:
    """Choose faces for the scripts that a text is in."""
    scripts = {script_of(character) for character in set(text) if ord(character) > 0x52F}
    return SYSTEM_FONTS | {f"Noto {script}": NOTO.format(script.capitalize()) for script in sorted(scripts)}


def missing_fonts() -> dict[str, str]:
    """Name the scripts whose letters a PDF would lack, each with the package that has them."""
    faces = {
        "fonts-dejavu-core": SYSTEM_FONTS["DejaVu Sans"],
        "fonts-droid-fallback": SYSTEM_FONTS["Droid Sans Fallback"],
    }
    missing = {script: package for script, package in PACKAGES.items() if not Path(faces[package]).is_file()}
    missing |= {script: NOTO_PACKAGE for script in LOOKED_FOR if not Path(NOTO.format(script.capitalize())).is_file()}
    return {script if script == "CJK" else script.capitalize(): package for script, package in missing.items()}


def package_of(script: str) -> str:
    """Name the package of Debian's that has the letters of a script."""
    return PACKAGES.get(script, NOTO_PACKAGE)


def script_of(character: str) -> str:
    """Name the script of a character as Unicode does."""
    return unicodedata.name(character, "UNKNOWN").split()[0].partition("-")[0]
