# SPDX-License-Identifier: Apache-2.0
"""The tick over real topics; the test is everyone else."""

import json
import signal
import time

import numpy as np
import pytest

from expo_ft_ros.control.episode_machine import DEBOUNCE
from expo_ft_ros.data.types import Source
from support.arbitration_world import LIMITS, World


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
    assert [o.chunk_wanted for o in world.observations] == [True] + [False] * 7 + [True, False]
    sent = [world.twists[-1].twist.linear.x, world.twists[-1].twist.linear.y]
    np.testing.assert_allclose(sent, np.array([0.02, 0.01]) * LIMITS[0], atol=1e-6)
    assert world.grippers[-1].name == ["gripper"]
    assert world.twists[-1].header.stamp == world.observations[-1].header.stamp


def test_success_ends_the_episode_on_its_observation_and_the_world_stands(graph):
    world = World(graph, lockstep=True)
    world.begin()
    world.tick()
    world.tick()
    world.success = True
    world.show()
    world.probe.until(lambda: world.state.state == "ended", "the end")
    commands = len(world.twists)
    end = world.state
    assert (end.success, end.terminated, end.truncated, end.discarded) == (True, True, False, False)
    assert (end.first_observation, end.last_observation, end.steps) == (1, 3, 2)
    world.probe.spin(0.7)
    assert len(world.twists) == commands
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
    count = len(world.steps)
    world.show()
    world.probe.spin(0.7)
    assert len(world.steps) == count
    assert world.state.state == "paused"
    assert world.probe.call("episode/resume").success
    world.probe.until(lambda: len(world.steps) == count + 1, "the step after the pause")
    world.show()
    world.probe.until(lambda: len(world.steps) == count + 2, "one more step")
    assert world.probe.call("estop", data=True).success
    assert world.state.state == "stopped"
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
    world.begin()
    world.probe.until(lambda: len(world.steps) > 12, "steps")
    assert {s.source for s in world.steps[2:]} == {Source.POLICY}
    assert len({s.chunk for s in world.steps}) >= 2
    timer.cancel()
    silent_since = time.monotonic()
    world.probe.until(lambda: world.steps[-1].source == Source.HOLD, "the hold", timeout=1.0)
    assert time.monotonic() - silent_since < 0.4
    assert "stale" in world.steps[-1].cause
    world.probe.until(lambda: world.twists[-1].twist.linear.x == 0.0, "the zero", timeout=0.2)
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
    world.begin()

    def drives():
        return world.steps and world.steps[-1].source == Source.POLICY

    def stops(what):
        since = time.monotonic()
        world.probe.until(lambda: world.twists[-1].twist.linear.x == 0.0, "the zero", timeout=1.0)
        assert time.monotonic() - since < 0.3, what
        world.probe.until(lambda: world.steps[-1].source == Source.HOLD, "the hold", timeout=1.0)
        assert world.steps[-1].cause == "no sign of life from operator"

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
    world.probe.spin(0.2)
    assert world.twists[-1].twist.linear.x == 0.0
    assert world.grippers[-1].velocity[0] == 0.0
    ticks = [json.loads(line) for line in (graph.folder / "ticks.jsonl").read_text().splitlines()]
    assert ticks
    assert all(tick["reaction"] is None for tick in ticks), "nobody drove"


@pytest.mark.realtime
def test_a_tick_keeps_how_fast_it_followed_the_operator_and_how_early_its_chunk_came(graph):
    world = World(graph, lockstep=False)
    timer = world.probe.node.create_timer(0.05, world.show)
    world.begin()
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
    assert len(early) >= len(world.chunks) - 2, "but the first, for which the arm stood waiting"
    assert min(early) < 0


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
    world.probe.until(lambda: world.state.state == "running", "the episode")
    if lockstep:
        for _ in range(3):
            world.tick()
    world.probe.until(lambda: len(world.steps) >= 3, "steps")
    assert world.probe.call("episode/mark_failure").success
    world.probe.until(lambda: world.state.state == "ended", "the end")
    assert world.state.asked == "refill the bin"
    assert "asked of the operator" in world.probe.call("/reset_episode").message
    assert world.state.asked == "refill the bin", "nobody is that fast"
    world.plan(2)
    world.probe.until(lambda: world.state.episode == 2, "the next episode")
    assert (world.state.state, world.state.asked) == ("resetting", "refill the bin")
    world.probe.until(
        lambda: any("refill the bin" in s.message for m in world.health for s in m.status),
        "the prompt on /diagnostics",
    )
    world.probe.spin(DEBOUNCE)
    assert world.resets == 1, "the scene isn't reset under the operator's hands"
    assert world.probe.call("/reset_episode").success
    world.probe.until(lambda: world.state.state == "running", "the episode")
    assert world.resets == 2


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
