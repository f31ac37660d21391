# SPDX-License-Identifier: Apache-2.0
"""How much of everything a session does."""

from __future__ import annotations

from dataclasses import dataclass, replace

SHORT_FORM_STEPS = 500
"""Up to so many online steps a run is a short form: see `Budget.shortened`."""

SMALL_STEPS = 4000
"""Online steps by default where the sizes are small."""

DECISION_TIME = 2.0
"""For the operator to overrule the classifier in [s]; see `RunOptions.decision_time`."""

SHORT_DEMOS, SHORT_EVAL_TRIALS = 5, 6
"""Demonstrations and trials of a short form, where a task has more."""

_SHORT_IMITATION_SCALE = 0.25
_SHORT_WARMUP_EPISODES = 1


@dataclass(frozen=True)
class Budget:
    """How much of everything a session does.

    Attributes:
        steps: Online environment steps.
        demos: Successful demonstrations before imitation.
        eval_trials: Trials of each evaluation.
        imitation_scale: Share of the preset's imitation updates, in (0, 1].
        warmup_episodes: Online episodes before the first update; -1 means the preset's.
        short: Whether it is a short form.
        given: Demonstrations of a dataset.
        decision_time: For the operator to overrule how an episode has ended [s].
    """

    steps: int
    demos: int
    eval_trials: int
    imitation_scale: float = 1.0
    warmup_episodes: int = -1
    short: bool = False
    given: int = 0
    decision_time: float = 0.0

    def shortened(self) -> Budget:
        """The short form: a look at the whole way that ends in minutes on two cores.

        Its success rates mean little.
        """
        return replace(
            self,
            short=True,
            imitation_scale=_SHORT_IMITATION_SCALE,
            warmup_episodes=_SHORT_WARMUP_EPISODES,
        )
