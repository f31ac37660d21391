# SPDX-License-Identifier: Apache-2.0
"""Several processes learn what one learns, and one that is gone or silent is noticed."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.policies.base import VLA
from expo_ft_ros.rl.actor_critic import TrainingDiverged
from expo_ft_ros.rl.agent import Agent
from expo_ft_ros.rl.config import AgentConfig, load_preset
from expo_ft_ros.rl.gradient_processes import GradientProcesses, ProcessLost, require_processes
from expo_ft_ros.rl.vla_gradient import ImitationBatch
from expo_ft_ros.robots import load_robot
from expo_ft_ros.tasks import load_task
from support import added_policy
from support.agents import EPISODES, PLAIN, ROBOT_VIEWS, go_on, make_agent, weights_of
from support.agents import SIZE as IMAGE
from support.processes import is_alive

COUNT = 2
NEAR = 1e-5

FLOW: dict[str, Any] = {
    "vla_encoder_every": 1,
    "vla_micro_batch": 3,
    "vla_weighting": "q_advantage",
    "target_vla": "polyak",
    "vla_state_noise": 0.1,
    "imitation": make_agent().config.imitation.model_copy(
        update={"steps": 5, "batch": 8, "ema": 0.9, "state_noise": 0.1}
    ),
}
PI05 = {"vla.euler_steps": "2", "vla.image_size": "28"}
SMALL = {
    **PLAIN,
    "minimum_of": "2",
    "image_size": str(IMAGE),
    "imitation.batch": "4",
    "imitation.steps": "4",
    "warmup_episodes": "0",
    "warmup_updates": "1",
    "critic_steps_per_update": "1",
    "batch": "4",
    "candidates": "2",
    "vla.horizon": "10",
    "threads": "1",
}


@dataclass
class Learners:
    """Agents that are made alike, and processes that any of them may have."""

    policy: str
    folder: Path
    started: list[GradientProcesses] = field(default_factory=list)

    def make(self, *, shares: bool = False) -> Agent:
        if self.policy == "flow_vla":
            agent = make_agent(**FLOW)
        else:
            config = load_preset(size=str(self.size), changes=self.changes)
            agent = Agent(load_task("cube_pick"), config, load_robot("sim").views, 0)
        if shares:
            if not self.started:
                self.started.append(begun(agent.config))
            agent.vla_trainer.processes = self.started[0]
        return agent

    @property
    def size(self) -> str | Path:
        if self.policy != added_policy.KIND:
            return "pi05_tiny"
        # It lies beside its size, and nothing else names it.
        return self.folder / added_policy.KIND / f"{added_policy.SIZE}.yaml"

    @property
    def changes(self) -> dict[str, str]:
        if self.policy == added_policy.KIND:
            return SMALL
        return {**SMALL, **PI05, **({"vla.lora": "null"} if self.policy == "pi05_full" else {})}


def begun(config: AgentConfig, **more: Any) -> GradientProcesses:
    processes = GradientProcesses(config, ROBOT_VIEWS, COUNT, **more)
    processes.join()
    return processes


@pytest.fixture(params=["flow_vla", added_policy.KIND, "pi05", "pi05_full"])
def learners(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Learners]:
    made = Learners(request.param, added_policy.add(tmp_path / "policies"))
    yield made
    for one in made.started:
        one.close()


@pytest.fixture
def processes(request: pytest.FixtureRequest) -> Iterator[GradientProcesses]:
    made = begun(make_agent().config, **getattr(request, "param", {}))
    yield made
    made.close(broken=True)


def practise(agent: Agent) -> list[float]:
    """Imitates and updates; returns the losses of each step."""
    losses: list[float] = []

    def told(share: float, metrics: dict[str, float]) -> bool:
        losses.append(metrics.get("vla/loss", 0.0))
        return True

    agent.add_episode(EPISODES[0])
    agent.imitate(told)
    for episode in EPISODES[1:3]:
        agent.add_episode(episode)
    agent.update(told)
    return losses


def windows() -> ImitationBatch:
    """Four of random numbers."""
    vla = make_agent().vla
    inputs = vla.prepare(["pick"] * 4, torch.randn(4, 10), torch.rand(4, 2, 3, IMAGE, IMAGE))
    return ImitationBatch(inputs, torch.randn(4, vla.horizon, 7))


def repeat_gradient(processes: GradientProcesses, vla: VLA) -> Iterator[float]:
    for _ in range(1000):
        yield processes.add_gradient(vla, "sft", windows())


def require_near(one: Agent, other: Agent) -> None:
    """Alike but for rounding, which Adam blows up to a part of a step where a gradient is nearly
    nothing."""
    assert one.vla_trainer.updates == other.vla_trainer.updates > 0
    for network, vla in one.vla_trainer.networks.items():
        expected = other.vla_trainer.networks[network].weights()
        for name, value in vla.weights().items():
            apart = (value.float() - expected[name].float()).abs()
            assert apart.max() < 1e-4, (network, name)
            assert (apart > NEAR).float().mean() < 2e-3, (network, name)
    expected = weights_of(other)
    for name, value in weights_of(one).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-4, msg=name)


@pytest.mark.process
@pytest.mark.slow
def test_two_processes_learn_what_one_does_and_either_goes_on_from_the_other(learners, tmp_path):
    alone = learners.make()
    losses = practise(alone)
    assert len(set(losses)) > 4
    shared = learners.make(shares=True)
    torch.testing.assert_close(practise(shared), losses, rtol=NEAR, atol=NEAR)
    require_near(shared, alone)
    for first, second in ((shared, learners.make()), (alone, learners.make(shares=True))):
        path = tmp_path / "state.safetensors"
        first.save(path)
        second.load(path)
        for episode in EPISODES[:3]:
            second.add_episode(episode)
        second.restore_caches()
        drawn = torch.get_rng_state()
        for agent in (first, second):
            torch.set_rng_state(drawn)
            agent.add_episode(EPISODES[3])
            agent.update(go_on)
        require_near(second, first)


@pytest.mark.process
@pytest.mark.slow
def test_a_loss_that_is_not_finite_is_told_and_the_others_go_on(processes):
    vla, batch = make_agent().vla, windows()
    broken = batch.chunks.clone()
    broken[-1] = torch.nan  # Of the last one's share.
    with pytest.raises(TrainingDiverged, match=r"vla loss is nan \(in the part of rank 1"):
        processes.add_gradient(vla, "sft", replace(batch, chunks=broken))
    broken = batch.chunks.clone()
    broken[0] = torch.nan
    with pytest.raises(TrainingDiverged, match="values of actions are not finite"):
        processes.add_gradient(vla, "sft", replace(batch, chunks=broken))
    assert processes.add_gradient(vla, "sft", batch) > 0
    (three, *_) = batch.parts(3)
    with pytest.raises(ValueError, match="3 windows can't be shared out among 2 processes"):
        processes.add_gradient(vla, "sft", three)


@pytest.mark.process
@pytest.mark.slow
def test_one_whose_base_checkpoint_is_another_gives_no_gradient(tmp_path):
    learners = Learners("pi05", tmp_path)
    agent = learners.make(shares=True)
    agent.vla.base[0] ^= 1
    try:
        with pytest.raises(ProcessLost, match=r"rank 1 .* ended with 1"):
            practise(agent)
    finally:
        learners.started[0].close(broken=True)


@pytest.mark.process
@pytest.mark.slow
def test_one_that_was_killed_is_named(processes):
    vla, (pid,) = make_agent().vla, processes.pids.values()
    processes.add_gradient(vla, "sft", windows())
    processes.require_alive()
    os.kill(pid, signal.SIGKILL)
    # It isn't gone at once.
    with pytest.raises(ProcessLost, match=rf"rank 1 \(process {pid}\) was killed by SIGKILL"):
        deque(repeat_gradient(processes, vla), maxlen=0)


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.parametrize("processes", [{"timeout": 8.0}], indirect=True)
def test_one_that_hangs_is_given_up_and_ended(processes):
    vla, (pid,) = make_agent().vla, processes.pids.values()
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(ProcessLost, match=r"don't answer \(they have up to 8 s\)"):
        processes.add_gradient(vla, "sft", windows())
    assert not is_alive(pid)
    with pytest.raises(ProcessLost, match="have been ended"):
        processes.add_gradient(vla, "sft", windows())


@pytest.mark.process
@pytest.mark.slow
def test_an_end_in_the_middle_of_a_step_is_told_as_that(monkeypatch):
    vla, batch = make_agent().vla, windows()
    processes = begun(make_agent().config)
    drawn = type(vla).loss_draws

    def ends(self: VLA, chunks: torch.Tensor) -> Any:
        processes.close(broken=True)
        return drawn(self, chunks)

    monkeypatch.setattr(type(vla), "loss_draws", ends)
    with pytest.raises(ProcessLost, match="ended meanwhile"):
        processes.add_gradient(vla, "sft", batch)


@pytest.mark.process
def test_who_waits_for_one_that_hangs_can_be_freed(processes):
    vla, (pid,) = make_agent().vla, processes.pids.values()
    os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(processes.add_gradient, vla, "sft", windows())
        processes.close(broken=True)
        with pytest.raises(ProcessLost):
            waiting.result(timeout=30)


@pytest.mark.process
@pytest.mark.slow
def test_none_outlives_a_learner_that_is_killed():
    program = """
