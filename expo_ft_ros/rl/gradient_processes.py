# SPDX-License-Identifier: Apache-2.0
"""More processes for the learner's dearest work: the gradient of the VLA's own loss.

The learner stays what it is, and is rank 0: it alone has replay, optimiser, averages, checkpoints
and all that is random. For each gradient the others get its weights and an equal share of its
batch, and it gets the sum of their gradients; so they never drift apart, a checkpoint is of no
number of processes, and what is learned is what one process would learn, to rounding.
"""

from __future__ import annotations

import inspect
import logging
import math
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

import torch
import torch.distributed

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.parent_process import PARENT_PID_VARIABLE
from expo_ft_ros.policies.base import VLA, Stage
from expo_ft_ros.rl import gradient_worker
from expo_ft_ros.rl.actor_critic import TrainingDiverged, diverged
from expo_ft_ros.rl.config import AgentConfig
from expo_ft_ros.rl.gradient_worker import JOIN, READY, GradientRequest, WorkerSetup
from expo_ft_ros.rl.rank_exchange import HOST, RankExchange, TensorLayout, open_store
from expo_ft_ros.rl.vla_gradient import VLA_LOSS, ImitationBatch, add_vla_gradient
from expo_ft_ros.robots import ViewConfig

_log = logging.getLogger(__name__)

OPTION = "learner_processes"
TIMEOUT = 120.0
"""After which a process that doesn't answer is given up [s]: many times what a step takes."""
_START = 900.0  # for a policy to be built, of a checkpoint on a slow disk, say [s]
_GRACE = 5.0  # between the end of its work and SIGKILL [s]
_DEATH = 2.0  # between a connection that breaks and the end of the process at its other end [s]


class ProcessLost(RuntimeError):
    """One of the learner's further processes has ended, or answers no more."""


def require_processes(config: AgentConfig, count: int) -> None:
    """Checks that a learner can have so many processes here.

    Raises:
        ConfigError: naming what is in the way, and what to do.
    """
    if count == 1:
        return
    batches = {"imitation.batch": config.imitation.batch, "batch": config.batch}
    if config.vla_encoder_every:
        batches["vla_encoder_batch"] = config.vla_encoder_batch
    possible = [n for n in range(1, 65) if math.gcd(*batches.values()) % n == 0]
    for name, size in batches.items():
        if size % count:
            raise ConfigError(
                f"{OPTION}:={count}: {name} {size} of size and preset can't be shared out evenly "
                f"(take {', '.join(map(str, possible))}, or change {name})"
            )
    if not torch.distributed.is_available():
        raise ConfigError(
            f"{OPTION}:={count}: torch {torch.__version__} has no torch.distributed here (install "
            f"one that has it, or leave {OPTION} out)"
        )
    if torch.cuda.is_available() and torch.cuda.device_count() < count:
        raise ConfigError(
            f"{OPTION}:={count}: each needs a GPU of its own, and torch sees "
            f"{torch.cuda.device_count()} here (take as many, or look at CUDA_VISIBLE_DEVICES)"
        )


_ENDED = "the learner's further processes have been ended meanwhile"


