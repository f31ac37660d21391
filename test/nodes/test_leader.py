# SPDX-License-Identifier: Apache-2.0
"""A leader arm over DDS: its joints and its URDF, to what the operator asks for."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from expo_ft_ros.msg import EpisodeState, Proprio, Step
from geometry_msgs.msg import Point, Pose, Quaternion
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import String

from expo_ft_ros.robots import load_robot
from support.arms import UR5E

pytest.importorskip("pinocchio", reason="Pinocchio is not installed (requirements/dev.lock)")

from expo_ft_ros.robots.arm_model import ArmModel
from support.leader_of_ur5e import CONFIG, NAMES

HOME = np.array([0.0, -1.2, 1.4, -1.7, -1.5, 0.3])
LIMITS = load_robot("sim").limits
TOOL = Pose(position=Point(x=0.4, z=0.3), orientation=Quaternion(x=1.0, w=0.0))


@pytest.fixture
def seat(graph):
    """Leader, pedal, the arm's state and who has it, all told again and again by `until`."""
    probe = graph.probe
    outs = {
        name: probe.publisher(name, reliable=name != "joy")
        for name in ("leader/joint_states", "leader/joy", "leader/robot_description", "proprio")
    }
    outs |= {name: probe.publisher(name) for name in ("step", "episode/state")}
    made = SimpleNamespace(joints=HOME.copy(), trigger=0.0, pedal=0, names=list(NAMES), talks=True)
    made.got, made.health = probe.gather("teleop/command"), probe.gather("/diagnostics")
    made.source = Step.POLICY

    def tell() -> None:
        human = made.got and made.got[-1].engaged and made.got[-1].connected
        source = Step.HUMAN if human else Step.POLICY
        outs["episode/state"].publish(EpisodeState(state=EpisodeState.RUNNING, episode=1))
        outs["step"].publish(Step(episode=1, source=source))
        outs["proprio"].publish(Proprio(pose=TOOL, joint_positions=[0.0] * 7))
        outs["leader/joy"].publish(Joy(buttons=[made.pedal]))
        if made.talks:
            position = [*made.joints.tolist(), made.trigger]
            outs["leader/joint_states"].publish(JointState(name=made.names, position=position))

    def told(words: str) -> bool:
        return any(words in s.message for m in made.health for s in m.status)

    made.until = lambda condition, what: probe.repeat(tell, condition, what, every=0.02)
    made.told, made.describe = told, lambda text: outs["leader/robot_description"].publish(text)
    graph.start("teleop", device="leader")
    graph.start("leader", module="support.leader_of_ur5e")
    probe.until(lambda: made.got, "a heartbeat")
    return made


def test_the_arm_follows_a_leader_and_stands_when_it_is_lost(seat):
    got, model = seat.got, ArmModel(UR5E, NAMES[:-1], "base_link", "tool0")
    seat.until(lambda: seat.told("leader/robot_description: no URDF has come"), "its cause")
    seat.describe(String(data="<robot/>"))
    seat.until(lambda: seat.told("leader/robot_description: the URDF"), "the flaw of a URDF")
    seat.describe(String(data=UR5E))
    seat.until(lambda: got[-1].connected, "the leader")
    # It is carried about before anybody has taken over.
    seat.joints = HOME + 0.2
    seat.until(lambda: seat.told("ready"), "its state")
    assert not any(message.engaged for message in got)
    seat.pedal = 1
    seat.until(lambda: got[-1].engaged, "the takeover")
    mark = len(got)
    seat.until(lambda: len(got) > mark + 20, "some commands")
    assert not any(np.any(message.action) for message in got), "nothing has moved since"
    before = model.pose(seat.joints)[0]
    seat.joints = HOME + np.array([0.25, 0.2, 0.2, 0.2, 0.2, 0.2])
    way = model.pose(seat.joints)[0] - before
    # The arm doesn't move here: it stays the way's share, and is in the limits.
    wanted = CONFIG.gain * way / LIMITS.linear_velocity
    seat.until(lambda: np.allclose(got[-1].action[:3], wanted, atol=1e-4), f"the way {wanted}")
    seat.trigger = 0.8
    seat.until(lambda: got[-1].action[6] == -1, "the gripper")
    # A fault of an encoder is no motion; the joints of another arm, no numbers, silence neither.
    for flaw, words in (
        ("jump", "lost: joint elbow_joint jumped by 1.00 rad"),
        ("names", "no joint 'shoulder_pan_joint' (has left_shoulder_pan_joint"),
        ("nan", "joint 'shoulder_pan_joint' is no number"),
        ("silence", "lost: the leader is silent"),
    ):
        if flaw == "jump":
            seat.joints = seat.joints + np.array([0, 0, 1.0, 0, 0, 0])
        elif flaw == "names":
            seat.names = [f"left_{name}" for name in NAMES]
        elif flaw == "nan":
            seat.joints = seat.joints * math.nan
        else:
            seat.talks = False
        seat.until(lambda: not got[-1].connected, flaw)
        mark = len(got)
        seat.until(lambda mark=mark: len(got) > mark + 20, "some commands")
        assert not any(np.any(m.action) for m in got[mark:]), flaw
        assert got[-1].engaged, "the arm is nobody's: the pedal is still held"
        seat.until(lambda words=words: seat.told(words), words)
        seat.names, seat.joints, seat.talks, seat.pedal = list(NAMES), HOME.copy(), True, 0
        mark = len(got)
        seat.until(lambda mark=mark: len(got) > mark + 20, "the rest")
        seat.pedal = 1
        seat.until(lambda: got[-1].engaged and got[-1].connected, "the takeover")
