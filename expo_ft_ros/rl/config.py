# SPDX-License-Identifier: Apache-2.0
"""Hyperparameters: what an algorithm does (config/presets) and how large it is (config/sizes).

What belongs to a task (edit scale, C, updates an episode: paper, Table 4) is in TaskConfig. [P] is
the paper, [A] what the authors' released code does. A preset means the same on every size, but a
size has fields that C.1 fixes for a GPU as well: what the paper ran is preset paper with size full.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, Literal

from pydantic import Field, ValidationError, model_validator
from typing_extensions import TypeVar

from expo_ft_ros.configuration import Config, ConfigError, YamlFile
from expo_ft_ros.policies.config import PolicyConfig
from expo_ft_ros.policies.registry import config_class, known_policies
from expo_ft_ros.rl.edit_config import EditConfig
from expo_ft_ros.rl.preset_files import find_file
from expo_ft_ros.rl.value_config import ValueConfig

P = TypeVar("P", bound=PolicyConfig, default=PolicyConfig)

ALGORITHM, PRESET, SIZE = "expo_ft", "recommended", "small"
"""The defaults, wherever one of them is asked for."""

ALGORITHM_NAMES = ("expo_ft", "sft", "hg_dagger", "hil_serl", "dsrl")
"""EXPO-FT and what the paper compares it with (C.3)."""


Augmentation = Literal["openpi", "colour", "none"]
"""openpi: crop, rotation and colour (paper, C.1); colour: only that."""


class ImitationConfig(Config):
    """Supervised finetuning on the demonstrations."""

    steps: int = Field(ge=1, description="gradient steps")
    batch: int = Field(ge=1, description="windows a step")
    learning_rate: float = Field(gt=0, le=1, description="peak, cosine to a tenth of it")
    weight_decay: float = Field(ge=0, description="AdamW")
    ema: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="decay of the weights' average that acts, online as well (openpi: 0.99); 0: "
        "the newest weights act",
    )
    state_noise: float = Field(
        0.0,
        ge=0,
        le=1,
        description="standard deviation of what is added to the state that a window is imitated "
        "from, in halves of the demonstrations' range: a handful of them is told apart by where "
        "the tool is, and a policy that goes by this needn't look (docs/experiments.md)",
    )
    keep_statistics: bool = Field(
        False,
        description="normalise by what came with pretrained weights; false: by the demonstrations",
    )


class CriticConfig(Config):
    """Critic ensemble (paper, C.1)."""

    hidden: int = Field(256, ge=8, description="width of the three layers")
    encoder: Literal["own", "resnet", "shared"] = Field(
        "own",
        description="own: a small CNN trained by TD; resnet: depths (3, 4, 6, 3), trained by TD "
        "([P] calls it a ResNet-50, [A] has blocks of two convolutions); shared: the VLA's image "
        "encoder, its features kept beside the images, which two CPU cores keep up with",
    )
    channels: int = Field(
        32, ge=4, multiple_of=4, description="channels of its own image encoder: [P] 64"
    )
    augmentation: Augmentation | None = Field(
        None, description="of what an encoder of its own sees; null: as the VLA's, see there"
    )
    image_embedding: int = Field(512, ge=8, description="Dense, LayerNorm, tanh")
    state_embedding: int = Field(64, ge=8, description="Dense, LayerNorm, tanh")


class SizeConfig(Config, Generic[P]):
    """How large the networks are and how often they learn: what follows from the machine.

    vla is of the class that its `kind` names in `policies/registry.py`.
    """

    image_size: int = Field(ge=16, le=512, description="side of the networks' images [px]")
    vla: P = Field(description="the policy, by its kind")
    imitation: ImitationConfig
    critic: CriticConfig
    vla_learning_rate: float = Field(3e-4, gt=0, description="AdamW, VLA during RL")
    vla_state_noise: float = Field(
        0.0, ge=0, le=1, description="imitation.state_noise, of the VLA's steps during RL"
    )
    vla_steps_per_update: int = Field(1, ge=0, description="VLA steps an update call: [P] 1")
    vla_micro_batch: int = Field(
        0,
        ge=0,
        description="windows of a VLA step that are computed at a time, their gradients added up: "
        "less memory for a little more time; 0: all",
    )
    freeze_vla_encoder: bool = Field(True, description="its image encoder during RL (paper, C.1)")
    vla_encoder_every: int = Field(
        0,
        ge=0,
        description="online episodes between two encoder phases: VLA steps in which its image "
        "encoder learns as well; 0: never (paper, C.1, whose encoder was pretrained on far more)",
    )
    vla_encoder_steps: int = Field(200, ge=1, description="VLA steps of an encoder phase")
    vla_encoder_batch: int = Field(64, ge=1, description="windows of such a step")
    augmentation: Augmentation = Field(
        "openpi",
        description="openpi (paper, C.1); colour, since a shifted image is a wrong place to an "
        "encoder that was trained on a handful of episodes; or none",
    )
    augmented_features: int = Field(
        4, ge=0, description="augmented draws whose features are kept, beside the plain image's"
    )
    replay_capacity: int = Field(
        26000, ge=100, description="slots: the longest task's steps (Table 4) and demonstrations"
    )
    cache_bytes: int = Field(
        4_000_000_000,
        ge=0,
        description="memory for what the policy made of replayed observations (candidates, then "
        "features): some 0.2 GB of a small policy; the image tokens of a large one take 2 MB a "
        "slot. What would not fit is left out and made for each batch, which the log says",
    )
    threads: int = Field(2, ge=1, description="torch threads of the learner's process")
    bfloat16: bool = Field(False, description="autocast to bfloat16, on a GPU only")

    @property
    def keeps_features(self) -> bool:
        """Whether features of the VLA's image encoder are to be kept beside the replayed images."""
        used = self.freeze_vla_encoder or self.critic.encoder == "shared"
        return used and self.vla.gives_features


