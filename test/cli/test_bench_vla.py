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
    found = json.loads(result.read_text())["milliseconds"]
    expected = {"prepare an observation", "prefix"}
    expected |= {"image features"} if size == "small" else set()
    for n in bench_vla.CHUNKS:
        expected |= {f"{n} chunks over one prefix", f"{n} chunks, a prefix for each"}
    assert found.keys() == expected
    assert all(value > 0 for value in found.values())
    assert str(result) in capsys.readouterr().out
