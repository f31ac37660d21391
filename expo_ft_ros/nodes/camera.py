"""Camera images as drivers give them, to the square rgb8 images of the graph, stamps kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.publisher import Publisher
from sensor_msgs.msg import CompressedImage, Image

from expo_ft_ros.data.images import resize_image
from expo_ft_ros.data.types import ImageArray
from expo_ft_ros.recording.messages import compressed_to_array, image_to_array
from expo_ft_ros.ros.graph_node import ERROR, OK, GraphNode, NodeParameters, parameter
from expo_ft_ros.ros.messages import array_to_image
from expo_ft_ros.ros.process import main as run_nodes

VIEWS = ("side", "wrist")
_COMPRESSED = "sensor_msgs/CompressedImage"


@dataclass(frozen=True)
class CameraParameters(NodeParameters):
    """Parameters of the camera node."""

    size: int = parameter(224, "Side of the square images given on [px].", low=16, high=1024)
    transport: str = parameter("raw", "What the drivers give: raw or compressed (.../compressed).")
    side_crop: tuple[int, ...] = parameter(
        (), "x, y, width, height cut from the side image [px]; empty: the largest centre square."
    )
    wrist_crop: tuple[int, ...] = parameter(
        (), "x, y, width, height cut from the wrist image [px]; empty: the largest centre square."
    )


def crop_image(image: ImageArray, crop: tuple[int, ...]) -> ImageArray:
    """A view of `image`: x, y, width, height of it, or for () the largest centre square.

    Raises:
        ValueError: when the rectangle is not four numbers inside the image.
    """
    height, width = image.shape[:2]
    if not crop:
        side = min(height, width)
        crop = ((width - side) // 2, (height - side) // 2, side, side)
    if len(crop) != 4:
        raise ValueError(f"crop {crop} is not four numbers: x, y, width, height")
    x, y, w, h = crop
    if min(x, y) < 0 or min(w, h) < 1 or x + w > width or y + h > height:
        raise ValueError(f"crop {crop} does not lie in the image of {width}x{height}")
    return image[y : y + h, x : x + w]


class CameraNode(GraphNode[CameraParameters]):
    """Both views in one node: it costs less than the processes would."""

    NAME = "camera"
    PARAMETERS = CameraParameters

    def _setup(self) -> None:
        transport = self.parameters.transport
        if transport not in ("raw", "compressed"):
            raise ValueError(f"transport is {transport!r}, known are raw and compressed")
        for view in VIEWS:
            source = f"{view}_camera/image_raw"
            forward = self._forward(view, self.publisher(f"camera/{view}/image_raw", needed=1))
            if transport == "raw":
                self.subscription(source, forward)
            else:
                self.subscription(
                    source, forward, type_name=_COMPRESSED, remapped=f"{source}/compressed"
                )

    def _forward(self, view: str, out: Publisher[Any]) -> Callable[[Image | CompressedImage], None]:
        crop: tuple[int, ...] = getattr(self.parameters, f"{view}_crop")
        size = self.parameters.size

        def forward(message: Image | CompressedImage) -> None:
            if _is_right_already(message, size) and not crop:
                out.publish(message)
                return
            try:
                image = _pixels(message)
                image = resize_image(crop_image(image, crop), size)
            except ValueError as error:
                # Dropped: the deadlines downstream stop the arm when no good one follows.
                self.get_logger().error(f"{view}: {error}", throttle_duration_sec=2.0)
                self.report(ERROR, f"{view}: {error}")
                return
            out.publish(array_to_image(image, message.header))
            self.report(OK, "ready")

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
