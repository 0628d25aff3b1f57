# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Pages to look at: the status page, one attempt, why a date is as it is, an executed notebook.

All of it is read-only, and made of what others wrote: names, parameters, errors and notebooks are shown, and never
obeyed.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import os
import pickle
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from markupsafe import Markup

from autoflow.child.page.shared import TEMPLATES, Links, NotFoundError, PageRequest, environment
from autoflow.model import open_for_reading
from autoflow.redaction import Redactor
from autoflow.settings import Places

NICENESS = 10
"""Runs go first."""


def prepare() -> None:
    """Import and compile ahead what the page beside the reports needs."""
    import_module("autoflow.child.page.run_page")
    environment().get_template("status.html")


def work(request: Mapping[str, Any], workspace: Path) -> dict[str, Any]:
    """Make a page.

    Parameters
    ----------
    request
        ``page``: ``status`` or ``index`` (the same as a file), ``run`` (with ``run``, ``12`` or ``12.3``), ``why``
        (with ``workflow`` or ``trigger``, a number, and ``date``) or ``notebook`` (with ``notebook``, its path in
        the directory of notebooks); ``db``, ``outputs_dir``, ``notebooks_dir``, ``reports_dir``; ``now``, ``doing``,
        ``next_tick``, ``problems`` and ``progress`` are what the daemon knows.
    workspace
        ``definitions.pickle`` in it are the daemon's; ``page.html`` is made.

    Returns
    -------
    dict
        ``status``, the HTTP status, and ``policy``, the Content-Security-Policy.
    """
    # from the daemon, in a directory that no other user can write to
    definitions = pickle.loads((workspace / "definitions.pickle").read_bytes())  # noqa: S301
    redactor = Redactor.of(os.environ.pop("FLOWAPI_TOKEN", None))
    with suppress(OSError):
        os.nice(NICENESS)
    if request["page"] == "notebook":
        from autoflow.child.page.notebook_page import notebook_page

        directory, name = Path(request["notebooks_dir"]), request["notebook"]
        text, policy, status = *notebook_page(directory / name, name), 200
    else:
        outputs, notebooks, reports = (Path(request[f"{name}_dir"]) for name in ("outputs", "notebooks", "reports"))
        reader = open_for_reading(Path(request["db"]), Places(outputs, notebooks, reports))
        depth = {"index": None, "run": "../"}.get(request["page"], "./")
        links = Links(Path(request["notebooks_dir"]), Path(request["reports_dir"]), depth)
        page = PageRequest(request, reader, definitions, dt.datetime.fromisoformat(request["now"]), links)
        text, policy, status = _page(page)
        reader.close()
    # what is no character in UTF-8 may come from JSON all the same
    (workspace / "page.html").write_text(redactor.redact(text), encoding="utf-8", errors="backslashreplace")
    return {"status": status, "policy": policy}


def _page(page: PageRequest) -> tuple[str, str, int]:
    from autoflow.child.page.run_page import run_page, why_page
    from autoflow.child.page.status_page import status_page

    makers: dict[str, Callable[[PageRequest], tuple[str, dict[str, Any]]]] = {
        "status": status_page,
        "index": status_page,
        "run": run_page,
        "why": why_page,
    }
    try:
        (template, values), status = makers[page.request["page"]](page), 200
    except NotFoundError as error:
        (template, values), status = ("missing.html", {"message": str(error)}), 404
    style = (TEMPLATES / "page.css").read_text(encoding="utf-8")
    policy = policy_for(style)
    common = {"is_home": False, "style": Markup(style), "policy": policy, "links": page.links, "now": page.now}  # noqa: S704
    return environment().get_template(template).render(**{**common, **values}), policy, status


def policy_for(style: str) -> str:
    """Allow one style sheet, pictures that are in the page, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
