# SPDX-License-Identifier: Apache-2.0
"""rviz/expo_ft.rviz names what rviz2 has and what the graph publishes."""

from pathlib import Path

import pytest
import yaml

from expo_ft_ros.graph.topics import topics_of
from expo_ft_ros.robots import load_robot

FILE = Path(__file__).resolve().parents[1] / "rviz" / "expo_ft.rviz"
MANAGER = yaml.safe_load(FILE.read_text())["Visualization Manager"]

TOPICS_OF_SIM = topics_of(load_robot("sim").view_names)
# plugins_description.xml of rviz_default_plugins 14.3: class -> message type of its topic.
DISPLAYS = {
    "rviz_default_plugins/Grid": None,
    "rviz_default_plugins/Image": "sensor_msgs/Image",
    "rviz_default_plugins/MarkerArray": "visualization_msgs/MarkerArray",
    "rviz_default_plugins/Path": "nav_msgs/Path",
    "rviz_default_plugins/RobotModel": None,
}
TOOLS = {f"rviz_default_plugins/{t}" for t in ("MoveCamera", "Select", "FocusCamera", "Measure")}


@pytest.mark.parametrize("display", MANAGER["Displays"], ids=lambda display: display["Name"])
def test_a_display_is_one_of_rvizs_own_and_its_topic_one_of_ours(display):
    kind = DISPLAYS[display["Class"]]
    if kind is None:
        return
    topic = TOPICS_OF_SIM[display["Topic"]["Value"].removeprefix("/")]
    assert topic.type == kind
    assert "monitor" in topic.publishers
    # A reliable reader hears nothing of a best-effort writer, a durable one nothing of a volatile.
    assert display["Topic"]["Reliability Policy"].lower() == topic.reliability
    assert display["Topic"]["Durability Policy"].lower() == topic.durability


def test_all_that_the_monitor_publishes_for_eyes_is_shown():
    shown = {d["Topic"]["Value"].removeprefix("/") for d in MANAGER["Displays"] if "Topic" in d}
    assert shown == {name for name in TOPICS_OF_SIM if name.startswith("monitor/")}


def test_tools_and_view_are_rvizs_own():
    assert {tool["Class"] for tool in MANAGER["Tools"]} <= TOOLS
    assert MANAGER["Views"]["Current"]["Class"] == "rviz_default_plugins/Orbit"
    assert MANAGER["Global Options"]["Fixed Frame"] == "base"
