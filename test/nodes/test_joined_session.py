# SPDX-License-Identifier: Apache-2.0
"""The session of a robot that has joined a run, and what the run's own counts of it."""

from __future__ import annotations

import pytest
from diagnostic_msgs.msg import KeyValue
from expo_ft_ros.msg import EpisodeState, LearnerStatus, SessionPlan

from expo_ft_ros.experiment.joined import GONE_AFTER


class Joined:
    """The session of robot left, and who tells it of the learner and of its episodes."""

    def __init__(self, graph, **parameters) -> None:
        self.probe = graph.probe
        self.present = graph.probe.gather("robots/present")
        self.status = graph.probe.gather("session/status")
        self.plans: list[SessionPlan] = []
        graph.probe.on("session/plan", self.plans.append)
        self._learner = graph.probe.publisher("learner/status")
        self._episodes = graph.probe.publisher("episode/state")
        self.node = graph.start("session", kind="robot", robot_name="left", **parameters)

    def told(self, run_stage: str, episode: int = 0) -> None:
        self._learner.publish(LearnerStatus(run_stage=run_stage, episode=episode))

    def learner_goes(self) -> None:
        self.probe.node.destroy_publisher(self._learner)

    def until_plan(self, stage: str, episode: int) -> SessionPlan:
        def there() -> bool:
            return bool(self.plans) and (self.plans[-1].stage, self.plans[-1].episode) == (
                stage,
                episode,
            )

        self.probe.until(there, f"a plan of {stage} {episode}")
        return self.plans[-1]

    def play(self) -> None:
        self._episodes.publish(
            EpisodeState(
                episode=self.plans[-1].episode,
                stage="rl",
                state=EpisodeState.ENDED,
                steps=10,
                truncated=True,
                first_observation=1,
                last_observation=11,
            )
        )


def test_it_practises_while_the_run_does_and_ends_with_that(graph):
    left = Joined(graph, episodes_ahead=1)
    left.probe.matched()
    left.told("imitation")
    noted = "the run is at imitation: robots that have joined it practise in rl"
    left.probe.until(lambda: left.status and left.status[-1].note == noted, "what it waits for")
    assert left.plans == []
    left.told("rl")
    plan = left.until_plan("rl", 1)
    assert (plan.policy, plan.learn) == ("sample", True)
    left.play()
    left.until_plan("rl", 2)
    left.play()
    left.probe.spin(1.0)
    assert left.plans[-1].episode == 2, "the learner is too far behind"
    left.told("rl", 1)
    left.until_plan("rl", 3)
    left.told("eval_after", 2)
    left.probe.spin(0.5)
    assert left.plans[-1].episode == 3, "it is in an episode"
    left.play()
    left.told("eval_after", 3)
    left.until_plan("done", 0)
    assert left.node.wait() == 0


def test_a_learner_that_is_gone_ends_it_and_one_that_is_busy_does_not(graph):
    left = Joined(graph)
    left.probe.matched()
    left.told("rl")
    left.until_plan("rl", 1)
    left.probe.spin(GONE_AFTER + 2.0)
    assert left.node.process.poll() is None
    left.learner_goes()
    assert left.node.wait() == 1
    assert "the learner of the run is gone" in left.node.log.read_text()


def test_one_that_is_gone_after_the_stage_ends_it_well(graph):
    left = Joined(graph)
    left.probe.matched()
    left.told("rl")
    left.until_plan("rl", 1)
    left.told("eval_after")
    left.probe.spin(0.5)
    left.learner_goes()
    assert left.node.wait() == 0


def test_it_says_that_it_takes_part_and_keeps_its_name(graph):
    left = Joined(graph)
    left.probe.until(lambda: len(left.present) > 1, "its word")
    said = left.present[0]
    assert said.key == "left"
    assert said.value.startswith(f"process {left.node.process.pid} on ")
    others = left.probe.publisher("robots/present")
    left.probe.until(others.get_subscription_count, "a listener")
    # Greater than its own in any order of words: who was there first stays.
    for second in (KeyValue(key="left", value="zzz"), KeyValue(key="right", value="aaa")):
        others.publish(second)
    left.probe.spin(1.0)
    assert left.node.process.poll() is None


