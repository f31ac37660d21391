# SPDX-License-Identifier: Apache-2.0
"""The tick over real topics; the test is everyone else."""

import json
import signal
import time

import numpy as np
import pytest

from expo_ft_ros.control.episode_machine import DEBOUNCE
from expo_ft_ros.data.types import Source
from expo_ft_ros.recording.messages import nanoseconds
from support.arbitration_world import LIMITS, World

WITHIN, PERIOD = 0.25, 0.1
"""What is promised [s], and between two commands."""


def stamp_of(message):
    return nanoseconds(message.header.stamp)


def stands_after(world, since):
    """Time from then to the last command that moves [s], less what arbitration itself was halted
    for: by the stamps of its commands."""
    world.probe.until(lambda: stamp_of(world.twists[-1]) > since + 3 * 10**8, "later commands")
    stamps = np.array([stamp_of(twist) for twist in world.twists])
    late = 1e-9 * np.diff(stamps[stamps > since - 3 * 10**8]).max(initial=0) - PERIOD
    moving = [stamp_of(twist) for twist in world.twists if twist.twist.linear.x]
    return 1e-9 * (max(moving) - since) - max(0.0, late)


def test_a_correction_takes_its_slots_and_the_chunk_goes_on(graph):
    world = World(graph, lockstep=True)
    world.begin()
    steps = []
    for i in range(10):
        # The operator's command is part of what is shown for the tick.
        world.human = [0.2, 0.0, -0.1, 0.0, 0.0, 0.0, 0.0] if i in (3, 4) else None
        steps.append(world.tick())
    assert [s.source for s in steps] == [Source.POLICY] * 3 + [Source.HUMAN] * 2 + [
        Source.POLICY
    ] * 5
    assert [s.chunk for s in steps] == [1] * 8 + [2] * 2
    assert [s.index for s in steps] == [0, 1, 2, 3, 4, 5, 6, 7, 0, 1]
    assert [s.observation for s in steps] == list(range(1, 11))
    np.testing.assert_allclose(steps[3].executed, [0.2, 0, -0.1, 0, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(steps[5].executed, world.chunks[0].actions[5], atol=1e-6)
    assert [o.chunk_wanted for o in world.observed] == [True] + [False] * 7 + [True, False]
    sent = [world.twists[-1].twist.linear.x, world.twists[-1].twist.linear.y]
    np.testing.assert_allclose(sent, np.array([0.02, 0.01]) * LIMITS[0], atol=1e-6)
    assert world.grippers[-1].name == ["gripper"]
    assert world.twists[-1].header.stamp == world.observations[-1].header.stamp


def test_success_ends_the_episode_on_its_observation_and_the_world_stands(graph):
    world = World(graph, lockstep=True)
    world.begin()
    world.tick()
    last = world.tick()
    world.success = True
    world.show()
    world.probe.until(lambda: world.state.state == "ended", "the end")
    end = world.state
    assert (end.success, end.terminated, end.truncated, end.discarded) == (True, True, False, False)
    assert (end.first_observation, end.last_observation, end.steps) == (1, 3, 2)
    world.probe.spin(0.7)
    assert world.twists[-1].header.stamp == last.header.stamp, "nobody commands any more"
    world.success = False
    world.begin(episode=2, max_steps=2)
    world.tick()
    world.tick()
    world.show()
    world.probe.until(lambda: world.state.state == "ended", "the timeout")
    end = world.state
    assert (end.episode, end.success, end.truncated, end.cause) == (2, False, True, "timeout")
    assert (end.first_observation, end.last_observation) == (4, 6)


def test_pause_estop_and_marks(graph):
    world = World(graph, lockstep=True)
    world.begin()
    world.tick()
    assert world.probe.call("episode/pause").success
    world.probe.until(lambda: world.state.state == "paused", "the pause")
    count = len(world.executed)
    world.show()
    world.probe.spin(0.7)
    assert len(world.executed) == count
    assert world.state.state == "paused"
    assert world.probe.call("episode/resume").success
    world.probe.until(lambda: len(world.executed) == count + 1, "the step after the pause")
    world.show()
    world.probe.until(lambda: len(world.executed) == count + 2, "one more step")
    assert world.probe.call("estop", data=True).success
    world.probe.until(lambda: world.state.state == "stopped", "the stop")
    assert not world.probe.call("/reset_episode").success
    world.probe.until(lambda: world.twists[-1].twist.linear.x == 0.0, "the zero")
    assert world.probe.call("estop", data=False).success
    world.probe.until(lambda: world.state.state == "ended", "the end")
    assert world.state.discarded
    world.begin(episode=2)
    world.tick()
    world.tick()
    assert world.probe.call("episode/mark_failure").success
    world.probe.until(lambda: world.state.state == "ended", "the end")
    assert (world.state.success, world.state.terminated) == (False, True)
    assert world.probe.call("/reset_episode").success, "right in every state"
    assert world.probe.call("/reset_episode").success, "and twice in a row"


def test_unanswered_observation_comes_again(graph):
    world = World(graph, lockstep=True, answer=False)
    world.begin()
    world.probe.until(lambda: len(world.observations) >= 2, "the observation again")
    assert {o.number for o in world.observations} == {1}
    assert not world.steps


@pytest.mark.realtime
def test_realtime_stops_when_a_camera_is_stale(graph):
    """And goes on when it is back; zero within 250 ms of the last frame."""
    world = World(graph, lockstep=False)
    timer = world.probe.node.create_timer(0.05, world.show)
    world.probe.until(lambda: world.twists, "ticks")
    world.begin(max_steps=10_000)
    by_policy = lambda: [s for s in world.steps if s.source == Source.POLICY]  # noqa: E731
    world.probe.until(lambda: len(by_policy()) > 12, "steps")
    assert len(by_policy()) >= len(world.steps[2:]) or not world.is_punctual
    world.probe.until(lambda: len({s.chunk for s in world.steps}) >= 2, "a second chunk")
    world.probe.until(lambda: world.twists[-1].twist.linear.x > 0.0, "driving")
    timer.cancel()
    silent_since = world.time
    world.probe.until(
        lambda: stamp_of(world.steps[-1]) > silent_since and world.steps[-1].source == Source.HOLD,
        "the hold",
    )
    assert "stale" in world.steps[-1].cause
    assert stands_after(world, silent_since) < WITHIN + 0.05
    world.probe.until(
        lambda: any("stale" in m.status[0].message for m in world.health), "its cause"
    )
    timer.reset()
    world.probe.until(lambda: world.steps[-1].source == Source.POLICY, "going on")


@pytest.mark.realtime
def test_realtime_stops_when_a_node_is_stopped_or_dies(graph):
    """Whatever it does in the graph; and goes on when it is back."""
    other = graph.start("operator")
    world = World(graph, lockstep=False, watched=("operator",))
    world.probe.node.create_timer(0.05, world.show)
    world.begin(max_steps=10_000)

    def drives():
        return world.steps and world.steps[-1].source == Source.POLICY

    def stops(what):
        since = time.time_ns()
        words = "no sign of life from operator"
        # Where this process is halted, its cameras are stale as well.
        world.probe.until(
            lambda: stamp_of(world.steps[-1]) > since and words in world.steps[-1].cause, what
        )
        assert world.steps[-1].source == Source.HOLD
        assert stands_after(world, since) < WITHIN + 0.05, what

    world.probe.until(drives, "driving")
    other.send(signal.SIGSTOP)
    stops("stopped")
    other.send(signal.SIGCONT)
    world.probe.until(drives, "going on")
    other.send(signal.SIGKILL)
    stops("killed")


def test_who_was_never_heard_of_does_not_live(graph):
    health = graph.probe.gather("/diagnostics")
    graph.start("arbitration", watched=("nobody",), use_sim_time=False)
    graph.probe.until(
        lambda: any(m.status[0].message == "no sign of life from nobody" for m in health),
        "the silence of nobody",
    )


def test_sigint_twice_is_a_clean_stop_with_a_zero_command(graph):
    world = World(graph, lockstep=False)
    timer = world.probe.node.create_timer(0.05, world.show)
    world.begin()
    world.probe.until(lambda: world.steps and world.steps[-1].source == Source.POLICY, "driving")
    world.node.send(signal.SIGINT)
    world.node.send(signal.SIGINT)
    world.probe.until(lambda: world.node.process.poll() is not None, "its end")
    timer.cancel()
    assert world.node.wait() == 0
    world.probe.until(lambda: world.twists[-1].twist.linear.x == 0.0, "the zero")
    world.probe.until(lambda: world.grippers[-1].velocity[0] == 0.0, "the gripper's zero")
    world.probe.spin(0.2)
    assert world.twists[-1].twist.linear.x == 0.0
    ticks = [json.loads(line) for line in (graph.folder / "ticks.jsonl").read_text().splitlines()]
    assert ticks
    assert all(tick["reaction"] is None for tick in ticks), "nobody drove"


@pytest.mark.realtime
def test_a_tick_keeps_how_fast_it_followed_the_operator_and_how_early_its_chunk_came(graph):
    world = World(graph, lockstep=False)
    timer = world.probe.node.create_timer(0.05, world.show)
    world.begin(max_steps=10_000)
    world.probe.until(lambda: len(world.chunks) > 2, "three chunks")
    world.human = [0.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    world.probe.until(lambda: world.steps[-1].source == Source.HUMAN, "the operator")
    world.human = None
    world.probe.until(lambda: world.steps[-1].source == Source.POLICY, "the policy")
    world.node.send(signal.SIGINT)
    assert world.node.wait() == 0
    timer.cancel()
    human = {step.observation for step in world.steps if step.source == Source.HUMAN}
    ticks = [json.loads(line) for line in (graph.folder / "ticks.jsonl").read_text().splitlines()]
    assert {t["observation"] for t in ticks if t["reaction"] is not None} == human
    assert all(t["reaction"] > 0 for t in ticks if t["observation"] in human)
    early = [tick["chunk_late"] for tick in ticks if tick["chunk_late"] is not None]
    # A machine that is halted has the arm wait for others as well.
    waited = 0 if world.is_punctual else sum(step.source == Source.HOLD for step in world.steps)
    few = "but the first, for which the arm stood waiting"
    assert len(early) >= len(world.chunks) - 2 - waited, few
    assert min(early) < 0
    inputs = {"camera/side", "camera/wrist", "proprio", "teleop"}
    assert all(set(tick["ages"]) == inputs and min(tick["ages"].values()) >= 0 for tick in ticks)


@pytest.mark.parametrize("number", [1, 3])
def test_an_exception_in_a_callback_ends_it_with_a_zero_command(graph, monkeypatch, number):
    """The first observation is made in the answer to a service's call, later ones in a tick."""
    monkeypatch.setenv("TOO_MUCH", str(number))
    world = World(graph, lockstep=True, module="support.broken")
    if number == 1:
        assert not world.twists, "before the safety action nothing is sent"
        world.plan(1)  # It may have ended before anybody heard that the episode runs.
    else:
        world.begin()
        for _ in range(1, number):
            world.tick()
            assert world.twists[-1].twist.linear.x != 0.0
        world.show()
    world.probe.until(lambda: world.node.process.poll() is not None, "its end")
    assert world.node.wait() == 1
    world.probe.until(lambda: world.twists and world.twists[-1].twist.linear.x == 0.0, "the zero")
    assert f"observation {number} is too much" in world.node.log.read_text()


@pytest.mark.parametrize("lockstep", [True, False])
def test_the_next_episode_waits_for_the_operator_whom_the_classifier_asked_for(graph, lockstep):
    world = World(graph, lockstep=lockstep, scene_reset="asked")
    world.human_reset = "refill the bin"
    if not lockstep:
        world.probe.node.create_timer(0.05, world.show)
    world.plan(1)
    world.probe.until(lambda: world.state and world.state.state == "resetting", "the reset")
    assert world.state.asked == "look at the scene: the run starts"
    assert world.resets == 0
    assert world.probe.call("/reset_episode").success
    for episode in range(1, 10):
        world.probe.until(
            lambda n=episode: (world.state.episode, world.state.state) == (n, "running"),
            "the episode",
        )
        world.ticked = 0
        for _ in range(3 * lockstep):
            world.tick()
        world.probe.until(lambda: len(world.steps_now) >= 3, "steps")
        since = time.monotonic()
        assert world.probe.call("episode/mark_failure").success
        world.probe.until(lambda: world.state.state == "ended", "the end")
        assert world.state.asked == "refill the bin"
        said = world.probe.call("/reset_episode").message
        if "asked of the operator" in said:
            break
        assert time.monotonic() - since > DEBOUNCE, "nobody is that fast"
        world.plan(episode + 1)  # This process was, and is believed.
    assert world.state.asked == "refill the bin", "nobody is that fast"
    assert world.resets == episode
    world.plan(episode + 1)
    world.probe.until(lambda: world.state.episode == episode + 1, "the next episode")
    assert (world.state.state, world.state.asked) == ("resetting", "refill the bin")
    world.probe.until(
        lambda: any("refill the bin" in s.message for m in world.health for s in m.status),
        "the prompt on /diagnostics",
    )
    world.probe.spin(DEBOUNCE)
    assert world.resets == episode, "the scene isn't reset under the operator's hands"
    assert world.probe.call("/reset_episode").success
    world.probe.until(lambda: world.state.state == "running", "the episode")
    assert world.resets == episode + 1


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        ("nobody", "scene_reset is 'nobody' (known: automatic, asked, scripted, operator)"),
        ("scripted", "scene_reset is scripted, which is for real time"),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(graph, value, cause):
    node = graph.start("arbitration", scene_reset=value, lockstep=True)
    assert node.wait() == 1
    assert cause in node.log.read_text()
