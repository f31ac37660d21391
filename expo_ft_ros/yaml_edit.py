# SPDX-License-Identifier: Apache-2.0
"""A mapping within a YAML file is given other values; comments, order and form of the rest stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import yaml


def with_values(text: str, location: Sequence[str], values: Mapping[str, object]) -> str:
    """The text of a file in which a mapping has these values.

    Args:
        text: Of the file.
        location: Names of the mappings on the way, that one the last.
        values: Name -> number, text, or a flat list of them; what the mapping hasn't is added.

    Raises:
        KeyError: where the file has no such mapping.
    """
    node = _mapping(yaml.compose(text, Loader=yaml.SafeLoader))
    for name in location:
        node = _mapping(_entries(node)[name])
    entries = _entries(node)
    added = {name: _inline(value) for name, value in values.items()}
    edits = [
        (old.start_mark.index, _end(old), added.pop(name))
        for name, old in entries.items()
        if name in added
    ]
    last = list(entries.values())[-1]
    lines = [f"{name}: {new}" for name, new in added.items()]
    if node.flow_style:
        edits.append((_end(last), _end(last), "".join(f", {line}" for line in lines)))
    else:
        # After the line of the last value, whose comment stays with it.
        line_end = text.find("\n", _end(last))
        place, indent = len(text) if line_end < 0 else line_end, " " * node.start_mark.column
        edits.append((place, place, "".join(f"\n{indent}{line}" for line in lines)))
    # From the end on, so that the places of the others stay what they are.
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _mapping(node: yaml.Node | None) -> yaml.MappingNode:
    """The node, where it is a mapping that has values."""
    if not isinstance(node, yaml.MappingNode) or not node.value:
        raise KeyError("no mapping with values")
    return node


def _entries(node: yaml.MappingNode) -> dict[str, yaml.Node]:
    """Name -> its value, in the file's order."""
    return {str(key.value): value for key, value in node.value}


def _end(node: yaml.Node) -> int:
    """Where a value ends; of a list over several lines, its last item."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        raise KeyError("a list over several lines; write it as [a, b]")
    return int(node.end_mark.index)


def _inline(value: object) -> str:
    """In one line, as people write it: 12, not 12.0."""
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_inline, value))}]"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return yaml.safe_dump(value, default_flow_style=True).split("\n")[0]
