# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""A stand-in for FlowAPI: a real HTTP server with synthetic data, for the example and the tests."""

from examples.flowapi.server import FlowapiStandin

__all__ = ["FlowapiStandin"]
