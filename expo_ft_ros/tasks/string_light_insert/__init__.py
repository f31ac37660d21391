# SPDX-License-Identifier: Apache-2.0
"""String Light Routing, Insert: its classifier, and for the simulation its scene and expert."""
