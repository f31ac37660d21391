# SPDX-License-Identifier: Apache-2.0
"""pi0.5 behind the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from expo_ft_ros.policies.pi05.config import Pi05Config
from policies.conformance import Conformance
from support.pi05 import TINY, train_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> Path:
    return train_tokenizer(tmp_path_factory.mktemp("tokenizer") / "tiny.model")


class TestPi05(Conformance):
    kind = "pi05"

    @pytest.fixture
    def config(self, tokenizer) -> Pi05Config:
        return Pi05Config(tokenizer=tokenizer, **TINY)


class TestPi05WithoutLora(TestPi05):
    @pytest.fixture
    def config(self, tokenizer) -> Pi05Config:
        return Pi05Config(tokenizer=tokenizer, lora=None, **TINY)
