# SPDX-License-Identifier: Apache-2.0
"""Where a run's scalars go while it goes on: TensorBoard and, where asked for, W&B."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from expo_ft_ros.data.files import writing
from expo_ft_ros.report.wandb_sync import EVENTS, WandbRun


class ScalarLog:
    """Of one run; used by one thread at a time."""

    def __init__(self, run: Path) -> None:
        """run: its folder; there is no file before the first scalar."""
        self._run = run
        self._tensorboard: Any = None
        self._wandb: WandbRun | None = None

    def open_wandb(self, project: str) -> str:
        """Sends to W&B as well; gives where it can be looked at. Raises ConfigError where it can't
        be, as `WandbRun`."""
        self._wandb = WandbRun(self._run, project)
        return self._wandb.place

    def write(self, values: Mapping[str, float], step: int) -> None:
        """Name -> value; step: critic updates, of an episode's values (`EpisodeScalars`) its
        number."""
        with writing(self._run / EVENTS):
            if self._tensorboard is None:
                from torch.utils.tensorboard import SummaryWriter

                self._tensorboard = SummaryWriter(str(self._run / EVENTS))
            for name, value in values.items():
                self._tensorboard.add_scalar(name, value, step)
            self._tensorboard.flush()
        if self._wandb is not None:
            self._wandb.log(values, step)

    def close(self) -> None:
        """Writes and sends the rest."""
        if self._tensorboard is not None:
            self._tensorboard.close()
        if self._wandb is not None:
            self._wandb.close()
