# SPDX-License-Identifier: Apache-2.0
"""Reads cameras, for who has no drivers of them: their images on the topics of the robot's views.

The camera node takes them from there, crops and resizes them, as those of any other driver. As with
image_transport, a topic beside has them as JPEG, and what nobody listens to isn't made.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from rclpy.publisher import Publisher

from expo_ft_ros.devices.cameras.by_view import cameras_of
from expo_ft_ros.devices.cameras.camera import Frame, Lens
from expo_ft_ros.devices.cameras.capture import Capture
from expo_ft_ros.robots import ViewConfig, load_robot
from expo_ft_ros.ros.camera_info import lens_info
from expo_ft_ros.ros.graph_node import ERROR, OK, GraphNode, NodeParameters, parameter
from expo_ft_ros.ros.messages import array_to_image, array_to_jpeg, header_of
from expo_ft_ros.ros.process import main as run_nodes

_LOOK = 0.1
_COMPRESSED = "sensor_msgs/CompressedImage"


@dataclass(frozen=True)
class CameraDriverParameters(NodeParameters):
    """Parameters of the camera_driver node."""

    cameras: str = parameter("", "File of each camera by view: side=side.yaml,wrist=wrist.yaml.")


@dataclass(frozen=True)
class _Outputs:
    """Where a view's images go."""

    raw: Publisher[Any]
    jpeg: Publisher[Any]
    info: Publisher[Any]


class CameraDriverNode(GraphNode[CameraDriverParameters]):
    """A thread a camera; it is ready once there is an image of each."""

    NAME = "camera_driver"
    PARAMETERS = CameraDriverParameters

    def _setup(self) -> None:
        robot = load_robot(self.parameters.robot)
        cameras = cameras_of(self.parameters.cameras, robot)
        self._told = ""
        self._captures: dict[str, Capture] = {}
        for view in robot.views:
            if view.name in cameras:
                deliver = functools.partial(self._publish, view, self._outputs(view))
                self._captures[view.name] = Capture(view.name, cameras[view.name], deliver)
        self.wall_timer(_LOOK, self._look)

    def _start(self) -> None:
        for capture in self._captures.values():
            capture.start()

    def _is_ready(self) -> bool:
        return all(capture.has_begun for capture in self._captures.values())

    def _teardown(self) -> None:
        for capture in getattr(self, "_captures", {}).values():
            capture.close()

    def _outputs(self, view: ViewConfig) -> _Outputs:
        is_raw = view.transport == "raw"
        return _Outputs(
            raw=self.publisher(
                f"{view.name}_camera/image_raw", needed=int(is_raw), remapped=view.topic
            ),
            jpeg=self.publisher(
                f"{view.name}_camera/image_raw",
                needed=int(not is_raw),
                type_name=_COMPRESSED,
                remapped=f"{view.topic}/compressed",
            ),
            info=self.publisher(f"{view.name}_camera/camera_info", remapped=view.info_topic),
        )

    def _publish(self, view: ViewConfig, out: _Outputs, frame: Frame, lens: Lens | None) -> None:
        """Called in the threads of cameras."""
        if not self.active:
            return
        header = header_of(frame.time_ns, view.frame)
        if out.raw.get_subscription_count():
            out.raw.publish(array_to_image(frame.image, header))
        if out.jpeg.get_subscription_count():
            out.jpeg.publish(array_to_jpeg(frame.image, header))
        if lens is not None and out.info.get_subscription_count():
            height, width = frame.image.shape[:2]
            out.info.publish(lens_info(header, (width, height), lens))

    def _look(self) -> None:
        """Says what the threads have come to, whenever it is another."""
        for capture in self._captures.values():
            if capture.failure is not None:
                raise capture.failure
        troubles = [capture.trouble for capture in self._captures.values() if capture.trouble]
        if not troubles and not self._is_ready():
            return
        told = "; ".join(troubles) or f"reads {', '.join(self._captures)}"
        if told == self._told:
            return
        self._told = told
        settled = {
            f"{name} {control}": f"{value:g}"
            for name, capture in self._captures.items()
            for control, value in capture.settled.items()
        }
        self.report(ERROR if troubles else OK, told, **settled)
        if troubles:
            self.get_logger().error(told)
        else:
            locked = [f"{name} has settled to {value}" for name, value in settled.items()]
            self.get_logger().info(", ".join([told, *locked]))


def main() -> None:
    """Runs the camera_driver node."""
    run_nodes(CameraDriverNode)


if __name__ == "__main__":
    main()
