# SPDX-License-Identifier: Apache-2.0
"""The learner beside the policy; the test is arbitration."""

from __future__ import annotations

import pytest
from expo_ft_ros.msg import EpisodeState
from rclpy.duration import Duration

pytestmark = pytest.mark.slow


def test_a_checkpoint_is_written_when_no_chunk_waits_for_it(graph):
    """Policy and learner share one agent, and a disk may be slow."""
    probe = graph.probe
    told = probe.gather("learner/status")
    states = probe.publisher("episode/state")
    graph.start("agent", imitation_scale=0.001)
    probe.until(lambda: told, "the learner")
    probe.matched()

    def written():
        """Which checkpoint was written last, and when."""
        found = (graph.folder / "checkpoints").glob("*.safetensors")
        return max(((file.stat().st_mtime_ns, file.name) for file in found), default=None)

    def say(episode, state, **more):
        states.publish(EpisodeState(episode=episode, stage="rl", state=state, **more))
        # A call goes by another way.
        probe.until(lambda: states.wait_for_all_acked(Duration(seconds=0.1)), "the state's arrival")

    answer = probe.call("learner/save_checkpoint")
    assert answer.success
    probe.until(written, "the checkpoint: no episode is on")
    assert written()[1] in answer.message
    assert "saving" in {message.stage for message in told}
    for episode, state in enumerate(("resetting", "running", "paused", "deciding"), 1):
        before = written()
        say(episode, state)
        probe.spin(0.5)
        answer = probe.call("learner/save_checkpoint")
        assert answer.success
        assert "when this episode is over" in answer.message
        probe.spin(0.5)
        assert written() == before
        say(episode, "ended", discarded=True)
        probe.until(lambda episode=episode: told[-1].episode == episode, "the episode's taking")
        assert written() != before, "before the next one may begin"
