# SPDX-License-Identifier: Apache-2.0
"""Which run moves its robot: the default of each, the typed yes, and what motion off refuses."""

import io
import json
import platform

import pytest
import yaml

from expo_ft_ros.configuration import ConfigError, config_dir
from expo_ft_ros.experiment.motion import MOVED_FILE, has_motion, moved_robots, target_of
from expo_ft_ros.experiment.options import (
    CollectOptions,
    DemoOptions,
    EvalOptions,
    SimOptions,
    TrainOptions,
)
from expo_ft_ros.experiment.preflight import open_run, prepare_run
from expo_ft_ros.graph.specs import collect_graph, server_graph, sim_graph
from expo_ft_ros.robots import load_robot
from support.motion import let_move
from support.policy_servers import serving

ON_A_ROBOT = ("realtime:=true", "operator:=spacemouse", "scene_reset:=operator")
EXTERNAL = ("robot:=external", *ON_A_ROBOT)
HERE = f", from {platform.node()}"
TARGET = f"external at the node /robot{HERE}"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    folder = tmp_path / "runs"
    monkeypatch.setenv("EXPO_FT_RUNS", str(folder))
    monkeypatch.setenv("EXPO_FT_ISOLATE", "1")
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)
    return folder


@pytest.fixture
def typed(monkeypatch):
    def answer(words):
        monkeypatch.setattr("sys.stdin", Terminal(words))

    return answer


def collect(*words):
    return open_run("collect", [*EXTERNAL, *words], CollectOptions)


def refused(cause, command, model, *words):
    with pytest.raises(ConfigError, match=cause) as caught:
        prepare_run(command, words, model)
    assert "\n" not in str(caught.value)


def test_a_simulated_robot_moves_unless_it_is_said_otherwise():
    for words, motion in (([], "on"), (["motion:=on"], "on"), (["motion:=off"], "off")):
        options = prepare_run("sim", words, SimOptions).options
        assert (options.motion, has_motion(options)) == (motion, motion == "on")


@pytest.mark.parametrize("value", ["maybe", "true", "On", "1", "0", "no"])
def test_a_malformed_value_is_refused(value):
    refused("motion:=", "sim", SimOptions, f"motion:={value}")


def test_any_other_robot_stands_until_it_was_moved(runs):
    options = prepare_run("sim", EXTERNAL, SimOptions).options
    assert not has_motion(options)
    let_move(runs, "franka_fci", "10.0.0.7")
    assert prepare_run("sim", EXTERNAL, SimOptions).options.motion == "off"
    assert let_move(runs, "external") == TARGET
    assert prepare_run("sim", EXTERNAL, SimOptions).options.motion == "on"
    off = prepare_run("sim", [*EXTERNAL, "motion:=off"], SimOptions).options
    assert off.motion == "off"


def test_the_same_name_at_another_address_is_another_robot(tmp_path):
    assert let_move(tmp_path, "franka_fci") == f"franka_fci at 172.16.0.2{HERE}"
    assert let_move(tmp_path, "franka_fci", "10.0.0.7") == f"franka_fci at 10.0.0.7{HERE}"
    assert let_move(tmp_path, "crisp") == f"crisp at /fr3/target_pose{HERE}"
    there = let_move(tmp_path, "crisp", "10.0.0.7")
    assert there == f"crisp at /fr3/target_pose of 10.0.0.7{HERE}"


@pytest.mark.parametrize("namespace", ["left", "right/inner"])
def test_the_same_name_in_another_namespace_is_another_robot(namespace):
    options = SimOptions.model_construct(robot="external", robot_ip="", namespace=namespace)
    target = target_of(options, load_robot("external"))
    assert target == f"external at the node /{namespace}/robot{HERE}"


def test_what_can_t_be_read_is_no_yes(runs):
    runs.mkdir()
    (runs / MOVED_FILE).write_bytes(TARGET.encode() + b"\n\xff\xfe")
    assert moved_robots(runs) == frozenset()
    (runs / MOVED_FILE).unlink()
    (runs / MOVED_FILE).mkdir()
    assert moved_robots(runs) == frozenset()


@pytest.mark.parametrize(
    ("command", "model"), [("collect", CollectOptions), ("train", TrainOptions)]
)
def test_where_nothing_can_be_shown_or_learned_motion_off_is_refused(command, model):
    refused("motion:=off: .*expo-ft eval motion:=off", command, model, "motion:=off")
    unsaid = f"robot:=external: motion is off until .*{TARGET}.*expo-ft sim.*motion:=on"
    refused(unsaid, command, model, *EXTERNAL)


