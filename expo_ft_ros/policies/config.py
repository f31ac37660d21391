# SPDX-License-Identifier: Apache-2.0
"""What every policy's configuration has; free of torch, so that help and checks are quick."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from expo_ft_ros.configuration import Config


class PolicyConfig(Config):
    """A policy's part of a size's file (`vla:`), told apart by `kind`: the name of its folder."""

    gives_features: ClassVar[bool] = True
    """Whether its image encoder is apart from the rest, so that features may be kept, and shared
    with the critic."""

    trains_encoder: ClassVar[bool] = True
    """Whether its image encoder can learn during RL (stage "encoder")."""

    reads_state: ClassVar[bool] = True
    """Whether it reads the state of a prepared observation, so that noise may be added there; false
    where the state is in the prompt."""

    kind: str = Field(description="which policy: the name of its folder")
    horizon: int = Field(16, ge=1, le=64, description="H, steps of a chunk")

    def require_files(self) -> None:
        """Refuses, before anything starts, a policy whose files aren't there; reading an old run's
        configuration needs none.

        Raises:
            ConfigError: naming the file, and how to get it.
        """
