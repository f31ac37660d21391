# SPDX-License-Identifier: Apache-2.0
"""What pi0.5 is configured by. The defaults are its full size (openpi's gemma_2b, gemma_300m and
SigLIP So400m/14)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, PlainSerializer, model_validator

from expo_ft_ros.configuration import Config, ConfigError
from expo_ft_ros.policies.config import PolicyConfig

Place = Annotated[Path, AfterValidator(Path.expanduser), PlainSerializer(str)]
"""A path; a relative one begins in the folder that the command is run in."""

PATCH = 14
"""Side of SigLIP's patches [px]."""

SOURCES = (
    "openpi's pi05_base, pi05_droid and pi05_libero, converted by its "
    "examples/convert_jax_model_to_pytorch.py, and lerobot/pi05_base are such"
)
"""Where a checkpoint comes from, for errors."""

_IN_FILES = {
    "horizon": ("action_horizon", "chunk_size"),
    "action_dim": ("action_dim", "max_action_dim"),
}
"""Fields that a checkpoint's config.json has, as openpi and as lerobot call them."""


class SiglipSize(Config):
    """Size of the image encoder."""

    width: int = Field(1152, ge=8, description="width of a patch's embedding")
    mlp: int = Field(4304, ge=8, description="width within a feed-forward layer")
    depth: int = Field(27, ge=1, description="layers")
    heads: int = Field(16, ge=1, description="heads of attention, which share the width")

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> SiglipSize:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of heads {self.heads}")
        return self


class GemmaSize(Config):
    """Width of one of the two transformers."""

    width: int = Field(ge=8, multiple_of=2, description="width of a token")
    mlp: int = Field(ge=8, description="width within a feed-forward layer")


class LoraConfig(Config):
    """Low-rank updates of attention and feed-forward layers (Hu et al. 2021; ranks and alphas are
    openpi's gemma_2b_lora and gemma_300m_lora)."""

    vlm_rank: int = Field(16, ge=1, description="of the VLM's layers")
    vlm_alpha: float = Field(16.0, gt=0, description="of the VLM's: updates count alpha / rank")
    expert_rank: int = Field(32, ge=1, description="of the action expert's layers")
    expert_alpha: float = Field(32.0, gt=0, description="of the action expert's")


class Pi05Config(PolicyConfig):
    """pi0.5: its files, its size, and what of it learns."""

    trains_encoder: ClassVar[bool] = False
    reads_state: ClassVar[bool] = False

    kind: Literal["pi05"] = Field("pi05", description="this policy")
    tokenizer: Place | None = Field(
        description="PaliGemma's sentencepiece file, paligemma_tokenizer.model of big_vision; "
        "null: a small one that needs no file, for random weights"
    )
    checkpoint: Place | None = Field(
        None,
        description="folder of a checkpoint of openpi (PyTorch layout) or lerobot, which has "
        "model.safetensors in it; null: random weights, to try the way through a run",
    )
    asset: str | None = Field(
        None,
        description="whose statistics of an openpi checkpoint are loaded: a folder in its assets/; "
        "null: those there are, if they are of one",
    )
    random_seed: int = Field(0, ge=0, description="of the weights where there is no checkpoint")
    horizon: int = Field(
        16, ge=1, le=64, description="H, steps of a chunk; as in config.json of the checkpoint"
    )
    action_dim: int = Field(
        32,
        ge=7,
        description="what actions are padded to; as in config.json of the checkpoint",
    )
    max_tokens: int = Field(200, ge=16, description="of a prompt")
    euler_steps: int = Field(10, ge=1, le=100, description="denoising steps")
    action_floor: float = Field(
        0.2, gt=0, description="least range of an action dimension, robot-normalised units"
    )
    state_floor: float = Field(0.02, gt=0, description="least range of a state dimension, SI units")
    lora: LoraConfig | None = Field(
        default_factory=LoraConfig,
        description="low-rank updates learn; null: all but the image encoder does",
    )
    dtype: Literal["float32", "bfloat16"] = Field(
        "float32", description="of the frozen weights; norms are float32, as is what learns by LoRA"
    )
    recompute: bool = Field(
        True,
        description="make the transformers' activations again for the gradient: of a full-size "
        "batch of 64 they take 141 GB, else 20",
    )
    image_size: int = Field(
        224, multiple_of=PATCH, ge=PATCH, description="side of what the image encoder sees [px]"
    )
    vocabulary: int = Field(257_152, ge=8, description="tokens that have an embedding")
    vision: SiglipSize = Field(default_factory=SiglipSize, description="the image encoder")
    vlm: GemmaSize = Field(
        default_factory=lambda: GemmaSize(width=2048, mlp=16_384), description="the VLM"
    )
    expert: GemmaSize = Field(
        default_factory=lambda: GemmaSize(width=1024, mlp=4096), description="the action expert"
    )
    depth: int = Field(18, ge=1, description="layers of VLM and expert")
    heads: int = Field(8, ge=1, description="of queries in VLM and expert; keys have one")
    head_dim: int = Field(256, ge=2, multiple_of=2, description="width of a head in both")

    @model_validator(mode="before")
    @classmethod
    def _follows_the_checkpoint(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("checkpoint") is None:
            return data
        told = config_of(Path(data["checkpoint"]).expanduser())
        found = {
            field: told[name]
            for field, names in _IN_FILES.items()
            for name in names
            if name in told
        }
        return {**found, **data}

    @model_validator(mode="after")
    def _learns_in_full_precision(self) -> Pi05Config:
        if self.lora is None and self.dtype != "float32":
            raise ValueError(
                f"dtype {self.dtype} without lora: small steps would be lost (dtype: float32, and "
                "bfloat16: true of the size)"
            )
        return self

    @model_validator(mode="after")
    def _words_are_the_weights(self) -> Pi05Config:
        if self.tokenizer is None and self.checkpoint is not None:
            raise ValueError(
                f"tokenizer null with checkpoint {self.checkpoint}: its embeddings are of other "
                "tokens (set tokenizer to the file that it was trained with, PaliGemma's)"
            )
        return self

    def require_files(self) -> None:
        """See PolicyConfig."""
        if self.tokenizer is not None and not self.tokenizer.is_file():
            raise ConfigError(
                f"vla.tokenizer: {self.tokenizer}: no such file (fetch "
                "gs://big_vision/paligemma_tokenizer.model, or tokenizer.model of a PaliGemma)"
            )
        if self.checkpoint is not None:
            weights_file(self.checkpoint)

    @property
    def patches(self) -> int:
        """Of an image."""
        return (self.image_size // PATCH) ** 2


def weights_file(checkpoint: Path) -> Path:
    """The file of a checkpoint's weights.

    Raises:
        ConfigError: where there is none, with how to get it.
    """
    path = checkpoint / "model.safetensors"
    if not path.is_file():
        reason = "the folder is of JAX" if (checkpoint / "params").is_dir() else "give the folder"
        raise ConfigError(f"vla.checkpoint: {path}: no such file ({reason}; {SOURCES})")
    return path


def config_of(checkpoint: Path) -> dict[str, Any]:
    """What config.json in a checkpoint's folder says; nothing where there is none, as where a run
    is looked at on another machine.

    Raises:
        ValueError: for a file that can't be read.
    """
    path = checkpoint / "config.json"
    try:
        told = json.loads(path.read_text()) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: can't be read: {error} (fetch the checkpoint again)") from error
    if not isinstance(told, dict):
        raise ValueError(f"{path}: not an object (fetch the checkpoint again)")
    return told


CONFIG = Pi05Config
