# SPDX-License-Identifier: Apache-2.0
"""The README's animation: a training in four episodes, from what a run has recorded.

`./expo-ft python test/animation.py RUN` makes it anew from a run's folder; `./expo-ft screenshots`
from the training that it looks at.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from expo_ft_ros.data.types import ImageArray
from expo_ft_ros.experiment.run_folder import limits_of
from expo_ft_ros.recording.recorded_episode import read_recorded
from expo_ft_ros.report.run_data import EpisodeLine, RunData, read_run
from expo_ft_ros.report.scene import EpisodeScene
from expo_ft_ros.robots import RobotLimits

FILE = Path(__file__).resolve().parents[1] / "docs" / "images" / "training.webp"
_WIDTH, _HEIGHT, _BAND = 720, 405, 34  # px
_EVERY = 2  # steps between two frames, which pass at twice the robot's speed
_STILL = 8  # frames for which the last of an episode stands
_MOST = 40  # frames of an episode


def animate(folder: Path, file: Path = FILE) -> int:
    """Writes the animation of a run; returns its bytes."""
    run = read_run(folder)
    limits = RobotLimits.model_validate(limits_of(folder))
    frames = [
        Image.fromarray(frame)
        for words, line in _chosen(run)
        for frame in _frames(run, line, limits, words)
    ]
    milliseconds = round(1000 / run.control_hz)
    file.parent.mkdir(parents=True, exist_ok=True)
    frames[0].save(
        file, save_all=True, append_images=frames[1:], duration=milliseconds, loop=0, quality=60
    )
    return file.stat().st_size


def _chosen(run: RunData) -> Iterator[tuple[str, EpisodeLine]]:
    """Words and an episode for each part: the first demonstration, the first failure of the
    imitated policy, the first episode that the operator mended, the last that succeeded alone."""
    lines = [line for line in run.counted if run.bag(line.number) is not None]
    online = [line for line in lines if line.stage == "rl"]
    parts = [
        ("1  The operator demonstrates, ten times", [x for x in lines if x.stage == "collect"]),
        (
            "2  The policy that imitates this often misses",
            [x for x in lines if x.stage in ("eval_before", "rl") and not x.success],
        ),
        (
            "3  It practises; the operator takes over where it fails",
            [x for x in online if _mended(x)],
        ),
        (
            "4  It does it alone",
            [
                x
                for x in reversed(lines)
                if x.stage != "collect" and x.success and not x.human_steps
            ],
        ),
    ]
    for words, found in parts:
        if found:
            yield words, found[0]


def _mended(line: EpisodeLine) -> bool:
    return bool(line.success and line.human_steps)


def _frames(
    run: RunData, line: EpisodeLine, limits: RobotLimits, words: str
) -> Iterator[ImageArray]:
    path = run.bag(line.number)
    if path is None:
        return
    scene = EpisodeScene(read_recorded(path), limits, run.control_hz)
    steps = [*range(0, len(scene), _EVERY)][:_MOST]
    for step in [*steps, *[steps[-1]] * _STILL]:
        small = cv2.resize(scene.frame(step), (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA)
        band = np.full((_BAND, _WIDTH, 3), 32, dtype=np.uint8)
        cv2.putText(band, words, (12, 23), cv2.FONT_HERSHEY_DUPLEX, 0.6, (255,) * 3, 1, cv2.LINE_AA)
        yield np.concatenate([band, small])


if __name__ == "__main__":
    made = animate(Path(sys.argv[1]))
    print(f"{FILE}: {made / 1e6:.1f} MB")
