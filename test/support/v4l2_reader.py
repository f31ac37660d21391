# SPDX-License-Identifier: Apache-2.0
"""What becomes of V4L2 cameras, a line each: a process, since the device is preloaded.

Standard input has a line of JSON for each: its file, and the id of the control that it refuses.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time

from expo_ft_ros.devices.cameras.camera import CameraError
from expo_ft_ros.devices.cameras.capture import open_camera
from expo_ft_ros.devices.cameras.config import CameraConfig
from expo_ft_ros.devices.cameras.locks import Locks


def told(file: dict[str, object]) -> str:
    """Why the camera can't be used; else what is locked, and an image's age [s]."""
    config = CameraConfig.model_validate(file)
    locks = Locks(config)
    try:
        with contextlib.closing(open_camera(config)) as camera:
            waits = locks.begin(camera)
            frame = camera.read()
            age = 1e-9 * (time.time_ns() - frame.time_ns)
            if waits:
                locks.settle(camera)
            locked = {name: camera.get(name) for name in ("exposure", "gain")}
            return json.dumps({**locked, "age": age})
    except CameraError as error:
        return str(error)


if __name__ == "__main__":
    for line in sys.stdin:
        asked = json.loads(line)
        os.environ["V4L2_REFUSED"] = str(asked["refused"])
        print(told(asked["file"]), flush=True)
