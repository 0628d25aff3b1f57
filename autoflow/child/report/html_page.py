# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a page of HTML has beyond what asciidoctor writes: one switch for code, figures, scopes, a masthead."""

from __future__ import annotations

import base64
import mimetypes
import re
from html import escape
from pathlib import Path

from autoflow.child.report.front_matter import MIDDLE_DOT, Heading

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

FIGURE = re.compile(
    r'<div( id="[^"]*")? class="imageblock([^"]*)">\s*<div class="content">\n(.*?)\n</div>'
    r'\n<div class="title">(.*?)</div>\n</div>',
    re.DOTALL,
)
HEAD = re.compile(r"<thead>.*?</thead>", re.DOTALL)
HEADING_CELL = re.compile(r'<th (?=class=)(?![^>]*scope=)([^>]*?colspan="\d+")?')


def finished(page: str, heading: Heading, logo: Path | None = None) -> str:
    """Finish a page that asciidoctor has made."""
    page = page.replace("<head>", f"<head>\n{_metadata(heading)}", 1)
    if heading.words.right_to_left:
        page = page.replace("<html ", '<html dir="rtl" ', 1)
    page = HEAD.sub(lambda head: HEADING_CELL.sub(_of_columns, head.group()), page)
    page = HEADING_CELL.sub(r'<th scope="row" \1', page)
    # a table that is wider than the window scrolls on its own, by keys too
    page = page.replace("<table ", '<div class="tables" tabindex="0"><table ').replace("</table>", "</table></div>")
    page = FIGURE.sub(
        r'<figure\1 class="imageblock\2">\n\3\n<figcaption class="title">\4</figcaption>\n</figure>', page
    )
    page = page.replace('<div id="header">', f'{_switch(page, heading)}{_masthead(heading, logo)}<div id="header">', 1)
    return page.replace("</body>", f"{_foot(heading)}</body>", 1)


def _metadata(heading: Heading) -> str:
    said = {"author": heading.organisation, "description": heading.subject, "keywords": heading.keywords}
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    return "\n".join([policy, *(f'<meta name="{key}" content="{escape(text)}">' for key, text in said.items() if text)])


def _of_columns(match: re.Match[str]) -> str:
    return f'<th scope="{"colgroup" if match.group(1) else "col"}" {match.group(1) or ""}'


def _switch(page: str, heading: Heading) -> str:
    """Make the one switch for all code that is folded; it needs no program."""
    if 'class="openblock code"' not in page:
        return ""
    return (
        '<input type="checkbox" id="show-code" autocomplete="off">'
        f'<label for="show-code">{escape(heading.words.show_code)}</label>\n'
    )


def _masthead(heading: Heading, logo: Path | None) -> str:
    shown = f"<span>{escape(heading.organisation)}</span>" if heading.organisation else ""
    if logo:
        kind = mimetypes.guess_type(logo.name)[0]
        content = base64.b64encode(logo.read_bytes()).decode()
        alternative = "" if heading.organisation else "logo"
        shown += f'<img src="data:{kind};base64,{content}" alt="{alternative}">'
    return f'<div class="masthead">{shown}</div>\n' if shown else ""


def _foot(heading: Heading) -> str:
    contact = f"{heading.words.contact}: {heading.contact}" if heading.contact else ""
    said = MIDDLE_DOT.join(filter(None, (heading.organisation, contact, heading.made)))
    return f'<div class="foot">{escape(said)}</div>\n' if said else ""
