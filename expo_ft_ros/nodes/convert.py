"""Between messages and the plain NumPy of `data.types`; nothing else knows both.

Images go through the buffer protocol: a list of a 224x224 image's bytes takes 5 ms, this 0.05 ms.
"""

from __future__ import annotations

from array import array
from typing import Any

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Pose, Twist
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from expo_ft_ros.data.types import (
    ACTION_DIM,
    ActionChunk,
    FloatArray,
    ImageArray,
    Observation,
    Proprio,
    Source,
    Step,
    Verdict,
)
from expo_ft_ros.msg import ActionChunk as ActionChunkMsg
from expo_ft_ros.msg import Observation as ObservationMsg
from expo_ft_ros.msg import Proprio as ProprioMsg
from expo_ft_ros.msg import Reward as RewardMsg
from expo_ft_ros.msg import Step as StepMsg

NANOSECONDS = 1_000_000_000

# encoding -> (channels, OpenCV conversion to RGB; None where it is RGB already)
_ENCODINGS: dict[str, tuple[int, int | None]] = {
    "rgb8": (3, None),
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "mono8": (1, cv2.COLOR_GRAY2RGB),
    "yuv422": (2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": (2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": (2, cv2.COLOR_YUV2RGB_YUY2),
}


# -- time ---------------------------------------------------------------------------------------
def nanoseconds(stamp: Time) -> int:
    """A stamp as an integer [ns]; exact, hence fit for comparing."""
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)


def seconds(stamp: Time) -> float:
    """A stamp in seconds."""
    return float(stamp.sec) + 1e-9 * float(stamp.nanosec)


def stamp_of(time_ns: int) -> Time:
    """A stamp from nanoseconds."""
    sec, nanosec = divmod(time_ns, NANOSECONDS)
    return Time(sec=sec, nanosec=nanosec)


BASE_FRAME = "base"
"""frame_id of what is told in the robot's base frame."""


def header_of(time_ns: int, frame_id: str = "") -> Header:
    """A header stamped `time_ns` [ns]."""
    return Header(stamp=stamp_of(time_ns), frame_id=frame_id)


# -- arrays -------------------------------------------------------------------------------------
def to_array(values: NDArray[Any] | list[float], typecode: str) -> array[Any]:
    """A message's unbounded numeric field; typecode as in the `array` module ('B', 'f', 'd')."""
    out = array(typecode)
    out.frombytes(np.ascontiguousarray(values, dtype=np.dtype(typecode)).tobytes())
    return out


def action_of(values: NDArray[Any]) -> FloatArray:
    """A message's float32[7] as an array of our own."""
    return np.array(values, dtype=np.float32)


# -- images -------------------------------------------------------------------------------------
def image_to_array(message: Image) -> ImageArray:
    """(h, w, 3) uint8 RGB; a view of the message's bytes where it is rgb8 already.

    Raises:
        ValueError: for an encoding that is not known or sizes that contradict one another.
    """
    if message.encoding not in _ENCODINGS:
        raise ValueError(
            f"image of frame {message.header.frame_id!r} has encoding {message.encoding!r}; "
            f"known are {', '.join(_ENCODINGS)} (set the driver's pixel format to one of them)"
        )
    channels, conversion = _ENCODINGS[message.encoding]
    height, width, step = int(message.height), int(message.width), int(message.step)
    if height * step != len(message.data) or step < width * channels or height * width == 0:
        raise ValueError(
            f"image of frame {message.header.frame_id!r} is {width}x{height} {message.encoding} "
            f"with step {step}, but holds {len(message.data)} bytes (a broken driver?)"
        )
    rows = np.frombuffer(message.data, dtype=np.uint8).reshape(height, step)
    pixels = rows[:, : width * channels].reshape(height, width, channels)
    if conversion is None:
        return pixels
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), conversion), dtype=np.uint8)


def compressed_to_array(message: CompressedImage) -> ImageArray:
    """(h, w, 3) uint8 RGB from JPEG or PNG. Raises ValueError when it does not decode."""
    encoded = np.frombuffer(message.data, dtype=np.uint8)
    image = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
    if image is None:
        raise ValueError(
            f"compressed image of frame {message.header.frame_id!r}, format {message.format!r}, "
            f"{encoded.size} bytes, does not decode (known are jpeg and png)"
        )
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


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


