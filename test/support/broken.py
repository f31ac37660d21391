# SPDX-License-Identifier: Apache-2.0
"""An arbitration node whose third observation is more than it can stand."""

from expo_ft_ros.control.snapshot import Snapshot
from expo_ft_ros.nodes.arbitration import main

observation = Snapshot.observation


def broken(self, number, instruction):
    if number == 3:
        raise RuntimeError("observation 3 is too much")
    return observation(self, number, instruction)


if __name__ == "__main__":
    Snapshot.observation = broken
    main()
