# SPDX-License-Identifier: Apache-2.0
"""What torch needs of a process before it learns there, and the precision it computes in."""

from __future__ import annotations

import ctypes

import torch

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_KEPT = 1 << 30  # freed memory that the process keeps [bytes]
_LARGEST = 32 << 20  # block that doesn't come from the kernel each time; glibc's maximum [bytes]


def prepare(threads: int) -> None:
    """Sets torch's threads, and has glibc keep the memory that tensors free.

    By default it returns blocks of some megabytes to the kernel and faults them in anew for the
    next tensor: a third of a TD target's time (docs/performance.md). Does nothing to another libc.
    """
    torch.set_num_threads(threads)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST)
        mallopt(_TRIM_THRESHOLD, _KEPT)


def precision(device: torch.device, bfloat16: bool) -> torch.autocast:
    """In which networks are called: an autocast to bfloat16 on a GPU, where that is wanted."""
    # No cache: what it keeps of a step without gradients would give the next one none.
    return torch.autocast(
        device.type, torch.bfloat16, enabled=bfloat16 and device.type == "cuda", cache_enabled=False
    )
