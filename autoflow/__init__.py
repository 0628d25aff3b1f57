# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""AutoFlow: runs workflows of Jupyter notebooks for each new date of FlowKit data."""

__version__ = "1.0.0.dev0"
