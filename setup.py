# SPDX-License-Identifier: Apache-2.0
"""The ROS-free library and the expo-ft command; all metadata is in pyproject.toml."""

from setuptools import setup

setup()
