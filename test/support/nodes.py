# SPDX-License-Identifier: Apache-2.0
"""Real nodes in real processes over real DDS; each test has a ROS domain of its own."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from expo_ft_ros.bringup.process import child_environment, node_command, write_parameters
from expo_ft_ros.experiment.environment import ros_environment
from expo_ft_ros.graph.node_spec import NodeSpec
from support.probe import PATIENCE, Probe


class NodeUnderTest:
    """A node's process; its output goes to a file that is shown when a test fails."""

    def __init__(self, spec: NodeSpec, folder: Path, domain: int) -> None:
        self.log = folder / f"{spec.name}.log"
        environment = child_environment({**ros_environment(folder), **spec.env})
        environment["ROS_DOMAIN_ID"] = str(domain)
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                node_command(spec, write_parameters(spec, folder)),
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, timeout: float = PATIENCE) -> int:
        return self.process.wait(timeout)

    def end(self) -> None:
        """Asks it to stop: Fast DDS may take a killed peer amiss while it is torn down itself."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(20.0)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        print(f"--- {self.log.name}\n{self.log.read_text(errors='replace')}")


class Graph:
    """Starts nodes and gives a probe in their domain."""

    def __init__(self, folder: Path, domain: int) -> None:
        self.folder = folder
        self.domain = domain
        self.probe = Probe(self.domain)
        self._nodes: list[NodeUnderTest] = []

    def start(
        self, name: str, *, module: str = "", **parameters: bool | int | float | str
    ) -> NodeUnderTest:
        """Starts expo_ft_ros.nodes.<name>, or another module; returns without waiting for it."""
        lockstep = bool(parameters.get("lockstep", False))
        common = {
            "task": "cube_pick",
            "run_dir": str(self.folder),
            "lockstep": lockstep,
            "use_sim_time": lockstep,
        }
        if name == "arbitration":
            common["motion"] = True  # Off where nobody says so.
        spec = NodeSpec(name, module or f"expo_ft_ros.nodes.{name}", {**common, **parameters})
        node = NodeUnderTest(spec, self.folder, self.domain)
        self._nodes.append(node)
        return node

    def close(self) -> None:
        """The probe goes first: in a process that sees its peers go, Fast DDS may wait for itself
        (config/fastdds.xml), and no test ends then."""
        try:
            self.probe.close()
        finally:
            for node in self._nodes:
                node.end()
