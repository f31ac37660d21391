# SPDX-License-Identifier: Apache-2.0
"""The prompt, with the state in bins, and its tokens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sentencepiece
import torch
from hypothesis import given
from hypothesis import strategies as st

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.policies.pi05.prompt import Tokenizer, prompt, prompt_tokens, state_bins
from expo_ft_ros.policies.pi05.small_tokenizer import SMALL_VOCABULARY, small_tokenizer
from support.pi05 import write_tokenizer


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return write_tokenizer(tmp_path_factory.mktemp("tokenizer") / "tiny.model")


def test_bins_are_those_of_openpi():
    """The table of pi05_reference/README.txt."""
    values = [-1.2, -1, -0.999, 0, 0.5, 0.9999, 1, 1.3]
    assert state_bins(torch.tensor(values)).tolist() == [-1, 0, 0, 128, 192, 255, 255, 255]


@given(st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=20))
def test_bins_are_numpys(values):
    state = np.array(values, np.float32)
    expected = np.digitize(state, np.linspace(-1, 1, 257)[:-1]) - 1
    assert state_bins(torch.from_numpy(state)).tolist() == expected.tolist()


def test_the_prompt_is_openpis():
    assert prompt(" pick_up\nthe cube ", [0, -1, 255]) == (
        "Task: pick up the cube, State: 0 -1 255;\nAction: "
    )


def test_tokens_are_the_prompts_from_the_beginning_on(path):
    tokens = prompt_tokens(
        Tokenizer(path, 320), ["pick up the cube", "flip"], torch.zeros(2, 3), 90
    )
    known = sentencepiece.SentencePieceProcessor(model_proto=path.read_bytes())
    assert tokens.shape == (2, 90)
    for row, text in zip(tokens.tolist(), ["pick up the cube", "flip"], strict=True):
        expected = [known.bos_id(), *known.encode(prompt(text, [128, 128, 128]))]
        assert row == expected + [0] * (90 - len(expected))


def test_an_instruction_that_is_too_long_is_named(path):
    with pytest.raises(ValueError, match=r"instruction 'pick.*: its prompt has \d+ tokens, more"):
        prompt_tokens(Tokenizer(path, 320), ["pick " * 50], torch.zeros(1, 3), 64)


def test_a_tokenizer_that_does_not_fit_is_refused_with_its_file(path, tmp_path):
    with pytest.raises(ConfigError, match=r"tiny.model: tokens: expected at most the model's 100"):
        Tokenizer(path, 100)
    other = write_tokenizer(tmp_path / "other.model", pad_id=-1, eos_id=1, bos_id=2, unk_id=0)
    with pytest.raises(ConfigError, match=r"other.model: tokens: expected padding 0 .* found pad"):
        Tokenizer(other, 320)
    with pytest.raises(ConfigError, match=r"none.model: not a sentencepiece model: .*tokenizer"):
        Tokenizer(tmp_path / "none.model", 320)
    (tmp_path / "broken.model").write_bytes(b"\x00\x01words")
    with pytest.raises(ConfigError, match=r"broken.model: not a sentencepiece model"):
        Tokenizer(tmp_path / "broken.model", 320)


def test_a_policy_without_a_file_has_a_tokenizer_that_knows_every_byte():
    text = "Größe 3_µm\nof\tthe cube: "
    tokens = Tokenizer(None, SMALL_VOCABULARY).encode([text, "flip"])
    known = sentencepiece.SentencePieceProcessor(model_proto=small_tokenizer())
    assert [known.decode(row) for row in tokens] == [text, "flip"]
    assert all(0 < token < SMALL_VOCABULARY for row in tokens for token in row)
    with pytest.raises(
        ConfigError, match=r"vla.tokenizer: null: tokens: .* model's 300, found 320"
    ):
        Tokenizer(None, 300)
