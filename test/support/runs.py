# SPDX-License-Identifier: Apache-2.0
"""Run folders made by hand, in which every number is known."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml


def line(number: int, stage: str, *, success: bool = True, steps: int = 60, **more: Any) -> dict:
    """A line of metrics.jsonl; more: fields other than those of a plain success."""
    return {
        "stage": stage,
        "episode": number,
        "success": success,
        "steps": steps,
        "human_steps": 0,
        "discarded": False,
        "cause": "success" if success else "timeout",
        "env_steps": 0,
        "metrics": {},
        **more,
    }


def make_run(
    folder: Path,
    lines: Iterable[Mapping[str, Any]] = (),
    *,
    kind: str = "train",
    summary: Mapping[str, Any] | None = None,
    machine: Mapping[str, Any] | None = None,
    **resolved: Any,
) -> Path:
    """Writes a run's folder; machine: None for a run of before there was such a thing; resolved:
    options of it."""
    (folder / "episodes").mkdir(parents=True)
    options = {"task": "cube_pick", "algorithm": "expo_ft", "preset": "paper", "run_dir": None}
    config = {
        "command": kind,
        "options": {"task": "cube_pick"},
        "resolved": {**options, **resolved},
        "budget": {"steps": 300},
        "task": {
            "name": "cube_pick",
            "control_hz": 10.0,
            "edit_scale": 0.2,
            "limits": {"linear_velocity": 0.25},
            "workspace": {"low": [0.3, -0.25, 0.01], "high": [0.65, 0.25, 0.4]},
        },
    }
    if machine is not None:
        config["machine"] = dict(machine)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    if lines:
        text = "".join(f"{json.dumps(entry)}\n" for entry in lines)
        (folder / "metrics.jsonl").write_text(text)
    if summary is not None:
        (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def training() -> list[dict]:
    """A demonstration, a trial of two before RL, 25 online episodes (the first ten fail, of the
    rest each third is helped in 30 of 60 steps), and three trials after it, two of them good."""
    lines = [line(1, "collect", human_steps=60)]
    lines += [line(2, "eval_before", success=False), line(3, "eval_before")]
    for place in range(25):
        helped = place >= 10 and place % 3 == 0
        lines.append(
            line(
                4 + place,
                "rl",
                success=place >= 10,
                human_steps=30 if helped else 0,
                env_steps=60 * (place + 1),
                edited_chosen=0.5,
                value_error=-0.1,
                update_ratio=0.8,
                metrics={"critic/q": 0.01 * place, "critic/target": 0.02 * place},
            )
        )
    lines += [line(29 + k, "eval_after", success=k < 2, steps=45, env_steps=1500) for k in range(3)]
    return lines
