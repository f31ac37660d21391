# SPDX-License-Identifier: Apache-2.0
"""Figures of tests are small: most of their time goes into drawing."""

import pytest

from expo_ft_ros.report import drawing


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    monkeypatch.setattr(drawing, "PNG_DPI", 72)