# -- robot state --------------------------------------------------------------------------------
def pose_of(position: NDArray[Any], quaternion: NDArray[Any]) -> Pose:
    """position (3,) [m], quaternion (4,) x, y, z, w."""
    pose = Pose()
    pose.position.x, pose.position.y, pose.position.z = (float(v) for v in position)
    o = pose.orientation
    o.x, o.y, o.z, o.w = (float(v) for v in quaternion)
    return pose


def pose_arrays(pose: Pose) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Position (3,) and quaternion (4,) x, y, z, w."""
    p, o = pose.position, pose.orientation
    return np.array([p.x, p.y, p.z]), np.array([o.x, o.y, o.z, o.w])


def twist_of(linear: NDArray[Any], angular: NDArray[Any]) -> Twist:
    """linear (3,), angular (3,)."""
    twist = Twist()
    twist.linear.x, twist.linear.y, twist.linear.z = (float(v) for v in linear)
    twist.angular.x, twist.angular.y, twist.angular.z = (float(v) for v in angular)
    return twist


def twist_array(twist: Twist) -> NDArray[np.float64]:
    """(6,) linear xyz, angular xyz."""
    lin, ang = twist.linear, twist.angular
    return np.array([lin.x, lin.y, lin.z, ang.x, ang.y, ang.z])


def proprio_to_msg(proprio: Proprio, header: Header) -> ProprioMsg:
    """msg/Proprio of a measured state."""
    return ProprioMsg(
        header=header,
        pose=pose_of(proprio.position, proprio.quaternion),
        twist=twist_of(proprio.linear, proprio.angular),
        gripper_width=float(proprio.gripper_width),
        joint_positions=to_array(proprio.joints, "d"),
    )


def proprio_from_msg(message: ProprioMsg) -> Proprio:
    """A measured state of msg/Proprio."""
    position, quaternion = pose_arrays(message.pose)
    twist = twist_array(message.twist)
    return Proprio(
        position=position,
        quaternion=quaternion,
        gripper_width=message.gripper_width,
        linear=twist[:3],
        angular=twist[3:],
        joints=np.array(message.joint_positions, dtype=np.float64),
    )


# -- what belongs to a tick ---------------------------------------------------------------------
def observation_from_msg(message: ObservationMsg) -> Observation:
    """One snapshot; its images are views of the message's bytes."""
    return Observation(
        number=message.number,
        time=seconds(message.header.stamp),
        side=image_to_array(message.side),
        wrist=image_to_array(message.wrist),
        proprio=proprio_from_msg(message.proprio),
        instruction=message.instruction,
    )


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
        cause=step.cause,
        lateness=lateness,
    )


def step_from_msg(message: StepMsg) -> Step:
    """The provenance of one control step."""
    return Step(
        observation=message.observation,
        episode=message.episode,
        chunk=message.chunk,
        index=message.index,
        source=Source(message.source),
        proposed=action_of(message.proposed),
        executed=action_of(message.executed),
        cause=message.cause,
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
        edited=bool(chunk.edited),
        policy_version=version,
    )


def chunk_from_msg(message: ActionChunkMsg) -> ActionChunk:
    """A chunk of msg/ActionChunk. Raises ValueError when its size contradicts its horizon."""
    if len(message.actions) != message.horizon * ACTION_DIM or message.horizon == 0:
        raise ValueError(
            f"chunk {message.id}: horizon {message.horizon} wants "
            f"{message.horizon * ACTION_DIM} numbers, got {len(message.actions)}"
        )
    actions = np.array(message.actions, dtype=np.float32).reshape(-1, ACTION_DIM)
    return ActionChunk(
        id=message.id,
        observation=message.observation,
        actions=actions,
        q=message.q,
        edited=message.edited,
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
    )


def verdict_from_msg(message: RewardMsg) -> Verdict:
    """The verdict of msg/Reward."""
    return Verdict(value=message.value, success=message.success, reason=message.reason)
