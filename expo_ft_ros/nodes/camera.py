# SPDX-License-Identifier: Apache-2.0
"""Camera images as drivers give them, to the square rgb8 images of the graph, stamps kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.publisher import Publisher
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from expo_ft_ros.data.crop import crop_image, crop_of
from expo_ft_ros.data.images import resize_image
from expo_ft_ros.data.types import ImageArray
from expo_ft_ros.recording.messages import BadMessage, compressed_to_array, image_to_array
from expo_ft_ros.robots import ViewConfig, load_robot
from expo_ft_ros.ros.camera_info import fit_info
from expo_ft_ros.ros.graph_node import ERROR, OK, GraphNode, NodeParameters, parameter
from expo_ft_ros.ros.messages import array_to_image
from expo_ft_ros.ros.process import main as run_nodes

_COMPRESSED = "sensor_msgs/CompressedImage"


@dataclass(frozen=True)
class CameraParameters(NodeParameters):
    """Parameters of the camera node."""

    size: int = parameter(224, "Side of the square images given on [px].", low=16, high=1024)


class CameraNode(GraphNode[CameraParameters]):
    """All views in one node: it costs less than the processes would."""

    NAME = "camera"
    PARAMETERS = CameraParameters

    def _setup(self) -> None:
        for view in load_robot(self.parameters.robot).views:
            out = self.publisher(f"camera/{view.name}/image_raw", needed=1)
            compressed = view.transport == "compressed"
            self.subscription(
                f"{view.name}_camera/image_raw",
                self._forward(view, out),
                type_name=_COMPRESSED if compressed else None,
                remapped=f"{view.topic}/compressed" if compressed else view.topic,
            )
            self.subscription(
                f"{view.name}_camera/camera_info",
                self._forward_info(view, self.publisher(f"camera/{view.name}/camera_info")),
                needed=False,
                remapped=view.info_topic,
            )

    def _forward(
        self, view: ViewConfig, out: Publisher[Any]
    ) -> Callable[[Image | CompressedImage], None]:
        name, crop, size = view.name, view.crop, self.parameters.size

        def forward(message: Image | CompressedImage) -> None:
            if _is_right_already(message, size) and crop is None:
                out.publish(message)
                return
            try:
                image = _pixels(message)
                image = resize_image(crop_image(image, crop), size)
            except ValueError as error:
                # Dropped: the deadlines downstream stop the arm when no good one follows.
                self.get_logger().error(f"{name}: {error}", throttle_duration_sec=2.0)
                self.report(ERROR, f"{name}: {error}")
                return
            out.publish(array_to_image(image, message.header))
            self.report(OK, "ready")

        return forward

    def _forward_info(self, view: ViewConfig, out: Publisher[Any]) -> Callable[[CameraInfo], None]:
        """Passes calibration on, as of the part that is seen; nobody waits for it."""
        crop, size = view.crop, self.parameters.size

        def forward(message: CameraInfo) -> None:
            try:
                part = crop_of(crop, message.width, message.height)
            except ValueError as error:
                raise BadMessage(str(error)) from None
            out.publish(fit_info(message, part, size))

        return forward


def _is_right_already(message: Image | CompressedImage, size: int) -> bool:
    return (
        isinstance(message, Image)
        and message.encoding == "rgb8"
        and message.height == message.width == size
        and message.step == 3 * size
        and len(message.data) == 3 * size * size
    )


def _pixels(message: Image | CompressedImage) -> ImageArray:
    if isinstance(message, Image):
        return image_to_array(message)
    return compressed_to_array(message)


def main() -> None:
    """Runs the camera node."""
    run_nodes(CameraNode)


if __name__ == "__main__":
    main()
