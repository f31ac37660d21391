# SPDX-License-Identifier: Apache-2.0
"""A leader arm: the tool goes the leader's way, never jumps, and a leader that is lost moves it no
more."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.data.rotation import compose, inverse, matrix_of, rotation_of, rotation_vector
from expo_ft_ros.devices.leader import Leader
from expo_ft_ros.devices.leader_config import (
    LeaderConfig,
    TriggerConfig,
    angles_of,
    require_base_axes,
)
from expo_ft_ros.devices.teleop import Takeover, TeleopConfig, TeleopMapper
from expo_ft_ros.experiment.arguments import parse_arguments
from expo_ft_ros.experiment.options import TrainOptions
from expo_ft_ros.robots import load_robot

LIMITS = load_robot("sim").limits
SCALE = LIMITS.scale()[:6]
TELEOP = TeleopConfig.load(device="leader")
DT, PERIOD = 0.02, 0.1
STILL = np.zeros(6)
NAMES = ("x", "y", "z", "rx", "ry", "rz")
CONFIG = LeaderConfig(
    joint_states="leader/joint_states",
    urdf="/leader.urdf",
    joints=NAMES,
    base="base",
    tip="tip",
    clutch="motion",
    jump=1.5,
)
PEDAL = CONFIG.model_copy(update={"clutch": "button"})
WITH_TRIGGER = CONFIG.model_copy(
    update={"trigger": TriggerConfig(joint="squeezed", opened=1.0, closed=0.0)}
)

numbers = st.floats(-1.0, 1.0)
sixes = st.lists(numbers, min_size=6, max_size=6).map(np.array)
paths = st.lists(sixes, min_size=1, max_size=4)


class Gantry:
    """A leader whose joints are its tool's position and rotation vector."""

    def pose(self, joints):
        return np.array(joints[:3]), rotation_of(np.array(joints[3:6]))


class Seat:
    """The operator, the leader, teleop, and a robot that does what it is told, each period."""

    def __init__(self, config=CONFIG, start=STILL, frozen=False):
        self.config, self.frozen = config, frozen
        self.leader = Leader(config, LIMITS, Gantry())
        self.mapper = TeleopMapper(TELEOP, PERIOD)
        self.joints = np.array(start, dtype=float)
        self.trigger, self.pedal = 1.0, False
        self.pedal_talks = True
        self.tool = np.array([0.4, 0.1, 0.3]), rotation_of(np.array([np.pi - 0.2, 0.1, 0.0]))
        self.now, self.beats, self.runs = 0.0, 0, True
        self.state = self.mapper.update(None, None, 0.0)
        self.command, self.human = np.zeros(6), False

    def beat(self, velocity=STILL, *, silent=False):
        """A fiftieth second, in which the leader moves so; what it told, None where nothing."""
        self.now += DT
        self.beats += 1
        self.joints = self.joints + DT * velocity
        if not silent:
            self.leader.take(np.array([*self.joints, self.trigger]), self.now)
            if self.pedal_talks:
                self.leader.press(self.pedal, self.now)
        reading = self.leader.reading(self.tool, self.human and self.runs, self.now)
        if reading is not None:
            self.state = self.mapper.update(*reading, self.now)
        if self.beats % round(PERIOD / DT) == 0:
            self.human = self.runs and self.state.engaged and self.state.connected
            self.command = self.state.action[:6] * SCALE if self.human else np.zeros(6)
        if not self.frozen:
            place, facing = self.tool
            turned = compose(rotation_of(DT * self.command[3:]), facing)
            self.tool = place + DT * self.command[:3], turned / np.linalg.norm(turned)
        return reading

    def go(self, seconds, velocity=STILL, **how):
        return [self.beat(velocity, **how) for _ in range(round(seconds / DT))]


def taken_over(config=PEDAL, **given):
    """With the pedal held, and the leader followed from here."""
    seat = Seat(config, **given)
    seat.go(0.2)
    seat.pedal = True
    seat.go(0.4)
    assert seat.state.engaged
    return seat


