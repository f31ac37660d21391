# SPDX-License-Identifier: Apache-2.0
"""From what the graph says to what the operator sees."""

from dataclasses import replace

import numpy as np
import pytest

from expo_ft_ros.control.episode_machine import EpisodeSnapshot
from expo_ft_ros.data.rotation import TOOL_DOWN
from expo_ft_ros.data.types import Candidates, Observation, Proprio, Source, Step
from expo_ft_ros.monitor.projection import Camera
from expo_ft_ros.monitor.view import Diagnostic, Level
from expo_ft_ros.monitor.watch import Watch
from expo_ft_ros.robots import load_robot
from expo_ft_ros.tasks import load_task
from expo_ft_ros.tasks.classifiers import make_classifier
from support.episodes import VIEWS

LIMITS = load_robot("sim").limits

TASK = load_task("cube_pick")
IMAGE = np.zeros((224, 224, 3), np.uint8)


def watch() -> Watch:
    made = Watch(TASK, LIMITS, VIEWS, make_classifier(TASK))
    made.take_episode(EpisodeSnapshot(episode=1, state="running"))
    return made


def observation(number: int, x: float = 0.5) -> Observation:
    proprio = Proprio(np.array([x, 0.0, 0.2]), TOOL_DOWN, 0.08)
    return Observation(number, 0.1 * number, dict.fromkeys(VIEWS, IMAGE), proprio, "")


def step(number: int, source: Source, episode: int = 1, cause: str = "") -> Step:
    zero = np.zeros(7, np.float32)
    return Step(number, episode, 0, 0, source, zero, zero, cause)


