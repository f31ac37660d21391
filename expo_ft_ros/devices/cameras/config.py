# SPDX-License-Identifier: Apache-2.0
"""How one camera is read: a YAML file, in config/cameras/ or anywhere, read into a CameraConfig."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, model_validator

from expo_ft_ros.configuration import Config, ConfigError, load_yaml
from expo_ft_ros.named_files import NamedFiles

CAMERAS = NamedFiles(kind="camera", folder="cameras", variable="EXPO_FT_CAMERAS")

PYREALSENSE2 = "pyrealsense2==2.59.1.11053"

SETTLED: Final = "settled"
AUTO: Final = "auto"
Automatic = float | Literal["settled", "auto"]

_NUMBERED = re.compile(r"/dev/video\d+")
_SERIAL = re.compile(r"[A-Za-z0-9]+")


class CameraConfig(Config):
    """One camera, whichever view it is for; what of its image is seen is the view's `crop`."""

    driver: Literal["v4l2", "realsense"] = Field(
        description="v4l2: what Linux has as a video device (OpenCV reads it); realsense: a "
        "RealSense's colour images (pyrealsense2 reads them)"
    )
    device: str = Field(
        min_length=1,
        description="v4l2: its path in /dev/v4l/by-id or by-path; realsense: its serial number, "
        "in quotes",
    )
    width: int = Field(default=640, ge=16, le=8192, description="of its images [px]")
    height: int = Field(default=480, ge=16, le=8192, description="of its images [px]")
    rate: int = Field(default=30, ge=7, le=240, description="images a second [Hz]")
    format: Literal["YUYV", "MJPG"] | None = Field(
        default=None,
        description="v4l2: as what its images come, YUYV (the default; exact) or MJPG (less of "
        "the USB's bandwidth); realsense: null",
    )
    exposure: Automatic = Field(
        default=SETTLED,
        description="locked to this number, in the device's own units; settled: to what its own "
        "control has come to at the start; auto: never locked",
    )
    white_balance: Automatic = Field(default=SETTLED, description="as exposure [K]")
    settle: float = Field(
        default=3.0,
        ge=0.1,
        le=60,
        description="how long exposure and white balance have to settle before they are locked [s]",
    )
    controls: dict[str, float] = Field(
        default_factory=dict,
        description="other controls by name, as {gain: 16}: of OpenCV's CAP_PROP_... or "
        "pyrealsense2's option..., in lower case",
    )

    @model_validator(mode="after")
    def _is_one_device(self) -> CameraConfig:
        if self.driver == "realsense":
            if not _SERIAL.fullmatch(self.device):
                raise ValueError(f"device {self.device!r} is no serial number of a RealSense")
            if self.format is not None:
                raise ValueError("format is of v4l2 only (leave it out)")
        elif _NUMBERED.fullmatch(self.device):
            raise ValueError(
                f"device {self.device} may be another camera after the next start (take its path "
                "in /dev/v4l/by-id, or in by-path where two cameras have the same serial number)"
            )
        elif not Path(self.device).is_absolute():
            raise ValueError(f"device {self.device!r} is no path (one in /dev/v4l/by-id)")
        return self

    def require_package(self) -> None:
        """Checks that what reads it is installed; raises ConfigError in one line."""
        if self.driver == "realsense" and importlib.util.find_spec("pyrealsense2") is None:
            raise ConfigError(
                "driver: realsense: the Python package pyrealsense2 is not installed "
                f"(./expo-ft python -m pip install {PYREALSENSE2})"
            )


def load_camera(name_or_path: str | Path) -> CameraConfig:
    """The camera of a name, or of a file. Raises ConfigError as `NamedFiles.find`, `load_yaml`."""
    return load_yaml(CameraConfig, CAMERAS.find(name_or_path))
