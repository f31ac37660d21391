# SPDX-License-Identifier: Apache-2.0
"""Input devices whose driver runs beside the graph: what it publishes, and what it is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from expo_ft_ros.devices.leader_config import LEADER, LEADER_FILE


@dataclass(frozen=True)
class Driver:
    """One operator's device.

    Attributes:
        device: What teleop calls it (`devices.teleop.CONFIG_FILES`).
        topics: What its driver publishes; the first is the one that the graph waits for.
        program: The driver, as a user starts it.
        take_over: What the operator does to take over.
        node: Of the graph, that makes of it what teleop reads; "": none does.
    """

    device: str
    topics: tuple[str, ...]
    program: str
    take_over: str
    node: str = ""


DRIVERS: Mapping[str, Driver] = {
    "spacemouse": Driver(
        "spacenav", ("spacenav/twist", "spacenav/joy"), "spacenav_node", "push the SpaceMouse"
    ),
    "gamepad": Driver("joy", ("joy",), "joy_node", "push a stick of the gamepad"),
    "keyboard": Driver("keyboard", ("joy",), "./expo-ft keyboard", "a key at ./expo-ft keyboard"),
    LEADER: Driver(
        LEADER,
        ("leader/joint_states", "leader/joy"),
        f"the leader arm's driver, by joint_states of config/{LEADER_FILE}",
        "move the leader arm, or hold its button",
        LEADER,
    ),
    "bringup": Driver(
        "bringup", ("joy",), "./expo-ft bringup", "answer in the terminal of ./expo-ft bringup"
    ),
}
"""By the option `operator`; one that isn't here needs no driver. The guide of `expo-ft bringup` is
no option, but a device all the same."""
