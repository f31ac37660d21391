# SPDX-License-Identifier: Apache-2.0
"""Whatever stands in a task's file: a task that works, or one clear line."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expo_ft_ros.configuration import ConfigError, config_dir
from expo_ft_ros.data.types import Observation, Proprio
from expo_ft_ros.tasks import known_tasks, load_task
from expo_ft_ros.tasks.classifiers import make_classifier
from expo_ft_ros.tasks.reward import names_a_view
from support.fuzz import ALWAYS_THE_SAME, EXAMPLES

pytestmark = pytest.mark.slow

TEXTS = {name: (config_dir() / "tasks" / f"{name}.yaml").read_text() for name in known_tasks()}
LONG = settings(
    max_examples=EXAMPLES,
    derandomize=ALWAYS_THE_SAME,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

names = st.sampled_from(sorted(TEXTS))
numbers = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from(["12e-2", "1e400", "-0", ".5", "1_0", "0x1F", "1:30", "true", "null", "~"]),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
pieces = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        [
            *(
                "\n",
                ": ",
                "- ",
                "  ",
                "#",
                "&a ",
                "*a",
                "!!int ",
                "? ",
                "{",
                "}",
                "[",
                "]",
                "'",
                '"',
            ),
            *("|\n", "---\n", "%", "<<: ", "\t", "@", "\u0085", "\ufeff", "9" * 5000, "[" * 2000),
        ]
    ),
)


def tried(folder: Path, name: str, text: str) -> None:
    """Loads the file; a task is used as an episode would."""
    path = folder / f"{name}.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        task = load_task(path)
    except ConfigError as error:
        message = str(error)
        assert message.startswith(f"{path}:")
        assert message.isprintable()
        assert len(message) < 2000
        return
    assert task.name == name
    assert task.period > 0
    assert all(
        low < high for low, high in zip(task.workspace.low, task.workspace.high, strict=True)
    )
    parameters = task.classifier.parameters
    fields = type(parameters).model_fields.items()
    looked_at = [getattr(parameters, name) for name, field in fields if names_a_view(field)]
    image = np.zeros((8, 8, 3), np.uint8)
    proprio = Proprio(np.array([0.5, 0.0, 0.3]), np.array([1.0, 0.0, 0.0, 0.0]), 0.04)
    seen = Observation(0, 0.0, dict.fromkeys(looked_at, image), proprio, task.instruction)
    classifier = make_classifier(task)
    classifier.reset(seen)
    assert classifier(seen).value in (0.0, 1.0)
    classifier.marks(seen.views)


def places(data: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where each value is."""
    children: list[tuple[Any, Any]] = []
    if isinstance(data, dict):
        children = list(data.items())
    elif isinstance(data, list):
        children = list(enumerate(data))
    return [here, *(place for key, child in children for place in places(child, (*here, key)))]


@given(st.data(), names)
@LONG
def test_with_another_value_a_value_less_or_one_more(tmp_path, data, name):
    content = copy.deepcopy(yaml.safe_load(TEXTS[name]))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(places(content)))
        if not place:
            continue
        parent = content
        for key in place[:-1]:
            parent = parent[key]
        kind = data.draw(st.sampled_from(["change", "remove", "add"]))
        if kind == "change":
            parent[place[-1]] = data.draw(values)
        elif kind == "remove":
            del parent[place[-1]]
        elif isinstance(parent, dict):
            parent[data.draw(st.text(max_size=8))] = data.draw(values)
        else:
            parent.append(data.draw(values))
    tried(tmp_path, name, yaml.safe_dump(content, allow_unicode=data.draw(st.booleans())))


@given(st.data(), names)
@LONG
def test_with_letters_less_more_or_others(tmp_path, data, name):
    text = TEXTS[name]
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 30)))
        text = text[:start] + data.draw(pieces) + text[end:]
    tried(tmp_path, name, text)


@given(names, st.one_of(st.text(), st.lists(pieces, max_size=8).map("".join)))
@settings(LONG)
def test_with_anything_at_all(tmp_path, name, text):
    tried(tmp_path, name, text)
