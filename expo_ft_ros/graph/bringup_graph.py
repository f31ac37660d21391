# SPDX-License-Identifier: Apache-2.0
"""The graph of `expo-ft bringup`: that of `expo-ft sim`, whose device is the guide.

So its commands go the way of everybody else's: teleop, arbitration with its safety filter,
deadlines and heartbeats, adapter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from expo_ft_ros.experiment.bringup_options import BringupOptions
from expo_ft_ros.experiment.brought_up import RECORD_FILE
from expo_ft_ros.experiment.motion import target_of
from expo_ft_ros.graph.node_spec import SHUTDOWN_SESSION, NodeSpec, Parameter
from expo_ft_ros.graph.specs import NODE_PACKAGE, sim_graph
from expo_ft_ros.robots import load_robot

GUIDE = "bringup"
"""The guide's node, and what teleop calls its device."""

_STEPS = 100_000
"""Of the one episode that the checks are in: nearly three hours at 10 Hz."""


def bringup_graph(options: BringupOptions, run_dir: Path, runs: Path) -> list[NodeSpec]:
    """The guide and the graph that it drives.

    Args:
        options: As typed.
        run_dir: Folder of the run.
        runs: Folder of the runs, which has the record.
    """
    specs = {spec.name: spec for spec in sim_graph(options, run_dir)}
    session, arbitration, teleop = specs["session"], specs["arbitration"], specs["teleop"]
    common = {
        name: teleop.parameters[name]
        for name in ("task", "robot", "run_dir", "lockstep", "use_sim_time", "autostart")
    }
    own: dict[str, Parameter] = {
        "record": str(runs / RECORD_FILE),
        "target": target_of(options, load_robot(options.robot)),
        "checks": options.wanted,
        "demos": options.demos or "",
    }
    needed = _names(session, "required_nodes")
    listeners = arbitration.parameters["step_listeners"]
    changed: Mapping[str, Mapping[str, Parameter]] = {
        "teleop": {"device": GUIDE, "device_needed": True},
        "session": {"max_steps": _STEPS, "operator": GUIDE, "required_nodes": (*needed, GUIDE)},
        "arbitration": {
            "watched": (*_names(arbitration, "watched"), GUIDE),
            "step_listeners": int(str(listeners)) + 1,
        },
        "monitor": {"operator": GUIDE},
    }
    guide = replace(
        teleop,
        name=GUIDE,
        module=f"{NODE_PACKAGE}.{GUIDE}",
        parameters={**common, **own},
        shutdown_order=SHUTDOWN_SESSION,
        terminal=True,
    )
    return [
        *(
            replace(spec, parameters={**spec.parameters, **changed.get(name, {})})
            for name, spec in specs.items()
        ),
        guide,
    ]


def _names(spec: NodeSpec, parameter: str) -> tuple[str, ...]:
    value = spec.parameters[parameter]
    return value if isinstance(value, tuple) else ()