def candidates(number: int, q: list[float]) -> Candidates:
    actions = np.zeros((len(q), 4, 7), np.float32)
    actions[:, :, 0] = np.arange(len(q))[:, None] / 10
    kind = (np.arange(len(q)) >= len(q) // 2).astype(np.uint8)
    values = np.array(q, np.float32)
    return Candidates(number, actions, values, kind, int(np.argmax(values)))


def test_before_anything_has_come_nothing_is_shown():
    view = Watch(TASK, LIMITS, VIEWS, make_classifier(TASK)).view(1.0)
    assert not view.images
    assert view.position is None
    assert len(view.paths) == len(view.executed) == len(view.q_history) == 0


def test_the_executed_path_has_the_colour_of_who_moved_the_tool_there():
    seen = watch()
    drivers = [Source.POLICY, Source.HUMAN, Source.HUMAN, Source.HOLD]
    for number, source in enumerate(drivers, start=11):
        seen.take_observation(observation(number, 0.01 * number), 1)
        seen.take_step(step(number, source))
    seen.take_observation(observation(15, 0.15), 1)
    view = seen.view(0.0)
    np.testing.assert_allclose(view.executed[:, 0], [0.11, 0.12, 0.13, 0.14, 0.15])
    assert [Source(s) for s in view.sources] == [Source.POLICY, *drivers]
    assert view.driver is Source.HOLD


def test_candidates_start_where_the_tool_was_when_they_were_drawn():
    seen = watch()
    seen.take_observation(observation(5, 0.4), 1)
    seen.take_candidates(candidates(5, [0.1, 0.7, 0.3, 0.2]))
    seen.take_observation(observation(6, 0.9), 1)
    view = seen.view(0.0)
    assert view.paths.shape == (4, 5, 3)
    np.testing.assert_allclose(view.paths[:, 0], [[0.4, 0.0, 0.2]] * 4)
    assert view.paths[3, -1, 0] > view.paths[1, -1, 0] > 0.4
    assert (view.chosen, view.kind.tolist()) == (1, [0, 0, 1, 1])
    np.testing.assert_allclose(view.q_history, [[0, 0.1, 0.7, 0.7]], atol=1e-6)


@pytest.mark.parametrize(
    ("source", "cause", "executed"),
    [
        (Source.POLICY, "", True),
        (Source.POLICY, "workspace", True),
        (Source.HOLD, "", True),
        (Source.HOLD, "no chunk", False),
        (Source.HUMAN, "", False),
    ],
)
def test_only_what_is_going_to_be_executed_is_shown(source, cause, executed):
    seen = watch()
    seen.take_observation(observation(5), 1)
    seen.take_candidates(candidates(5, [0.1, 0.2]))
    seen.take_step(step(5, source, cause=cause))
    view = seen.view(0.0)
    assert (len(view.paths) == 2, len(view.q) == 2) == (executed, executed)
    seen.take_step(step(6, Source.POLICY))
    assert len(seen.view(0.0).paths) == 2


def test_nothing_of_another_episode_is_shown():
    seen = watch()
    seen.take_observation(observation(5), 1)
    seen.take_step(step(5, Source.HUMAN))
    seen.take_candidates(candidates(5, [0.1, 0.2]))
    seen.take_episode(EpisodeSnapshot(episode=2, state="running"))
    seen.take_observation(observation(6), 1)
    seen.take_step(step(6, Source.HUMAN))
    view = seen.view(0.0)
    assert len(view.paths) == len(view.executed) == len(view.q_history) == 0
    seen.take_observation(observation(7), 2)
    assert len(seen.view(0.0).executed) == 1


def test_candidates_are_gone_when_the_episode_is_over():
    seen = watch()
    seen.take_observation(observation(5), 1)
    seen.take_candidates(candidates(5, [0.1, 0.2]))
    assert len(seen.view(0.0).paths)
    seen.take_episode(EpisodeSnapshot(episode=1, state="ended"))
    view = seen.view(0.0)
    assert len(view.paths) == 0
    assert len(view.q_history) == 1


def test_a_policy_without_a_critic_has_candidates_but_no_q():
    seen = watch()
    seen.take_observation(observation(5), 1)
    seen.take_candidates(candidates(5, [np.nan, np.nan]))
    view = seen.view(0.0)
    assert len(view.paths) == 2
    assert len(view.q_history) == 0


def test_of_each_diagnostic_the_newest_is_shown():
    seen = watch()
    seen.take_diagnostic(Diagnostic(Level.OK, "camera", "ready"), 0.0)
    seen.take_diagnostic(Diagnostic(Level.ERROR, "camera", "no image"), 1.0)
    view = seen.view(2.0)
    assert view.diagnostics == (Diagnostic(Level.ERROR, "camera", "no image"),)


def levels(seen: Watch, time: float) -> list[Level]:
    return [each.level for each in seen.view(time).diagnostics]


def test_who_falls_silent_is_not_well_whatever_he_said_last():
    seen = watch()
    for time in (0.0, 0.1, 1.0):
        seen.take_diagnostic(Diagnostic(Level.OK, "camera", "ready"), time)
    (silent,) = seen.view(6.0).diagnostics
    assert silent.level is Level.STALE
    assert silent.message == "nothing heard for 5 s (last: ready)"


@pytest.mark.parametrize("period", [5.0, 10.0])
def test_a_driver_that_speaks_seldom_is_not_silent_in_between(period):
    seen = watch()
    for number in range(20):
        seen.take_diagnostic(Diagnostic(Level.OK, "driver", "fine"), number * period)
        assert levels(seen, (number + 0.99) * period) == [Level.OK]
    assert levels(seen, 19 * period + 31) == [Level.STALE]


def test_who_hung_once_is_watched_as_closely_as_before():
    seen = watch()
    for time in (0.0, 1.0, 20.0, 21.0, 22.0, 23.0, 24.0, 25.0):
        seen.take_diagnostic(Diagnostic(Level.OK, "camera", "ready"), time)
    assert levels(seen, 27.0) == [Level.OK]
    assert levels(seen, 29.0) == [Level.STALE]


def test_who_has_spoken_once_only_is_not_silent_at_once():
    seen = watch()
    seen.take_diagnostic(Diagnostic(Level.OK, "driver", "fine"), 0.0)
    assert levels(seen, 29.0) == [Level.OK]
    assert levels(seen, 31.0) == [Level.STALE]


def test_what_is_not_said_again_is_gone():
    seen = watch()
    seen.take_status("session", {"note": "waiting for policy", "control": "10 Hz"})
    seen.take_status("learner", {"learner": "idle"})
    seen.take_status("session", {"control": "9 Hz"})
    assert dict(seen.view(0.0).status) == {"control": "9 Hz", "learner": "idle"}


@pytest.mark.parametrize("state", ["ended", "resetting", "stopped", "paused"])
def test_outside_of_a_running_episode_nobody_drives(state):
    seen = watch()
    seen.take_step(step(5, Source.POLICY, cause="workspace"))
    assert (seen.view(0.0).driver, seen.view(0.0).cause) == (Source.POLICY, "workspace")
    seen.take_episode(EpisodeSnapshot(episode=1, state=state))
    assert (seen.view(0.0).driver, seen.view(0.0).cause) == (Source.HOLD, "")


def test_in_a_reset_that_is_the_arms_own_a_hand_drives_for_as_long_as_it_says_so():
    own = Watch(TASK, LIMITS, VIEWS, make_classifier(TASK), scripted_reset=True)
    resetting = EpisodeSnapshot(episode=1, state="resetting")
    for seen in (own, Watch(TASK, LIMITS, VIEWS, make_classifier(TASK))):
        seen.take_episode(resetting)
        assert seen.view(9.0).driver is Source.HOLD
        seen.take_teleop(True, 10.0)
        assert (seen.view(10.1).driver is Source.HUMAN) == (seen is own)
        assert seen.view(12.0).driver is Source.HOLD
        seen.take_teleop(True, 12.1)
        seen.take_teleop(False, 12.2)
        assert seen.view(12.3).driver is Source.HOLD
    own.take_teleop(True, 13.0)
    for change in ({"asked": "look at the scene"}, {"paused": True}):
        own.take_episode(replace(resetting, **change))
        assert own.view(13.1).driver is Source.HOLD, "the arm stands"


def test_an_observation_that_comes_before_its_episodes_state_is_its_first():
    seen = watch()
    seen.take_observation(observation(101, 0.4), 2)
    seen.take_candidates(candidates(101, [0.1, 0.7]))
    seen.take_episode(EpisodeSnapshot(episode=2, state="running", first_observation=101))
    view = seen.view(0.0)
    np.testing.assert_allclose(view.executed, [[0.4, 0.0, 0.2]])
    assert len(view.paths) == 2


def test_of_strangers_names_there_is_an_end():
    seen = watch()
    for number in range(1000):
        seen.take_diagnostic(Diagnostic(Level.OK, f"stranger {number}", ""), 0.0)
    assert len(seen.view(0.0).diagnostics) <= 100


def test_cameras_are_seen_also_before_an_episode():
    seen = Watch(TASK, LIMITS, VIEWS, make_classifier(TASK))
    seen.take_image("side", IMAGE)
    assert not seen.view(0.0).images
    seen.take_image("wrist", IMAGE)
    shapes = {name: image.shape for name, image in seen.view(0.0).images.items()}
    assert shapes == dict.fromkeys(VIEWS, (448, 448, 3))
    assert not seen.view(0.0, images=False).images


@pytest.mark.parametrize("views", [("top",), ("left", "right", "top", "wrist")])
def test_every_view_is_shown_in_the_robots_order(views):
    seen = Watch(TASK, LIMITS, views, make_classifier(TASK))
    for level, name in enumerate(views[::-1]):
        assert not seen.view(0.0).images
        seen.take_image(name, np.full((8, 8, 3), level, np.uint8))
    shown = seen.view(0.0).images
    assert list(shown) == list(views)
    assert [image[0, 0, 0] for image in shown.values()] == list(range(len(views)))[::-1]


def test_what_the_classifier_says_is_on_the_first_image():
    seen = watch()
    seen.take_image("side", IMAGE)
    seen.take_image("wrist", IMAGE)
    assert not seen.view(0.0).images["side"].any()
    seen.take_reward("lifted 0.05 m of 0.12 m")
    assert seen.view(0.0).images["side"].any()
    assert not seen.view(0.0).images["wrist"].any()


CAMERA = Camera(
    False, np.array([0.5, 0.0, 1.0]), TOOL_DOWN,
    np.array([[200.0, 0, 111.5], [0, 200.0, 111.5], [0, 0, 1]]), (224, 224),
)  # fmt: skip


def test_paths_are_on_the_images_of_cameras_that_are_known_and_of_the_others_it_is_said():
    seen = watch()
    for view in ("side", "wrist"):
        seen.take_image(view, IMAGE)
    seen.take_proprio(observation(5, 0.4).proprio)
    seen.take_observation(observation(5, 0.4), 1)
    seen.take_candidates(candidates(5, [0.1, 0.9]))
    seen.take_cameras({}, {"side": "no word", "wrist": "no frame"})
    assert not any(image.any() for image in seen.view(0.0).images.values())
    words = seen.view(0.0).status
    assert (words["no paths on side"], words["no paths on wrist"]) == ("no word", "no frame")
    seen.take_cameras({"side": CAMERA}, {"wrist": "no frame"})
    view = seen.view(0.0)
    assert {name: image.any() for name, image in view.images.items()} == {
        "side": True, "wrist": False,
    }  # fmt: skip
    assert "no paths on side" not in view.status
    # With the episode they go.
    seen.take_episode(EpisodeSnapshot(episode=2, state="resetting"))
    assert not seen.view(0.0).images["side"].any()
    assert seen.view(0.0).cameras["side"] is CAMERA


def test_the_gripper_changes_where_the_executed_chunk_decides_otherwise_than_before():
    seen = watch()
    seen.take_observation(observation(5), 1)
    closing = candidates(5, [0.1, 0.9])
    closing.actions[1, 2:, 6] = -1.0
    closing.actions[0, :, 6] = -1.0
    seen.take_candidates(closing)
    assert seen.view(0.0).gripper == ((2, False),)
    held = replace(step(4, Source.POLICY), executed=np.array([0, 0, 0, 0, 0, 0, -1], np.float32))
    seen.take_step(held)
    assert seen.view(0.0).gripper == ()
    # What comes after the observation says nothing of before.
    seen.take_step(replace(held, observation=6, executed=-held.executed))
    assert seen.view(0.0).gripper == ()


def test_things_are_where_the_simulation_tells_them():
    seen = watch()
    seen.take_objects({"cube": np.array([0.5, 0.1, 0.02])})
    np.testing.assert_array_equal(seen.view(0.0).objects["cube"], [0.5, 0.1, 0.02])


def test_timings_are_of_the_last_ticks_and_the_newest_chunk():
    made = watch()
    made.take_lateness(0.0301)
    for _ in range(99):
        made.take_lateness(0.0004)
    made.take_chunk_time(0.0612)
    assert made.view(0.0).status["ticks"] == "late by 30.1 ms at most (of 100)"
    assert made.view(0.0).status["chunk"] == "61 ms after its observation"
    made.take_lateness(0.0004)
    assert made.view(0.0).status["ticks"].startswith("late by 0.4 ms")


def test_how_the_last_episode_ended_is_said_until_the_next_one_does():
    seen = watch()
    for snapshot, words in (
        (EpisodeSnapshot(1, "ended", success=True, cause="lifted"), "1 succeeded (lifted)"),
        (EpisodeSnapshot(2, "running"), "1 succeeded (lifted)"),
        (
            EpisodeSnapshot(2, "ended", discarded=True, cause="estop"),
            "2 is discarded (estop): its steps don't count",
        ),
        (EpisodeSnapshot(3, "ended"), "3 failed"),
    ):
        seen.take_episode(snapshot)
        assert seen.view(0.0).status["last episode"] == words


def test_with_motion_off_it_says_what_would_be_sent():
    seen = watch()
    assert not seen.view(1.0).motion_off
    assert seen.view(1.0).shadow is None
    seen.take_motion(False)
    seen.take_shadow(slice(6), np.array([0.03, 0.0, -0.04, 0.0, 0.0, 0.5]))
    seen.take_shadow(slice(6, None), np.array([-0.06]))
    view = seen.view(1.0)
    assert view.motion_off
    np.testing.assert_allclose(view.shadow, [0.03, 0.0, -0.04, 0.0, 0.0, 0.5, -0.06])
    assert view.status["would be sent"] == "5.0 cm/s, 29 deg/s, gripper -6.0 cm/s"
    seen.take_motion(True)
    assert not seen.view(1.0).motion_off


def test_a_picture_that_is_old_is_grey_and_says_so():
    seen = watch()
    colourful = np.zeros((224, 224, 3), np.uint8)
    colourful[:] = 200, 30, 30
    for view in VIEWS:
        seen.take_image(view, colourful)
    seen.take_step(step(1, Source.HOLD, cause="camera/wrist stale 0.31 s > 0.15 s"))
    shown = seen.view(0.0).images
    grey = {view: int(np.ptp(shown[view][100, 400])) for view in VIEWS}
    assert grey == {"side": 170, "wrist": 0}
    seen.take_diagnostic(Diagnostic(Level.OK, "arbitration", "running"), 0.0)
    shown = seen.view(100.0).images
    assert {int(np.ptp(shown[view][100, 400])) for view in VIEWS} == {0}
