# SPDX-License-Identifier: Apache-2.0
"""The policies that there are, and one that is added from outside, against the contract."""

from __future__ import annotations

from typing import ClassVar

import pytest

from expo_ft_ros.policies.registry import FOLDERS_VARIABLE
from policies.conformance import Conformance
from support import added_policy


class TestFlowVLA(Conformance):
    """Trained from nothing; its image encoder apart."""

    kind = "flow_vla"
    options: ClassVar = {"horizon": 4, "width": 32, "depth": 1, "channels": 8}


class TestAddedPolicy(Conformance):
    """Another noise, another prefix, another normalisation, a frozen part, no features."""

    kind = added_policy.KIND
    options: ClassVar = {"horizon": 6}

    @pytest.fixture(autouse=True)
    def _added(self, tmp_path, monkeypatch):
        monkeypatch.setenv(FOLDERS_VARIABLE, str(added_policy.add(tmp_path / "policies")))
