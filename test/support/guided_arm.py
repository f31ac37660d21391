# SPDX-License-Identifier: Apache-2.0
"""An arm before the guide of `expo-ft bringup`, in one process: it does what it is asked for, or
what its defects make of that, and an operator answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from expo_ft_ros.data.rotation import TOOL_DOWN, compose, rotation_of
from expo_ft_ros.doctor.guide.answers import Talk
from expo_ft_ros.doctor.guide.motions import Cell
from expo_ft_ros.doctor.guide.script import guide, steps_of
from expo_ft_ros.doctor.guide.seen import Asked, Episode, Executed, Pose, Seen
from expo_ft_ros.robots import load_robot
from expo_ft_ros.tasks import load_task

TICK = 0.02
LONGEST = 400.0  # of an operator's patience, in the arm's time [s]


@dataclass
class Defects:
    """What is wrong with the arm.

    Attributes:
        moves: (6, 6) from the commanded velocity to that of the tool.
        drift: (6,) its velocity without a command.
        gripper: 1, or -1 for the wrong way, or 0 for none.
        coasts: For how long it goes on after a stop [s].
        walls: (3,) it goes no further than this along each axis [m].
        lag: With which its velocity follows the command, of first order [s].
    """

    moves: Any = field(default_factory=lambda: np.eye(6))
    drift: Any = field(default_factory=lambda: np.zeros(6))
    gripper: int = 1
    coasts: float = 0.0
    walls: Any = field(default_factory=lambda: np.full(3, np.inf))
    lag: float = 0.0


class Typed:
    """Lines of an operator who answers the newest question; None: not yet."""

    def __init__(self, answer: Any) -> None:
        self._answer, self.text, self._done = answer, "", 0

    def write(self, text: str) -> None:
        self.text += text

    def drop(self) -> None:
        """There is nothing to forget."""

    def pop(self) -> str | None:
        parts = self.text.split("(yes / no / skip): ")
        if len(parts) - 1 <= self._done:
            return None
        self._done = len(parts) - 1
        return self._answer(parts[-2])


class GuidedArm:
    """Runs the guide against it."""

    def __init__(self, robot: str = "sim", defects: Defects | None = None, **given: Any) -> None:
        """given: position (3,) at the start; stops: whether E-STOP is pressed as it is asked for,
        and released."""
        self.defects = defects or Defects()
        self.robot = load_robot(robot)
        self.scale = self.robot.limits.scale()
        self.position = np.array(given.get("position", (0.45, 0.05, 0.2)))
        self.quaternion, self.width = TOOL_DOWN.copy(), self.robot.limits.gripper_max_width
        self.seen, self.asked = Seen(now=1000.0), Asked()
        self.seen.images = {v: np.full((48, 64, 3), 90, np.uint8) for v in self.robot.view_names}
        self.seen.width = self.width
        self.kept: dict[str, tuple[str, str, Any]] = {}
        self.path = [self.position.copy()]
        self.moved_at: list[float] = []
        self._stops = given.get("stops", True)
        self._command, self._stopped_at, self._gripper = np.zeros(6), -np.inf, 0
        self._velocity = np.zeros(6)
        self._say("resetting", asked="look at the scene: the run starts")

    def _say(self, state: str, cause: str = "", asked: str = "") -> None:
        self.seen.episode = Episode(state, self.seen.now, cause, asked)

    def run(self, checks: Any, folder: Any, answer: Any = lambda asked: "yes", before: Any = None):
        """Goes through the checks; gives all that was said."""
        typed = Typed(answer)
        task = load_task("cube_pick")
        cell = Cell(self.seen, self.asked, Talk(typed, typed.write), self.robot, task.workspace)

        def keep(name: str, status: str, text: str, numbers: Any) -> None:
            self.kept[name] = (status, text, numbers)

        self.step()
        course = guide(cell, steps_of(checks, folder, before), keep)
        end = self.seen.now + LONGEST
        for _ in course:
            self.step()
            self._press(typed.text)
            assert self.seen.now < end, typed.text
        return typed.text

    def _press(self, text: str) -> None:
        """E-STOP half a second after it was asked for, Release a second later."""
        asked, answered = text.count("Press E-STOP"), text.count("Now release it")
        if not self._stops:
            return
        if asked > answered and self.seen.episode.state == "running":
            if self.asked.action.any() and self.seen.now - self._began > 0.5:
                self._stopped_at = self.seen.now
                self._say("stopped", "estop")
        elif asked == answered and self.seen.episode.state == "stopped":
            self._say("resetting", asked="look at the scene: after a stop")

    def step(self) -> None:
        seen, asked = self.seen, self.asked
        seen.now = round(seen.now + TICK, 6)
        if not asked.action.any():
            self._began = seen.now
        if asked.scene_is_set:
            asked.scene_is_set = False
            self._say("running")
        running = seen.episode.state == "running"
        tick = round(seen.now / TICK) % 5 == 0
        if tick and running:
            driven = asked.action if asked.drives else np.zeros(6)
            self._command = driven * self.scale[:6]
            seen.steps.append(Executed(seen.now, np.append(self._command, 0.0), ""))
        coasting = seen.now < self._stopped_at + self.defects.coasts
        if not running and not coasting:
            self._command = np.zeros(6)
        wanted = self.defects.moves @ self._command + self.defects.drift
        share = TICK / (self.defects.lag + TICK)
        self._velocity = velocity = self._velocity + share * (wanted - self._velocity)
        before = self.position
        self.position = np.minimum(before + velocity[:3] * TICK, self.defects.walls)
        self.quaternion = compose(rotation_of(velocity[3:] * TICK), self.quaternion)
        self.quaternion /= np.linalg.norm(self.quaternion)
        if asked.drives and asked.gripper:
            self._gripper = self.defects.gripper * (1 if asked.gripper == "open" else -1)
        widest = self.robot.limits.gripper_max_width
        change = self._gripper * self.scale[6] * TICK if running else 0.0
        self.width = float(np.clip(self.width + change, 0.0, widest))
        seen.width = self.width
        seen.poses.append(Pose(seen.now, self.position.copy(), self.quaternion.copy()))
        measured = np.append((self.position - before) / TICK, velocity[3:])
        seen.twists.append((seen.now, measured))
        self.path.append(self.position.copy())
        if np.abs(measured).max() > 1e-9:
            self.moved_at.append(seen.now)
