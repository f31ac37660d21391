# SPDX-License-Identifier: Apache-2.0
"""Cube Pick: its classifier, and for the simulation its scene and expert."""
