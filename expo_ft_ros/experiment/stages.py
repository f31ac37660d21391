# SPDX-License-Identifier: Apache-2.0
"""The stages of a run, as a state machine without a clock: what is to be done next.

collect -> imitation -> eval_before -> rl -> eval_after -> done. A stage with nothing to do is
skipped. The plan changes only when its episode or stage is reported finished, so asking again,
after a restart too, gives the same plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Protocol

from annotated_types import Len
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from expo_ft_ros.configuration import Config
from expo_ft_ros.control.plan import (
    SHADOW,
    STAGES,
    Operator,
    OperatorMode,
    Plan,
    PolicyMode,
    Stage,
)

RECENT = 20
ATTEMPTS_PER_DEMO = 3
MOST_DISCARDED = 20
"""In a row: then the robot doesn't go on for ever with what comes to nothing."""
FORMAT = 1

# A stage's first scene seed; both evaluations share one, so that they see the same scenes.
SEED_OFFSETS = {"eval_before": 0, "eval_after": 0, SHADOW: 0, "collect": 200_000, "rl": 400_000}
BRANCH_SEEDS = 600_000
"""The first of the scenes on which `bench choice` branches: no stage has these."""
ABLATION_SEEDS = {"choice": 700_000, "test": 800_000}
"""The first of the scenes that `bench ablation` tests on, to choose a configuration by, and to
tell of it."""
SEEDS_PER_RUN = 1_000_000


@dataclass(frozen=True)
class RunKind:
    """What a command's run is made of.

    stages: in their order; learns: whether there is a learner, which takes the episodes; endless:
    whether it goes on until it is stopped, and so has no progress to keep.
    """

    stages: tuple[Stage, ...]
    learns: bool = False
    endless: bool = False


RUN_KINDS: Mapping[str, RunKind] = {
    "train": RunKind(STAGES, learns=True),
    "collect": RunKind(("collect",)),
    "eval": RunKind(("eval_after",)),
    "shadow": RunKind((SHADOW,)),
    "demo": RunKind(("rl",)),
    "sim": RunKind(("collect",), endless=True),
    "robot": RunKind(("rl",), learns=True),
}
"""By command; shadow: an eval with motion off."""
ENDLESS = 10_000
"""Demonstrations of a run that never ends."""


class SessionError(RuntimeError):
    """The session can't go on, or its saved progress doesn't fit."""


class SessionConfig(Config):
    """How much of each stage a run has."""

    stages: tuple[Stage, ...] = Field(
        default=STAGES, description="stages of this run, in the order of session.STAGES"
    )
    demos: int = Field(ge=0, le=10_000, description="successful demonstrations to collect")
    given: int = Field(
        default=0, ge=0, description="demonstrations that the learner has from elsewhere"
    )
    eval_trials: int = Field(default=30, ge=0, le=10_000, description="episodes an evaluation")
    rl_steps: int | None = Field(
        ge=0, le=10_000_000, description="online steps of the rl stage; None: until `end`"
    )
    max_steps: int = Field(ge=1, le=100_000, description="steps after which an episode times out")
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="seed of the run")
    operator: Operator = Field(default="scripted", description="who demonstrates and corrects")
    learns: bool = Field(
        default=True, description="whether there is a learner; without one nothing is explored"
    )

    @model_validator(mode="after")
    def _can_be_done(self) -> SessionConfig:
        order = [stage for stage in (*STAGES, SHADOW) if stage in self.stages]
        if list(self.stages) != order:
            raise ValueError(f"stages {list(self.stages)} must be in the order {order}, once each")
        if self.operator == "none" and self.demos > 0 and "collect" in self.stages:
            raise ValueError(
                f"nobody can give {self.demos} demonstrations with operator none: "
                "set demos to 0, or leave the stage collect out"
            )
        return self


class Outcome(Protocol):
    """What the session needs of a finished episode; an EpisodeSnapshot is one."""

    @property
    def episode(self) -> int:
        """Its number."""

    @property
    def success(self) -> bool:
        """Whether it succeeded."""

    @property
    def steps(self) -> int:
        """Steps executed."""

    @property
    def human_steps(self) -> int:
        """Those of a human."""

    @property
    def discarded(self) -> bool:
        """Not to be counted."""


@dataclass(frozen=True)
class Stats:
    """The last RECENT episodes of a stage. Rates are in [0, 1], 0 before the first episode."""

    episodes: int
    success_rate: float
    intervention_rate: float


