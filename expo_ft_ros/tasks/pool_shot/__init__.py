# SPDX-License-Identifier: Apache-2.0
"""Pool Shot: its classifier, and for the simulation its scene and expert."""