class BaselineConfig(Config):
    """What HIL-SERL and DSRL have otherwise than EXPO-FT (paper, C.3), whatever the preset."""

    critic_steps_per_update: int = Field(10, ge=1, description="UTD")
    updates_per_step: float = Field(
        1.0,
        gt=0,
        le=10,
        description="update calls an environment step (C.3: about that many, asynchronously)",
    )
    minimum_of: int = Field(2, ge=1, description="members whose minimum is a value (REDQ)")
    alpha: float = Field(0.1, gt=0, description="initial temperature")
    demonstration_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="HIL-SERL: share of each batch from demonstrations and corrections",
    )
    noise_scale: float = Field(2.0, gt=0, description="DSRL: bound of each noise dimension")


class AlgorithmConfig(Config):
    """What a preset chooses. paper and author differ in fields that name [P] or [A] only;
    recommended also in what docs/experiments.md gives a reason for."""

    edit: EditConfig
    value: ValueConfig = ValueConfig()
    baseline: BaselineConfig = BaselineConfig()
    minimum_of: int = Field(
        2, ge=1, description="members of the critic, drawn anew, whose minimum is a value (REDQ)"
    )
    candidates: int = Field(8, ge=1, description="N base chunks, each edited once (eq. 2)")
    acting_candidates: int = Field(
        0,
        ge=0,
        description="N when acting, where it isn't that of the TD target: [P] 0, the same. More "
        "cost time at inference only (docs/experiments.md)",
    )
    edits: bool = Field(True, description="false: no candidate is edited (ablation)")
    edits_after: int = Field(
        0,
        ge=0,
        description="critic steps before edits and gripper decisions are candidates: [P] 0; a "
        "critic that knows little prefers the edits it overrates",
    )
    explore_share_warmup: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of the online chunks, while the critic is untrained, in which an edit "
        "or a gripper decision drawn at random is executed: what was never executed the critic "
        "can't judge. The VLA imitates no window with a step of it. None in evaluations; [P] 0",
    )
    explore_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="the same from the critic's first step on, before `edits_after` as well",
    )
    choose_by: Literal["value", "random"] = Field(
        "value",
        description="what chooses among the candidates when acting, evaluations included: the "
        "critic ([P]), or, once it is trained, a draw in its place (ablation: what the candidates "
        "do without it). Of expo_ft",
    )
    gamma: float = Field(0.99, gt=0, le=1, description="discount a control step")
    learning_rate: float = Field(3e-4, gt=0, description="Adam, critic, actor and temperature")
    tau: float = Field(5e-3, gt=0, le=1, description="Polyak of the target critic")
    batch: int = Field(64, ge=1, description="windows a gradient step")
    critic_steps_per_update: int = Field(20, ge=1, description="UTD")
    schedule: Literal["episode", "step", "batch"] = Field(
        "episode",
        description="how many update calls are due once an episode is over: K ([P], Table 4), a "
        "number for each of its steps, or K for each of a batch of episodes once it is full; they "
        "are made then, in async mode while the robot moves on",
    )
    updates_per_step: float = Field(
        0.05, gt=0, le=10, description="update calls a step where schedule is step"
    )
    episodes_per_batch: int = Field(5, ge=1, description="where schedule is batch")
    window_end: Literal["exact", "dropped"] = Field(
        "exact",
        description="windows that an episode's end cuts: exact uses the rewards and steps there "
        "are; dropped leaves them out ([A])",
    )
    bootstrap_on_truncation: bool = Field(
        True, description="whether a timeout is followed by a value; [A] treats it as terminal"
    )
    vla_data: Literal["exclude_pre_intervention", "successful", "all"] = Field(
        "successful",
        description="what the VLA imitates: [A] successful episodes; exclude_pre_intervention "
        "leaves out of them what the policy did before the operator took over",
    )
    vla_waits: bool = Field(
        False,
        description="the VLA stands still online until an episode succeeded with an operator's "
        "correction: its own successes teach it nothing, and a young critic chooses better among "
        "what stands still (docs/experiments.md). [P] false",
    )
    vla_weighting: Literal["none", "return_advantage", "q_advantage"] = Field(
        "none",
        description="weights of the windows that the VLA imitates online, exp(advantage / "
        "temperature), by their mean. q_advantage: the critic's mean value of the executed chunk "
        "over that of the base chunks; return_advantage: what the episode returned from there over "
        "it, but as q_advantage where an operator took over later on, or a timeout was followed by "
        "a value (bootstrap_on_truncation). none: all alike ([P]). Not in encoder phases",
    )
    vla_weight_temperature: float = Field(0.1, gt=0, description="see vla_weighting")
    vla_weight_limit: float = Field(
        10.0,
        ge=1,
        description="greatest exp(advantage / temperature), and greatest weight after the division "
        "by their mean, see vla_weighting",
    )
    target_vla: Literal["online", "polyak"] = Field(
        "online",
        description="VLA that draws the target's base chunks: [A] the one that acts; [P] keeps a "
        "Polyak average of it",
    )
    target_vla_tau: float = Field(1e-3, gt=0, le=1, description="Polyak of the target VLA")
    warmup_episodes: int = Field(10, ge=0, description="online episodes before the first update")
    warmup_updates: int = Field(0, ge=0, description="extra update calls at the end of the warm-up")
    target_candidates: Literal["cached", "fresh"] = Field(
        "cached",
        description="base chunks of the TD target: drawn once for each slot and refreshed by age, "
        "or drawn anew for each batch ([P])",
    )
    target_candidates_of: int = Field(
        0,
        ge=0,
        description="of these base chunks the TD target chooses among so many, drawn anew for each "
        "batch; 0: among all ([P]). Half of them halve most of a critic step",
    )
    refresh_per_update: int = Field(
        64, ge=0, description="cached slots drawn anew an update call, the oldest first"
    )
    redraw_after_encoder_phase: bool = Field(
        False,
        description="all cached base chunks are drawn anew once the VLA's image encoder has "
        "learned (vla_encoder_every): they are another policy's by then. 2 ms a slot on two cores",
    )


