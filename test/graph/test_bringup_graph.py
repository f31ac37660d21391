# SPDX-License-Identifier: Apache-2.0
"""The guide's graph: sim's, with the guide as its device, between which and the arm nothing is left
out."""

from dataclasses import replace
from pathlib import Path

import pytest

from expo_ft_ros.devices.drivers import DRIVERS
from expo_ft_ros.devices.teleop import TeleopConfig
from expo_ft_ros.doctor.guide.motions import SHARE
from expo_ft_ros.experiment.arguments import parse_arguments
from expo_ft_ros.experiment.bringup_options import BringupOptions
from expo_ft_ros.experiment.brought_up import CHECKS
from expo_ft_ros.graph.bringup_graph import GUIDE, bringup_graph
from expo_ft_ros.graph.specs import sim_graph
from expo_ft_ros.nodes.bringup import BringupParameters
from expo_ft_ros.ros.parameters import describe

RUN, RUNS = Path("/run"), Path("/runs")


@pytest.fixture(params=[(), ("robot:=crisp", "namespace:=left", "rviz:=false")])
def options(request):
    return parse_arguments(request.param, BringupOptions)


def by_name(specs):
    return {spec.name: spec for spec in specs}


def test_it_is_sim_s_but_for_the_device(options):
    found, sims = by_name(bringup_graph(options, RUN, RUNS)), by_name(sim_graph(options, RUN))
    assert set(found) == {*sims, GUIDE}
    for name, spec in sims.items():
        other = found[name]
        assert replace(other, parameters=spec.parameters) == spec
        changed = {
            key for key, value in spec.parameters.items() if other.parameters.get(key) != value
        }
        assert changed <= {
            "device",
            "device_needed",
            "operator",
            "required_nodes",
            "watched",
            "step_listeners",
        }
    assert found["teleop"].parameters["device"] == DRIVERS[GUIDE].device


def test_the_guide_is_waited_for_and_its_silence_stops_the_arm(options):
    found = by_name(bringup_graph(options, RUN, RUNS))
    assert GUIDE in found["session"].parameters["required_nodes"]
    assert GUIDE in found["arbitration"].parameters["watched"]
    config = TeleopConfig.load(device=GUIDE)
    assert 0 < config.silence_timeout <= 0.5
    assert config.deflection_timeout <= 0.15
    assert config.engage_threshold < SHARE


def test_the_guide_has_the_terminal_and_goes_first(options):
    found = by_name(bringup_graph(options, RUN, RUNS))
    guide = found[GUIDE]
    assert [spec.name for spec in found.values() if spec.terminal] == [GUIDE]
    assert guide.shutdown_order == min(spec.shutdown_order for spec in found.values())
    assert guide.namespace == options.namespace
    assert set(guide.parameters) <= {name for name, _, _ in describe(BringupParameters)} | {
        "use_sim_time"
    }
    assert guide.parameters["checks"] == CHECKS
    assert guide.parameters["record"] == "/runs/brought_up.json"
