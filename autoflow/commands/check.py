# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow check`` and ``autoflow --check``: validate settings, workflows.yml and templates."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

from autoflow.channels import complaints
from autoflow.clock import utc_now
from autoflow.commands.terminal import print_json, print_line
from autoflow.definitions import Definitions
from autoflow.errors import AutoflowError, DefinitionError, ExitCode, Problem
from autoflow.parser import check_tools, load_definitions
from autoflow.settings import Settings, inputs_named, load_settings, read_secrets, read_token
from autoflow.wording import counted

SETTINGS = "settings"
"""What stands for a file in mistakes of the settings."""

TRIAL_TIMEOUT = 60.0
"""Seconds that one template may take."""


def run(options: argparse.Namespace, settings: Settings | None) -> ExitCode:
    """Print all errors and warnings; without settings, those of workflows.yml as far as it can be found."""
    mistake = None if settings else _settings_mistake()
    inputs = settings.inputs_dir if settings else inputs_named(os.environ)
    file = inputs / "workflows.yml" if inputs else None
    definitions, problems = _of_definitions(file) if file else (None, ())
    problems = (*(_of_settings(mistake) if mistake else ()), *problems)
    if settings:
        problems = (*problems, *_secret_problems(settings, definitions))
    if settings and definitions:
        problems = (*problems, *_others(definitions, settings))
    valid = all(problem.severity == "warning" for problem in problems)
    code = ExitCode.OK if valid else ExitCode.USER_MISTAKE
    if mistake and all(problem.file == SETTINGS for problem in problems):
        # it may be that it only has to be tried again
        code = mistake.exit_code
    if options.json:
        found = [asdict(problem) for problem in problems]
        print_json(options, {"file": str(file or ""), "valid": valid, "problems": found}, code)
        return code
    for problem in problems:
        print_line(str(problem), "bold red" if problem.severity == "error" else "yellow")
    if definitions is not None and valid:
        numbers = counted(len(definitions.workflows), "workflow"), counted(len(definitions.triggers), "trigger")
        print_line(f"{file}: valid: {', '.join(numbers)}")
    return code


def _settings_mistake() -> AutoflowError | None:
    try:
        load_settings(os.environ)
    except AutoflowError as error:
        return error
    return None


def _of_settings(error: AutoflowError) -> Iterator[Problem]:
    for line in str(error).splitlines():
        yield Problem(SETTINGS, 0, 0, "", line)


def _of_definitions(file: Path) -> tuple[Definitions | None, tuple[Problem, ...]]:
    try:
        return load_definitions(file)
    except DefinitionError as error:
        return None, error.problems


def _secret_problems(settings: Settings, definitions: Definitions | None) -> Iterator[Problem]:
    """Look at the token, and at the secrets of notebooks where it is known which they are."""
    checks: list[Callable[[], object]] = [lambda: read_token(settings, utc_now())]
    checks += [partial(read_secrets, settings, [name]) for name in (definitions.secrets if definitions else ())]
    for check in checks:
        try:
            check()
        except AutoflowError as error:
            yield from _of_settings(error)


def _others(definitions: Definitions, settings: Settings) -> Iterator[Problem]:
    try:
        check_tools(definitions)
    except AutoflowError as error:
        yield from _of_settings(error)
    for doubt in complaints(definitions.notify, settings):
        yield Problem(str(settings.workflows_file), 0, 0, "", doubt, "warning")
    templates = {
        (settings.inputs_dir / output.template): f"{workflow.name}.{notebook.label}"
        for workflow in definitions.workflows.values()
        for notebook in workflow.notebooks
        for output in notebook.outputs
        if output.template
    }
    if settings.asciidoc_template:
        templates.setdefault(settings.asciidoc_template, "asciidoc_template_path")
    if templates:
        # few have one, and others need not wait for these imports
        import asyncio

        for path, complaint in asyncio.run(_try_all(list(templates), settings)).items():
            yield Problem(str(path), 0, 0, "", f"does not render, for {templates[path]}: {complaint}", "warning")


async def _try_all(templates: list[Path], settings: Settings) -> dict[Path, str]:
    """Render each template in a child, and return what is wrong with those that do not render."""
    from autoflow.commands.children import children_of

    complaints = {}
    with children_of("check", settings) as jobs:
        for template in templates:
            with jobs.workspace() as workspace:
                request = {"template": str(template)}
                reply = await jobs.call("template", request, workspace, timeout=TRIAL_TIMEOUT)
            if reply.cause != "done":
                complaints[template] = str(reply.error.get("message") or reply.how)
    return complaints
