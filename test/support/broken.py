# SPDX-License-Identifier: Apache-2.0
"""An arbitration node to which one observation is more than it can stand: of that number."""

import os

from expo_ft_ros.control.snapshot import Snapshot
from expo_ft_ros.nodes.arbitration import main

TOO_MUCH = int(os.environ["TOO_MUCH"])
observation = Snapshot.observation


def broken(self, number, instruction, steps_left):
    if number == TOO_MUCH:
        raise RuntimeError(f"observation {number} is too much")
    return observation(self, number, instruction, steps_left)


if __name__ == "__main__":
    Snapshot.observation = broken
    main()
