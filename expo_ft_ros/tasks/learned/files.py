# SPDX-License-Identifier: Apache-2.0
"""A learned classifier on disk: weights as safetensors, and what they are beside them as JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from expo_ft_ros.configuration import Config

SUFFIX = ".safetensors"


class Confusion(Config):
    """How often a classifier is right."""

    true_positive: int = Field(ge=0, description="successes that it calls so")
    false_positive: int = Field(ge=0, description="others that it calls a success")
    false_negative: int = Field(ge=0, description="successes that it misses")
    true_negative: int = Field(ge=0, description="others that it calls none")

    @property
    def precision(self) -> float:
        """Part of what it calls a success that is one; 0 where it calls nothing so."""
        called = self.true_positive + self.false_positive
        return self.true_positive / called if called else 0.0

    @property
    def recall(self) -> float:
        """Part of the successes that it calls so; 0 where there is none."""
        successes = self.true_positive + self.false_negative
        return self.true_positive / successes if successes else 0.0


class About(Config):
    """What the weights of a learned classifier are."""

    format: Literal[1] = Field(default=1, description="of these two files")
    task: str = Field(min_length=1, description="the task that it judges")
    views: tuple[str, ...] = Field(min_length=1, description="that it looks at, in order")
    image_size: int = Field(ge=16, le=512, description="side of the images that it sees [px]")
    sha256: str = Field(default="", description="of the file of the weights")
    episodes: Mapping[str, int] = Field(description="how many it has learned from, by outcome")
    frames: Confusion = Field(description="by observation, of episodes that were held out")
    trials: Confusion = Field(description="by episode, of these")


def about_path(weights: Path) -> Path:
    """The JSON beside a file of weights."""
    return weights.with_suffix(".json")


def digest(weights: Path) -> str:
    """The SHA-256 of a file, by which two belong together."""
    with weights.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_about(weights: Path) -> About:
    """What weights are; that both files are whole and belong together is checked.

    Raises:
        ValueError: for a file that is missing, cut off or damaged, or of other weights.
    """
    place = about_path(weights)
    try:
        about = About.model_validate_json(place.read_bytes())
        found = digest(weights)
    except OSError as error:
        path = error.filename or weights
        raise ValueError(f"{path}: {error.strerror or error} (train it, or copy it here)") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "JSON"
        raise ValueError(f"{place}: {where}: {first['msg']} (train it anew)") from None
    if found != about.sha256:
        raise ValueError(
            f"{weights}: not the weights that {place.name} tells of (copy both, or train anew)"
        )
    return about
