# SPDX-License-Identifier: Apache-2.0
"""The scalars that would be sent; sending itself needs the extra."""

import importlib.util

import pytest
from torch.utils.tensorboard import SummaryWriter

from expo_ft_ros.cli import main as cli
from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.report.wandb_sync import scalars, sync
from support.runs import make_run


def test_scalars_are_gathered_by_step_over_all_event_files(tmp_path):
    for start in (0, 200):
        with SummaryWriter(str(tmp_path)) as writer:
            for step in (100, 0):
                writer.add_scalar("critic/q", 0.001 * (start + step), start + step)
            writer.add_scalar("vla/loss", 0.5, start)
    found = scalars(tmp_path)
    assert list(found) == [0, 100, 200, 300]
    assert found[200] == pytest.approx({"critic/q": 0.2, "vla/loss": 0.5})
    assert found[300] == pytest.approx({"critic/q": 0.3})


@pytest.mark.skipif(importlib.util.find_spec("wandb") is not None, reason="wandb is installed")
def test_without_the_extra_its_name_is_told(tmp_path, capsys):
    path = make_run(tmp_path / "a")
    assert cli.main(["report", str(path), "wandb:=p"]) == 2
    assert "expo-ft-ros[wandb]" in capsys.readouterr().err


def test_a_run_without_scalars(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    with pytest.raises(ConfigError, match="no scalars"):
        sync(make_run(tmp_path / "a"), "p")


def test_scalars_are_sent(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    path = make_run(tmp_path / "a")
    with SummaryWriter(str(path / "tensorboard")) as writer:
        writer.add_scalar("critic/q", 0.1, 5)
    assert str(path) in sync(path, "p")
    assert list((path / "wandb").glob("offline-run-*/*.wandb"))
