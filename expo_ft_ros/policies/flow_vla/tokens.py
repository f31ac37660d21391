# SPDX-License-Identifier: Apache-2.0
"""Instructions as tokens without a vocabulary file: words hashed into a fixed range."""

from __future__ import annotations

import re
import zlib
from functools import lru_cache

import torch
from torch import Tensor

VOCABULARY = 1024
TOKENS = 16


@lru_cache(maxsize=1024)
def tokenise(instruction: str) -> Tensor:
    """The tokens of an instruction, made once: don't write to them.

    Args:
        instruction: Any text; words beyond the first TOKENS are cut.

    Returns:
        (TOKENS,) int64: one id in 1..VOCABULARY-1 a word, then 0 as padding.
    """
    words = re.findall(r"[a-z0-9]+", instruction.lower())[:TOKENS]
    tokens = torch.zeros(TOKENS, dtype=torch.int64)
    tokens[: len(words)] = torch.tensor(
        [1 + zlib.crc32(word.encode()) % (VOCABULARY - 1) for word in words], dtype=torch.int64
    )
    return tokens
