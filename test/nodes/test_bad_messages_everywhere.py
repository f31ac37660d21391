# SPDX-License-Identifier: Apache-2.0
"""A whole training in lock-step in which every node says, beside what it means, what nobody could
mean, what it has said already, and what it said long ago."""

from __future__ import annotations

import pytest
from std_srvs.srv import Trigger

from support.meddled import COMMANDS, MINE
from support.meddled_training import SPOKEN_ON, MeddledTraining, within_limits
from support.mischief import TIMELESS

pytestmark = pytest.mark.slow


@pytest.mark.timeout(450)
def test_a_training_ends_well_whatever_is_said_beside(graph, capsys):
    commands = {name: graph.probe.gather(name) for name in COMMANDS}
    shown = [graph.probe.gather(f"monitor/{what}") for what in ("markers", "side/image_raw", "q")]
    knows, asked = graph.probe.node.create_client(Trigger, "teleop/acknowledge"), None
    training = MeddledTraining(graph.folder, graph.domain, realtime=False)

    def acknowledge() -> None:
        """Readings that are no numbers are a device that is gone; the arm stands until then."""
        nonlocal asked
        graph.probe.spin(0.05)
        if knows.service_is_ready() and (asked is None or asked.done()):
            asked = knows.call_async(Trigger.Request())

    training.until_its_end(acknowledge, patience=350)
    said = training.said()
    with capsys.disabled():
        print(f"\n{sum(said.values())} bad messages on {len({t for t, _ in said})} topics")
    assert all(shown), "the monitor has shown nothing"
    # In lock-step there are no signs of life; of a hand there are few readings, and of those few
    # that could be spoilt.
    silent = set(SPOKEN_ON) - {topic for topic, _ in said}
    assert silent <= {"nodes/heartbeat", *TIMELESS}
    meant = ([m for m in commands[name] if m.header.frame_id != MINE] for name in COMMANDS)
    within_limits(*meant)
    training.replay_is_what_is_recorded()
