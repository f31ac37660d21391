# SPDX-License-Identifier: Apache-2.0
"""The comparisons that there are, and those that are being played: one at a time."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.dashboard import checkpoint_comparison
from expo_ft_ros.dashboard.checkpoint_comparison import (
    FOLDER,
    Comparison,
    new_comparison,
    read_comparison,
)
from expo_ft_ros.dashboard.helpers import TRIALS_NICE, Helpers
from expo_ft_ros.experiment.run_folder import runs_dir
from expo_ft_ros.experiment.weights import CHECKPOINTS
from expo_ft_ros.rl.checkpoint_files import SUFFIX

_PREFIX = "comparison "
_SHOWN = 20


class Comparisons:
    """In the folder of the runs; processes of their own play them."""

    def __init__(self, helpers: Helpers) -> None:
        """None is played yet.

        Args:
            helpers: That play them.
        """
        self._helpers = helpers
        self._changing = threading.Lock()

    def begin(self, files: Sequence[str], scenes: str, rule: str) -> str:
        """Begins one.

        Args:
            files: Of `checkpoints` of runs.
            scenes: Trials of each, as typed.
            rule: As of `Comparison`.

        Returns:
            Its name.

        Raises:
            ConfigError: in one line, for what can't be compared, and while another one is played.
        """
        known = {str(p) for p in runs_dir().glob(f"*/{CHECKPOINTS}/*{SUFFIX}")}
        strange = next((file for file in files if file not in known), None)
        if strange is not None:
            raise ConfigError(f"comparison: {strange}: no checkpoint of a run in {runs_dir()}")
        with self._changing:
            self._require_free()
            path, _ = new_comparison([Path(file) for file in files], scenes, rule)
            self._play(path.stem)
        return path.stem

    def go_on(self, name: str) -> None:
        """Plays what is left of one; nothing where it is being played.

        Raises:
            ConfigError: while another one is played.
        """
        with self._changing:
            if not self.is_playing(name):
                self._require_free()
                self._play(name)

    def stop(self, name: str) -> None:
        """Ends what plays it; what it has played is kept."""
        with self._changing:
            self._helpers.end(_PREFIX + name)

    def is_playing(self, name: str) -> bool:
        """Whether it is played now."""
        return _PREFIX + name in self._helpers.named(_PREFIX)

    def last_words(self, name: str) -> str:
        """What the process said that played it and failed; "" where none did."""
        helper = self._helpers.get(_PREFIX + name)
        stopped = helper is None or not helper.failed or helper.process.returncode < 0
        return "" if helper is None or stopped else "\n".join(helper.lines[-3:])

    def find(self, name: str) -> Comparison | None:
        """The one of that name; None where there is none that can be read."""
        if "/" in name:
            return None
        try:
            return read_comparison(_path(name))
        except ConfigError:
            return None

    @property
    def earlier(self) -> list[tuple[str, Comparison]]:
        """Name -> the newest of them, the newest first."""
        files = sorted((runs_dir() / FOLDER).glob("*.json"), reverse=True)[:_SHOWN]
        found = ((file.stem, self.find(file.stem)) for file in files)
        return [(name, each) for name, each in found if each is not None]

    @staticmethod
    def checkpoints(run: Path) -> list[Path]:
        """Of a run, the newest first."""
        return sorted((run / CHECKPOINTS).glob(f"*{SUFFIX}"), reverse=True)

    def _play(self, name: str) -> None:
        words = [str(_path(name))]
        self._helpers.start(_PREFIX + name, checkpoint_comparison.__name__, words, TRIALS_NICE)

    def _require_free(self) -> None:
        playing = self._helpers.named(_PREFIX)
        if playing:
            name = playing[0].removeprefix(_PREFIX)
            raise ConfigError(
                f"comparison: {name} is being played, one at a time is enough for a machine that "
                "may drive a robot (stop it, or wait)"
            )


def _path(name: str) -> Path:
    return runs_dir() / FOLDER / f"{name}.json"
