# SPDX-License-Identifier: Apache-2.0
"""Weights of pi0.5 in files of openpi (PyTorch layout) and lerobot, read and written by name."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.files import replacing
from expo_ft_ros.data.tensor_files import save_tensors
from expo_ft_ros.policies.pi05.config import SOURCES, weights_file

Layout = Literal["openpi", "lerobot"]
LAYOUTS: dict[Layout, str] = {"openpi": "", "lerobot": "model."}
"""Each layout, and what its names of weights begin with."""

_PALIGEMMA = "paligemma_with_expert.paligemma."
_EXPERT = "paligemma_with_expert.gemma_expert."
_EMBEDDING = f"{_PALIGEMMA}model.language_model.embed_tokens.weight"
# Tied to the embedding: of the two names converters write one or both.
_HEAD = f"{_PALIGEMMA}lm_head.weight"
# Of the expert's words, which it never says.
_UNUSED_HEAD = f"{_EXPERT}lm_head.weight"
_PARTS = {
    "vision.": f"{_PALIGEMMA}model.vision_tower.vision_model.",
    "projector.": f"{_PALIGEMMA}model.multi_modal_projector.linear.",
    "vlm.": f"{_PALIGEMMA}model.language_model.",
    "expert.": f"{_EXPERT}model.",
}
_NAMED = 4  # faults of a checkpoint that an error names


def openpi_name(name: str) -> str:
    """What openpi calls a parameter of `Pi05Network`."""
    for own, theirs in _PARTS.items():
        if name.startswith(own):
            return theirs + name.removeprefix(own)
    return name


class CheckpointFile:
    """The weights of a checkpoint's folder; nothing is read before `tensors`.

    Attributes:
        path: The file.
        layout: Whose it is, by its names.

    Raises:
        ConfigError: for a folder without a file that can be read.
    """

    def __init__(self, folder: Path) -> None:
        self.path = weights_file(folder)
        try:
            with safe_open(self.path, framework="pt") as file:
                names = list(file.keys())
                slices = {name: file.get_slice(name) for name in names}
                found = {name: tuple(part.get_shape()) for name, part in slices.items()}
        except (OSError, SafetensorError) as error:
            raise ConfigError(
                f"{self.path}: not a whole safetensors file: {error} (fetch it again)"
            ) from error
        prefixed = all(name.startswith(LAYOUTS["lerobot"]) for name in found)
        self.layout: Layout = "lerobot" if prefixed else "openpi"
        self._prefix = LAYOUTS[self.layout]
        self._found = {name.removeprefix(self._prefix): shape for name, shape in found.items()}

    def tensors(self, shapes: Mapping[str, tuple[int, ...]]) -> Iterator[tuple[str, Tensor]]:
        """The parameters of `Pi05Network` with these shapes, one after the other, as stored.

        Raises:
            ConfigError: naming what is missing, has another shape, or is unknown.
        """
        faults = list(self._faults(shapes))
        if faults:
            more = len(faults) - _NAMED
            lines = faults[:_NAMED] + ([f"and {more} more"] if more > 0 else [])
            raise ConfigError("\n".join(lines))
        with safe_open(self.path, framework="pt") as file:
            for name in shapes:
                yield name, file.get_tensor(f"{self._prefix}{self._stored(openpi_name(name))}")

    def unused_head(self) -> Tensor | None:
        """What openpi's and lerobot's networks have besides; None where the file hasn't."""
        if _UNUSED_HEAD not in self._found:
            return None
        with safe_open(self.path, framework="pt") as file:
            head: Tensor = file.get_tensor(self._prefix + _UNUSED_HEAD)
        return head

    def _stored(self, name: str) -> str | None:
        if name not in self._found and name == _EMBEDDING:
            name = _HEAD
        return name if name in self._found else None

    def _faults(self, shapes: Mapping[str, tuple[int, ...]]) -> Iterator[str]:
        known = {_HEAD, _EMBEDDING, _UNUSED_HEAD}
        for name, shape in shapes.items():
            theirs = openpi_name(name)
            known.add(theirs)
            stored = self._stored(theirs)
            place = f"{self.path}: {self._prefix}{stored or theirs}"
            if stored is None:
                depth = "set the depth that it has in vla, or " if ".layers." in name else ""
                yield (
                    f"{place}: expected {list(shape)}, found nothing ({depth}take a checkpoint of "
                    f"pi0.5: {SOURCES})"
                )
            elif self._found[stored] != tuple(shape):
                yield (
                    f"{place}: expected {list(shape)}, found {list(self._found[stored])} (set "
                    f"the size that the checkpoint has in vla: {_sizes(name)})"
                )
        for name in self._found.keys() - known:
            yield (
                f"{self.path}: {self._prefix}{name}: expected nothing of this name, found "
                f"{list(self._found[name])} (it is of another model than pi0.5, or of a LoRA: "
                f"merge that first; {SOURCES})"
            )


def _sizes(name: str) -> str:
    """Fields of the configuration that a parameter's shape follows."""
    part = name.split(".")[0]
    if part == "vision":
        return "vision, image_size"
    if part == "projector":
        return "vision.width, vlm.width"
    if part in ("vlm", "expert"):
        words = ", vocabulary" if part == "vlm" else ""
        return f"{part}.width, {part}.mlp, heads, head_dim{words}"
    return "action_dim, expert.width"


def random_tensors(
    shapes: Mapping[str, tuple[int, ...]], seed: int
) -> Iterator[tuple[str, Tensor]]:
    """Weights for tests, drawn by a generator of their own: each of a variance that keeps that of
    what goes through."""
    generator = torch.Generator().manual_seed(seed)
    for name, shape in shapes.items():
        fan_in = math.prod(shape[1:]) if len(shape) > 1 else 100
        drawn = torch.randn(shape, generator=generator) / math.sqrt(fan_in)
        is_scale = name.startswith("vision.") and "norm" in name and name.endswith(".weight")
        yield name, drawn + 1 if is_scale else drawn


def write_weights(
    folder: Path,
    layout: Layout,
    weights: Iterable[tuple[str, Tensor]],
    unused_head: Tensor | None,
) -> None:
    """Writes a checkpoint's weights.

    Args:
        folder: Which there is.
        layout: Whose names they get.
        weights: All parameters of a `Pi05Network` by name, without LoRA.
        unused_head: See `CheckpointFile.unused_head`; None: zeros.

    Raises:
        DiskError: where it can't be written; the file is as it was.
    """
    named = {openpi_name(name): tensor.cpu().contiguous() for name, tensor in weights}
    embedding = named.pop(_EMBEDDING)
    named[_HEAD] = embedding
    if unused_head is None:
        width = named["action_in_proj.weight"].shape[0]
        unused_head = torch.zeros(len(embedding), width, dtype=embedding.dtype)
    named[_UNUSED_HEAD] = unused_head
    path = folder / "model.safetensors"
    partial = path.with_suffix(".partial")
    with replacing(partial, path):
        prefixed = {LAYOUTS[layout] + name: tensor for name, tensor in named.items()}
        save_tensors(partial, prefixed, {"format": "pt"})
