# SPDX-License-Identifier: Apache-2.0
"""What the session writes into the run's folder; free of ROS."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from expo_ft_ros.control.plan import SHADOW, STAGES
from expo_ft_ros.data.files import replacing, write_atomically, writing
from expo_ft_ros.experiment.progress import SUMMARY_FILE, wilson
from expo_ft_ros.experiment.run_folder import METRICS_FILE, PROGRESS_FILE
from expo_ft_ros.experiment.stages import Session, SessionError

ROBOT, LEARNING, WAITING = "robot", "learning", "waiting"


@dataclass
class WallClock:
    """How wall time was spent [s]: the robot moves, the learner learns, or somebody waits.

    Goes on over a restart by way of `state_dict`.
    """

    spent: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys((ROBOT, LEARNING, WAITING), 0.0)
    )
    stages: dict[str, float] = field(default_factory=dict)
    _last: float | None = None

    def pass_time(self, now: float, stage: str, doing: str) -> None:
        """Books the time since the last call."""
        if self._last is not None:
            passed = now - self._last
            self.spent[doing] += passed
            self.stages[stage] = self.stages.get(stage, 0.0) + passed
        self._last = now

    @property
    def total(self) -> float:
        """All of it [s]."""
        return sum(self.spent.values())

    def state_dict(self) -> dict[str, dict[str, float]]:
        """Plain JSON."""
        return {"spent": self.spent, "stages": self.stages}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a state_dict. Raises ValueError, and changes nothing, for anything else."""
        saved = _SavedClock.model_validate(state)
        if unknown := set(saved.spent) - set(self.spent):
            raise ValueError(f"wall.spent: nothing is spent on {', '.join(sorted(unknown))}")
        self.spent.update(saved.spent)
        self.stages.update(saved.stages)


class _SavedClock(BaseModel):
    """A WallClock as it was saved."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    spent: dict[str, float]
    stages: dict[str, float]


def load_progress(folder: Path, session: Session, wall: WallClock) -> bool:
    """Goes on where an earlier start of the run was; False when there was none.

    Raises:
        SessionError: when progress.json doesn't fit the session.
    """
    path = folder / PROGRESS_FILE
    if not path.exists():
        return False
    try:
        state = json.loads(path.read_bytes())
        session.load_state_dict(state["session"])
        wall.load_state_dict(state["wall"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError, SessionError) as error:
        said = " ".join(str(error).split())
        raise SessionError(f"{path}: {said} (move it away to start the stages anew)") from error
    return True


def save_progress(folder: Path, session: Session, wall: WallClock) -> None:
    """Writes where the run is."""
    state = {"session": session.state_dict(), "wall": wall.state_dict()}
    write_atomically(folder / PROGRESS_FILE, state)


def append_metrics(folder: Path, line: Mapping[str, Any]) -> None:
    """One line a finished episode; on the disk before the books count it."""
    path = folder / METRICS_FILE
    with writing(path), path.open("a") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())


def trim_metrics(folder: Path, before: int) -> None:
    """Leaves the lines of episodes with numbers below `before`, in whole: a run that was killed may
    have written one that the books don't count, or a part of it."""
    path = folder / METRICS_FILE
    if not path.exists():
        return
    lines = path.read_text().splitlines(keepends=True)
    kept = [line for line in lines if _episode_of(line) < before]
    if kept != lines:
        partial = path.with_suffix(".partial")
        with replacing(partial, path):
            partial.write_text("".join(kept))


def discard_in_metrics(folder: Path, number: int, cause: str) -> None:
    """Says of an episode that was counted that it is discarded, and why."""
    path = folder / METRICS_FILE
    if not path.exists():
        return
    lines = path.read_text().splitlines(keepends=True)
    for place, line in enumerate(lines):
        if _episode_of(line) == number:
            told = {**json.loads(line), "discarded": True, "cause": cause}
            lines[place] = json.dumps(told) + "\n"
    partial = path.with_suffix(".partial")
    with replacing(partial, path):
        partial.write_text("".join(lines))


def _episode_of(line: str) -> float:
    """Number of a line's episode; infinite for a line that was cut off."""
    try:
        return float(json.loads(line)["episode"]) if line.endswith("\n") else math.inf
    except (ValueError, KeyError, TypeError):
        return math.inf


def evaluation(session: Session, stage: str) -> dict[str, float] | None:
    """Success of an evaluation with its 95% Wilson interval; None before its first trial."""
    tally = session.tally(stage)
    if tally.finished == 0:
        return None
    low, high = wilson(tally.successes, tally.finished)
    return {
        "successes": tally.successes,
        "trials": tally.finished,
        "rate": tally.successes / tally.finished,
        "low": low,
        "high": high,
    }


def write_summary(folder: Path, session: Session, wall: WallClock, **more: Any) -> dict[str, Any]:
    """Writes summary.json and gives its content."""
    stages = (*STAGES, SHADOW) if SHADOW in session.config.stages else STAGES
    tallies = {stage: session.tally(stage) for stage in stages}
    hz = more.pop("control_hz")
    content = {
        "eval_before": evaluation(session, "eval_before"),
        "eval_after": evaluation(session, "eval_after"),
        "env_steps": session.env_steps,
        "robot_seconds": session.env_steps / hz,
        "robot_minutes": session.env_steps / hz / 60,
        "episodes": {stage: tally.finished for stage, tally in tallies.items()},
        "demonstrations": tallies["collect"].successes,
        "human_steps": tallies["rl"].human_steps,
        "wall_seconds": wall.spent,
        "stage_seconds": wall.stages,
        **more,
    }
    write_atomically(folder / SUMMARY_FILE, content)
    return content


def seconds_left(session: Session, wall: WallClock) -> float | None:
    """Estimate for the rest of the run [s]; None while nothing tells how long it takes.

    The present stage goes on as it did; the last evaluation takes as long as the first.
    """
    stage = session.stage
    if stage == "done":
        return 0.0
    later = session.config.stages[session.config.stages.index(stage) + 1 :]
    done, total = session.progress()
    if done == 0 or total == 0 or any(s not in ("eval_after",) for s in later):
        return None
    rest = wall.stages.get(stage, 0.0) * (total - done) / done
    if "eval_after" in later:
        rest += wall.stages.get("eval_before", 0.0)
    return rest