import sys
from expo_ft_ros.rl.config import load_preset
from expo_ft_ros.rl.gradient_processes import GradientProcesses
from expo_ft_ros.rl.vla_gradient import ImitationBatch
from expo_ft_ros.robots import load_robot
processes = GradientProcesses(load_preset(), load_robot("sim").views, 2)
processes.join()
print(*processes.pids.values(), flush=True)
sys.stdin.readline()
"""
    learner = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with learner:
        other = os.pidfd_open(int(learner.stdout.readline()))
        learner.kill()
        try:
            assert select.select([other], [], [], 30)[0], "it lives on"
        finally:
            os.close(other)


@pytest.mark.process
@pytest.mark.slow
def test_one_that_cannot_build_its_policy_is_named():
    config = make_agent().config
    nowhere = config.vla.model_copy(update={"width": -1})
    processes = GradientProcesses(config.model_copy(update={"vla": nowhere}), ROBOT_VIEWS, COUNT)
    with pytest.raises(ProcessLost, match=r"rank 1 .* ended with 1 while it was needed"):
        processes.join()


@pytest.mark.parametrize(
    ("changes", "count", "said"),
    [
        ({}, 5, "learner_processes:=5: imitation.batch 64 .* (take 1, 2, 4, 8, 16, 32, 64"),
        ({"imitation.batch": "9", "batch": "9"}, 2, "imitation.batch 9 .* (take 1, 3, 9, or"),
        ({"batch": "32"}, 64, "learner_processes:=64: batch 32 .* (take 1, 2, 4, 8, 16, 32, or"),
        ({"vla_encoder_every": "1", "vla_encoder_batch": "3"}, 2, "vla_encoder_batch 3 "),
    ],
)
def test_a_batch_that_cannot_be_shared_out_is_refused(changes, count, said):
    with pytest.raises(ConfigError, match=said.replace("(", r"\(")):
        require_processes(load_preset(changes=changes), count)
    require_processes(load_preset(changes=changes), 1)


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    require_processes(load_preset(), 2)
    with pytest.raises(ConfigError, match=r"processes:=4: each needs a GPU .* sees 2 here \(take"):
        require_processes(load_preset(), 4)


def test_without_torch_distributed_only_several_are_refused(monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_available", lambda: False)
    require_processes(load_preset(), 1)
    with pytest.raises(ConfigError, match=r"processes:=2: torch .* has no torch.distributed"):
        require_processes(load_preset(), 2)
