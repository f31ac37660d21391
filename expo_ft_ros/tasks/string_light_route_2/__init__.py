# SPDX-License-Identifier: Apache-2.0
"""String Light Routing, Route 2: for the simulation its scene and expert."""
