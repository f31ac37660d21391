# SPDX-License-Identifier: Apache-2.0
"""pi0.5's prompt, with the state in words, and its tokens (openpi's tokenizer.py)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from sentencepiece import SentencePieceProcessor
from torch import Tensor

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.policies.pi05.small_tokenizer import small_tokenizer

_BINS = 256
PADDING = 0
"""The token that fills a prompt up, which PaliGemma's tokenizer has for nothing else."""


class Tokenizer:
    """A sentencepiece file, PaliGemma's or one like it. Copies share it: it never changes.

    Args:
        path: The file; None: the small one that needs none (`small_tokenizer`).
        vocabulary: How many tokens the model has embeddings for.

    Raises:
        ConfigError: for a file that can't be read, or whose tokens don't fit.
    """

    def __init__(self, path: Path | None, vocabulary: int) -> None:
        remedy = "give PaliGemma's as vla.tokenizer: gs://big_vision/paligemma_tokenizer.model"
        if path is None:
            remedy = "set vla.vocabulary to as many, or vla.tokenizer to a file"
        try:
            model = small_tokenizer() if path is None else path.read_bytes()
            self._processor = SentencePieceProcessor(model_proto=model)
        except (OSError, RuntimeError) as error:
            raise ConfigError(f"{path}: not a sentencepiece model: {error} ({remedy})") from error
        found = (self._processor.pad_id(), self._processor.bos_id() >= 0)
        if found != (PADDING, True):
            raise ConfigError(
                f"{path}: tokens: expected padding {PADDING} and one for the beginning, found "
                f"padding {found[0]} and {'one' if found[1] else 'none'} ({remedy})"
            )
        if self._processor.get_piece_size() > vocabulary:
            raise ConfigError(
                f"{path or 'vla.tokenizer: null'}: tokens: expected at most the model's "
                f"{vocabulary}, found "
                f"{self._processor.get_piece_size()} ({remedy})"
            )

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokens of each text, that of the beginning before them."""
        tokens: list[list[int]] = self._processor.encode(list(texts), add_bos=True)
        return tokens

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


def prompt(instruction: str, bins: Sequence[int]) -> str:
    """The text for an instruction, and a state as `state_bins` gives it."""
    cleaned = instruction.strip().replace("_", " ").replace("\n", " ")
    return f"Task: {cleaned}, State: {' '.join(map(str, bins))};\nAction: "


def state_bins(state: Tensor) -> Tensor:
    """Numbers of any shape, normalised, to one of 256 bins of [-1, 1] each; -1 is below, what is
    above is in the last."""
    edges = torch.linspace(-1, 1, _BINS + 1, dtype=torch.float64, device=state.device)[:-1]
    return torch.bucketize(state.double(), edges, right=True) - 1


def prompt_tokens(
    tokenizer: Tokenizer, instructions: Sequence[str], state: Tensor, length: int
) -> Tensor:
    """Tokens of prompts.

    Args:
        tokenizer: Of the model.
        instructions: B texts.
        state: (B, STATE_DIM) normalised, not padded.
        length: To which each is padded.

    Returns:
        (B, length) int64 on the CPU, padded at the end.

    Raises:
        ValueError: for an instruction that is too long; openpi would cut the prompt's end.
    """
    bins = state_bins(state).tolist()
    texts = [prompt(text, row) for text, row in zip(instructions, bins, strict=True)]
    padded = torch.full((len(texts), length), PADDING)
    for row, tokens in enumerate(tokenizer.encode(texts)):
        if len(tokens) > length:
            raise ValueError(
                f"instruction {instructions[row]!r}: its prompt has {len(tokens)} tokens, more "
                f"than vla.max_tokens {length} (shorten it)"
            )
        padded[row, : len(tokens)] = torch.tensor(tokens)
    return padded
