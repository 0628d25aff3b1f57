# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""One notebook, executed by papermill in a kernel of its own."""

from autoflow.child.notebook.notebook import prepare, work
from autoflow.child.notebook.papermill import complete

__all__ = ["complete", "prepare", "work"]
