"""Candy Scoop: its classifier, and for the simulation its scene and expert."""
