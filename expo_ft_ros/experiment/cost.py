# SPDX-License-Identifier: Apache-2.0
"""What a piece of work costs: time, operations and memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch.utils import flop_counter

T = TypeVar("T")
Shape = Sequence[int]

_counts: Any = flop_counter  # its functions have no types
_PROCESS = Path("/proc/self")
_RESET_PEAK = "5"  # proc(5), clear_refs: of the resident memory


def _attention(query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    return int(_counts.sdpa_flop_count(query, key, value))


def _attention_backward(
    out: Shape, query: Shape, key: Shape, value: Shape, *_: Any, **__: Any
) -> int:
    return int(_counts.sdpa_backward_flop_count(out, query, key, value))


# Torch's counter has attention on GPUs only.
_ATTENTION_ON_CPU = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}


@dataclass
class Cost:
    """Of a piece of work.

    Attributes:
        milliseconds: Of each time that it was measured: on a GPU until it has finished, by the
            wall; on the CPU the processor time of all threads, in which other work on the machine
            counts only by the caches that it takes.
        gflop: 10^9 floating-point operations of matrix products, convolutions and attention.
        peak_mb: Most memory meanwhile [10^6 bytes]: tensors on a GPU; on the CPU all that is the
            process's, what it had before counted in.
    """

    gflop: float
    peak_mb: float
    milliseconds: list[float] = field(default_factory=list)

    @property
    def least(self) -> float:
        """Milliseconds of the quickest time; nan before there is one."""
        return min(self.milliseconds, default=float("nan"))

    def __str__(self) -> str:
        return f"{self.least:.1f} ms, {self.gflop:.3g} GFLOP, peak memory {self.peak_mb:,.0f} MB"

    def numbers(self) -> dict[str, float]:
        """For a result's file."""
        return {
            "milliseconds": self.least,
            "times": len(self.milliseconds),
            "gflop": self.gflop,
            "peak_mb": self.peak_mb,
        }


def report(costs: Mapping[str, Cost], shares: Mapping[str, float]) -> dict[str, Any]:
    """Prints costs, and times as shares of others, by their names; gives them for a result's
    file."""
    for name, cost in costs.items():
        print(f"  {name}: {cost}")
    for name, share in shares.items():
        print(f"  {name}: {share:.2f}")
    return {"costs": {name: cost.numbers() for name, cost in costs.items()}, "shares": dict(shares)}


class CostMeter:
    """Measures pieces of work by their names.

    Args:
        device: On which they compute.
    """

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self.costs: dict[str, Cost] = {}
        """What was measured, by its name, in the order of its first time."""

    def measure(self, name: str, work: Callable[[], T]) -> T:
        """Does the work and gives what it gives; the first time, which is slow anyway, its
        operations and memory are counted, every other time it is timed."""
        if name not in self.costs:
            return self._counted(name, work)
        started = self._now()
        made = work()
        self.costs[name].milliseconds.append(1e3 * (self._now() - started))
        return made

    def _counted(self, name: str, work: Callable[[], T]) -> T:
        self._reset_peak()
        with flop_counter.FlopCounterMode(
            display=False, custom_mapping=_ATTENTION_ON_CPU
        ) as counter:
            made = work()
        self.costs[name] = Cost(counter.get_total_flops() / 1e9, self._peak() / 1e6)
        return made

    def _now(self) -> float:
        if not self._on_gpu:
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    def _reset_peak(self) -> None:
        if self._on_gpu:
            torch.cuda.reset_peak_memory_stats()
        else:
            (_PROCESS / "clear_refs").write_text(_RESET_PEAK)

    def _peak(self) -> float:
        if self._on_gpu:
            return float(torch.cuda.max_memory_allocated())
        (line,) = (
            line
            for line in (_PROCESS / "status").read_text().splitlines()
            if line.startswith("VmHWM:")
        )
        return 1024 * float(line.split()[1])
