# SPDX-License-Identifier: Apache-2.0
"""What the learner's processes say to one another over their process group: plain tensors.

Rank 0 has weights, batch and optimiser; the others get weights and a share of the batch, and give a
gradient. All ranks call the same methods in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

import torch
import torch.distributed as dist
from torch import Tensor

_stores: Any = dist  # they have no types

HOST = "127.0.0.1"
_BUCKET = 1 << 26  # numbers that are sent at a time


@dataclass(frozen=True)
class TensorLayout:
    """Of one tensor of a process's share: name, type ("float32") and shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @classmethod
    def of_share(cls, name: str, whole: Tensor, count: int) -> Self:
        """Of one of `count` equal shares of a tensor's rows."""
        dtype = str(whole.dtype).removeprefix("torch.")
        return cls(name, dtype, (len(whole) // count, *whole.shape[1:]))

    def empty(self, device: torch.device) -> Tensor:
        """A tensor like it."""
        return torch.empty(self.shape, dtype=getattr(torch, self.dtype), device=device)


class RankExchange:
    """One process's end of the group.

    Args:
        rank: Of this process.
        count: Of all.
        store: Where they meet.
        device: On which tensors are; GPUs speak by NCCL, else it is gloo.
        timeout: After which a process that doesn't answer is given up [s].
    """

    def __init__(
        self, rank: int, count: int, store: Any, device: torch.device, timeout: float
    ) -> None:
        self._rank, self._count, self._device = rank, count, device
        on_gpu = device.type == "cuda"
        dist.init_process_group(
            "nccl" if on_gpu else "gloo",
            store=store,
            rank=rank,
            world_size=count,
            timeout=timedelta(seconds=timeout),
            device_id=torch.device(device.type, rank) if on_gpu else None,
        )

    @torch.no_grad()
    def spread(self, tensors: Iterable[Tensor]) -> None:
        """Rank 0's values of these tensors, in the others' as well."""
        for bucket in _buckets(tensors):
            flat = torch.cat([tensor.detach().flatten() for tensor in bucket])
            dist.broadcast(flat.view(torch.uint8), 0)
            if self._rank:
                for tensor, part in _parts(bucket, flat):
                    tensor.copy_(part)

    def share(
        self, layouts: Sequence[TensorLayout], whole: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """An equal share of the rows of each of rank 0's tensors.

        Args:
            layouts: Of a share.
            whole: Rank 0's.
        """
        shares: dict[str, Tensor] = {}
        for layout in layouts:
            own = shares[layout.name] = layout.empty(self._device)
            parts = None
            if whole is not None:
                rows = whole[layout.name].detach().contiguous().chunk(self._count)
                parts = [_bytes(part) for part in rows]
            dist.scatter(_bytes(own), parts, 0)
        return shares

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Rank 0's parameters get the sum of all gradients. One that has none there keeps none."""
        for bucket in _buckets(parameters):
            # In float32: what is added up in bfloat16 loses most of a small share.
            gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in bucket]
            flat = torch.cat([gradient.flatten().float() for gradient in gradients])
            dist.reduce(flat, 0)
            for parameter, part in _parts(bucket, flat):
                if self._rank == 0 and parameter.grad is not None:
                    parameter.grad.copy_(part)

    def gather(self, value: Tensor) -> list[float]:
        """Everybody's scalar, by rank; empty but at rank 0."""
        mine = value.detach().float().reshape(1)
        every = None if self._rank else [torch.empty_like(mine) for _ in range(self._count)]
        dist.gather(mine, every, 0)
        return [] if every is None else torch.cat(every).tolist()

    def close(self, *, broken: bool = False) -> None:
        """Leaves the group; broken: what waits in it, waits no more."""
        if not dist.is_initialized():
            return
        if broken and dist.group.WORLD is not None:
            dist.group.WORLD.abort()
        dist.destroy_process_group()


def open_store(port: int, count: int, timeout: float, listener: int | None = None) -> Any:
    """Where processes of this machine meet.

    Args:
        port: Of HOST.
        count: Of processes.
        timeout: For what is looked for there [s].
        listener: Descriptor of a socket that listens at the port, of the process that serves it.
    """
    wait = timedelta(seconds=timeout)
    if listener is None:
        return _stores.TCPStore(HOST, port, count, False, wait)
    return _stores.TCPStore(
        HOST, port, count, True, wait, wait_for_workers=False, master_listen_fd=listener
    )


def _bytes(tensor: Tensor) -> Tensor:
    """The same memory as bytes: of any type, with any backend."""
    return tensor.flatten().view(torch.uint8)


def _buckets(tensors: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """Neighbours of one type, so many that each bucket is sent at once."""
    bucket: list[Tensor] = []
    size = 0
    for tensor in tensors:
        if bucket and (tensor.dtype != bucket[0].dtype or size + tensor.numel() > _BUCKET):
            yield bucket
            bucket, size = [], 0
        bucket.append(tensor)
        size += tensor.numel()
    if bucket:
        yield bucket


def _parts(bucket: Sequence[Tensor], flat: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Each tensor, and its part of them all in a row, in its shape."""
    sizes = [tensor.numel() for tensor in bucket]
    for tensor, part in zip(bucket, torch.split(flat, sizes), strict=True):
        yield tensor, part.view(tensor.shape)
