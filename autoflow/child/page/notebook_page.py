# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""An executed notebook as a page: what is in it is shown, runs nothing, and loads nothing."""

from __future__ import annotations

from pathlib import Path

import nbformat
from markupsafe import Markup
from nbconvert.exporters import HTMLExporter
from pygments.formatters import HtmlFormatter
from traitlets.config import Config

from autoflow.child.page.shared import TEMPLATES, environment
from autoflow.notebooks import read_notebook
from autoflow.wording import shortened

LARGEST = 50_000_000
"""Bytes from which on a notebook is only there to be downloaded."""

SHOWN = (
    "text/html",
    "text/markdown",
    "image/svg+xml",
    "image/png",
    "image/jpeg",
    "text/latex",
    "text/plain",
)
"""Kinds of output, the first of which that there is is shown."""

POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'"
)
"""Notebooks bring styles of their own, in tables say."""


def notebook_page(path: Path, name: str) -> tuple[str, str]:
    """Return the page, and its Content-Security-Policy."""
    message, body = "", ""
    try:
        if path.stat().st_size > LARGEST:
            message = f"It has more than {LARGEST // 1_000_000} MB, and is not shown here."
        else:
            body = _body(path)
    except Exception as error:  # noqa: BLE001  # a notebook may have anything in it, in any place
        message = f"It cannot be shown: {_complaint(path) or shortened(f'{type(error).__name__}: {error}')}."
    page = (
        environment()
        .get_template("notebook.html")
        .render(
            name=name,
            message=message,
            body=Markup(body),  # noqa: S704  # hostile as it may be: the policy keeps it from doing anything
            style=Markup(_style()),  # noqa: S704
            policy=POLICY,
        )
    )
    # a browser that is sent nowhere has no origin, and runs no script
    return page, f"{POLICY}; frame-ancestors 'none'; sandbox"


def _body(path: Path) -> str:
    exporter = HTMLExporter(
        template_name="basic", config=Config({"NbConvertBase": {"display_data_priority": list(SHOWN)}})
    )
    body, _ = exporter.from_notebook_node(nbformat.read(path, as_version=4))
    return str(body)


def _complaint(path: Path) -> str | None:
    """Say what is wrong with the file itself."""
    try:
        read_notebook(path)
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    except ValueError as error:
        return f"it {error}"
    return None


def _style() -> str:
    return (TEMPLATES / "notebook.css").read_text(encoding="utf-8") + str(HtmlFormatter().get_style_defs(".highlight"))
