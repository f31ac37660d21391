# SPDX-License-Identifier: Apache-2.0
"""From messages to the plain NumPy of `data.types`.

Only fields are looked at, so that a message that has just come and one that was read from a file
(`recording.mcap_file`) are decoded by the same code. The other way needs ROS: `ros/messages.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expo_ft_ros.data.types import (
    ACTION_DIM,
    ActionChunk,
    CandidateKind,
    Candidates,
    FloatArray,
    ImageArray,
    Observation,
    Proprio,
    Source,
    Step,
    Verdict,
)

NANOSECONDS = 1_000_000_000

# Rounding of what lies within +-1.
_SLACK = 1e-3
_UNIT = 0.01  # by how much a quaternion's length may differ from 1


class BadMessage(ValueError):
    """A message that can't be what its sender meant. A node that gets one drops it, and says so."""


# encoding -> (channels, OpenCV's name of the conversion to RGB; "" where it is RGB already)
_ENCODINGS: dict[str, tuple[int, str]] = {
    "rgb8": (3, ""),
    "bgr8": (3, "COLOR_BGR2RGB"),
    "rgba8": (4, "COLOR_RGBA2RGB"),
    "bgra8": (4, "COLOR_BGRA2RGB"),
    "mono8": (1, "COLOR_GRAY2RGB"),
    "yuv422": (2, "COLOR_YUV2RGB_UYVY"),
    "uyvy": (2, "COLOR_YUV2RGB_UYVY"),
    "yuv422_yuy2": (2, "COLOR_YUV2RGB_YUY2"),
    "yuyv": (2, "COLOR_YUV2RGB_YUY2"),
}


def nanoseconds(stamp: Any) -> int:
    """A stamp as an integer [ns]; exact, hence fit for comparing."""
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)


AHEAD = 0.15
"""A stamp so far ahead of the clock is none [s]: all that follows would be older."""


def reject_future_stamp(stamp_ns: int, now_ns: int) -> None:
    """Raises BadMessage for a stamp that lies more than AHEAD in the future [ns]."""
    ahead = 1e-9 * (stamp_ns - now_ns)
    if ahead > AHEAD:
        raise BadMessage(f"stamped {ahead:.2f} s ahead of the clock (synchronise the clocks)")


def seconds(stamp: Any) -> float:
    """A stamp in seconds."""
    return float(stamp.sec) + 1e-9 * float(stamp.nanosec)


def action_of(values: Any, name: str) -> FloatArray:
    """A message's float32[7] as an array of our own, (7,) within [-1, 1].

    Raises:
        BadMessage: naming what is none.
    """
    action = np.array(values, dtype=np.float32)
    # Not a number fails the comparison.
    if action.shape != (ACTION_DIM,) or not (np.abs(action) <= 1 + _SLACK).all():
        raise BadMessage(f"{name} {action.tolist()} is not seven numbers within [-1, 1]")
    return action


def image_to_array(message: Any) -> ImageArray:
    """(h, w, 3) uint8 RGB of sensor_msgs/Image; a view of its bytes where it is rgb8 already.

    Raises:
        BadMessage: for an encoding that is not known or sizes that contradict one another.
    """
    if message.encoding not in _ENCODINGS:
        raise BadMessage(
            f"image of frame {message.header.frame_id!r} has encoding {message.encoding!r}; "
            f"known are {', '.join(_ENCODINGS)} (set the driver's pixel format to one of them)"
        )
    channels, conversion = _ENCODINGS[message.encoding]
    height, width, step = int(message.height), int(message.width), int(message.step)
    if height * step != len(message.data) or step < width * channels or height * width == 0:
        raise BadMessage(
            f"image of frame {message.header.frame_id!r} is {width}x{height} {message.encoding} "
            f"with step {step}, but holds {len(message.data)} bytes (a broken driver?)"
        )
    rows = np.frombuffer(message.data, dtype=np.uint8).reshape(height, step)
    pixels = rows[:, : width * channels].reshape(height, width, channels)
    if not conversion:
        return pixels
    import cv2  # Heavy: most nodes see no image, or none of another encoding.

    code = getattr(cv2, conversion)
    try:
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), code), dtype=np.uint8)
    except cv2.error as error:  # an odd width, where two pixels share a colour
        raise BadMessage(
            f"image of frame {message.header.frame_id!r}, {width}x{height} {message.encoding}, "
            f"can't be converted: {error.err}"
        ) from error


