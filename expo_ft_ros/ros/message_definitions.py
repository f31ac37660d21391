# SPDX-License-Identifier: Apache-2.0
"""The text that defines a message, with those of the messages in it, as a bag keeps it."""

from __future__ import annotations

import re
from pathlib import Path

from ament_index_python.packages import get_package_share_directory

_SEPARATOR = "=" * 80
_FIELD = re.compile(r"^\s*(?:([a-z]\w*)/)?(?:msg/)?([A-Z]\w*)(?:\[[^\]]*\])?\s+[a-z]", re.MULTILINE)


def message_definition(type_name: str) -> str:
    """Of "package/Message": its .msg file, then those of the types in it, each once, as rosbag2
    writes them (MCAP's `ros2msg` encoding).

    Raises:
        FileNotFoundError: when one of them is not installed.
    """
    parts: dict[str, str] = {}
    _collect(type_name, parts)
    first, *others = parts.items()
    blocks = [first[1]] + [f"{_SEPARATOR}\nMSG: {name}\n{text}" for name, text in others]
    return "\n".join(blocks)


def _collect(type_name: str, parts: dict[str, str]) -> None:
    if type_name in parts:
        return
    package, _, title = type_name.partition("/")
    path = Path(get_package_share_directory(package)) / "msg" / f"{title}.msg"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: {type_name} is not installed (source its workspace)")
    text = path.read_text(encoding="utf-8")
    parts[type_name] = text
    for other, name in _FIELD.findall(text):
        _collect(f"{other or package}/{name}", parts)
