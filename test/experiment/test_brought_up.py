# SPDX-License-Identifier: Apache-2.0
"""What is kept of a robot's checks, and what a run says of them."""

from __future__ import annotations

import json

import pytest

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.experiment.arguments import parse_arguments
from expo_ft_ros.experiment.bringup_options import BringupOptions
from expo_ft_ros.experiment.brought_up import (
    CHECKS,
    COPY_FILE,
    RECORD_FILE,
    bringup_notes,
    checks_of,
    copy_record,
    entry_of,
    keep_check,
    missing_checks,
)
from expo_ft_ros.experiment.motion import target_of
from expo_ft_ros.experiment.options import CollectOptions, EvalOptions, SimOptions
from expo_ft_ros.robots import load_robot

ROBOT = load_robot("external")


def keep_all(file, target, robot=ROBOT, **other):
    for name in CHECKS:
        keep_check(file, target, name, entry_of(other.get(name, "passed"), "so", {"a": 1.0}, robot))


def changed(**parts):
    """The robot, with other settings."""
    return ROBOT.model_copy(update=parts)


def test_what_has_passed_is_kept_by_robot_and_check(tmp_path):
    file = tmp_path / "new" / RECORD_FILE
    assert checks_of(file, "left") == {}
    keep_check(file, "left", "stop", entry_of("failed", "slow", {"stood_after": 0.4}, ROBOT))
    keep_check(file, "right", "axes", entry_of("passed", "well", {}, ROBOT))
    keep_check(file, "left", "still", entry_of("passed", "well", {}, ROBOT))
    found = checks_of(file, "left")
    assert list(found) == ["still", "stop"]
    assert found["stop"]["numbers"] == {"stood_after": 0.4}
    assert list(checks_of(file, "right")) == ["axes"]
    assert missing_checks(found, ROBOT) == ["axes", "workspace", "stop (failed)", "cameras"]
    keep_check(file, "left", "stop", entry_of("passed", "well", {}, ROBOT))
    assert "stop (failed)" not in missing_checks(checks_of(file, "left"), ROBOT)


def test_each_check_is_of_its_part_of_the_robot_s_file(tmp_path):
    file = tmp_path / RECORD_FILE
    keep_all(file, "it")
    checks = checks_of(file, "it")
    assert missing_checks(checks, ROBOT) == []
    limits = ROBOT.limits.model_copy(update={"linear_velocity": 0.2})
    assert missing_checks(checks, changed(limits=limits)) == [
        "axes (done with other limits)",
        "stop (done with other limits)",
    ]
    workspace = ROBOT.workspace.model_copy(update={"low": (0.3, -0.4, 0.0)})
    assert missing_checks(checks, changed(workspace=workspace)) == [
        "workspace (done with other workspace)"
    ]
    assert missing_checks(checks, changed(views=ROBOT.views[:1])) == [
        "cameras (done with other views)"
    ]
    frames = ROBOT.frames.model_copy(update={"base": "world"})
    assert [words.split()[0] for words in missing_checks(checks, changed(frames=frames))] == [
        "still",
        "axes",
        "workspace",
    ]


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"it": 3}', '{"it": {"axes": 1}}'])
def test_a_broken_record_counts_for_nothing_and_is_not_overwritten(text, tmp_path):
    file = tmp_path / RECORD_FILE
    file.write_text(text)
    assert checks_of(file, "it") == {}
    if not text.startswith('{"'):
        with pytest.raises(ConfigError, match="move it away"):
            keep_check(file, "it", "axes", entry_of("passed", "so", {}, ROBOT))
        assert file.read_text() == text


def options_of(model, **given):
    values = {"robot": "external", "realtime": True, "scene_reset": "operator", "motion": "on"}
    return model.model_validate({**values, **given})


def test_a_run_on_a_robot_says_what_is_missing(tmp_path):
    options = options_of(CollectOptions, operator="spacemouse", namespace="left")
    (line,) = bringup_notes(options, tmp_path)
    assert line == (
        "not brought up: still, axes, workspace, stop, cameras missing; ./expo-ft bringup "
        "robot:=external namespace:=/left"
    )
    keep_all(tmp_path / RECORD_FILE, target_of(options, ROBOT), cameras="skipped")
    (line,) = bringup_notes(options, tmp_path)
    assert line.startswith("not brought up: cameras (skipped) missing; ")
    keep_all(tmp_path / RECORD_FILE, target_of(options, ROBOT))
    assert bringup_notes(options, tmp_path) == []


@pytest.mark.parametrize(
    "options",
    [
        options_of(SimOptions),
        options_of(EvalOptions, motion="off"),
        options_of(EvalOptions, robot="sim"),
        options_of(BringupOptions, operator="none"),
    ],
)
def test_other_runs_say_nothing(options, tmp_path):
    assert bringup_notes(options, tmp_path) == []
    keep_all(tmp_path / RECORD_FILE, target_of(options, load_robot(options.robot)))
    copy_record(options, tmp_path, tmp_path)
    assert not (tmp_path / COPY_FILE).exists()


def test_what_there_is_lies_beside_the_run(tmp_path):
    options, run = options_of(EvalOptions), tmp_path / "run"
    run.mkdir()
    copy_record(options, tmp_path, run)
    assert not (run / COPY_FILE).exists()
    target = target_of(options, ROBOT)
    keep_all(tmp_path / RECORD_FILE, target, axes="failed")
    keep_all(tmp_path / RECORD_FILE, "another")
    copy_record(options, tmp_path, run)
    assert set(json.loads((run / COPY_FILE).read_text())) == {target}
    assert checks_of(run / COPY_FILE, target)["axes"]["status"] == "failed"


def test_options_of_the_guide():
    options = parse_arguments(["checks:=stop,axes"], BringupOptions)
    assert options.wanted == ("axes", "stop")
    assert (options.realtime, options.scene_reset, options.motion) == (True, "operator", "on")
    assert parse_arguments([], BringupOptions).wanted == CHECKS
    for word in ("checks:=axis", "motion:=off", "operator:=keyboard", "realtime:=false"):
        with pytest.raises(ConfigError, match=word.partition(":=")[0]):
            parse_arguments([word], BringupOptions)
