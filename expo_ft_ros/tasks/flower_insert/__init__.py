# SPDX-License-Identifier: Apache-2.0
"""Flower Insert: its classifier, and for the simulation its scene and expert."""
