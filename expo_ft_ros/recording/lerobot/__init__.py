# SPDX-License-Identifier: Apache-2.0
"""LeRobot datasets, format v3.0: episodes are written into one and read from one.

Images are lossless PNG inside the Parquet files, no video. A frame is an observation and the action
that was executed on it, so the observation after the last step is not in a dataset; read back, the
last one stands for it.
"""

from expo_ft_ros.recording.lerobot.format import DatasetError
from expo_ft_ros.recording.lerobot.reader import DatasetSize, check_dataset, read_dataset
from expo_ft_ros.recording.lerobot.writer import DatasetWriter

__all__ = ["DatasetError", "DatasetSize", "DatasetWriter", "check_dataset", "read_dataset"]
