# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""One executed notebook as PDF and HTML, read back before anybody else does."""

from autoflow.child.report.report import prepare, work

__all__ = ["prepare", "work"]
