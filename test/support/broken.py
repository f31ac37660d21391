"""An arbitration node whose third observation is more than it can stand."""

from expo_ft_ros.nodes.arbitration import ArbitrationNode
from expo_ft_ros.ros.process import main


class BrokenNode(ArbitrationNode):
    def observe(self, snapshot, number, wanted):
        if number == 3:
            raise RuntimeError("observation 3 is too much")
        return super().observe(snapshot, number, wanted)


if __name__ == "__main__":
    main(BrokenNode)
