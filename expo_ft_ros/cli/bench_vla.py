# SPDX-License-Identifier: Apache-2.0
"""`expo-ft bench vla`: milliseconds of what a policy does with an observation, and what it saves
that all chunks of one share a prefix."""

import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from expo_ft_ros.cli.bench_graph import results_folder
from expo_ft_ros.data.types import STATE_DIM
from expo_ft_ros.experiment.arguments import parse_arguments
from expo_ft_ros.experiment.bench_options import VlaOptions
from expo_ft_ros.experiment.changes import parse_changes
from expo_ft_ros.experiment.machine import machine
from expo_ft_ros.policies.base import VLA, PolicyInput
from expo_ft_ros.policies.registry import build_policy
from expo_ft_ros.rl.config import AgentConfig, load_preset
from expo_ft_ros.rl.torch_runtime import precision, prepare
from expo_ft_ros.robots import DEFAULT_ROBOT, load_robot
from expo_ft_ros.tasks import load_task

T = TypeVar("T")

CHUNKS = (1, 8, 16)
"""How many are drawn for an observation."""


def main(words: Sequence[str]) -> int:
    """Measures the policy of a size; returns the exit code.

    Raises:
        ConfigError: for wrong arguments, or a policy whose files aren't there.
    """
    options = parse_arguments(words, VlaOptions)
    config = load_preset(options.preset, options.size, parse_changes(options.change))
    bench = VlaBench(config, load_task(options.task).instruction)
    for _ in range(options.turns + 1):
        bench.turn()
    medians = bench.medians()
    for name, value in medians.items():
        print(f"  {name}: {value:.1f} ms")
    when = time.strftime("%Y-%m-%d_%H-%M-%S")
    path = results_folder() / f"vla_{config.vla.kind}_{when}.json"
    about = {"vla": config.vla.model_dump(mode="json"), "machine": machine()}
    result = {**options.model_dump(mode="json"), **about, "milliseconds": medians}
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"written to {path}")
    return 0


class VlaBench:
    """A policy with one observation of random images.

    Args:
        config: Of the agent whose policy it is.
        instruction: What it is told.
    """

    def __init__(self, config: AgentConfig, instruction: str) -> None:
        self._config = config
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(0)
        prepare(config.threads)
        views = load_robot(DEFAULT_ROBOT).views
        self._vla: VLA = build_policy(config.vla, views, self._device)
        self._instruction = instruction
        size = config.image_size
        self._images = torch.rand(1, len(views), 3, size, size, device=self._device)
        self._state = torch.zeros(1, STATE_DIM, device=self._device)
        self._found: dict[str, list[float]] = {}

    @torch.inference_mode()
    def turn(self) -> None:
        """Measures everything once."""
        vla = self._vla
        with precision(self._device, self._config.bfloat16):
            seen = self._time("prepare an observation", partial(self._observations, 1))
            if seen.images is not None and vla.feature_shape is not None:
                self._time("image features", partial(vla.image_features, seen.images))
            seen = self._with_features(seen)
            prefix = self._time("prefix", partial(vla.encode, seen))
            for n in CHUNKS:
                noise = torch.randn(n, vla.horizon, vla.noise_dim, device=self._device)
                self._time(f"{n} chunks over one prefix", partial(vla.denoise, prefix, noise[None]))
                each = self._with_features(self._observations(n))
                apart = partial(self._drawn_apart, each, noise[:, None])
                self._time(f"{n} chunks, a prefix for each", apart)

    def _observations(self, n: int) -> PolicyInput:
        """The observation n times."""
        images = self._images.expand(n, -1, -1, -1, -1)
        return self._vla.prepare([self._instruction] * n, self._state.expand(n, -1), images)

    def _with_features(self, seen: PolicyInput) -> PolicyInput:
        if seen.images is None or self._vla.feature_shape is None:
            return seen
        return seen.with_features(self._vla.image_features(seen.images))

    def _drawn_apart(self, seen: PolicyInput, noise: Tensor) -> Tensor:
        return self._vla.denoise(self._vla.encode(seen), noise)

    def medians(self) -> dict[str, float]:
        """What was measured -> its median [ms]; the first turn, which is slow, isn't counted."""
        return {name: float(np.median(values[1:])) for name, values in self._found.items()}

    def _finish(self) -> None:
        """Waits for what a GPU still computes."""
        if self._device.type == "cuda":
            torch.cuda.synchronize()

    def _time(self, name: str, work: Callable[[], T]) -> T:
        self._finish()
        started = time.perf_counter()
        made = work()
        self._finish()
        self._found.setdefault(name, []).append(1e3 * (time.perf_counter() - started))
        return made
