# SPDX-License-Identifier: Apache-2.0
"""Pictures of the console at moments that matter, and what somebody who has never seen it is asked.

    ./expo-ft python benchmarks/operator_moments.py FOLDER

Of each moment FOLDER gets a picture on a desk's screen, of some one on a phone's; the questions are
printed. The demo's policy acts in its simulation for some steps, and what the graph would say at
each moment is laid over that. What was answered is kept in benchmarks/results/operator_quiz_*.md.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "test")]

from expo_ft_ros.control.arbiter import DEVICE_LOST, NOT_TAKEN_OVER  # noqa: E402
from expo_ft_ros.control.episode_machine import BY_ESTOP, EpisodeSnapshot  # noqa: E402
from expo_ft_ros.data.types import Observation, Source, Step  # noqa: E402
from expo_ft_ros.experiment.trained import find_trained  # noqa: E402
from expo_ft_ros.monitor.console import Console  # noqa: E402
from expo_ft_ros.monitor.controls_page import BUTTONS  # noqa: E402
from expo_ft_ros.monitor.overlay import veil  # noqa: E402
from expo_ft_ros.monitor.projection import Camera  # noqa: E402
from expo_ft_ros.monitor.view import (  # noqa: E402
    Diagnostic,
    LearningView,
    Level,
    SessionView,
    View,
)
from expo_ft_ros.monitor.watch import Watch  # noqa: E402
from expo_ft_ros.rl.agent import Agent  # noqa: E402
from expo_ft_ros.robots import load_robot  # noqa: E402
from expo_ft_ros.tasks import load_task  # noqa: E402
from expo_ft_ros.tasks.classifiers import make_classifier  # noqa: E402
from expo_ft_ros.tasks.scenes import make_world  # noqa: E402
from support.browser import DESKTOP, PHONE, Visit, chromium  # noqa: E402
from support.views import TRAINING  # noqa: E402

QUESTIONS = (
    "Who drives the arm?",
    "Does it stand? Why, and what has it move again?",
    "What comes next, with nobody doing anything?",
    "How sure is the critic of what it will do?",
    "What do you press, if anything?",
)
TASK, ROBOT, STEPS, SIZE = load_task("cube_pick"), load_robot("sim"), 34, 224
ON_PHONE = ("human_drives", "stopped", "your_turn", "no_connection")


def main() -> int:
    """Runs it; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, add_help=True)
    parser.add_argument("folder", type=Path, help="for the pictures")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    acting, between = acted()
    shown = moments(acting, between)
    with served(acting) as (url, show), chromium() as browser:
        visits = {"desk": Visit(browser, url, DESKTOP), "phone": Visit(browser, url, PHONE)}
        for name, view in shown.items():
            show(view)
            for size, visit in visits.items():
                if size == "desk" or name in ON_PHONE:
                    visit.page.wait_for_timeout(3500)
                    visit.picture(folder / f"{name}_{size}.png")
    print("\n".join(("Of each picture:", *QUESTIONS, f"{len(shown)} moments in {folder}")))
    return 0


@contextmanager
def served(first: View) -> Iterator[tuple[str, object]]:
    """A console that is told five times a second what is to be shown; None: nothing any more."""
    actions = dict.fromkeys(BUTTONS, lambda: "taken")
    views = list(ROBOT.view_names)
    console = Console(actions, TASK, ROBOT.limits, views, port=0, classifier=make_classifier(TASK))
    shown, over = [first], threading.Event()

    def feed() -> None:
        while not over.wait(0.2):
            if shown[0] is not None:
                console.hear_of(shown[0].episode.episode)
                console.show(shown[0])

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        yield console.url, lambda view: shown.__setitem__(0, view)
    finally:
        over.set()
        thread.join()
        console.close(None)


