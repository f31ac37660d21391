# SPDX-License-Identifier: Apache-2.0
"""Candy Scoop: its classifier, and for the simulation its scene and expert."""