@dataclass
class Tally:
    """Finished, not discarded episodes of one stage; recent: (success, steps, human steps)."""

    finished: int = 0
    successes: int = 0
    steps: int = 0
    human_steps: int = 0
    recent: list[list[int]] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count one episode."""
        self.finished += 1
        self.successes += int(outcome.success)
        self.steps += outcome.steps
        self.human_steps += outcome.human_steps
        self.recent.append([int(outcome.success), outcome.steps, outcome.human_steps])
        del self.recent[:-RECENT]

    def take_back(self, outcome: Outcome) -> None:
        """Count one no more, the last that was added."""
        self.finished -= 1
        self.successes -= int(outcome.success)
        self.steps -= outcome.steps
        self.human_steps -= outcome.human_steps
        del self.recent[-1:]


class _SavedTally(BaseModel):
    """A Tally as it was saved."""

    model_config = ConfigDict(strict=True, extra="forbid")

    finished: int = Field(ge=0)
    successes: int = Field(ge=0)
    steps: int = Field(ge=0)
    human_steps: int = Field(ge=0)
    recent: list[Annotated[list[int], Len(3, 3)]]


class _Saved(BaseModel):
    """A session as it was saved; strict: "false" isn't false."""

    model_config = ConfigDict(strict=True, extra="forbid")

    format: int
    seed: int
    episode: int = Field(ge=1)
    imitated: bool
    # Of before there were several robots: none.
    joined_steps: int = Field(default=0, ge=0)
    stages: dict[str, _SavedTally]

    @model_validator(mode="after")
    def _has_all_stages(self) -> _Saved:
        if set(self.stages) - {SHADOW} != set(STAGES):
            raise ValueError(f"stages are {sorted(self.stages)}, not {sorted(STAGES)}")
        return self


