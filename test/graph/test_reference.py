# SPDX-License-Identifier: Apache-2.0
"""docs/reference.md is what the code says, and the topic table is what the nodes do."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

from expo_ft_ros.graph.reference import reference
from expo_ft_ros.graph.topics import ROBOT, TOPICS, VIEW

ROOT = Path(__file__).parents[2]
NODES = [path for part in ("nodes", "ros") for path in (ROOT / "expo_ft_ros" / part).glob("*.py")]
# Files in which nodes share code: who does what is in them.
SHARED = {
    "graph_node": ["every"],
    "chunk_publisher": ["policy"],
    "policy_client": ["policy"],
    "episode_subscriber": ["learner", "recorder"],
    "joined_robots": ["learner"],
    "presence": ["session"],
    "robot_adapter": [ROBOT],
    "robot_commands": ["arbitration"],
    "frames": [ROBOT],
}


def test_the_document_is_what_the_code_says():
    written = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert written == reference(), (
        "run ./expo-ft python -m expo_ft_ros.graph.reference > docs/reference.md"
    )


def names_in(call: ast.Call) -> list[str]:
    """Topics that a call's first argument names; an f-string's gap stands for a view."""
    argument = call.args[0] if call.args else None
    if isinstance(argument, ast.Constant):
        return [str(argument.value)]
    if isinstance(argument, ast.JoinedStr):
        parts = [VIEW if isinstance(p, ast.FormattedValue) else p.value for p in argument.values]
        return ["".join(parts)]
    return []


def named(method: str) -> dict[str, set[str]]:
    """Topic to the nodes whose files name it in a call of this method."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in NODES:
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == method:
                for name in names_in(call):
                    if name in TOPICS:
                        found[name].update(SHARED.get(path.stem, [path.stem]))
    return found


@pytest.mark.parametrize(
    ("method", "field"), [("publisher", "publishers"), ("subscription", "subscribers")]
)
def test_the_table_has_every_node_that_names_a_topic(method, field):
    for name, nodes in named(method).items():
        listed = set(getattr(TOPICS[name], field))
        assert nodes <= listed or "every" in listed, f"{name}: {nodes - listed} not in {field}"


def test_the_nodes_name_every_topic_of_the_table():
    sent = named("publisher")
    assert {name for name, topic in TOPICS.items() if topic.publishers} <= set(sent)
    for name, topic in TOPICS.items():
        assert sent[name] == set(topic.publishers), name
