# SPDX-License-Identifier: Apache-2.0
"""Values are written into a file of somebody's, and nothing else of it changes."""

from __future__ import annotations

import pytest
import yaml

from expo_ft_ros.tasks import TASKS, known_tasks, load_task
from expo_ft_ros.tasks.calibration import colour_names
from expo_ft_ros.yaml_edit import with_values

TEXT = """\
# Of the pan.
name: a
classifier:
  parameters:
    egg:          # all of it
      hues: [42, 3]   # [degrees]
      min_value: 0.35 # of a pixel
    white: {hues: [0], tolerance: 180}   # a ball
    few: 3
"""
PLACE = ("classifier", "parameters")


def test_values_change_where_they_stand_and_comments_stay() -> None:
    text = with_values(TEXT, (*PLACE, "egg"), {"hues": (10.0, 20.5), "min_value": 0.5})
    assert text == TEXT.replace("[42, 3]", "[10, 20.5]").replace("0.35", "0.5")


def test_new_values_follow_the_last_of_their_mapping() -> None:
    text = with_values(TEXT, (*PLACE, "egg"), {"tolerance": 12.0, "max_value": 0.9, "hues": [1]})
    wanted = TEXT.replace("[42, 3]", "[1]").replace(
        "# of a pixel\n", "# of a pixel\n      tolerance: 12\n      max_value: 0.9\n"
    )
    assert text == wanted


def test_a_mapping_in_one_line_stays_in_one() -> None:
    text = with_values(TEXT, (*PLACE, "white"), {"tolerance": 9, "max_value": 0.1})
    assert text == TEXT.replace("tolerance: 180}", "tolerance: 9, max_value: 0.1}")


def test_the_end_of_a_file_is_a_place_too() -> None:
    assert with_values("a:\n  b: 1", ("a",), {"c": "x"}) == "a:\n  b: 1\n  c: x"
    assert with_values("a:\n  b: 1\n", ("a",), {"c": 2}) == "a:\n  b: 1\n  c: 2\n"


@pytest.mark.parametrize("location", [("classifier", "colours"), ("name",), (*PLACE, "few")])
def test_what_is_no_mapping_of_the_file_is_refused(location: tuple[str, ...]) -> None:
    with pytest.raises(KeyError):
        with_values(TEXT, location, {"a": 1})


def test_a_list_over_several_lines_is_refused() -> None:
    with pytest.raises(KeyError, match="several lines"):
        with_values("a:\n  b:\n  - 1\n  - 2\n", ("a",), {"b": [3]})


@pytest.mark.parametrize("name", known_tasks())
def test_each_colour_of_each_task_file_can_be_written(name: str) -> None:
    path = TASKS.find(name)
    text, task = path.read_text(), load_task(name)
    for colour in colour_names(task):
        values = {"hues": [7.0, 200.0], "tolerance": 11.0, "max_value": 0.75}
        edited = with_values(text, (*PLACE, colour), values)
        before, after = yaml.safe_load(text), yaml.safe_load(edited)
        before["classifier"]["parameters"][colour] |= values
        assert after == before
        comments = [line.partition("#")[2] for line in text.splitlines() if "#" in line]
        assert [line.partition("#")[2] for line in edited.splitlines() if "#" in line] == comments