def compressed_to_array(message: Any) -> ImageArray:
    """(h, w, 3) uint8 RGB of sensor_msgs/CompressedImage, JPEG or PNG.

    Raises:
        BadMessage: when it does not decode.
    """
    import cv2

    encoded = np.frombuffer(message.data, dtype=np.uint8)
    image = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
    if image is None:
        raise BadMessage(
            f"compressed image of frame {message.header.frame_id!r}, format {message.format!r}, "
            f"{encoded.size} bytes, does not decode (known are jpeg and png)"
        )
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def pose_arrays(pose: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Position (3,) and quaternion (4,) x, y, z, w of geometry_msgs/Pose."""
    p, o = pose.position, pose.orientation
    return np.array([p.x, p.y, p.z]), np.array([o.x, o.y, o.z, o.w])


def twist_array(twist: Any) -> NDArray[np.float64]:
    """(6,) linear xyz, angular xyz of geometry_msgs/Twist."""
    lin, ang = twist.linear, twist.angular
    return np.array([lin.x, lin.y, lin.z, ang.x, ang.y, ang.z])


def require_frame(message: Any, frame: str) -> None:
    """Refuses a pose or twist that is told in other axes than the robot's base frame.

    Args:
        message: geometry_msgs/PoseStamped, TwistStamped, or any other with a header.
        frame: The robot's base frame.

    Raises:
        BadMessage: naming both frames.
    """
    told = message.header.frame_id
    if told != frame:
        raise BadMessage(
            f"frame_id {told!r}, but the robot's base frame is {frame!r} (transform it where it is "
            "published, or set frames.base in the robot's file)"
        )


def is_zero(command: Any) -> bool:
    """Whether a command says that nothing moves: of geometry_msgs/TwistStamped, or the velocities
    of sensor_msgs/JointState."""
    twist = getattr(command, "twist", None)
    return not (twist_array(twist).any() if twist is not None else any(command.velocity))


def joint_positions(message: Any, names: Sequence[str], topic: str) -> list[float]:
    """Positions of sensor_msgs/JointState by the joints' names, in the order of these.

    Args:
        message: Its joints in any order; others are left out.
        names: Of the joints.
        topic: Where it comes from, for errors.

    Raises:
        BadMessage: where one is missing, or its position is not finite.
    """
    if len(message.name) != len(message.position):
        raise BadMessage(
            f"{topic}: {len(message.name)} names and {len(message.position)} positions"
        )
    positions = dict(zip(message.name, message.position, strict=True))
    missing = [name for name in names if name not in positions]
    if missing:
        raise BadMessage(
            f"{topic}: lacks {', '.join(missing)} (has {', '.join(positions) or 'nothing'}; set "
            "joints and fingers in the robot's file)"
        )
    found = [float(positions[name]) for name in names]
    if not np.isfinite(found).all():
        raise BadMessage(f"{topic}: a position is not finite: {found}")
    return found


def proprio_from_msg(message: Any) -> Proprio:
    """A measured state of msg/Proprio.

    Raises:
        BadMessage: for a number that is not finite, or a quaternion that is no rotation.
    """
    position, quaternion = pose_arrays(message.pose)
    twist = twist_array(message.twist)
    joints = np.array(message.joint_positions, dtype=np.float64)
    numbers = np.concatenate([position, quaternion, twist, joints, [message.gripper_width]])
    if not np.isfinite(numbers).all():
        raise BadMessage("proprio has a number that is not finite")
    if abs(float(np.linalg.norm(quaternion)) - 1) > _UNIT:
        raise BadMessage(f"proprio's quaternion {quaternion.tolist()} has not the length 1")
    return Proprio(
        position=position,
        quaternion=quaternion,
        gripper_width=message.gripper_width,
        linear=twist[:3],
        angular=twist[3:],
        joints=joints,
    )


def teleop_from_msg(message: Any) -> FloatArray:
    """The action of msg/TeleopCommand, (7,). Raises BadMessage where it is none."""
    return action_of(message.action, "teleop action")


def views_of(message: Any) -> dict[str, Any]:
    """Name -> sensor_msgs/Image of each view of msg/Observation, in the message's order.

    Raises:
        BadMessage: for none, a name that is repeated, or another number of images than of names.
    """
    names = list(message.view_names)
    if not names or len(set(names)) != len(names) or len(message.views) != len(names):
        raise BadMessage(
            f"observation {message.number} has {len(message.views)} images of the views "
            f"{', '.join(names) or 'none'} (one of each name is needed)"
        )
    return dict(zip(names, message.views, strict=True))


def observation_from_msg(message: Any, view_names: Sequence[str] | None) -> Observation:
    """One snapshot of msg/Observation; its images share the message's bytes.

    Args:
        message: In which the views may come in any order.
        view_names: The robot's views, in the order in which the snapshot has them; None: those
            that the message names.

    Raises:
        BadMessage: for a view that is repeated, missing or not one of these, or images or a
            proprio that are none.
    """
    image_of = views_of(message)
    if view_names is None:
        view_names = list(image_of)
    if sorted(image_of) != sorted(view_names):
        raise BadMessage(
            f"observation {message.number} has the views {', '.join(image_of) or 'none'}, the "
            f"robot's are {', '.join(view_names)}"
        )
    return Observation(
        number=message.number,
        time=seconds(message.header.stamp),
        views={name: image_to_array(image_of[name]) for name in view_names},
        proprio=proprio_from_msg(message.proprio),
        instruction=message.instruction,
        # Recordings from before there was such a field are read, too.
        steps_left=getattr(message, "steps_left", None),
    )


def step_from_msg(message: Any) -> Step:
    """The provenance of one control step, of msg/Step.

    Raises:
        BadMessage: for a source that is not known, or an action that is none.
    """
    if message.source not in tuple(Source):
        raise BadMessage(f"step {message.observation} has source {message.source}")
    # What a policy proposes may lie outside; what was executed does not.
    proposed = np.array(message.proposed, dtype=np.float32)
    if not np.isfinite(proposed).all():
        raise BadMessage(f"step {message.observation} has a proposal that is not finite")
    return Step(
        observation=message.observation,
        episode=message.episode,
        chunk=message.chunk,
        index=message.index,
        source=Source(message.source),
        proposed=proposed,
        executed=action_of(message.executed, f"step {message.observation}: executed"),
        cause=message.cause,
        # Recordings from before there were several robots are read, too.
        robot=getattr(message, "robot", ""),
    )


def chunk_from_msg(message: Any) -> ActionChunk:
    """A chunk of msg/ActionChunk.

    Raises:
        BadMessage: when its size contradicts its horizon, or a number is not finite.
    """
    if len(message.actions) != message.horizon * ACTION_DIM or message.horizon == 0:
        raise BadMessage(
            f"chunk {message.id}: horizon {message.horizon} wants "
            f"{message.horizon * ACTION_DIM} numbers, got {len(message.actions)}"
        )
    actions = np.array(message.actions, dtype=np.float32).reshape(-1, ACTION_DIM)
    if not np.isfinite(actions).all():
        raise BadMessage(f"chunk {message.id} has an action that is not finite")
    _require_kinds([message.kind], f"chunk {message.id}")
    return ActionChunk(
        id=message.id,
        observation=message.observation,
        actions=actions,
        q=message.q,
        kind=CandidateKind(message.kind),
    )


def _require_kinds(kinds: Sequence[int], whose: str) -> None:
    unknown = set(kinds) - set(CandidateKind)
    if unknown:
        known = ", ".join(f"{kind.name} {kind.value}" for kind in CandidateKind)
        raise BadMessage(f"{whose} is of kind {min(unknown)} (known are {known})")


def candidates_from_msg(message: Any) -> Candidates:
    """Every candidate of msg/Candidates.

    Raises:
        BadMessage: when its sizes contradict each other, or an action is not finite.
    """
    count, horizon = int(message.count), int(message.horizon)
    # Recordings from before there were kinds say of each whether it is edited, which is the same.
    kind = list(message.kind if hasattr(message, "kind") else message.edited)
    sizes = (len(message.actions), len(message.q), len(kind))
    # Earlier ones don't say how far the critic's members are apart.
    spread = np.array(getattr(message, "member_spread", ()), dtype=np.float32)
    fits = sizes == (count * horizon * ACTION_DIM, count, count) and len(spread) in (0, count)
    if not fits or not message.chosen < count:
        raise BadMessage(
            f"candidates of observation {message.observation}: {count} of {horizon} steps, "
            f"{message.chosen} chosen, but {sizes} actions, q, kinds, {len(spread)} spreads"
        )
    actions = np.array(message.actions, dtype=np.float32).reshape(count, horizon, ACTION_DIM)
    if not np.isfinite(actions).all():
        raise BadMessage(f"candidates of observation {message.observation}: one is not finite")
    _require_kinds(kind, f"a candidate of observation {message.observation}")
    return Candidates(
        observation=message.observation,
        actions=actions,
        q=np.array(message.q, dtype=np.float32),
        kind=np.array(kind, dtype=np.uint8),
        chosen=message.chosen,
        member_spread=spread,
    )


def verdict_from_msg(message: Any) -> Verdict:
    """The verdict of msg/Reward. Raises BadMessage for a value that is not finite."""
    if not math.isfinite(message.value):
        raise BadMessage(f"reward of observation {message.observation} is {message.value}")
    return Verdict(
        value=message.value,
        success=message.success,
        reason=message.reason,
        # Recordings from before there was such a field are read, too.
        human_reset=getattr(message, "human_reset", ""),
    )
