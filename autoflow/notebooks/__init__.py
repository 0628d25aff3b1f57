# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Notebook files: what is read of them before they run, and what is found in them afterwards."""

from autoflow.notebooks.executed_notebook import cell_position, executed_with, printed, record_cause
from autoflow.notebooks.notebook_file import (
    OWN_METADATA,
    NotebookFile,
    installed_kernels,
    kernel_is_installed,
    read_content,
    read_notebook,
)
from autoflow.notebooks.token_scan import TokenScan, looks_like_token, refuse_leak, scans_of

__all__ = [
    "OWN_METADATA",
    "NotebookFile",
    "TokenScan",
    "cell_position",
    "executed_with",
    "installed_kernels",
    "kernel_is_installed",
    "looks_like_token",
    "printed",
    "read_content",
    "read_notebook",
    "record_cause",
    "refuse_leak",
    "scans_of",
]
