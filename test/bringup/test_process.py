# SPDX-License-Identifier: Apache-2.0
"""The command line of a node: what was asked of it reaches ROS."""

from pathlib import Path

from expo_ft_ros.bringup.process import node_command, ros_arguments
from expo_ft_ros.graph.node_spec import NodeSpec

PARAMETERS = Path("/run/params/x.yaml")


def pairs(spec):
    """Each of ROS's arguments with its value, in their order."""
    words = node_command(spec, PARAMETERS)
    given = words[words.index("--ros-args") + 1 :]
    return list(zip(given[::2], given[1::2], strict=True))


def test_namespace_log_level_remappings_and_the_operators_own_parameters_reach_ros():
    moved = ("/reset_episode", "reset_episode")
    spec = NodeSpec(
        "camera", "m", namespace="/left", remappings=(moved,), log_level="debug", params_file="/p"
    )
    assert pairs(spec) == [
        ("-r", "__ns:=/left"),
        ("-r", "__node:=camera"),
        ("-r", "/reset_episode:=reset_episode"),
        ("--log-level", "debug"),
        ("--params-file", str(PARAMETERS)),
        ("--params-file", "/p"),  # The last one wins.
    ]


def test_a_node_of_the_root_has_its_name_and_parameters_only():
    named = ("-r", "__node:=camera")
    assert pairs(NodeSpec("camera", "m")) == [named, ("--params-file", str(PARAMETERS))]
    assert ros_arguments() == []


def test_several_nodes_of_one_process_keep_their_names():
    spec = NodeSpec("agent", "m", nodes=("policy", "learner"))
    assert pairs(spec) == [("--params-file", str(PARAMETERS))]
