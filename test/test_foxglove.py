# SPDX-License-Identifier: Apache-2.0
"""foxglove/expo_ft.json shows what the graph publishes and calls what it offers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("expo_ft_ros.msg")

from expo_ft_ros.graph.topics import SERVICES, topics_of
from expo_ft_ros.robots import load_robot
from expo_ft_ros.ros.qos import message_type

LAYOUT = json.loads((Path(__file__).resolve().parents[1] / "foxglove" / "expo_ft.json").read_text())
PANELS: dict[str, dict[str, Any]] = LAYOUT["configById"]
TOPICS = topics_of(load_robot("sim").view_names)
OF_OTHERS = {"robot_description"}  # of the robot's own driver


def panels(kind: str) -> list[dict[str, Any]]:
    found = [panel for name, panel in PANELS.items() if name.startswith(f"{kind}!")]
    assert found
    return found


def placed(part: Any) -> Iterator[str]:
    if isinstance(part, str):
        yield part
        return
    assert part["direction"] in ("row", "column")
    assert 0 < part["splitPercentage"] < 100
    yield from placed(part["first"])
    yield from placed(part["second"])


def test_each_panel_has_one_place_and_its_settings():
    names = list(placed(LAYOUT["layout"]))
    assert sorted(names) == sorted(PANELS)


def test_images_markers_and_diagnostics_are_topics_of_the_right_type():
    for panel in panels("Image"):
        topic = TOPICS[panel["imageMode"]["imageTopic"].removeprefix("/")]
        assert (topic.type, topic.publishers) == ("sensor_msgs/Image", ("monitor",))
    for name in panels("3D")[0]["topics"]:
        assert name.removeprefix("/") in {*TOPICS, *OF_OTHERS}
    assert all(p["topicToRender"] in TOPICS for p in panels("DiagnosticSummary"))


def test_each_curve_is_a_field_of_a_message():
    paths = [
        path for kind in ("Plot", "StateTransitions") for p in panels(kind) for path in p["paths"]
    ]
    for each in paths:
        topic, _, rest = each["value"].removeprefix("/").partition(".")
        field, index = re.fullmatch(r"(\w+)(?:\[(\d+)\])?", rest).groups()
        type_ = message_type(TOPICS[topic].type).get_fields_and_field_types()[field]
        length = re.search(r"\[(\d+)\]", type_)
        assert bool(length) == bool(index)
        assert index is None or int(index) < int(length[1])


def test_each_button_calls_a_service_with_a_request_that_it_takes():
    types = {"std_srvs/Trigger": {}, "std_srvs/SetBool": {"data": bool}}
    called = set()
    for button in panels("CallService"):
        entry = (
            SERVICES.get(button["serviceName"].removeprefix("/")) or SERVICES[button["serviceName"]]
        )
        request = json.loads(button["requestPayload"])
        assert {name: type(value) for name, value in request.items()} == types[entry.type]
        called.add((button["serviceName"], button["requestPayload"]))
    assert ("/estop", '{"data": true}') in called
