# SPDX-License-Identifier: Apache-2.0
"""Makes config/demo/cube_pick.safetensors, which `./expo-ft demo` plays, of a checkpoint:

    ./expo-ft python benchmarks/demo_policy.py <checkpoint>.safetensors

In half precision, and only what acts: the VLA once, and the target's critic, by which the agent
chooses, in the place of the other.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

from expo_ft_ros.configuration import config_dir
from expo_ft_ros.rl.checkpoint import load_state, save_state

FILE = config_dir() / "demo" / "cube_pick.safetensors"
_TARGET, _VALUE = "target.", "value."


def halved(value: Any) -> Any:
    """The same state with its floats in half precision."""
    if isinstance(value, torch.Tensor):
        return value.half() if value.is_floating_point() else value
    if isinstance(value, dict):
        return {name: halved(part) for name, part in value.items()}
    return value


def main() -> None:
    """See the module."""
    state = load_state(Path(sys.argv[1]))
    algorithm = halved(state["algorithm"])
    networks = algorithm["networks"]
    for name in [name for name in networks if name.startswith(_TARGET)]:
        networks[_VALUE + name.removeprefix(_TARGET)] = networks[name]
    vla = halved(state["vla"])
    acting = {"vla": vla, "trained_vla": vla, "algorithm": algorithm, "counters": state["counters"]}
    save_state(FILE, acting, version=int(state["counters"]["version"]))
    print(f"{FILE}: {FILE.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
