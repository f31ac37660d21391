# SPDX-License-Identifier: Apache-2.0
"""One image of a topic, for a command that has no graph of its own."""

from __future__ import annotations

import time

import rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

from expo_ft_ros.data.types import ImageArray
from expo_ft_ros.recording.messages import image_to_array


def take_image(topic: str, timeout: float) -> ImageArray:
    """(h, w, 3) uint8 RGB: the next image of a topic.

    Args:
        topic: Of sensor_msgs/Image.
        timeout: For how long it is waited for [s].

    Raises:
        TimeoutError: when none comes.
        ValueError: for a broken one.
    """
    context = rclpy.Context()
    rclpy.init(context=context)
    heard: list[Image] = []
    try:
        node = rclpy.create_node("one_image", context=context)
        node.create_subscription(Image, topic, heard.append, qos_profile_sensor_data)
        executor = rclpy.executors.SingleThreadedExecutor(context=context)
        executor.add_node(node)
        until = time.monotonic() + timeout
        while not heard and time.monotonic() < until:
            executor.spin_once(timeout_sec=0.1)
        executor.shutdown()
        node.destroy_node()
    finally:
        rclpy.try_shutdown(context=context)
    if not heard:
        raise TimeoutError(f"{topic}: no image within {timeout:g} s")
    return image_to_array(heard[0]).copy()
