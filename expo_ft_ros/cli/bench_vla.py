# SPDX-License-Identifier: Apache-2.0
"""`expo-ft bench vla`: what a policy's chunks cost in time, operations and memory, and what it
saves that all chunks of an observation share its images and prefix."""

import json
import time
from collections.abc import Mapping, Sequence
from functools import partial

import torch

from expo_ft_ros.cli.bench_graph import results_folder
from expo_ft_ros.data.types import STATE_DIM
from expo_ft_ros.experiment.arguments import parse_arguments
from expo_ft_ros.experiment.bench_options import VlaOptions
from expo_ft_ros.experiment.changes import parse_changes
from expo_ft_ros.experiment.cost import Cost, CostMeter, report
from expo_ft_ros.experiment.machine import machine
from expo_ft_ros.policies.base import VLA, PolicyInput
from expo_ft_ros.policies.registry import build_policy
from expo_ft_ros.rl.config import AgentConfig, load_preset
from expo_ft_ros.rl.torch_runtime import precision, prepare
from expo_ft_ros.robots import DEFAULT_ROBOT, load_robot
from expo_ft_ros.tasks import load_task

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
    measured = report(bench.costs, bench.shares())
    when = time.strftime("%Y-%m-%d_%H-%M-%S")
    path = results_folder() / f"vla_{config.vla.kind}_{when}.json"
    about = {"vla": config.vla.model_dump(mode="json"), "machine": machine()}
    result = {**options.model_dump(mode="json"), **about, **measured}
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
        self._meter = CostMeter(self._device)

    @torch.inference_mode()
    def turn(self) -> None:
        """Measures everything once: the parts of acting, and the whole of it."""
        vla, measure = self._vla, self._meter.measure
        with precision(self._device, self._config.bfloat16):
            seen = measure("prepare an observation", partial(self._observations, 1))
            if seen.images is not None and vla.feature_shape is not None:
                seen = seen.with_features(
                    measure("image features", partial(vla.image_features, seen.images))
                )
            prefix = measure("prefix", partial(vla.encode, seen))
            for n in CHUNKS:
                noise = torch.randn(1, n, vla.horizon, vla.noise_dim, device=self._device)
                measure(f"{n} chunks over one prefix", partial(vla.denoise, prefix, noise))
                seen, each = self._observations(1), self._observations(n)
                measure(_whole(n), partial(vla.sample, seen, n))
                measure(_apart(n), partial(vla.sample, each, 1))

    def _observations(self, n: int) -> PolicyInput:
        """The observation n times."""
        images = self._images.expand(n, -1, -1, -1, -1)
        return self._vla.prepare([self._instruction] * n, self._state.expand(n, -1), images)

    @property
    def costs(self) -> Mapping[str, Cost]:
        """What was measured, by its name."""
        return self._meter.costs

    def shares(self) -> dict[str, float]:
        """Times of several chunks as shares of others."""
        least = {name: cost.least for name, cost in self.costs.items()}
        one, found = least[_whole(1)], {}
        for n in CHUNKS[1:]:
            found[f"{n} chunks: times one chunk"] = least[_whole(n)] / one
            found[f"{n} chunks apart: times those together"] = least[_apart(n)] / least[_whole(n)]
        return found


def _whole(n: int) -> str:
    return f"images to {n} chunks"


def _apart(n: int) -> str:
    return f"images to {n} chunks, each from its own images and prefix"