def test_a_second_one_of_a_name_ends_with_a_line_that_names_both(graph):
    left = Joined(graph)
    others = left.probe.publisher("robots/present")
    first = KeyValue(key="left", value="process 7 on elsewhere")
    ended = lambda: left.node.process.poll() is not None  # noqa: E731
    left.probe.repeat(lambda: others.publish(first), ended, "its end")
    assert left.node.wait() == 1
    line = (
        "two robots are named left: process 7 on elsewhere takes part in the run, process "
        f"{left.node.process.pid} on "
    )
    assert line in left.node.log.read_text()
    assert {said.value for said in left.present} <= {first.value}


@pytest.mark.parametrize(("joined_steps", "stage"), [(14, "rl"), (15, "eval_after")])
def test_the_run_counts_the_steps_of_robots_that_have_joined(graph, joined_steps, stage):
    """Its own ten of 25 are played; what comes in an episode of its own counts after that."""
    probe = graph.probe
    plans, status = probe.gather("session/plan"), probe.gather("session/status")
    learner, episodes = probe.publisher("learner/status"), probe.publisher("episode/state")
    parameters = {"demos": 0, "given": 1, "eval_trials": 1, "steps": 25, "episodes_ahead": 8}
    graph.start("session", kind="train", **parameters)
    probe.matched()

    def planned(stage: str) -> None:
        probe.until(lambda: plans and plans[-1].stage == stage, f"a plan of {stage}")

    def play() -> None:
        plan = plans[-1]
        ended = {"state": EpisodeState.ENDED, "steps": 10, "truncated": True}
        numbers = {"first_observation": 1, "last_observation": 11}
        episodes.publish(EpisodeState(episode=plan.episode, stage=plan.stage, **ended, **numbers))

    planned("imitation")
    learner.publish(LearnerStatus(finished="imitation"))
    planned("eval_before")
    play()
    planned("rl")
    first = plans[-1].episode
    learner.publish(LearnerStatus(finished="imitation", joined_steps=joined_steps))
    probe.spin(0.5)
    play()
    learner.publish(LearnerStatus(finished="imitation", episode=first, joined_steps=joined_steps))
    probe.until(lambda: plans[-1].episode == first + 1, "the next plan")
    assert plans[-1].stage == stage
    probe.until(lambda: status[-1].env_steps == 10 + joined_steps, "the steps of both")


@pytest.mark.parametrize("busy", ["update", "saving"])
def test_an_evaluation_waits_until_the_learner_is_done(graph, busy):
    """It is of what is kept: what robots that have joined did last is still learned from."""
    probe = graph.probe
    plans = probe.gather("session/plan")
    learner, episodes = probe.publisher("learner/status"), probe.publisher("episode/state")
    parameters = {"demos": 0, "given": 1, "eval_trials": 1, "steps": 10, "episodes_ahead": 8}
    graph.start("session", kind="train", **parameters)
    probe.matched()

    def play() -> None:
        plan = plans[-1]
        ended = {"state": EpisodeState.ENDED, "steps": 10, "truncated": True}
        numbers = {"first_observation": 1, "last_observation": 11}
        episodes.publish(EpisodeState(episode=plan.episode, stage=plan.stage, **ended, **numbers))

    probe.until(lambda: plans and plans[-1].stage == "imitation", "imitation")
    learner.publish(LearnerStatus(finished="imitation"))
    probe.until(lambda: plans[-1].stage == "eval_before", "the first evaluation")
    play()
    probe.until(lambda: plans[-1].stage == "rl", "practice")
    last = LearnerStatus(finished="imitation", episode=plans[-1].episode)
    learner.publish(LearnerStatus(finished="imitation", stage=busy, episode=last.episode))
    play()
    probe.spin(1.0)
    assert plans[-1].stage == "rl"
    learner.publish(last)
    probe.until(lambda: plans[-1].stage == "eval_after", "the second evaluation")