class AgentConfig(AlgorithmConfig, SizeConfig[P], Generic[P]):
    """Everything the learner needs beside the task."""

    @model_validator(mode="after")
    def _members_suffice(self) -> AgentConfig[P]:
        if self.minimum_of > self.value.members:
            raise ValueError(
                f"minimum_of {self.minimum_of} is more than value.members {self.value.members}"
            )
        return self

    @model_validator(mode="after")
    def _target_has_candidates(self) -> AgentConfig[P]:
        count, decisions = self.target_candidates_of, self.edit.gripper_decisions
        if count > self.candidates:
            raise ValueError(
                f"target_candidates_of {count} is more than candidates {self.candidates}"
            )
        if 0 < count < decisions:
            raise ValueError(
                f"target_candidates_of {count} is less than edit.gripper_decisions {decisions}: "
                "each is made of a base chunk of its own"
            )
        return self

    @model_validator(mode="after")
    def _there_are_alternatives(self) -> AgentConfig[P]:
        decisions = self.edit.gripper_decisions
        for name in ("candidates", "acting_candidates"):
            count = getattr(self, name)
            if 0 < count < decisions:
                raise ValueError(f"edit.gripper_decisions {decisions} is more than {name} {count}")
        if (self.explore_share or self.explore_share_warmup) and not (self.edits or decisions):
            raise ValueError(
                f"explore_share {self.explore_share}, explore_share_warmup "
                f"{self.explore_share_warmup}: there is nothing to explore (edits: true, or "
                "edit.gripper_decisions)"
            )
        return self

    @model_validator(mode="after")
    def _policy_can(self) -> AgentConfig[P]:
        kind, vla = self.vla.kind, self.vla
        if self.critic.encoder == "shared" and not vla.gives_features:
            raise ValueError(f"critic.encoder shared: {kind} gives no image features (own, resnet)")
        if (self.vla_encoder_every or not self.freeze_vla_encoder) and not vla.trains_encoder:
            raise ValueError(
                f"{kind} can't train its image encoder during RL (vla_encoder_every: 0, "
                "freeze_vla_encoder: true)"
            )
        if (self.imitation.state_noise or self.vla_state_noise) and not vla.reads_state:
            raise ValueError(
                f"{kind} has the state in its prompt, to which no noise is added "
                "(imitation.state_noise: 0, vla_state_noise: 0)"
            )
        return self


