# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What AutoFlow uses of papermill, imported without pyarrow.

papermill asks for pyarrow, which brings numpy, to read notebooks from Hadoop: a third of the time that it
takes to import, and memory that each fork has to map.
"""

from contextlib import suppress

from autoflow.imports import without

with without("pyarrow.fs"):
    import papermill.execute
    from papermill import execute_notebook, iorw
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import NBClientEngine, papermill_engines
    from papermill.exceptions import strip_color
    from papermill.execute import ERROR_ANCHOR_MSG, ERROR_MARKER_TAG, ERROR_MESSAGE_TEMPLATE

__all__ = [
    "ERROR_ANCHOR_MSG",
    "ERROR_MARKER_TAG",
    "ERROR_MESSAGE_TEMPLATE",
    "NBClientEngine",
    "PapermillNotebookClient",
    "complete",
    "execute_notebook",
    "papermill",
    "papermill_engines",
    "strip_color",
]


def complete() -> None:
    """Give papermill what it was imported without, for notebooks that use it themselves."""
    with suppress(ImportError):
        from pyarrow.fs import FileSelector, HadoopFileSystem

        iorw.FileSelector, iorw.HadoopFileSystem = FileSelector, HadoopFileSystem
