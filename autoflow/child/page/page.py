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
import gc
import hashlib
import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from markupsafe import Markup

from autoflow.child.page.shared import MONTHS, TEMPLATES, Links, NotFoundError, PageRequest, environment
from autoflow.definitions import Definitions
from autoflow.model import open_for_reading
from autoflow.redaction import Redactor
from autoflow.settings import Places

SHARED = ("span", "calendar", "months")
"""What pages that are made at a time read once."""

NICENESS = 10
"""Runs go first."""


def prepare() -> None:
    """Import and compile ahead what the page beside the reports needs."""
    import_module("autoflow.child.page.run_page")
    for template in ("status.html", "month.html"):
        environment().get_template(template)


def work(request: Mapping[str, Any], workspace: Path) -> dict[str, Any]:
    """Make a page.

    Parameters
    ----------
    request
        ``page``: ``status`` or ``index`` (the same as a file, with pages of months beside it), ``month`` (with
        ``month``), ``workflow`` (with ``workflow``), ``runs`` (with ``workflow``, ``state``, ``first``, ``last`` and
        ``before``), ``run`` (with ``run``, ``12`` or ``12.3``), ``why`` (with ``workflow`` or ``trigger``, a number,
        and ``date``) or ``notebook`` (with ``notebook``, its path in the directory of notebooks); ``db``,
        ``outputs_dir``, ``notebooks_dir``, ``reports_dir``; what the daemon knows beside these.
    workspace
        ``definitions.pickle`` in it are the daemon's; ``page.html`` is made, and ``months/2016-01.html`` and so on.

    Returns
    -------
    dict
        ``status``, the HTTP status, ``policy``, the Content-Security-Policy, ``refresh``, after how many seconds the
        page is to be read again, and ``unfinished``, whether months are left to be made.
    """
    # from the daemon, in a directory that no other user can write to
    definitions = pickle.loads((workspace / "definitions.pickle").read_bytes())  # noqa: S301
    redactor = Redactor.of(os.environ.pop("FLOWAPI_TOKEN", None))
    with suppress(OSError):
        os.nice(NICENESS)
    return make(request, definitions, workspace, redactor)


def make(request: Mapping[str, Any], definitions: Definitions, workspace: Path, redactor: Redactor) -> dict[str, Any]:
    """Make a page of `work`, in this process."""

    def write(name: str, text: str) -> None:
        # what is no character in UTF-8 may come from JSON all the same
        (workspace / name).write_text(redactor.redact(text), encoding="utf-8", errors="backslashreplace")

    if request["page"] == "notebook":
        from autoflow.child.page.notebook_page import notebook_page

        directory, name = Path(request["notebooks_dir"]), request["notebook"]
        text, policy = notebook_page(directory / name, name)
        write("page.html", text)
        return {"status": 200, "policy": policy}
    with _uncollected():
        made = _made(request, definitions, workspace, write)
    write("page.html", made.text)
    return {"status": made.status, "policy": made.policy, "refresh": made.refresh, "unfinished": made.unfinished}


@contextmanager
def _uncollected() -> Iterator[None]:
    """Leave garbage where it is: nothing of the hundreds of thousands of dates of a record is any before the end."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@dataclass(frozen=True)
class _Made:
    text: str
    policy: str
    status: int = 200
    refresh: int = 0
    unfinished: bool = False


def _made(
    request: Mapping[str, Any], definitions: Definitions, workspace: Path, write: Callable[[str, str], None]
) -> _Made:
    outputs, notebooks, reports = (Path(request[f"{name}_dir"]) for name in ("outputs", "notebooks", "reports"))
    reader = open_for_reading(Path(request["db"]), Places(outputs, notebooks, reports))
    depth = {"index": None, "run": "../", "month": "../"}.get(request["page"], "./")
    page = PageRequest(
        request, reader, definitions, dt.datetime.fromisoformat(request["now"]), Links(notebooks, reports, depth)
    )
    try:
        return _index(page, workspace, write) if request["page"] == "index" else _page(page)
    finally:
        reader.close()


def _page(page: PageRequest) -> _Made:
    from autoflow.child.page.month_page import month_page
    from autoflow.child.page.run_page import run_page, why_page
    from autoflow.child.page.runs_page import runs_page
    from autoflow.child.page.status_page import status_page
    from autoflow.child.page.workflow_page import workflow_page

    makers: dict[str, Callable[[PageRequest], tuple[str, dict[str, Any]]]] = {
        "status": status_page,
        "month": month_page,
        "runs": runs_page,
        "workflow": workflow_page,
        "run": run_page,
        "why": why_page,
    }
    try:
        (template, values), status = makers[page.request["page"]](page), 200
    except NotFoundError as error:
        (template, values), status = ("missing.html", {"message": str(error)}), 404
    return replace(_rendered(page, template, values), status=status)


def _index(page: PageRequest, workspace: Path, write: Callable[[str, str], None]) -> _Made:
    """Make the status page as a file, and some of the pages of months that say no more what is."""
    from autoflow.child.page.month_page import MOST_AT_ONCE, all_months, month_values, stale
    from autoflow.child.page.status_page import status_page

    months = all_months(page)
    directory, names = page.links.reports_dir / MONTHS, [month.name for month in months]
    due = stale(page, months)
    (workspace / MONTHS).mkdir(exist_ok=True)
    beside = replace(page, links=replace(page.links, origin=directory, months=names))
    made = {month.name for month in due[:MOST_AT_ONCE]}
    there = {name for name in names if name in made or (directory / f"{name}.html").is_file()}
    shown = replace(page, links=replace(page.links, months=there))
    # it has been read already
    for other in (beside, shown):
        other.__dict__.update({name: page.__dict__[name] for name in SHARED if name in page.__dict__})
    for month in due[:MOST_AT_ONCE]:
        write(f"{MONTHS}/{month.name}.html", _rendered(beside, *month_values(beside, month)).text)
    return replace(_rendered(shown, *status_page(shown)), unfinished=len(due) > MOST_AT_ONCE)


def _rendered(page: PageRequest, template: str, values: Mapping[str, Any]) -> _Made:
    style = (TEMPLATES / "page.css").read_text(encoding="utf-8")
    policy = policy_for(style)
    common = {"is_home": False, "style": Markup(style), "policy": policy, **page.values()}  # noqa: S704
    text = environment().get_template(template).render(**{**common, **values})
    return _Made(text, policy, refresh=int(values.get("refresh", 0)))


def policy_for(style: str) -> str:
    """Allow one style sheet, pictures that are in the page, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'self'"
