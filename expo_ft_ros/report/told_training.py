# SPDX-License-Identifier: Apache-2.0
"""The training of a run as its folder tells of it, also of its earlier starts."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np

from expo_ft_ros.experiment.run_folder import METRICS_FILE
from expo_ft_ros.monitor.training import Training
from expo_ft_ros.report import windows
from expo_ft_ros.report.run_data import EpisodeLine, evaluations_of, read_episodes


class ToldTraining:
    """Follows metrics.jsonl, which has a line more after each episode that the session counts."""

    def __init__(self, run: Path, control_hz: float) -> None:
        """run: its folder, which may still be empty; control_hz: ticks a second [Hz]."""
        self._run, self._control_hz = run, control_hz
        self._stamp: tuple[int, int] | None = None
        self._training = Training()

    def read(self) -> Training:
        """As it is now; the same value where nothing has changed."""
        with contextlib.suppress(OSError):
            stat = (self._run / METRICS_FILE).stat()
            stamp = stat.st_mtime_ns, stat.st_size
            if stamp != self._stamp:
                lines, _ = read_episodes(self._run)
                self._training = training_of(lines, self._control_hz)
                self._stamp = stamp
        return self._training


def training_of(lines: tuple[EpisodeLine, ...], control_hz: float) -> Training:
    """Of a run's episodes, in order. control_hz: ticks a second [Hz]."""
    online = [line for line in lines if line.stage == "rl" and not line.discarded]
    return Training(
        minutes=np.array([line.online_steps for line in online], np.float64) / control_hz / 60,
        success=windows.success(online).value,
        alone=windows.success(online, windows.succeeded_alone).value,
        human=windows.intervention(online).value,
        seconds=np.array([line.steps for line in online], np.float64) / control_hz,
        mean_seconds=windows.duration(online, control_hz).value,
        evaluations=evaluations_of(None, lines),
    )
