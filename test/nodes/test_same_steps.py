# SPDX-License-Identifier: Apache-2.0
"""The rollout in one process and the graph in lock-step are two hosts of one scheduler."""

from __future__ import annotations

import numpy as np

from expo_ft_ros.control.plan import Plan
from expo_ft_ros.data.types import ActionChunk, Candidates, Observation
from expo_ft_ros.experiment.rollout import InProcessRollout
from expo_ft_ros.recording.messages import observation_from_msg, step_from_msg, verdict_from_msg
from expo_ft_ros.ros.messages import chunk_to_msg
from expo_ft_ros.ros.session_messages import plan_to_msg
from expo_ft_ros.tasks import load_task
from support.choices import only
from support.episodes import VIEWS

SEED = 5
PLANS = (
    Plan("collect", 1, 31, 100, "none", "demonstrate", False),
    Plan("rl", 2, 32, 60, "sample", "correct", True),
)
NODES = ("sim", "camera", "proprio", "teleop", "operator", "reward", "arbitration")
PARAMETERS = {
    "sim": {"seed": SEED, "wait_for_operator": True},
    "operator": {"seed": SEED},
    "arbitration": {"observation_listeners": 2, "step_listeners": 2},
}


def policy(observation: Observation) -> tuple[np.ndarray, Candidates]:
    """A chunk that tells apart what it is asked about, to the last bit."""
    seen = observation.proprio.vector().sum()
    seen += sum(image.mean() for image in observation.views.values())
    seen += observation.steps_left
    slots = np.arange(16)[:, None] + np.arange(7)[None, :] / 7
    actions = (0.3 * np.sin(seen + slots)).astype(np.float32)
    return actions, only(observation.number, actions)


class RunningGraph:
    """Sensors, operator, classifier and arbitration; the test is session and policy."""

    def __init__(self, graph) -> None:
        self.probe = probe = graph.probe
        self.plans, self.chunks = probe.publisher("session/plan"), probe.publisher("policy/chunk")
        self._chunks: dict[int, ActionChunk] = {}
        self.steps, self.verdicts = probe.gather("step"), probe.gather("reward")
        self.states = probe.gather("episode/state")
        probe.on("observation", self._answer)
        for name in NODES:
            graph.start(name, lockstep=True, **PARAMETERS.get(name, {}))
        probe.ready(*NODES)
        probe.matched()

    def _answer(self, message) -> None:
        if message.chunk_wanted:
            if message.number not in self._chunks:
                actions, _ = policy(observation_from_msg(message, VIEWS))
                chunk = ActionChunk(len(self._chunks) + 1, message.number, actions, 0.5)
                self._chunks[message.number] = chunk
            # Asked again, where the answer was late, it is the same.
            self.chunks.publish(chunk_to_msg(self._chunks[message.number], message.header))

    def steps_of(self, episode: int) -> list:
        """Each once: one comes again where the next time isn't shown soon."""
        told = {m.observation: step_from_msg(m) for m in self.steps if m.episode == episode}
        return list(told.values())

    def play(self, plan: Plan) -> None:
        self.plans.publish(plan_to_msg(plan))
        self.probe.until(
            lambda: (
                self.states
                and (self.states[-1].episode, self.states[-1].state) == (plan.episode, "ended")
            ),
            f"the end of episode {plan.episode}",
        )
        # By other ways: they may come after the state.
        ended = self.states[-1]
        self.probe.until(
            lambda: self.verdicts[-1].observation == ended.last_observation, "the last verdict"
        )
        self.probe.until(lambda: len(self.steps_of(plan.episode)) >= ended.steps, "the last step")


def described(step) -> tuple:
    return (
        step.observation,
        step.source,
        step.chunk,
        step.index,
        step.proposed.tolist(),
        step.executed.tolist(),
        step.cause,
    )


def test_one_seed_gives_the_same_steps_in_one_process_and_in_the_graph(graph):
    rollout = InProcessRollout(
        load_task("cube_pick"), image_size=32, seed=SEED, rate=1.0, share=1.0
    )
    over_topics = RunningGraph(graph)
    for plan in PLANS:
        played = rollout.play(plan, None if plan.policy == "none" else policy)
        over_topics.play(plan)
        steps = over_topics.steps_of(plan.episode)
        assert len(played.steps) > 20
        for here, there in zip(played.steps, steps, strict=True):
            assert described(here) == described(there)
        verdicts = {
            m.observation: verdict_from_msg(m)
            for m in over_topics.verdicts
            if m.episode == plan.episode
        }
        assert list(verdicts.values()) == played.verdicts
        ended = over_topics.states[-1]
        for name in ("success", "cause", "steps", "human_steps", "human_reset", "discarded"):
            assert getattr(ended, name) == getattr(played.ended, name), name
    rollout.close()
