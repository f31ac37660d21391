"""The table of topics and services against the installed interfaces."""

import dataclasses
import importlib

import pytest

from expo_ft_ros.graph.topics import SERVICES, TOPICS, service, topic


@pytest.mark.parametrize("entry", TOPICS.values(), ids=lambda entry: entry.name)
def test_every_topic_has_an_installed_type(entry):
    package, name = entry.type.split("/")
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


def test_entries_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        topic("step").depth = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        TOPICS["step"] = topic("reward")  # type: ignore[index]
