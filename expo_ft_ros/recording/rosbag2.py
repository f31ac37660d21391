# SPDX-License-Identifier: Apache-2.0
"""metadata.yaml of a folder of episodes, with which rosbag2 opens all of them as one bag.

Written as JSON, which is YAML: a run has hundreds of episodes, and each end of one writes it anew.
Format: version 9 of rosbag2_storage's BagMetadata (ROS 2 Jazzy and later).
"""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcap.exceptions import McapError
from mcap.reader import make_reader

from expo_ft_ros.data.files import write_atomically
from expo_ft_ros.recording.episode_store import whole_files

METADATA_FILE = "metadata.yaml"
_VERSION = 9


@dataclass(frozen=True)
class _FileSummary:
    """What rosbag2 has to know of a file.

    Attributes:
        start: Time of the first message [ns].
        end: Time of the last one [ns].
        counts: Topic and type, "package/msg/Name" -> number of messages.
    """

    start: int
    end: int
    counts: Mapping[tuple[str, str], int]


class EpisodeBag:
    """The metadata of one folder, kept up to date as files come and go."""

    def __init__(self, folder: Path) -> None:
        """Nothing is read or written yet.

        Args:
            folder: A run's episodes.
        """
        self._folder = folder
        self._known: dict[Path, _FileSummary] = {}

    def refresh(self) -> None:
        """Writes the metadata of the files that are there; reads those that are new.

        A file that has no end, or none that can be read, is left out, as one that was set aside.

        Raises:
            OSError: when it can't be written.
        """
        summaries = {}
        for path in whole_files(self._folder):
            found = self._known.get(path) or _summary(path)
            if found is not None:
                summaries[path] = found
        self._known = summaries
        write_atomically(self._folder / METADATA_FILE, _metadata(summaries), durable=False)


def _summary(path: Path) -> _FileSummary | None:
    try:
        with path.open("rb") as stream:
            summary = make_reader(stream).get_summary()
    except (McapError, OSError, EOFError, ValueError, struct.error):
        return None
    if summary is None or summary.statistics is None:
        return None
    statistics = summary.statistics
    counts: Counter[tuple[str, str]] = Counter()
    for number, count in statistics.channel_message_counts.items():
        channel = summary.channels[number]
        counts[channel.topic, summary.schemas[channel.schema_id].name] += count
    return _FileSummary(statistics.message_start_time, statistics.message_end_time, counts)


def _metadata(files: Mapping[Path, _FileSummary]) -> dict[str, Any]:
    counts: Counter[tuple[str, str]] = Counter()
    for summary in files.values():
        counts.update(summary.counts)
    start = min((summary.start for summary in files.values()), default=0)
    end = max((summary.end for summary in files.values()), default=0)
    topics = [
        {
            "topic_metadata": {
                "name": name,
                "type": type_,
                "serialization_format": "cdr",
                "offered_qos_profiles": [],
                "type_description_hash": "",
            },
            "message_count": count,
        }
        for (name, type_), count in sorted(counts.items())
    ]
    content = {
        "version": _VERSION,
        "storage_identifier": "mcap",
        **_times(start, end),
        "message_count": counts.total(),
        "topics_with_message_count": topics,
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": [path.name for path in files],
        "files": [
            {
                "path": path.name,
                **_times(summary.start, summary.end),
                "message_count": sum(summary.counts.values()),
            }
            for path, summary in files.items()
        ],
        "custom_data": {},
        "ros_distro": os.environ.get("ROS_DISTRO", ""),
    }
    return {"rosbag2_bagfile_information": content}


def _times(start: int, end: int) -> dict[str, Any]:
    return {
        "duration": {"nanoseconds": end - start},
        "starting_time": {"nanoseconds_since_epoch": start},
    }