def load_preset(
    preset: str = PRESET, size: str = SIZE, changes: Mapping[str, str] | None = None
) -> AgentConfig:
    """The configuration of an agent.

    Args:
        preset: A name of config/presets.
        size: A name of `known_names("sizes")`, or a path that ends with .yaml.
        changes: Dotted field of either -> value, as in `configuration.load_yaml`.

    Raises:
        ConfigError: with file, line and field; for an unknown name or policy, with the known ones.
    """
    changes = changes or {}
    of_size = {k: v for k, v in changes.items() if k.split(".")[0] in SizeConfig.model_fields}
    of_preset = {k: v for k, v in changes.items() if k not in of_size}
    algorithm = YamlFile(find_file("presets", preset), of_preset).read_as(AlgorithmConfig)
    file = YamlFile(find_file("sizes", size), of_size)
    policy: Any = _policy_of(file)
    machine: SizeConfig = file.read_as(SizeConfig[policy])
    try:
        return AgentConfig[policy](**dict(algorithm), **dict(machine))
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ConfigError(f"preset {preset} with size {size}: {reason}") from error


def _policy_of(file: YamlFile) -> type[PolicyConfig]:
    """The class of the file's `vla`, by its kind."""
    vla = file.data.get("vla")
    if not isinstance(vla, dict) or "kind" not in vla:
        known = ", ".join(known_policies())
        raise file.error(("vla", "kind"), f"missing (add it: which policy; known: {known})")
    try:
        return config_class(str(vla["kind"]), file.path.parent)
    except ConfigError as error:
        raise file.error(("vla", "kind"), str(error)) from None


def require_room(
    config: AgentConfig, steps: int, demonstrations: int, max_steps: int, given_steps: int = 0
) -> None:
    """Checks that replay forgets nothing: the oldest are demonstrations.

    Args:
        config: Of the learner.
        steps: Online steps to be done.
        demonstrations: To be collected.
        max_steps: Of an episode.
        given_steps: Those of a dataset.

    Raises:
        ConfigError: where it has less room.
    """
    needed = steps + demonstrations * max_steps + given_steps
    if needed > config.replay_capacity:
        given = f", {given_steps} steps of the dataset" if given_steps else ""
        raise ConfigError(
            f"replay_capacity {config.replay_capacity} is less than {steps} online steps{given} "
            f"and {demonstrations} demonstrations of up to {max_steps}: the demonstrations would "
            "be forgotten (raise it in the size's file, config/sizes)"
        )
