"""Hyperparameters of imitation and of EXPO-FT; the presets are config/presets/*.yaml.

What belongs to a task (edit scale, C, updates an episode: paper, Table 4) is in TaskConfig.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from expo_ft_ros.configuration import Config, ConfigError, config_dir, load_yaml
from expo_ft_ros.policies.flow_vla import FlowVLAConfig


class ImitationConfig(Config):
    """Supervised finetuning on the demonstrations."""

    steps: int = Field(ge=1, description="gradient steps")
    batch: int = Field(ge=1, description="windows a step")
    learning_rate: float = Field(gt=0, le=1, description="peak, cosine to a tenth of it")
    weight_decay: float = Field(ge=0, description="AdamW")


class CriticConfig(Config):
    """Critic ensemble (paper, C.1)."""

    members: int = Field(10, ge=1, description="Q networks")
    drawn: int = Field(2, ge=1, description="members whose minimum is taken")
    hidden: int = Field(256, ge=8, description="width of the three layers")
    encoder: Literal["own", "shared"] = Field(
        "own",
        description="own: a small CNN trained by TD (the paper trains a ResNet); shared: the VLA's "
        "image encoder, its features kept beside the images, which two CPU cores keep up with",
    )
    channels: int = Field(32, ge=4, description="channels of its own image encoder")
    image_embedding: int = Field(512, ge=8, description="Dense, LayerNorm, tanh")
    state_embedding: int = Field(64, ge=8, description="Dense, LayerNorm, tanh")


class EditConfig(Config):
    """Edit policy and temperature (paper, eq. 4)."""

    hidden: int = Field(256, ge=8, description="width of the three layers")
    alpha: float = Field(gt=0, description="initial temperature: paper 1.0, recommended 0.01")
    shifted_target: bool = Field(
        description="target entropy -d/2 + d*log(beta), which a density within +-beta can reach"
    )
    steps_per_update: int = Field(
        1, ge=1, description="edit and temperature steps an update call: paper 1"
    )


class AgentConfig(Config):
    """Everything the learner needs beside the task."""

    image_size: int = Field(ge=16, le=512, description="side of the networks' images [px]")
    vla: FlowVLAConfig
    imitation: ImitationConfig
    critic: CriticConfig
    edit: EditConfig
    candidates: int = Field(8, ge=1, description="N base chunks, each edited once (eq. 2)")
    gamma: float = Field(0.99, gt=0, le=1, description="discount a control step")
    learning_rate: float = Field(3e-4, gt=0, description="Adam, critic, edit and temperature")
    vla_learning_rate: float = Field(3e-4, gt=0, description="AdamW, VLA during RL")
    tau: float = Field(5e-3, gt=0, le=1, description="Polyak of the target critic")
    batch: int = Field(64, ge=1, description="windows a gradient step")
    critic_steps_per_update: int = Field(20, ge=1, description="UTD")
    vla_steps_per_update: int = Field(1, ge=0, description="VLA steps an update call")
    vla_data: Literal["successful", "all"] = Field(
        "successful", description="episodes that the VLA imitates"
    )
    freeze_vla_encoder: bool = Field(True, description="its image encoder during RL (paper, C.1)")
    vla_encoder_every: int = Field(
        0,
        ge=0,
        description="online episodes between two bursts of VLA steps in which its image encoder "
        "learns as well; 0: never (paper, C.1, whose encoder was pretrained on far more)",
    )
    vla_encoder_steps: int = Field(200, ge=1, description="VLA steps of such a burst")
    warmup_episodes: int = Field(10, ge=0, description="online episodes before the first update")
    warmup_updates: int = Field(0, ge=0, description="extra update calls at the end of the warm-up")
    target_candidates: Literal["cached", "fresh"] = Field(
        "cached",
        description="base chunks of the TD target: drawn once for each slot and refreshed by age, "
        "or drawn anew for each batch",
    )
    refresh_per_update: int = Field(
        64, ge=0, description="cached slots drawn anew an update call, the oldest first"
    )
    augmentation: Literal["openpi", "none"] = Field("openpi", description="paper, C.1")
    augmented_features: int = Field(
        4, ge=0, description="augmented draws whose features are kept, beside the plain image's"
    )
    replay_capacity: int = Field(16000, ge=100, description="slots")
    threads: int = Field(2, ge=1, description="torch threads of the learner's process")

    @property
    def keeps_features(self) -> bool:
        """Whether features of the VLA's image encoder are kept beside the replayed images."""
        return self.freeze_vla_encoder or self.critic.encoder == "shared"


def load_preset(name: str) -> AgentConfig:
    """config/presets/<name>.yaml. Raises ConfigError with file, line and field, or for an unknown
    name with the known ones."""
    folder = config_dir() / "presets"
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml")))
        raise ConfigError(f"{folder}: no preset named {name!r} (known: {known})")
    return load_yaml(AgentConfig, path)
