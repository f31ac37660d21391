"""From messages to the plain NumPy of `data.types`.

Only fields are looked at, so that a message that has just come and one that was read from a file
(`data.bag`) are decoded by the same code. The other way needs ROS: `nodes/convert.py`.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

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


def nanoseconds(stamp: Any) -> int:
    """A stamp as an integer [ns]; exact, hence fit for comparing."""
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)


def seconds(stamp: Any) -> float:
    """A stamp in seconds."""
    return float(stamp.sec) + 1e-9 * float(stamp.nanosec)


def action_of(values: Any) -> FloatArray:
    """A message's float32[7] as an array of our own."""
    return np.array(values, dtype=np.float32)


def image_to_array(message: Any) -> ImageArray:
    """(h, w, 3) uint8 RGB of sensor_msgs/Image; a view of its bytes where it is rgb8 already.

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


def compressed_to_array(message: Any) -> ImageArray:
    """(h, w, 3) uint8 RGB of sensor_msgs/CompressedImage, JPEG or PNG.

    Raises:
        ValueError: when it does not decode.
    """
    encoded = np.frombuffer(message.data, dtype=np.uint8)
    image = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
    if image is None:
        raise ValueError(
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


def proprio_from_msg(message: Any) -> Proprio:
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


def observation_from_msg(message: Any) -> Observation:
    """One snapshot of msg/Observation; its images are views of the message's bytes."""
    return Observation(
        number=message.number,
        time=seconds(message.header.stamp),
        side=image_to_array(message.side),
        wrist=image_to_array(message.wrist),
        proprio=proprio_from_msg(message.proprio),
        instruction=message.instruction,
    )


def step_from_msg(message: Any) -> Step:
    """The provenance of one control step, of msg/Step."""
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


def chunk_from_msg(message: Any) -> ActionChunk:
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


def verdict_from_msg(message: Any) -> Verdict:
    """The verdict of msg/Reward."""
    return Verdict(value=message.value, success=message.success, reason=message.reason)
