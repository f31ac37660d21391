# SPDX-License-Identifier: Apache-2.0
"""Egg Flip: its classifier, and for the simulation its scene and expert."""
