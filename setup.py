"""The ROS-free library and the expo-ft command; all metadata is in pyproject.toml."""

from setuptools import setup

setup()
