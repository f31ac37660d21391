# SPDX-License-Identifier: Apache-2.0
"""A learner's further process: it has a copy of the VLA, and computes its share of gradients.

python -m expo_ft_ros.rl.gradient_worker, started by `GradientProcesses` alone. It reads JSON from
stdin, a line each: first what it is (`WorkerSetup`); once its VLA is built, and it has said so,
that all others are (`JOIN`); then, for each gradient, what is asked (`GradientRequest`), for which
weights and windows come over the process group. It ends with stdin, and with its parent.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import torch

from expo_ft_ros.parent_process import die_with_parent
from expo_ft_ros.policies.base import VLA, Stage
from expo_ft_ros.policies.registry import build_policy, config_class
from expo_ft_ros.rl.actor_critic import TrainingDiverged
from expo_ft_ros.rl.rank_exchange import RankExchange, TensorLayout, open_store
from expo_ft_ros.rl.torch_runtime import precision, prepare
from expo_ft_ros.rl.vla_gradient import ImitationBatch, add_vla_gradient, learn_only
from expo_ft_ros.robots import ViewConfig

READY, JOIN = "ready", "join"
"""What it says once its VLA is built, and what it is told once all are."""


@dataclass(frozen=True)
class WorkerSetup:
    """What a further process is.

    Attributes:
        rank: From 1 on.
        count: Processes, the learner's own counted in.
        port: Where they meet, on this machine.
        timeout: After which one that doesn't answer is given up [s].
        device: "cpu", or "cuda": the GPU of its rank.
        threads: Of torch.
        bfloat16: The precision, as in the size.
        at_once: Windows that it computes at a time; 0: all.
        kind: Of the policy.
        folder: In which its config.py lies.
        policy: Its configuration.
        views: Of the robot's cameras, `ViewConfig` each.
    """

    rank: int
    count: int
    port: int
    timeout: float
    device: str
    threads: int
    bfloat16: bool
    at_once: int
    kind: str
    folder: str
    policy: dict[str, Any]
    views: list[dict[str, Any]]

    def line(self) -> str:
        """As it is sent."""
        return json.dumps(asdict(self)) + "\n"

    def build(self) -> VLA:
        """The policy."""
        config = config_class(self.kind, Path(self.folder))
        read = config.model_validate_json(json.dumps(self.policy))
        views = [ViewConfig.model_validate_json(json.dumps(view)) for view in self.views]
        return build_policy(read, views, self.torch_device)

    @property
    def torch_device(self) -> torch.device:
        """Its own."""
        return torch.device("cuda", self.rank) if self.device == "cuda" else torch.device("cpu")


@dataclass(frozen=True)
class GradientRequest:
    """A gradient that is asked for.

    Attributes:
        stage: What learns.
        count: Windows of the whole batch.
        layouts: Of a share of it.
    """

    stage: Stage
    count: int
    layouts: tuple[TensorLayout, ...]

    def line(self) -> str:
        """As it is sent."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def of_line(cls, line: str) -> GradientRequest:
        """Of what `line` gave."""
        read = json.loads(line)
        layouts = [TensorLayout(**{**one, "shape": tuple(one["shape"])}) for one in read["layouts"]]
        return cls(read["stage"], read["count"], tuple(layouts))


class GradientWorker:
    """Answers requests.

    Args:
        setup: What it is.
        vla: Of that setup.
        exchange: With the other processes.
    """

    def __init__(self, setup: WorkerSetup, vla: VLA, exchange: RankExchange) -> None:
        self._setup, self._vla, self._exchange = setup, vla, exchange

    def answer(self, request: GradientRequest) -> None:
        """Takes up weights and a share of the batch, and gives its part of the gradient."""
        # What isn't weights says what they are an update of, which its own is to be held against.
        weights = {
            name: value if value.is_floating_point() else value.clone()
            for name, value in self._vla.weights().items()
        }
        self._exchange.spread(weights.values())
        self._vla.load_weights(weights)
        shares = self._exchange.share(request.layouts)
        learns = learn_only(self._vla, request.stage)
        for parameter in learns.values():
            parameter.grad = None
        device = self._setup.torch_device
        try:
            with precision(device, self._setup.bfloat16):
                loss = add_vla_gradient(
                    self._vla,
                    learns,
                    ImitationBatch.of_tensors(shares),
                    count=request.count,
                    at_once=self._setup.at_once,
                )
        except TrainingDiverged as error:
            # Rank 0 ends it, and has been waiting for this part.
            print(f"learner process {self._setup.rank}: {error}", file=sys.stderr)
            loss = torch.full((), torch.nan, device=device)
        self._exchange.sum_gradients(learns.values())
        self._exchange.gather(loss)


def serve(lines: IO[str], answers: IO[str]) -> None:
    """Is what the first line says, and answers the others until they end."""
    setup = WorkerSetup(**json.loads(lines.readline()))
    if setup.device == "cuda":
        torch.cuda.set_device(setup.torch_device)
    prepare(setup.threads)
    vla = setup.build()
    print(READY, file=answers, flush=True)
    if not lines.readline():
        return
    store = open_store(setup.port, setup.count, setup.timeout)
    exchange = RankExchange(setup.rank, setup.count, store, setup.torch_device, setup.timeout)
    worker = GradientWorker(setup, vla, exchange)
    for line in lines:
        worker.answer(GradientRequest.of_line(line))
    exchange.close()


def main(arguments: Sequence[str] = ()) -> int:
    """Serves on stdin and stdout; returns the exit code."""
    # A Ctrl-C in the terminal is for the learner alone, which ends its processes in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    with os.fdopen(os.dup(1), "w") as answers:
        # What a library prints goes into the log.
        os.dup2(2, 1)
        serve(sys.stdin, answers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