class GradientProcesses:
    """The learner's further processes: they are started at once, and built meanwhile. Make it in
    the thread that lives as long as they are to.

    Args:
        config: Of the agent.
        views: The robot's cameras, as the agent has them.
        count: Processes, this one counted in; two or more.
        timeout: After which one that doesn't answer is given up [s].

    Raises:
        ConfigError: see `require_processes`.
        ProcessLost: when one ends at once.
    """

    def __init__(
        self,
        config: AgentConfig,
        views: Sequence[ViewConfig],
        count: int,
        timeout: float = TIMEOUT,
    ) -> None:
        require_processes(config, count)
        self.count, self._timeout, self._at_once = count, timeout, config.vla_micro_batch
        self._device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
        self._exchange: RankExchange | None = None
        self._closing = threading.Lock()
        # Nobody else on the network is to find their ports, and a GPU's exchange is waited for as
        # gloo's is: by default torch ends the process whose exchange takes too long.
        os.environ |= {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
        os.environ.setdefault("TORCH_NCCL_BLOCKING_WAIT", "1")
        listener = socket.create_server((HOST, 0))
        port = listener.getsockname()[1]
        self._store = open_store(port, count, timeout, listener.detach())
        on_gpu = self._device.type == "cuda"
        setup = {
            "count": count,
            "port": port,
            "timeout": timeout,
            "device": self._device.type,
            "threads": config.threads if on_gpu else max(1, config.threads // count),
            "bfloat16": config.bfloat16,
            "at_once": config.vla_micro_batch,
            "kind": config.vla.kind,
            "folder": str(Path(inspect.getfile(type(config.vla))).parent),
            "policy": config.vla.model_dump(mode="json"),
            "views": [view.model_dump(mode="json") for view in views],
        }
        self._children: dict[int, subprocess.Popen[str]] = {}
        try:
            for rank in range(1, count):
                child = self._children[rank] = _start()
                with self._all_needed():
                    self._tell(child, WorkerSetup(rank=rank, **setup).line())
        except BaseException:
            self.close()
            raise

    @property
    def pids(self) -> dict[int, int]:
        """Rank -> process id of those that were started."""
        return {rank: child.pid for rank, child in self._children.items()}

    def join(self) -> None:
        """Waits until each has built its policy, and meets them.

        Raises:
            ProcessLost: when one can't.
        """
        deadline = time.monotonic() + _START
        try:
            for rank, child in self._children.items():
                self._await_ready(rank, child, deadline)
            with self._all_needed():
                for child in self._children.values():
                    self._tell(child, f"{JOIN}\n")
                self._exchange = RankExchange(
                    0, self.count, self._store, self._device, self._timeout
                )
        except BaseException:
            self.close()
            raise
        _log.info(
            "the VLA's gradient is computed by %d processes, on %s each: this one and %s",
            self.count,
            "a GPU" if self._device.type == "cuda" else "the CPU",
            ", ".join(map(str, self.pids.values())),
        )

    def require_alive(self) -> None:
        """Raises ProcessLost when one has ended."""
        for rank, child in self._children.items():
            code = child.poll()
            if code is not None:
                how = f"ended with {code}" if code >= 0 else f"was killed by {_signal(-code)}"
                raise ProcessLost(
                    f"the learner's process of rank {rank} (process {child.pid}) {how} while it "
                    f"was needed (its last words, if any, are in this log; go on by resume:=, with "
                    f"{OPTION}:=1 where it happens again)"
                )

    def add_gradient(self, vla: VLA, stage: Stage, batch: ImitationBatch) -> float:
        """Adds the gradient of the mean of the windows' losses to what the VLA's parameters have.

        Args:
            vla: Whose weights all take up first.
            stage: What learns.
            batch: Its windows can be shared out evenly.

        Returns:
            The loss.

        Raises:
            TrainingDiverged: where it isn't finite.
            ProcessLost: when one has ended, or doesn't answer; all of them are ended then.
            ValueError: for windows that can't be shared out.
        """
        if len(batch) % self.count:
            raise ValueError(
                f"{len(batch)} windows can't be shared out among {self.count} processes evenly "
                "(take a multiple)"
            )
        self.require_alive()
        exchange = self._exchange
        if exchange is None:
            raise ProcessLost("the learner's further processes have been ended (start it again)")
        try:
            return self._add_gradient(exchange, vla, stage, batch)
        except TrainingDiverged:
            raise
        except BaseException:
            # In the middle of an exchange nobody knows what the others wait for.
            self.close(broken=True)
            raise

    def _add_gradient(
        self, exchange: RankExchange, vla: VLA, stage: Stage, batch: ImitationBatch
    ) -> float:
        learns, whole = vla.trainable(stage), batch.with_draws(vla, self._at_once).tensors()
        layouts = [TensorLayout.of_share(name, whole[name], self.count) for name in whole]
        line = GradientRequest(stage, len(batch), tuple(layouts)).line()
        failure: TrainingDiverged | None = None
        with self._all_needed():
            for child in self._children.values():
                self._tell(child, line)
            exchange.spread(vla.weights().values())
            own = ImitationBatch.of_tensors(exchange.share(layouts, whole))
        try:
            loss = add_vla_gradient(vla, learns, own, count=len(batch), at_once=self._at_once)
        except TrainingDiverged as error:
            failure, loss = error, torch.full((), torch.nan, device=self._device)
        with self._all_needed():
            exchange.sum_gradients(learns.values())
            losses = exchange.gather(loss)
        if self._exchange is not exchange:
            # On a GPU an exchange that was broken off ends like any other, with nothing in it.
            raise ProcessLost(_ENDED)
        if failure is not None:
            raise failure
        for rank, one in enumerate(losses):
            if not math.isfinite(one):
                raise diverged(VLA_LOSS, one, f"in the part of rank {rank}, see above")
        return math.fsum(losses)

    def close(self, *, broken: bool = False) -> None:
        """Ends them; broken: at once, also where another thread waits for them."""
        with self._closing:
            children, self._children = self._children, {}
            exchange, self._exchange = self._exchange, None
        for child in children.values():
            if broken:
                child.kill()
            with suppress(OSError):
                _stream(child.stdin).close()
        if exchange is not None:
            exchange.close(broken=broken)
        for child in children.values():
            with suppress(subprocess.TimeoutExpired):
                child.wait(_GRACE)
            child.kill()
            child.wait()
            _stream(child.stdout).close()

    @contextmanager
    def _all_needed(self) -> Iterator[None]:
        """What fails here fails for a process that is gone or silent: says which."""
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, OSError, ValueError) as error:
            if not self._children:
                raise ProcessLost(_ENDED) from error
            self._await_death()
            self.require_alive()
            raise ProcessLost(
                f"the learner's further processes don't answer (they have up to "
                f"{self._timeout:g} s): {' '.join(str(error).split())}"
            ) from error

    def _await_death(self) -> None:
        """Waits a little until one of them has ended: a connection breaks before that."""
        with ExitStack() as stack:
            descriptors = []
            # One that was reaped meanwhile is the one.
            with suppress(ProcessLookupError):
                for child in self._children.values():
                    descriptors.append(os.pidfd_open(child.pid))
                    stack.callback(os.close, descriptors[-1])
                select.select(descriptors, [], [], _DEATH)

    def _await_ready(self, rank: int, child: subprocess.Popen[str], deadline: float) -> None:
        answers = _stream(child.stdout)
        there = select.select([answers], [], [], max(0.0, deadline - time.monotonic()))[0]
        if there and answers.readline().strip() == READY:
            return
        if there:
            self._await_death()
        self.require_alive()
        raise ProcessLost(f"the learner's process of rank {rank} wasn't ready within {_START:g} s")

    @staticmethod
    def _tell(child: subprocess.Popen[str], line: str) -> None:
        stream = _stream(child.stdin)
        stream.write(line)
        stream.flush()


def _start() -> subprocess.Popen[str]:
    """One of them, which dies with this process, and with this thread."""
    return subprocess.Popen(
        [sys.executable, "-m", gradient_worker.__name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, PARENT_PID_VARIABLE: str(os.getpid())},
    )


def _stream(stream: IO[str] | None) -> IO[str]:
    """A pipe of Popen's, which has one."""
    if stream is None:
        raise ValueError("the process was started without a pipe")
    return stream


def _signal(number: int) -> str:
    return signal.Signals(number).name