def moved(start, end, yaw=0.0, scale=1.0):
    """From pose to pose, as it looks from a base that is turned."""
    frame = rotation_of(np.array([0, 0, yaw]))
    turn = compose(compose(frame, compose(end[1], inverse(start[1]))), inverse(frame))
    return scale * matrix_of(frame) @ (end[0] - start[0]), turn


def apart(a, b):
    """Difference of two motions [m], [rad]."""
    turn = rotation_vector(compose(a[1], inverse(b[1])))
    return np.array([np.linalg.norm(a[0] - b[0]), np.linalg.norm(turn)])


@settings(max_examples=15)
@given(path=paths, start=sixes, yaw=st.floats(-3.1, 3.1), scale=st.floats(0.5, 1.5))
def test_the_tool_goes_the_leader_s_way(path, start, yaw, scale):
    """Whatever the leader's posture, frame and path, as long as it is no faster than the arm."""
    seat = taken_over(PEDAL.model_copy(update={"yaw": yaw, "scale": scale}), start=start)
    leader, tool = Gantry().pose(seat.joints), seat.tool
    fastest = np.array([0.06, 0.06, 0.06, 0.25, 0.25, 0.25])
    lag = np.zeros(2)
    for share in path:
        for _ in range(50):
            seat.beat(share * fastest)
            went = moved(leader, Gantry().pose(seat.joints), yaw, scale)
            lag = np.maximum(lag, apart(moved(tool, seat.tool), went))
    # The way of 1 / gain, and of two periods until a command has its effect.
    speed = np.sqrt(3) * np.array([scale * 0.06, 0.25])
    assert (lag <= speed * (1 / PEDAL.gain + 2 * PERIOD)).all()
    seat.go(4.0)
    went = moved(leader, Gantry().pose(seat.joints), yaw, scale)
    assert apart(moved(tool, seat.tool), went).max() < 1e-3
    back = start - seat.joints
    seat.go(4.0, back / 4.0)
    seat.go(4.0)
    assert apart(moved(tool, seat.tool), (np.zeros(3), np.array([0, 0, 0, 1.0]))).max() < 1e-3


@settings(max_examples=15)
@given(start=sixes, away=sixes, config=st.sampled_from([CONFIG, PEDAL]))
def test_nothing_moves_when_the_operator_takes_over(start, away, config):
    """Also not where the leader was moved before: with the clutch let go it is carried freely."""
    seat = Seat(config, start)
    seat.go(0.2)
    if config is PEDAL:
        seat.go(0.4, away)
        seat.pedal = True
        told = seat.go(0.5)
        assert seat.state.engaged
        assert all(not axes.any() for axes, _ in told)
    else:
        told = seat.go(0.3, np.array([0.1, 0, 0, 0, 0, 0]))
        driving = [at for at, (axes, _) in enumerate(told) if axes.any()]
        assert seat.state.engaged
        assert driving
        # What it went since the first command that was executed, at 0.1 m/s.
        assert np.abs(told[driving[0]][0][0] * SCALE[0]) <= PEDAL.gain * DT * 0.1 + 1e-9


@settings(max_examples=15)
@given(path=st.lists(sixes.map(lambda v: 3.0 * v), min_size=1, max_size=30), clutch=st.booleans())
def test_it_is_never_faster_than_the_limits(path, clutch):
    seat = taken_over() if clutch else Seat(CONFIG)
    for velocity in path:
        for axes, _ in seat.go(0.2, 10 * velocity):
            assert np.isnan(axes).all() or np.abs(axes).max() <= 1 + 1e-12
        assert np.abs(seat.state.action).max() <= 1


def test_a_leader_at_rest_takes_nothing_over():
    rng = np.random.default_rng(0)
    seat = Seat(CONFIG)
    for _ in range(300):
        seat.beat(rng.normal(size=6) * 0.02)
    assert seat.state.connected
    assert not seat.state.engaged


