# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What has to be on the machine for a set of definitions."""

from __future__ import annotations

import shutil

from autoflow.definitions import Definitions
from autoflow.errors import SettingsError

PDF_TOOLS = {"asciidoctor-pdf": "ruby-asciidoctor-pdf"}
"""Programs that make a PDF, and the Debian packages that have them."""


def check_tools(definitions: Definitions) -> None:
    """Check that what makes a PDF is there, if a workflow wants one."""
    wanted = [
        f"{workflow.name}.{notebook.label}"
        for workflow in definitions.workflows.values()
        for notebook in workflow.notebooks
        if notebook.outputs
    ]
    missing = [tool for tool in PDF_TOOLS if shutil.which(tool) is None]
    if wanted and missing:
        packages = " ".join(PDF_TOOLS[tool] for tool in missing)
        raise SettingsError(
            f"{' and '.join(missing)} not found, and {', '.join(wanted)} is to be converted to a report;"
            f" install with: apt-get install {packages}"
        )
