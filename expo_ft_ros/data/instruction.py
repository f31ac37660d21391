"""Instructions as tokens without a vocabulary file: words hashed into a fixed range."""

from __future__ import annotations

import re
import zlib

import numpy as np
from numpy.typing import NDArray

VOCABULARY = 1024
TOKENS = 16


def tokenise(instruction: str) -> NDArray[np.int64]:
    """(TOKENS,) int64: one id in 1..VOCABULARY-1 a word, 0 as padding; longer ones are cut."""
    words = re.findall(r"[a-z0-9]+", instruction.lower())[:TOKENS]
    tokens = np.zeros(TOKENS, dtype=np.int64)
    tokens[: len(words)] = [1 + zlib.crc32(w.encode()) % (VOCABULARY - 1) for w in words]
    return tokens