def test_a_demo_is_refused_too():
    refused("motion:=off", "demo", DemoOptions, "motion:=off")


@pytest.mark.parametrize("reset", ["automatic", "asked", "scripted"])
def test_nobody_resets_the_scene_of_a_robot_that_stands_by_moving_it(reset, tmp_path):
    text = (config_dir() / "robots" / "external.yaml").read_text().replace("external", "able")
    robot = tmp_path / "able.yaml"
    text = text.replace("adapter: able", "adapter: external")
    robot.write_text(f"{text}\ncapabilities: {{resets_scene: true}}\n")
    refused(
        f"scene_reset:={reset}: the arm moves",
        "sim",
        SimOptions,
        f"robot:={robot}",
        "realtime:=true",
        "operator:=none",
        f"scene_reset:={reset}",
    )


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("arbitration: {ros__parameters: {motion: true}}", "motion"),
        ("franka_fci: {ros__parameters: {robot_ip: 10.0.0.9}}", "robot_ip"),
        ("/**: {ros__parameters: {robot: sim}}", "robot"),
        ("left: {arbitration: {ros__parameters: {scene_reset: automatic}}}", "scene_reset"),
    ],
)
def test_a_parameters_file_can_t_say_what_moves(tmp_path, content, name):
    file = tmp_path / "params.yaml"
    file.write_text(content)
    refused(f"sets {name}: ", "sim", SimOptions, f"params_file:={file}", "motion:=off")


def test_the_first_run_with_motion_wants_a_typed_yes(runs, typed, capsys):
    typed("yes\n")
    run = collect("motion:=on")
    run.close()
    asked = capsys.readouterr().err
    assert f"This run moves {TARGET}" in asked
    assert f"Type yes to move {TARGET}" in asked
    assert any(TARGET in note for note in run.notes)
    assert moved_robots(runs) == {TARGET}
    assert yaml.safe_load((run.path / "config.yaml").read_text())["resolved"]["motion"] == "on"
    typed("")
    again = collect()
    again.close()
    assert again.options.motion == "on"
    assert not capsys.readouterr().err, "once is enough"
    open_run("collect", [f"resume:={run.path}"], CollectOptions).close()
    (runs / MOVED_FILE).unlink()
    with pytest.raises(ConfigError, match="the answer was not yes"):
        open_run("collect", [f"resume:={run.path}"], CollectOptions)


@pytest.mark.parametrize("answer", ["", "\n", "y\n", "YES\n", "no\n", "yes please\n", "external\n"])
def test_any_other_answer_starts_nothing(runs, typed, answer):
    typed(answer)
    with pytest.raises(ConfigError, match=f"motion:=on: {TARGET} is not moved"):
        collect("motion:=on")
    assert not runs.exists()


def test_where_nobody_can_type_it_says_what_to_do(runs, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    with pytest.raises(ConfigError, match="nobody can type yes here") as caught:
        collect("motion:=on")
    said = str(caught.value)
    assert not runs.exists()
    assert f"write the line {TARGET!r} into {runs / MOVED_FILE}" in said
    let_move(runs, "external")
    collect("motion:=on").close()


def test_the_graph_is_told_and_an_evaluation_without_motion_measures_nothing(tmp_path):
    def of(specs, node):
        return next(spec.parameters for spec in specs if spec.name == node)

    with serving() as server:
        given = [f"policy:={server.address}"]
        for word, motion, kind in (("motion:=on", True, "eval"), ("motion:=off", False, "shadow")):
            options = prepare_run("eval", [*given, word], EvalOptions).options
            specs = server_graph(options, tmp_path, server.address)
            assert of(specs, "arbitration")["motion"] is motion
            assert of(specs, "session")["kind"] == kind
    assert of(sim_graph(SimOptions(), tmp_path), "arbitration")["motion"] is True
    real = CollectOptions.model_construct(robot="external", operator="spacemouse")
    assert of(collect_graph(real, tmp_path), "arbitration")["motion"] is False, "nobody has said so"


def test_a_run_with_motion_off_says_so_where_it_is_kept(runs):
    run = open_run("sim", ["motion:=off"], SimOptions)
    run.close()
    assert any("Motion: off" in note for note in run.notes)
    kept = yaml.safe_load((run.path / "config.yaml").read_text())
    assert kept["resolved"]["motion"] == kept["options"]["motion"] == "off"
    assert json.dumps(kept["options"])
