# SPDX-License-Identifier: Apache-2.0
"""The table of topics and services against the installed interfaces."""

import dataclasses
import importlib

import pytest

from expo_ft_ros.graph.topics import (
    OPTIONAL_PACKAGES,
    SERVICES,
    TOPICS,
    VIEW,
    service,
    topic,
    topics_of,
)


@pytest.mark.parametrize("entry", TOPICS.values(), ids=lambda entry: entry.name)
def test_every_topic_has_an_installed_type(entry):
    package, name = entry.type.split("/")
    if package in OPTIONAL_PACKAGES:
        pytest.importorskip(package)
    assert hasattr(importlib.import_module(f"{package}.msg"), name)


@pytest.mark.parametrize("entry", SERVICES.values(), ids=lambda entry: entry.name)
def test_every_service_has_an_installed_type(entry):
    package, name = entry.type.split("/")
    assert hasattr(importlib.import_module(f"{package}.srv"), name)


def test_the_ready_topic_keeps_a_message_of_every_node():
    assert topic("nodes/ready").depth >= 20


def test_a_lookup_names_the_nearest():
    with pytest.raises(KeyError, match="did you mean 'observation'"):
        topic("observatoin")
    with pytest.raises(KeyError, match="did you mean 'episode/pause'"):
        service("episode/pauze")


def test_each_view_has_its_topics_and_they_are_alike():
    assert topic("camera/front_2/image_raw") == dataclasses.replace(
        topic("camera/side/image_raw"), name="camera/front_2/image_raw"
    )
    table = topics_of(("left", "right", "front"))
    of_views = sum(VIEW in name for name in TOPICS)
    assert len(table) == len(TOPICS) + of_views * 2
    assert table["monitor/front/image_raw"].publishers == ("monitor",)
    assert all(entry.name == name and VIEW not in name for name, entry in table.items())
    # A view may be called as a topic of another kind.
    assert topic("monitor/q").doc != topic("monitor/q/image_raw").doc


def test_what_is_no_view_s_name_is_no_topic():
    for name in ("camera/Side/image_raw", "camera//image_raw", "camera/a/b/image_raw"):
        with pytest.raises(KeyError, match="no topic named"):
            topic(name)


def test_entries_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        topic("step").depth = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        TOPICS["step"] = topic("reward")  # type: ignore[index]