def test_it_gives_the_arm_back_once_the_leader_rests():
    seat = Seat(CONFIG)
    seat.go(0.2)
    seat.go(2.0, np.array([0, 0.05, 0, 0, 0, 0]))
    assert seat.state.engaged
    seat.go(0.8)
    assert seat.state.engaged
    seat.go(1.0)
    assert not seat.state.engaged
    assert seat.tool[0][1] > 0.15


def test_an_arm_that_can_t_follow_is_given_back_as_well():
    seat = Seat(CONFIG, frozen=True)
    seat.go(0.2)
    seat.go(1.0, np.array([0.2, 0, 0, 0, 0, 0]))
    assert seat.state.action[0] == 1
    seat.go(2.0)
    assert not seat.state.engaged


def test_after_a_pause_the_arm_does_not_run_after_the_leader():
    seat = taken_over()
    seat.go(1.0, np.array([0.05, 0, 0, 0, 0, 0]))
    seat.runs = False
    seat.go(1.0, np.array([0, 0.1, 0, 0.2, 0, 0]))
    place = seat.tool[0]
    seat.runs = True
    seat.go(1.0)
    assert seat.state.engaged
    np.testing.assert_allclose(seat.tool[0], place, atol=1e-9)


def test_turning_back_is_turning_back_at_once():
    """A leader that was too fast doesn't have to come back all the way first."""
    seat = taken_over()
    seat.go(1.5, np.array([1.0, 0, 0, 0, 0, 0]))
    seat.go(0.14, np.array([-1.0, 0, 0, 0, 0, 0]))
    assert seat.state.action[0] < 0


def lost(seat):
    return not seat.state.connected and seat.state.engaged and not seat.state.action.any()


@pytest.mark.parametrize("flaw", ["silent", "jump", "not a number", "another arm", "pedal"])
def test_a_leader_that_is_lost_moves_nothing_until_somebody_takes_over_again(flaw):
    seat = taken_over()
    seat.go(0.5, np.array([0.1, 0, 0, 0, 0, 0]))
    assert seat.state.action[0] > 0
    if flaw == "silent":
        seat.go(0.3, silent=True)
    elif flaw == "jump":
        seat.beat(np.array([1.6 / DT, 0, 0, 0, 0, 0]))
    elif flaw == "pedal":
        seat.pedal_talks = False
        seat.go(0.3)
    else:
        names = NAMES if flaw == "not a number" else ("a", "b", "c", "d", "e", "f")
        with pytest.raises(ValueError, match=r"is no number|no joint 'x'"):
            angles_of(names, [float("nan")] + [0.0] * 5, NAMES)
        seat.leader.lose("bad")
        seat.beat(silent=True)
    assert lost(seat), seat.leader.loss
    seat.pedal_talks = True
    # It is back, moves, and the pedal is still held: nobody's word.
    seat.go(1.0, np.array([0.05, 0, 0, 0, 0, 0]))
    assert seat.mapper.takeover is Takeover.LOST
    assert not seat.state.action.any()
    seat.pedal = False
    seat.go(0.2)
    seat.pedal = True
    told = seat.go(0.4)
    assert seat.mapper.takeover is Takeover.ENGAGED
    assert all(not axes.any() for axes, _ in told)


@given(
    positions=st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=5, max_size=7),
    names=st.lists(st.sampled_from(NAMES), min_size=5, max_size=7),
)
def test_only_joints_that_are_all_there_once_are_a_posture(positions, names):
    try:
        found = angles_of(names, positions, NAMES)
    except ValueError:
        bad = len(names) != len(positions) or sorted(names) != sorted(NAMES)
        assert bad or not np.isfinite(positions).all()
    else:
        assert np.isfinite(found).all()
        assert dict(zip(names, positions, strict=True)) == dict(zip(NAMES, found, strict=True))


