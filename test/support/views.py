# SPDX-License-Identifier: Apache-2.0
"""Views as the graph would give them, made by hand."""

from __future__ import annotations

import numpy as np

from expo_ft_ros.control.episode_machine import EpisodeSnapshot
from expo_ft_ros.data.types import Source
from expo_ft_ros.monitor.arm import arm_frames
from expo_ft_ros.monitor.paths import tool_paths
from expo_ft_ros.monitor.training import Training
from expo_ft_ros.monitor.view import Diagnostic, LearningView, Level, SessionView, View
from expo_ft_ros.robots import RobotLimits

PERIOD = 0.1
MINUTES = np.linspace(0.2, 9, 40)
TRAINING = Training(
    minutes=MINUTES,
    success=1 - 0.4 * np.exp(-MINUTES / 2),
    alone=1 - 0.7 * np.exp(-MINUTES / 4),
    human=0.5 * np.exp(-MINUTES / 4),
    seconds=5 + 4 * np.exp(-MINUTES / 4) + np.sin(9 * MINUTES),
    mean_seconds=5 + 4 * np.exp(-MINUTES / 4),
    evaluations={"eval_before": (13, 30), "eval_after": (29, 30)},
)


def make_view(step: int = 34, **changes: object) -> View:
    """A moment of a training: its path, candidates and images follow from the step."""
    rng = np.random.default_rng(step // 8)
    executed = np.array([tool_at(n) for n in range(step + 1)])
    yaw = joints_at(step)[0]
    sources = np.full(step + 1, int(Source.POLICY), np.uint8)
    sources[step // 3 : 2 * step // 3] = Source.HUMAN
    base = np.array([0.4, 0.3, -0.5, 0, 0, 0, -1]) + rng.normal(0, 0.45, (8, 1, 7))
    actions = np.clip(np.concatenate([base, base + rng.normal(0, 0.12, (8, 1, 7))]), -1, 1)
    q = rng.normal(0.55, 0.12, 16).astype(np.float32)
    fields: dict[str, object] = {
        "time": 12.0 + 0.1 * step,
        "session": SessionView("rl", 11, 0, 411, 3000),
        "learning": LearningView("idle"),
        "episode": EpisodeSnapshot(episode=12, state="running", stage="rl", steps=step),
        "max_steps": 120,
        "driver": Source.POLICY,
        "reward": "tool at 0.19 m, opening 0.061 m",
        "position": executed[-1],
        "quaternion": np.array([np.cos(yaw / 2), np.sin(yaw / 2), 0, 0]),
        "gripper_width": 0.06,
        "joints": joints_at(step),
        "q": q,
        "kind": (np.arange(16) >= 8).astype(np.uint8),
        "chosen": int(q.argmax()),
        "member_spread": rng.uniform(0.02, 0.12, 16).astype(np.float32),
        "paths": tool_paths(executed[-1], np.repeat(actions, 16, axis=1), RobotLimits(), PERIOD),
        "executed": executed,
        "sources": sources,
        "images": {"side": picture(step, 0), "wrist": picture(step, 1)},
        "q_history": np.array(
            [[s, 0.2 + s / 300, 0.6 + s / 400, 0.58 + s / 380] for s in range(0, step + 1, 8)]
        ),
        "training": TRAINING,
        "left": "about 7 min",
        "status": {
            "learner": "update, version 41",
            "transitions": "5120 (1304 by a human)",
            "control": "10.0 Hz",
            "ticks": "late by 0.4 ms at most (of 100)",
            "chunk": "61 ms after its observation",
            "time left": "7:20",
        },
        "diagnostics": (
            Diagnostic(Level.OK, "arbitration", "running"),
            Diagnostic(Level.WARN, "camera", "side: 9.1 Hz of 10"),
            Diagnostic(Level.OK, "policy", "version 41"),
            Diagnostic(Level.OK, "recorder", "episode 12"),
        ),
    }
    return View(**{**fields, **changes})  # type: ignore[arg-type]


def joints_at(step: int) -> np.ndarray:
    """(7,) of an arm that reaches down and forward, the tool pointing down."""
    way = step / 120
    turn, lean, bend = 0.3 - 0.9 * way, -0.5 + 0.75 * way, -2.2 - 0.1 * way
    return np.array([turn, lean, 0.0, bend, 0.0, lean - bend, np.pi / 4])


def tool_at(step: int) -> np.ndarray:
    """(3,) of that arm."""
    *_, wrist, flange = arm_frames(joints_at(step))[0]
    return flange + 0.1034 / 0.107 * (flange - wrist)


def picture(step: int, of: int) -> np.ndarray:
    """(448, 448, 3) that tells steps and cameras apart."""
    y, x = np.mgrid[0:448, 0:448]
    image = np.stack([x // 4 + 40, y // 4 + 40, np.full_like(x, 90 + 60 * of)], axis=-1)
    at = 40 + 9 * step % 360
    image[180:240, at : at + 60] = (220, 180, 60)
    return image.astype(np.uint8)
