# SPDX-License-Identifier: Apache-2.0
"""What a run's folder tells of its earlier starts."""

from __future__ import annotations

import json

from expo_ft_ros.experiment.run_files import append_metrics, told_rates


def line(stage: str, steps: int, success: float, *, discarded: bool = False) -> dict[str, object]:
    return {
        "stage": stage, "discarded": discarded, "env_steps": steps,
        "success_rate": success, "intervention_rate": 0.25,
    }  # fmt: skip


def test_curves_are_read_from_what_is_whole_and_counts(tmp_path):
    assert list(told_rates(tmp_path)) == []
    append_metrics(tmp_path, line("eval_before", 0, 0.9))
    append_metrics(tmp_path, line("rl", 80, 0.5))
    append_metrics(tmp_path, line("rl", 90, 0.1, discarded=True))
    append_metrics(tmp_path, {"stage": "rl", "discarded": False})
    append_metrics(tmp_path, line("rl", 170, 0.75))
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(line("rl", 260, 1.0))[:-5])
    assert list(told_rates(tmp_path)) == [(80, 0.5, 0.25), (170, 0.75, 0.25)]
