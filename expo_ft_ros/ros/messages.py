# SPDX-License-Identifier: Apache-2.0
"""From the plain NumPy of `data.types` to messages; the other way is `recording/messages.py`.

Images go through the buffer protocol: a list of a 224x224 image's bytes takes 5 ms, this 0.05 ms.
"""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Pose, Twist, TwistStamped
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Header

from expo_ft_ros.data.types import ActionChunk, Candidates, ImageArray, Proprio, Step, Verdict
from expo_ft_ros.devices.teleop import TeleopState
from expo_ft_ros.msg import ActionChunk as ActionChunkMsg
from expo_ft_ros.msg import Candidates as CandidatesMsg
from expo_ft_ros.msg import Proprio as ProprioMsg
from expo_ft_ros.msg import Reward as RewardMsg
from expo_ft_ros.msg import Step as StepMsg
from expo_ft_ros.msg import TeleopCommand
from expo_ft_ros.recording.messages import NANOSECONDS

_JPEG_QUALITY = 95


# -- time ---------------------------------------------------------------------------------------
def stamp_of(time_ns: int) -> Time:
    """A stamp from nanoseconds."""
    sec, nanosec = divmod(time_ns, NANOSECONDS)
    return Time(sec=sec, nanosec=nanosec)


def header_of(time_ns: int, frame_id: str = "") -> Header:
    """A header stamped `time_ns` [ns]."""
    return Header(stamp=stamp_of(time_ns), frame_id=frame_id)


# -- arrays -------------------------------------------------------------------------------------
def to_array(values: NDArray[Any] | list[float], typecode: str) -> array[Any]:
    """A message's unbounded numeric field; typecode as in the `array` module ('B', 'f', 'd')."""
    out = array(typecode)
    out.frombytes(np.ascontiguousarray(values, dtype=np.dtype(typecode)).tobytes())
    return out


# -- images -------------------------------------------------------------------------------------
def array_to_image(image: ImageArray, header: Header) -> Image:
    """An rgb8 message of an (h, w, 3) uint8 RGB array."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"want (h, w, 3) uint8, got {image.shape} {image.dtype}")
    height, width = image.shape[:2]
    return Image(
        header=header,
        height=height,
        width=width,
        encoding="rgb8",
        is_bigendian=0,
        step=3 * width,
        data=to_array(image, "B"),
    )


def array_to_jpeg(image: ImageArray, header: Header) -> CompressedImage:
    """A JPEG message of an (h, w, 3) uint8 RGB array."""
    import cv2  # Heavy: most nodes send no image.

    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return CompressedImage(header=header, format="jpeg", data=to_array(data, "B"))


# -- robot state --------------------------------------------------------------------------------
def pose_of(position: NDArray[Any], quaternion: NDArray[Any]) -> Pose:
    """position (3,) [m], quaternion (4,) x, y, z, w."""
    pose = Pose()
    pose.position.x, pose.position.y, pose.position.z = (float(v) for v in position)
    o = pose.orientation
    o.x, o.y, o.z, o.w = (float(v) for v in quaternion)
    return pose


def twist_of(linear: NDArray[Any], angular: NDArray[Any]) -> Twist:
    """linear (3,), angular (3,)."""
    twist = Twist()
    twist.linear.x, twist.linear.y, twist.linear.z = (float(v) for v in linear)
    twist.angular.x, twist.angular.y, twist.angular.z = (float(v) for v in angular)
    return twist


def proprio_to_msg(proprio: Proprio, header: Header) -> ProprioMsg:
    """msg/Proprio of a measured state."""
    return ProprioMsg(
        header=header,
        pose=pose_of(proprio.position, proprio.quaternion),
        twist=twist_of(proprio.linear, proprio.angular),
        gripper_width=float(proprio.gripper_width),
        joint_positions=to_array(proprio.joints, "d"),
    )


def command_to_msgs(
    command: NDArray[np.float64], header: Header
) -> tuple[TwistStamped, JointState]:
    """A command in SI units, (7,): the tool's twist, and the gripper's opening velocity.

    header: its stamp, and the robot's base frame.
    """
    twist = TwistStamped(header=header, twist=twist_of(command[:3], command[3:6]))
    gripper = JointState(header=header, name=["gripper"], velocity=to_array(command[6:], "d"))
    return twist, gripper


def teleop_to_msg(state: TeleopState, header: Header, reading_ns: int = 0) -> TeleopCommand:
    """msg/TeleopCommand; reading_ns: when the device sent the reading that it follows [ns], 0 where
    it follows none."""
    return TeleopCommand(
        header=header,
        connected=bool(state.connected),
        engaged=bool(state.engaged),
        reading=stamp_of(reading_ns),
        action=np.asarray(state.action, dtype=np.float32),
    )


# -- what belongs to a tick ---------------------------------------------------------------------
def step_to_msg(step: Step, header: Header, lateness: float = 0.0) -> StepMsg:
    """msg/Step; lateness: tick start after its due time [s]."""
    return StepMsg(
        header=header,
        observation=step.observation,
        episode=step.episode,
        chunk=step.chunk,
        index=step.index,
        source=int(step.source),
        proposed=np.asarray(step.proposed, dtype=np.float32),
        executed=np.asarray(step.executed, dtype=np.float32),
        robot=step.robot,
        cause=step.cause,
        lateness=lateness,
    )


def chunk_to_msg(chunk: ActionChunk, header: Header, version: int = 0) -> ActionChunkMsg:
    """msg/ActionChunk; version: of the weights that made it."""
    return ActionChunkMsg(
        header=header,
        id=chunk.id,
        observation=chunk.observation,
        horizon=len(chunk.actions),
        actions=to_array(chunk.actions, "f"),
        q=float(chunk.q),
        kind=int(chunk.kind),
        policy_version=version,
    )


def candidates_to_msg(candidates: Candidates, header: Header) -> CandidatesMsg:
    """msg/Candidates: what a chunk was chosen from."""
    count, horizon, _ = candidates.actions.shape
    return CandidatesMsg(
        header=header,
        observation=candidates.observation,
        count=count,
        horizon=horizon,
        actions=to_array(candidates.actions, "f"),
        q=to_array(candidates.q, "f"),
        member_spread=to_array(candidates.member_spread, "f"),
        kind=to_array(candidates.kind, "B"),
        chosen=int(candidates.chosen),
    )


def verdict_to_msg(verdict: Verdict, observation: int, episode: int, header: Header) -> RewardMsg:
    """msg/Reward: the verdict on an observation."""
    return RewardMsg(
        header=header,
        observation=observation,
        episode=episode,
        value=float(verdict.value),
        success=bool(verdict.success),
        reason=verdict.reason,
        human_reset=verdict.human_reset,
    )
