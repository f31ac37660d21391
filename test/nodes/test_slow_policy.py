# SPDX-License-Identifier: Apache-2.0
"""A policy that needs three periods for a chunk drives all the same, in real time."""

from dataclasses import replace

import pytest

from expo_ft_ros.bringup.runner import Runner
from expo_ft_ros.data.types import Source
from expo_ft_ros.experiment.environment import ros_environment
from expo_ft_ros.recording.episode_store import load_episodes
from support import slow_policy
from support.tiny_training import specs

pytestmark = [pytest.mark.realtime, pytest.mark.slow]


def test_it_is_asked_early_enough_and_its_silence_is_no_death(graph):
    folder = graph.folder
    slow = []
    for spec in specs(folder, "sync", realtime=True, demos=0):
        module = slow_policy.__name__ if spec.name == "agent" else spec.module
        slow.append(replace(spec, module=module, parameters={**spec.parameters, "max_steps": 45}))
    environment = {**ros_environment(folder), "ROS_DOMAIN_ID": str(graph.domain)}
    result = Runner(slow, folder, env=environment).run()
    assert result.code == 0, f"{result.cause}\n{result.tail}"
    trials = [e for e in load_episodes(folder / "episodes") if e.outcome.stage != "collect"]
    assert trials
    # A machine that is busy holds it now and then.
    assert sum((trial.source == Source.POLICY).sum() for trial in trials) > 50
