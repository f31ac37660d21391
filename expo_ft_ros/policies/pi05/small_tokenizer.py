# SPDX-License-Identifier: Apache-2.0
"""A tokenizer for a pi0.5 of random weights, which needs no file."""

from __future__ import annotations

import io
from typing import Any

from sentencepiece import SentencePieceTrainer

SMALL_VOCABULARY = 320
"""Tokens it has, 256 of them bytes."""

_WORDS = "pick up the cube scoop 3 candies Task: State: Action: ; _ insert light route flip egg"


def small_tokenizer(**options: Any) -> bytes:
    """A sentencepiece model, always the same, that has PaliGemma's special tokens, takes a text as
    it stands and knows every byte, so that any instruction has tokens. Made in 50 ms.

    Args:
        options: Of sentencepiece's trainer, in place of those here.
    """
    numbers = " ".join(map(str, range(256)))
    lines = [f"Task: {_WORDS} {number}, State: {numbers}" for number in "ab"]
    made = io.BytesIO()
    given = {
        "vocab_size": SMALL_VOCABULARY,
        "model_type": "bpe",
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "add_dummy_prefix": False,
        "minloglevel": 2,
        "pad_id": 0,
        "eos_id": 1,
        "bos_id": 2,
        "unk_id": 3,
        **options,
    }
    SentencePieceTrainer.train(
        sentence_iterator=iter([*lines, *_WORDS.split()]), model_writer=made, **given
    )
    return made.getvalue()
