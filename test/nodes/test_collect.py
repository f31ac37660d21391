# SPDX-License-Identifier: Apache-2.0
"""The graph without learning, end to end: a scripted operator demonstrates, all is recorded."""

import json

import numpy as np
import pytest

from expo_ft_ros.bringup.runner import Runner
from expo_ft_ros.data.types import Source
from expo_ft_ros.experiment.environment import ros_environment
from expo_ft_ros.experiment.options import CollectOptions
from expo_ft_ros.graph.specs import collect_graph
from expo_ft_ros.recording.episode_store import load_episodes

pytestmark = pytest.mark.slow


def _collect(graph, folder, demos):
    specs = collect_graph(CollectOptions(demos=demos, seed=1), folder)
    environment = {**ros_environment(folder), "ROS_DOMAIN_ID": str(graph.domain)}
    result = Runner(specs, folder, env=environment).run()
    assert result.code == 0, f"{result.cause}\n{result.tail}"
    assert not result.warnings
    return list(load_episodes(folder / "episodes"))


def test_demonstrations_are_recorded_and_the_same_again_to_the_bit(graph):
    """In lock-step, however fast the machine is."""
    folder = graph.folder / "first"
    episodes = _collect(graph, folder, 2)
    metrics = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    wins = [line for line in metrics if line["success"]]
    assert len(wins) == 2
    progress = json.loads((folder / "progress.json").read_text())
    assert progress["session"]["episode"] == len(metrics) + 1
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["demonstrations"] == 2
    assert [e.outcome.episode for e in episodes] == [line["episode"] for line in metrics]
    for episode, line in zip(episodes, metrics, strict=True):
        assert episode.outcome.success == line["success"]
        assert episode.reward[-1] == float(line["success"])
        assert not episode.reward[:-1].any()
        assert episode.human_steps == line["human_steps"]
        assert episode.views["side"].shape == (len(episode) + 1, 224, 224, 3)
        assert (episode.source == Source.HUMAN).mean() > 0.8
        # What was executed is what moved the tool: an action belongs to the period after it.
        moved = np.diff(episode.state[:, :3], axis=0)
        asked = episode.executed[:, :3] * 0.25 * 0.1
        fast = np.abs(asked) > 0.01
        assert fast.sum() > 5
        assert np.corrcoef(moved[fast], asked[fast])[0, 1] > 0.9
    first, again = episodes[0], _collect(graph, graph.folder / "again", 1)[0]
    for view, images in first.views.items():
        np.testing.assert_array_equal(images, again.views[view], err_msg=view)
    for name in ("executed", "state", "source", "reward"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name), err_msg=name)
