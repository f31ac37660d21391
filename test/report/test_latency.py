# SPDX-License-Identifier: Apache-2.0
"""A late camera is seen in the ticks that a run keeps."""

from __future__ import annotations

import json

import pytest

from expo_ft_ros.report.latency import CHUNK, LATENESS, REACTION, read_latencies


def tick(side: float, **more) -> str:
    ages = {"camera/side": side, "camera/wrist": 0.02, "proprio": 0.004}
    return json.dumps({"late": 0.001, "reaction": None, "chunk_late": None, "ages": ages, **more})


def test_each_hop_has_a_line_and_the_late_camera_is_told_from_the_other(tmp_path):
    ticks = [tick(0.03) for _ in range(97)] + [tick(0.14), tick(0.03, reaction=0.006)]
    ticks += [tick(0.03, chunk_late=-0.08), '{"late": 0.001, "ages": {"camera/si']
    (tmp_path / "ticks.jsonl").write_text("\n".join(ticks))
    found = read_latencies(tmp_path)
    views = ["camera/side", "camera/wrist"]
    assert list(found) == [LATENESS, *views, "proprio", REACTION, CHUNK]
    side, wrist = (found[view] for view in views)
    assert (side.count, side.median, side.greatest) == (100, pytest.approx(0.03), 0.14)
    assert wrist.greatest == pytest.approx(0.02)
    assert side.most_but_one_percent < 0.14
    assert (found[REACTION].count, found[CHUNK].median) == (1, pytest.approx(-0.08))


@pytest.mark.parametrize(
    "text", ["", "null\n[]\n{}\n", '{"late": 0.0, "ages": {}}\n', '{"ages": 3}']
)
def test_a_run_that_kept_no_ages_has_none(tmp_path, text):
    assert read_latencies(tmp_path) == {}
    (tmp_path / "ticks.jsonl").write_text(text)
    assert read_latencies(tmp_path) == {}
