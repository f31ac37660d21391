# SPDX-License-Identifier: Apache-2.0
"""The environment of the nodes."""

import sys

import pytest

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.experiment.environment import (
    claim_domain,
    isolated_domain,
    require_chosen_domain,
    ros_environment,
)

ALL = (
    "AMENT_PREFIX_PATH",
    "EXPO_FT_ISOLATE",
    "FASTDDS_DEFAULT_PROFILES_FILE",
    "FASTRTPS_DEFAULT_PROFILES_FILE",
    "RMW_FASTRTPS_PUBLICATION_MODE",
    "RMW_IMPLEMENTATION",
    "ROS_AUTOMATIC_DISCOVERY_RANGE",
    "ROS_DISTRO",
    "ROS_DOMAIN_ID",
    "ROS_LOG_DIR",
)


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    for name in ALL:
        monkeypatch.delenv(name, raising=False)


def test_ros_from_wheels_is_pointed_to(tmp_path):
    found = ros_environment(tmp_path)
    assert found["AMENT_PREFIX_PATH"] == sys.prefix
    assert found["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert found["FASTDDS_DEFAULT_PROFILES_FILE"].endswith("fastdds.xml")
    assert found["RMW_FASTRTPS_PUBLICATION_MODE"] == "AUTO"
    assert "ROS_DOMAIN_ID" not in found


def test_what_the_operator_has_set_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", "/mine.xml")
    found = ros_environment(tmp_path)
    assert "ROS_AUTOMATIC_DISCOVERY_RANGE" not in found
    assert "FASTDDS_DEFAULT_PROFILES_FILE" not in found


def test_a_sourced_ros_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    found = ros_environment(tmp_path)
    assert "AMENT_PREFIX_PATH" not in found
    assert "RMW_IMPLEMENTATION" not in found


def test_isolated_runs_have_domains_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPO_FT_ISOLATE", "1")
    domain = isolated_domain(tmp_path)
    assert ros_environment(tmp_path)["ROS_DOMAIN_ID"] == str(domain)
    domains = {isolated_domain(tmp_path / str(number)) for number in range(100)}
    assert domain == isolated_domain(tmp_path)
    assert len(domains) > 50
    assert all(1 <= number <= 100 for number in domains)


def test_a_chosen_domain_wins_over_isolation(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPO_FT_ISOLATE", "1")
    monkeypatch.setenv("ROS_DOMAIN_ID", "42")
    assert "ROS_DOMAIN_ID" not in ros_environment(tmp_path)


def test_beside_a_graph_its_domain_must_be_known(monkeypatch):
    require_chosen_domain()
    monkeypatch.setenv("EXPO_FT_ISOLATE", "1")
    with pytest.raises(ConfigError, match=r"not known here \(set ROS_DOMAIN_ID"):
        require_chosen_domain()
    monkeypatch.setenv("ROS_DOMAIN_ID", "42")
    require_chosen_domain()


def test_one_graph_in_one_domain(tmp_path, monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", "17")
    monkeypatch.delenv("EXPO_FT_ISOLATE", raising=False)
    held = claim_domain(tmp_path / "run", folder=tmp_path)
    with pytest.raises(ConfigError, match=r"ROS_DOMAIN_ID 17: a graph .* EXPO_FT_ISOLATE=1"):
        claim_domain(tmp_path / "run", folder=tmp_path)
    monkeypatch.setenv("ROS_DOMAIN_ID", "18")
    other = claim_domain(tmp_path / "run", folder=tmp_path)
    other.close()
    monkeypatch.setenv("ROS_DOMAIN_ID", "17")
    held.close()
    again = claim_domain(tmp_path / "run", folder=tmp_path)
    again.close()


def test_graphs_in_namespaces_of_one_domain(tmp_path, monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", "17")
    monkeypatch.delenv("EXPO_FT_ISOLATE", raising=False)
    held = [
        claim_domain(tmp_path / "run", name, folder=tmp_path) for name in ("", "/left", "/left/arm")
    ]
    with pytest.raises(ConfigError, match=r"ROS_DOMAIN_ID 17, namespace /left: .* namespace:="):
        claim_domain(tmp_path / "run", "/left", folder=tmp_path)
    for each in held:
        each.close()


def test_of_two_runs_whose_own_domains_are_the_same_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPO_FT_ISOLATE", "1")
    first = tmp_path / "0"
    others = (tmp_path / str(number) for number in range(1, 10_000))
    alike = next(each for each in others if isolated_domain(each) == isolated_domain(first))
    held = [claim_domain(run, folder=tmp_path) for run in (first, _apart(first))]
    with pytest.raises(ConfigError, match=r"runs in it already \(name another run_dir"):
        claim_domain(alike, folder=tmp_path)
    for each in held:
        each.close()
    claim_domain(alike, folder=tmp_path).close()


def _apart(run):
    """A folder whose domain is another."""
    others = (run / str(number) for number in range(100))
    return next(each for each in others if isolated_domain(each) != isolated_domain(run))
