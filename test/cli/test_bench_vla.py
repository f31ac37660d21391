# SPDX-License-Identifier: Apache-2.0
"""`bench vla`: what a policy does is measured, of one with image features and one without."""

from __future__ import annotations

import json

import pytest

from expo_ft_ros.cli import bench_vla
from expo_ft_ros.policies.registry import FOLDERS_VARIABLE
from support import added_policy


@pytest.mark.parametrize("size", ["small", added_policy.SIZE])
def test_every_part_is_measured(size, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(FOLDERS_VARIABLE, str(added_policy.add(tmp_path / "policies")))
    monkeypatch.setattr(bench_vla, "results_folder", lambda: tmp_path)
    assert bench_vla.main([f"size:={size}", "turns:=2", "change:=threads=1"]) == 0
    (result,) = tmp_path.glob("vla_*.json")
    told = json.loads(result.read_text())
    expected = {"prepare an observation", "prefix"}
    expected |= {"image features"} if size == "small" else set()
    for n in bench_vla.CHUNKS:
        expected |= {f"{n} chunks over one prefix", f"images to {n} chunks"}
        expected |= {f"images to {n} chunks, each from its own images and prefix"}
    assert told["costs"].keys() == expected
    assert all(cost["milliseconds"] > 0 for cost in told["costs"].values())
    work = {name: cost["gflop"] for name, cost in told["costs"].items()}
    parts = ("image features", "prefix", "8 chunks over one prefix")
    assert work["images to 8 chunks"] == pytest.approx(sum(work.get(part, 0) for part in parts))
    apart = work["images to 8 chunks, each from its own images and prefix"]
    assert work["images to 8 chunks"] < apart <= 8 * work["images to 1 chunks"]
    assert all(share > 0 for share in told["shares"].values())
    assert str(result) in capsys.readouterr().out