class Session:
    """Where a run is. Owns episode numbers (from 1, never used twice) and scene seeds."""

    def __init__(self, config: SessionConfig) -> None:
        self.config = config
        self._tallies: dict[str, Tally] = {stage: Tally() for stage in (*STAGES, *config.stages)}
        self._imitated = False
        self._episode = 1
        self._discarded = 0
        self._refusal = ""
        self._demonstration: Outcome | None = None
        self._redone = 0
        self._joined_steps = 0
        self._ended = False

    @property
    def stage(self) -> Stage:
        """The stage that the run is in."""
        for stage in () if self._ended else self.config.stages:
            if not self._complete(stage):
                return stage
        return "done"

    @property
    def env_steps(self) -> int:
        """Online steps of the rl stage so far, those of robots that have joined the run too."""
        return self._tallies["rl"].steps + self._joined_steps

    def count_joined(self, steps: int) -> None:
        """Between two episodes: so many online steps of robots that have joined the run were taken
        by the learner. What was counted stays."""
        self._joined_steps = max(self._joined_steps, steps)

    def end(self) -> None:
        """Between two episodes: there is nothing more to do."""
        self._ended = True

    def next_plan(self) -> Plan:
        """What is to be done now; the same until it is reported finished.

        Raises SessionError where it makes no sense to go on; what was counted is.
        """
        if self._refusal:
            raise SessionError(self._refusal)
        stage, config = self.stage, self.config
        seed = config.seed * SEEDS_PER_RUN
        if stage in ("imitation", "done"):
            return Plan(stage, 0, seed, config.max_steps, "none", "none", False)
        seed += SEED_OFFSETS[stage] + self._tallies[stage].finished
        policy: PolicyMode = "mode"
        operator: OperatorMode = "none"
        if stage == "collect":
            policy, operator = "none", "demonstrate"
        elif stage == "rl":
            policy = "sample" if config.learns else "mode"
            operator = "none" if config.operator == "none" else "correct"
        learn, redone = config.learns and stage == "rl", self._redone if stage == "collect" else 0
        return Plan(stage, self._episode, seed, config.max_steps, policy, operator, learn, redone)

    def episode_finished(self, outcome: Outcome) -> bool:
        """Count an episode; False if it isn't the planned one (reported twice, or an old one).

        A discarded episode isn't counted: the same scene comes again under a new number. With
        motion off all are discarded, and counted only so that there is an end.
        Where too many demonstrations have failed, or nothing but discarded episodes comes, the next
        plan is refused.
        """
        plan = self.next_plan()
        if plan.episode == 0 or outcome.episode != plan.episode:
            return False
        self._episode += 1
        if outcome.discarded and plan.stage != SHADOW:
            # Where only the operator drives, the operator may be away for a while.
            self._discarded += plan.policy != "none"
            if self._discarded >= MOST_DISCARDED:
                self._refusal = (
                    f"{plan.stage}: the last {self._discarded} episodes were all discarded (mend "
                    "what metrics.jsonl names as their causes, then go on with resume:=)"
                )
            return True
        self._discarded = self._redone = 0
        tally = self._tallies[plan.stage]
        tally.add(outcome)
        self._demonstration = outcome if plan.stage == "collect" else None
        if plan.stage == "collect" and not self._complete("collect"):
            self._refuse_endless_failure(tally)
        return True

    def take_back(self, number: int) -> bool:
        """The operator wants a demonstration again: its scene comes with the next plan, which says
        so (`Plan.redone`). False where it isn't the last that was counted: nothing changes in what
        is counted then."""
        if self._imitated:
            return False
        self._redone = number
        last, self._demonstration = self._demonstration, None
        if last is None or last.episode != number:
            return False
        self._tallies["collect"].take_back(last)
        self._refusal = ""
        return True

    def stage_finished(self, stage: str) -> bool:
        """The learner is done with `imitation`; False if that isn't the stage (reported twice)."""
        if stage != "imitation" or self.stage != "imitation":
            return False
        self._imitated = True
        return True

    def progress(self) -> tuple[int, int]:
        """(done, total) of this stage: successes in collect, steps in rl, else episodes."""
        stage = self.stage
        if stage in ("imitation", "done"):
            return int(stage == "done"), 1
        tally = self._tallies[stage]
        if stage == "collect":
            return tally.successes, self.config.demos
        if stage == "rl":
            total = self.config.rl_steps or 0
            return min(self.env_steps, total), total
        return tally.finished, self.config.eval_trials

    def stats(self, stage: str | None = None) -> Stats:
        """Rates over the last RECENT episodes of a stage, by default the present one."""
        tally = self.tally(stage or self.stage)
        recent = tally.recent
        steps = sum(item[1] for item in recent)
        return Stats(
            episodes=tally.finished,
            success_rate=sum(item[0] for item in recent) / max(1, len(recent)),
            intervention_rate=sum(item[2] for item in recent) / max(1, steps),
        )

    def tally(self, stage: str) -> Tally:
        """A stage's counts so far, for the summary; empty for `done`."""
        return self._tallies.get(stage, Tally())

    def state_dict(self) -> dict[str, Any]:
        """Plain JSON from which load_state_dict goes on exactly here."""
        return {
            "format": FORMAT,
            "seed": self.config.seed,
            "episode": self._episode,
            "imitated": self._imitated,
            "joined_steps": self._joined_steps,
            "stages": {stage: asdict(tally) for stage, tally in self._tallies.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state_dict; the amounts may have changed since, the seed may not.

        Raises SessionError, and changes nothing, when the state doesn't fit.
        """
        try:
            saved = _Saved.model_validate(state)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"])) or "session"
            raise SessionError(
                f"progress: {place}: {first['msg']} (not a state of this session)"
            ) from None
        for name, wanted in (("format", FORMAT), ("seed", self.config.seed)):
            found = getattr(saved, name)
            if found != wanted:
                raise SessionError(
                    f"progress: {name} {found} is not {wanted} "
                    "(resume with the run's own configuration, or start a new run)"
                )
        self._tallies |= {stage: Tally(**dict(saved.stages[stage])) for stage in saved.stages}
        self._episode, self._imitated = saved.episode, saved.imitated
        self._joined_steps = saved.joined_steps
        if self.stage == "rl":
            # More steps were asked for than before: an evaluation of what was learned is to come.
            self._tallies["eval_after"] = Tally()

    def _complete(self, stage: str) -> bool:
        tally, config = self._tallies[stage], self.config
        if stage == "collect":
            # What was imitated isn't added to.
            return tally.successes >= config.demos or self._imitated
        if stage == "imitation":
            nothing_to_imitate = config.demos + config.given == 0 and "collect" in config.stages
            return self._imitated or nothing_to_imitate
        if stage == "rl":
            return config.rl_steps is not None and self.env_steps >= config.rl_steps
        if stage == "eval_before" and self._tallies["rl"].finished:
            # The weights of before are gone.
            return True
        return tally.finished >= config.eval_trials

    def _refuse_endless_failure(self, tally: Tally) -> None:
        most = ATTEMPTS_PER_DEMO * self.config.demos
        if tally.finished >= most:
            self._refusal = (
                f"collect: {tally.successes} of {self.config.demos} demonstrations succeeded in "
                f"{tally.finished} attempts (check the task's classifier and operator)"
            )
