# SPDX-License-Identifier: Apache-2.0
"""The scalars that would be sent; sending itself needs the extra."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import pytest
from torch.utils.tensorboard import SummaryWriter

from expo_ft_ros.cli import main as cli
from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.report.scalar_log import ScalarLog
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


class FakeWandb(ModuleType):
    """What is used of wandb; writes down what it is told."""

    class Error(Exception):
        """Of wandb."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.__spec__ = ModuleSpec("wandb", None)
        self.begun: list[dict[str, Any]] = []
        self.axes: dict[str, str] = {}
        self.rows: list[dict[str, float]] = []
        self.finished = 0
        self.refuses = ""
        self.url, self.dir = "https://wandb.ai/p", "/nowhere"

    def init(self, **given: Any) -> FakeWandb:
        if self.refuses:
            raise self.Error(self.refuses)
        self.begun.append(given)
        return self

    def define_metric(self, name: str, step_metric: str) -> None:
        self.axes[name] = step_metric

    def log(self, row: dict[str, float]) -> None:
        self.rows.append(row)

    def finish(self) -> None:
        self.finished += 1


@pytest.fixture
def wandb(monkeypatch) -> FakeWandb:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    return fake


def test_while_a_run_goes_on_tensorboard_and_wandb_are_told_the_same(tmp_path, wandb):
    path = make_run(tmp_path / "a")
    log = ScalarLog(path)
    assert log.open_wandb("p") == wandb.url
    log.write({"rl/success_rate": 0.5, "rl/episode_seconds": 6.0}, 12)
    log.write({"critic/q": 0.25, "vla/loss": 1.5}, 400)
    assert wandb.begun[0]["project"] == "p"
    assert wandb.begun[0]["name"] == "a"
    assert wandb.rows == [
        {"rl/success_rate": 0.5, "rl/episode_seconds": 6.0, "episode": 12},
        {"critic/q": 0.25, "vla/loss": 1.5, "critic_updates": 400},
    ]
    assert wandb.axes["rl/*"] == wandb.axes["eval_after/*"] == "episode"
    assert wandb.axes["*"] == "critic_updates"
    # At once, not at the end.
    assert scalars(path / "tensorboard") == {
        12: {"rl/success_rate": 0.5, "rl/episode_seconds": 6.0},
        400: {"critic/q": 0.25, "vla/loss": 1.5},
    }
    log.close()
    assert wandb.finished == 1


def test_what_is_sent_afterwards_has_the_same_axes(tmp_path, wandb, capsys):
    path = make_run(tmp_path / "a")
    log = ScalarLog(path)
    log.write({"rl/success_rate": 0.5}, 7)
    log.write({"critic/q": 0.25}, 7)
    log.close()
    assert not wandb.begun, "nobody has asked for it"
    assert cli.main(["report", str(path), "wandb:=mine"]) == 0
    assert f"W&B: {wandb.url}" in capsys.readouterr().out
    assert {"rl/success_rate": 0.5, "episode": 7} in wandb.rows
    assert {"critic/q": 0.25, "critic_updates": 7} in wandb.rows
    assert wandb.finished == 1


def test_a_refusal_is_told_with_a_way_out(tmp_path, wandb):
    wandb.refuses = "no API key"
    with pytest.raises(ConfigError, match=r"no API key \(WANDB_MODE=offline needs no account\)"):
        ScalarLog(make_run(tmp_path / "a")).open_wandb("p")


@pytest.mark.skipif(importlib.util.find_spec("wandb") is not None, reason="wandb is installed")
def test_a_training_that_could_not_send_is_refused_before_it_starts(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path))
    assert cli.main(["train", "wandb:=p"]) == 2
    assert "wandb:=p: wandb is not installed (pip install" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


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
