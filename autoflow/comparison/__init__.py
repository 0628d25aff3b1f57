# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Executed notebooks compared by what they say: glued values, tables, texts and pictures."""

from autoflow.comparison.changes import (
    Change,
    NotebookChanges,
    TableChange,
    TextChange,
    compared,
    difference,
    percent,
)
from autoflow.comparison.content import Content, read_executed
from autoflow.comparison.results import same_results

__all__ = [
    "Change",
    "Content",
    "NotebookChanges",
    "TableChange",
    "TextChange",
    "compared",
    "difference",
    "percent",
    "read_executed",
    "same_results",
]
