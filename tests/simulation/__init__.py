# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Months of AutoFlow's life in a second: the real loop, decisions, record, outputs and notifications.

Simulated are the clock, FlowAPI's answers, and what becomes of jobs. All of it is drawn from one seed, so that
``python -m tests.simulation --seed N`` lives a life again.
"""