def acted() -> tuple[View, View]:
    """What is seen after some steps of an online episode: with the candidates, and without."""
    trained = find_trained("demo")
    agent = Agent(TASK, trained.config, ROBOT.views, 0)
    weights = trained.weights
    agent.load_weights(getattr(weights, "path", None) or weights.checkpoint)
    agent.begin_evaluation(0)
    world = make_world(TASK, ROBOT.limits, SIZE, 0, ROBOT.view_names)
    watch = Watch(
        TASK, ROBOT.limits, ROBOT.view_names, make_classifier(TASK), take_over="push the SpaceMouse"
    )
    watch.take_cameras({v.name: camera_of(world.camera_mount(v.name)) for v in ROBOT.views}, {})
    watch.take_session(SessionView("rl", 41, 0, 3210, 8000))
    watch.take_training(TRAINING, "about 7 min")
    watch.take_status("session", {"stage": "rl", "online steps": "3210 of 8000"})
    for name in ("arbitration", "camera", "policy", "learner", "recorder", "teleop"):
        watch.take_diagnostic(Diagnostic(Level.OK, name, "ready"), 60.0)
    episode = EpisodeSnapshot(64, "running", "rl", first_observation=1)
    watch.take_episode(episode)
    world.reset(3)
    for step in range(STEPS):
        images, proprio = world.images(), world.proprio()
        left = TASK.max_steps - step
        seen = Observation(step + 1, world.time, images, proprio, TASK.instruction, steps_left=left)
        watch.take_proprio(proprio)
        for view, image in images.items():
            watch.take_image(view, image)
        watch.take_observation(seen, episode.episode)
        if step % TASK.execute_steps == 0:
            chosen = agent.act(seen, "mode")
            watch.take_candidates(chosen.choice(seen.number))
        slot = step % TASK.execute_steps
        action = chosen.actions[slot]
        who = (seen.number, episode.episode, 1, slot, Source.POLICY)
        watch.take_step(Step(*who, proposed=action, executed=action, cause=""))
        watch.take_episode(replace(episode, steps=step + 1))
        world.step(action * ROBOT.limits.scale(), TASK.period)
    watch.take_objects({name: pose[0] for name, pose in world.objects().items()})
    acting = watch.view(60.0)
    held = replace(chosen.choice(1), observation=0)
    watch.take_candidates(held)  # Of before this episode: nothing is shown of it.
    between = watch.view(60.0)
    world.close()
    return acting, between


def camera_of(mount: object) -> Camera:
    """One of the simulation."""
    length = mount.focal_length * (SIZE if mount.focal_length < SIZE / 10 else 1)
    matrix = np.array([[length, 0, SIZE / 2], [0, length, SIZE / 2], [0, 0, 1.0]])
    place = np.array(mount.position), np.array(mount.quaternion)
    return Camera(mount.on_tool, *place, matrix=matrix, size=(SIZE, SIZE), distortion=np.zeros(0))


def moments(acting: View, between: View) -> Mapping[str, View | None]:
    """Name -> what the console is shown; None: nothing any more."""
    held = replace(between, driver=Source.HOLD)

    def at(view: View, **changes: object) -> View:
        return replace(view, episode=replace(view.episode, **changes))

    def old(*names: str) -> Mapping[str, np.ndarray]:
        images = {name: image.copy() for name, image in between.images.items()}
        for name in names:
            veil(images[name], "old picture")
        return images

    unknown = np.full(8, np.nan, np.float32)
    young = {"q": unknown, "member_spread": unknown, "chosen": 0, "q_history": np.zeros((0, 4))}
    first = {"executed": acting.executed[:1], "sources": acting.sources[:1]}
    trial = replace(acting, session=SessionView("eval_after", 2, 30))
    lost = Diagnostic(Level.ERROR, "teleop", DEVICE_LOST)
    silent = Diagnostic(Level.STALE, "arbitration", "nothing heard for 4 s (last: running)")
    reflex = "cartesian_reflex"
    return {
        "policy_drives": acting,
        "human_drives": replace(between, driver=Source.HUMAN),
        "camera_lost": replace(held, images=old("wrist"), cause="camera/wrist stale"),
        "learning": replace(at(held, state="ended"), learning=LearningView("update", 0.37, 62.0)),
        "demonstration": replace(
            at(held, stage="collect", steps=0, episode=1),
            cause=NOT_TAKEN_OVER,
            session=SessionView("collect", 0, 10),
            q_history=np.zeros((0, 4)),
            **first,
        ),
        "stopped": at(held, state="stopped", cause=BY_ESTOP, discarded=True),
        "hands_off": at(trial, stage="eval_after"),
        "void_trial": at(trial, stage="eval_after", human_steps=6),
        "device_lost": replace(held, diagnostics=(lost,)),
        "your_turn": at(held, state="resetting", asked="put the cube back on the table"),
        "reset_by_hand": at(replace(between, driver=Source.HUMAN), state="resetting"),
        "reflex": replace(
            at(held, state="stopped", cause=f"protective stop: {reflex}", discarded=True),
            fault=reflex,
        ),
        "paused": at(replace(acting, driver=Source.HOLD), state="paused", paused=True),
        "deciding": at(held, state="deciding", success=True, cause="classifier: lifted"),
        "motion_off": replace(
            at(acting, stage="shadow"),
            motion_off=True,
            session=SessionView("shadow", 2, 30),
            shadow=np.array([0.1, 0.02, -0.08, 0, 0, 0, 0.0]),
        ),
        "young_critic": replace(
            acting, paths=acting.paths[:8], kind=np.zeros(8, np.uint8), **young
        ),
        "no_word": replace(held, images=old("side", "wrist"), diagnostics=(silent,)),
        "no_connection": None,
    }


if __name__ == "__main__":
    sys.exit(main())
