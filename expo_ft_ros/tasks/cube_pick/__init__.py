"""Cube Pick: its classifier, and for the simulation its scene and expert."""
