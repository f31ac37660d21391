# SPDX-License-Identifier: Apache-2.0
"""A process of the graph as data; made in `specs`, started by the runner or by ros2 launch.

Standard library only: `ros2 launch` runs in an interpreter that may have nothing else of ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

Parameter = bool | int | float | str | tuple[str, ...]
"""What a ROS parameter of ours may be."""

# A stop goes from the top down: nobody asks for more, then the arm gets its zero command, then what
# was learned and recorded is written, and what carries out the zero command goes last.
SHUTDOWN_SESSION = 0
SHUTDOWN_ARBITRATION = 1
SHUTDOWN_LEARNING = 2
SHUTDOWN_SENSING = 3
SHUTDOWN_ROBOT = 4


@dataclass(frozen=True)
class NodeSpec:
    """One process of the graph.

    Attributes:
        name: Name of the process, of its log, and of its ROS node.
        module: Python module with `main()`; empty for a program that is not ours.
        parameters: ROS parameters of every node in the process.
        remappings: Pairs (from, to).
        nice: Priority, -20 highest, 0 normal, 19 lowest.
        shutdown_order: A stop takes lower ranks down first, one shutdown_order after the other.
        env: Environment on top of the runner's.
        nodes: ROS nodes in the process; empty means one, called `name`.
        grace: Time to stop by itself after SIGINT [s].
        vital: Its end is the end of the run.
        command: Command line of a program that is not ours.
        namespace: ROS namespace of its nodes, "/left"; "" for the root.
        log_level: Of its nodes' loggers; empty: ROS's own default.
        params_file: ROS parameters file of the user's, on top of `parameters`.
        terminal: It talks with the person who has started the graph: standard input and output are
            the runner's, only its log goes to a file.
    """

    name: str
    module: str = ""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    remappings: tuple[tuple[str, str], ...] = ()
    nice: int = 0
    shutdown_order: int = SHUTDOWN_SENSING
    env: Mapping[str, str] = field(default_factory=dict)
    nodes: tuple[str, ...] = ()
    grace: float = 5.0
    vital: bool = True
    command: tuple[str, ...] = ()
    namespace: str = ""
    log_level: str = ""
    params_file: str = ""
    terminal: bool = False

    @property
    def node_names(self) -> tuple[str, ...]:
        """Names of the ROS nodes in this process."""
        return self.nodes or (self.name,)