def test_a_whole_turn_is_no_jump():
    """Encoders that count on, and those that begin anew."""
    leader = Leader(CONFIG, LIMITS, Gantry())
    leader.take(np.array([0, 0, 0, 0, 0, np.pi - 0.01]), 0.0)
    leader.take(np.array([0, 0, 0, 0, 0, -np.pi + 0.01]), 0.02)
    axes, _ = leader.reading(None, False, 0.02)
    assert not axes.any()
    assert leader.loss == ""


def test_the_trigger_closes_and_opens_but_not_by_where_it_is():
    seat = Seat(WITH_TRIGGER)
    seat.trigger = 0.0
    seat.go(1.0)
    assert not seat.state.engaged, "squeezed before anybody knew"
    for trigger, told in ((0.5, 0.0), (1.0, 1.0), (0.45, 1.0), (0.2, -1.0)):
        seat.trigger = trigger
        seat.go(0.1)
        assert seat.state.action[6] == told
    assert seat.state.engaged
    seat.go(2.0)
    assert not seat.state.engaged


def test_without_the_pedal_the_trigger_is_nobody_s_word():
    seat = Seat(PEDAL.model_copy(update={"trigger": WITH_TRIGGER.trigger}))
    seat.go(0.2)
    seat.trigger = 0.0
    seat.go(0.2)
    assert not seat.state.engaged
    seat.pedal = True
    seat.go(0.2)
    assert seat.state.engaged
    assert seat.state.action[6] == 0, "the gripper stays as it is"


def test_before_it_was_heard_it_says_nothing():
    assert Leader(CONFIG, LIMITS, Gantry()).reading(None, False, 0.0) is None


# -- its files ------------------------------------------------------------------------------------
def test_the_files_that_come_with_it_fit():
    LeaderConfig.load().require_stable(PERIOD)
    require_base_axes(TELEOP)
    parse_arguments(["operator:=leader"], TrainOptions)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ("gain: 30.0", r"leader.yaml:\d+: gain"),
        ("yaw: .nan", r"leader.yaml:\d+: yaw"),
        ("clutch: foot", r"leader.yaml:\d+: clutch"),
        ("joints: [a, a]", r"a given twice"),
        ("urdf: /a.urdf", r"needs one of description .a topic. and urdf .a file."),
        ("urdf: a.urdf", r"leader.yaml:\d+: urdf"),
        ("speed: 3", r"leader.yaml:\d+: speed"),
        ("trigger: {joint: a, opened: 1, closed: 1}", r"trigger: .*both 1"),
    ],
)
def test_a_file_that_is_wrong_is_told_by_line_and_field(tmp_path, changed, message):
    fields = {
        "joint_states": "leader/joint_states",
        "description": "leader/robot_description",
        "joints": "[a, b]",
        "base": "base",
        "tip": "tip",
        "clutch": "motion",
    }
    name, _, value = changed.partition(": ")
    path = tmp_path / "leader.yaml"
    path.write_text("".join(f"{k}: {v}\n" for k, v in {**fields, name: value}.items()))
    with pytest.raises(ConfigError, match=message):
        LeaderConfig.load(path)


def test_a_gain_at_which_the_tool_would_swing_is_refused():
    with pytest.raises(ConfigError, match=r"leader.yaml: gain: 8 /s .*set 5 or less"):
        CONFIG.model_copy(update={"gain": 8.0}).require_stable(PERIOD)


@pytest.mark.parametrize(
    ("field", "value"), [("frame", "side"), ("signs", (-1, 1, 1, 1, 1, 1)), ("full_scale", 2.0)]
)
def test_teleop_may_not_turn_or_scale_it(field, value):
    with pytest.raises(ConfigError, match=f"config/teleop_leader.yaml: {field}: .*yaw and scale"):
        require_base_axes(TELEOP.model_copy(update={field: value}))
