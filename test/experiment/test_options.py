# SPDX-License-Identifier: Apache-2.0
"""Arguments to options, and the budget that follows."""

import re
import sys

import pytest
import yaml

from expo_ft_ros.configuration import ConfigError, config_dir
from expo_ft_ros.experiment.arguments import describe, parse_arguments
from expo_ft_ros.experiment.budget import SHORT_FORM_STEPS
from expo_ft_ros.experiment.options import (
    CollectOptions,
    DemoOptions,
    EvalOptions,
    SimOptions,
    TrainOptions,
)
from expo_ft_ros.tasks import load_task


def parse(*arguments):
    return parse_arguments(arguments, TrainOptions)


def test_nothing_given_is_the_defaults():
    assert parse() == TrainOptions()


def test_values_are_typed():
    options = parse("steps:=300", "realtime:=true", "operator_rate:=0.5", "mode:=async")
    assert (options.steps, options.realtime, options.operator_rate) == (300, True, 0.5)
    assert options.mode == "async"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--steps", "300"], "'--steps' is no option .write steps:=300"),
        (["--eval-trials=4"], "write eval_trials:=4"),
        (["-steps", "300"], "write steps:=300"),
        (["--realtime"], "write realtime:=<value>"),
        (["--realtime", "steps:=3"], "write realtime:=<value>"),
        (["--stepz", "300"], "did you mean steps"),
    ],
)
def test_options_have_one_form_and_others_are_answered_with_it(words, message):
    with pytest.raises(ConfigError, match=message):
        parse(*words)


def test_an_empty_value_is_the_default():
    assert parse("steps:=", "task:=") == TrainOptions()


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("stepz:=3", "did you mean steps"),
        ("colour:=red", "known: .*task"),
        ("steps:=0", "steps:=0: .*greater than or equal to 1"),
        ("steps:=many", "steps:=many: .*integer"),
        ("operator_rate:=1.5", "operator_rate:=1.5: .*less than or equal to 1"),
        ("operator_rate:=nan", "operator_rate:=nan"),
        (
            "operator:=nobody",
            "operator:=nobody: .*'scripted', 'spacemouse', .* 'keyboard', 'leader' or 'none'",
        ),
        ("mode:=fast", "mode:=fast"),
        ("scene_reset:=scripted", "scene_reset:=scripted: .*add realtime:=true"),
        ("scene_reset:=operator", "scene_reset:=operator: .*add realtime:=true"),
        ("robot:=iiwa", r"robot:=iiwa: .*known: crisp, external, franka_fci, .*sim, ur5e"),
        ("robot:=simm", r"did you mean sim\?"),
        ("task:=cube_pik", "did you mean cube_pick"),
        ("preset:=huge", "preset:=huge: no such preset .*recommended"),
        ("ahead:=4", "ahead:=4: with mode:=sync .*add mode:=async"),
        ("seed:=-1", "seed:=-1"),
        ("steps=3", "write steps:=3"),
        ("realtime", "write realtime:=<value>"),
        ("--stepz=3", "did you mean steps"),
        ("nonsense", "name:=value"),
    ],
)
def test_a_wrong_argument_is_one_clear_line(argument, message):
    with pytest.raises(ConfigError, match=message) as caught:
        parse(argument)
    assert "\n" not in str(caught.value)


def test_a_name_given_twice_is_refused():
    with pytest.raises(ConfigError, match="given twice"):
        parse("steps:=3", "steps:=4")


def test_options_of_another_command_are_unknown():
    with pytest.raises(ConfigError, match="unknown option 'steps'"):
        parse_arguments(["steps:=3"], CollectOptions)
    with pytest.raises(ConfigError, match="unknown option 'demos'"):
        parse_arguments(["demos:=3"], SimOptions)


def test_an_evaluation_may_be_disturbed_and_training_not():
    assert parse_arguments(["perturb:=push,lighting"], EvalOptions).perturb == "lighting,push"
    assert EvalOptions().perturb == ""
    for model in (TrainOptions, CollectOptions, DemoOptions):
        with pytest.raises(ConfigError, match="unknown option 'perturb'"):
            parse_arguments(["perturb:=push"], model)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["perturb:=pusch"], "perturb:=pusch: no such perturbation 'pusch' .known: lighting"),
        (["perturb:=push,push"], "perturb:=push,push: push is given twice"),
        (
            ["perturb:=nudge", "task:=flower_insert"],
            "perturb:=nudge: task:=flower_insert: nudge: nothing lies loose: bottle",
        ),
        (
            ["perturb:=push", "robot:=external", "realtime:=true", "scene_reset:=operator"],
            "perturb:=push: disturbs a simulated scene, which robot:=external hasn't",
        ),
    ],
)
def test_what_cannot_be_disturbed_is_refused_by_name(arguments, message):
    with pytest.raises(ConfigError, match=message):
        parse_arguments(arguments, EvalOptions)


def test_demonstrations_need_somebody_to_give_them():
    assert parse("operator:=none").budget(load_task("cube_pick")).demos == 0
    assert parse("operator:=none", "demos:=0").demos == 0
    with pytest.raises(ConfigError, match="nobody is there"):
        parse("operator:=none", "demos:=3")
    with pytest.raises(ConfigError, match="nobody is there"):
        parse_arguments(["operator:=none"], CollectOptions)


def test_a_dataset_stands_for_demonstrations(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = parse("demonstrations:=dataset")
    assert options.demonstrations == str(tmp_path / "dataset"), "a resumed run finds it too"
    work = options.budget(load_task("cube_pick"), 1)
    assert (work.demos, work.given) == (0, 1)
    more = parse("demonstrations:=dataset", "demos:=2").budget(load_task("cube_pick"), 1)
    assert (more.demos, more.given) == (2, 1)


def test_the_full_budget_is_the_tasks():
    task = load_task("cube_pick")
    work = TrainOptions().budget(task)
    assert (work.demos, work.eval_trials) == (task.demonstrations, task.eval_trials)
    assert (work.steps, work.imitation_scale, work.warmup_episodes) == (4000, 1.0, -1)


def test_the_short_form_makes_everything_smaller():
    task = load_task("cube_pick")
    work = parse("steps:=300").budget(task)
    assert work.steps == 300
    assert work.demos < task.demonstrations
    assert work.eval_trials < task.eval_trials
    assert work.imitation_scale < 1
    assert work.warmup_episodes >= 0


def test_the_short_form_keeps_what_is_given():
    work = parse("steps:=300", "demos:=7", "eval_trials:=20").budget(load_task("cube_pick"))
    assert (work.demos, work.eval_trials) == (7, 20)


def test_the_short_form_ends_at_its_limit():
    task = load_task("cube_pick")
    assert parse(f"steps:={SHORT_FORM_STEPS}").budget(task).imitation_scale < 1
    assert parse(f"steps:={SHORT_FORM_STEPS + 1}").budget(task).imitation_scale == 1


def test_collect_and_eval_are_never_short():
    task = load_task("cube_pick")
    assert CollectOptions().budget(task).demos == task.demonstrations
    assert EvalOptions().budget(task).eval_trials == task.eval_trials


def test_every_option_is_described_and_its_default_can_be_typed():
    for model in (TrainOptions, CollectOptions, EvalOptions, SimOptions):
        rows = describe(model)
        assert all(text.endswith(".") for _, _, text in rows)
        typed = [f"{name}:={default}" for name, default, _ in rows]
        assert parse_arguments(typed, model) == model()


ROBOT = """\
name: toy
adapter: external
joints: [a]
fingers: [grip]
home: [0.0]
workspace: {low: [0, -1, 0], high: [1, 1, 1]}
views: [{name: top, topic: top/image_raw, frame: top_optical}]
"""
ON_A_ROBOT = ("realtime:=true", "operator:=spacemouse", "scene_reset:=operator")


@pytest.fixture
def toy(tmp_path):
    path = tmp_path / "toy.yaml"
    path.write_text(ROBOT)
    return path


def test_a_robot_is_one_file_by_path_or_in_a_folder_of_ones_own(toy, monkeypatch):
    monkeypatch.chdir(toy.parent)
    assert parse("robot:=./toy.yaml", *ON_A_ROBOT).robot == str(toy)
    monkeypatch.setenv("EXPO_FT_ROBOTS", str(toy.parent))
    assert parse("robot:=toy", *ON_A_ROBOT).robot == str(toy)


def test_the_help_lists_the_robots(toy, monkeypatch):
    monkeypatch.setenv("EXPO_FT_ROBOTS", str(toy.parent))
    texts = {name: text for name, _, text in describe(TrainOptions)}
    assert re.search(r"crisp, external, .*franka_ros2, servo, sim, toy, ur5e", texts["robot"])


@pytest.mark.parametrize(
    ("left_out", "message"),
    [
        ("realtime:=true", "no clock of its own"),
        ("operator:=spacemouse", "operator:=scripted: needs to be told where each object is"),
        ("scene_reset:=operator", "scene_reset:=automatic: needs a robot that puts the scene"),
    ],
)
def test_what_a_robot_can_t_do_is_said_before_anything_starts(toy, left_out, message):
    given = [argument for argument in ON_A_ROBOT if argument != left_out]
    with pytest.raises(ConfigError, match=message) as caught:
        parse(f"robot:={toy}", *given)
    assert "\n" not in str(caught.value)


def test_a_task_that_leaves_the_robots_box_is_refused_with_both(toy):
    toy.write_text(ROBOT.replace("high: [1, 1, 1]", "high: [0.6, 1, 1]"))
    with pytest.raises(ConfigError) as caught:
        parse(f"robot:={toy}", *ON_A_ROBOT)
    said = str(caught.value)
    assert "x 0.3 to 0.65, y -0.25 to 0.25, z 0.01 to 0.4 m leaves" in said
    assert "the robot toy, x 0 to 0.6, y -1 to 1, z 0 to 1 m" in said


def test_a_classifier_that_looks_at_a_view_that_the_robot_has_not_is_named(toy):
    said = refused("task:=candy_scoop", f"robot:={toy}", *ON_A_ROBOT)
    assert (
        "candy_scoop.yaml: classifier.parameters.hand_view: the robot toy has no view wrist" in said
    )
    assert "its views are top (name one of them)" in said


def test_a_view_that_the_simulation_has_no_camera_for_is_named(tmp_path):
    sim = (config_dir() / "robots" / "sim.yaml").read_text()
    path = tmp_path / "mine.yaml"
    path.write_text(sim.replace("name: sim", "name: mine").replace("name: side", "name: front"))
    said = refused(f"robot:={path}")
    assert "views: the simulation has no camera front, its cameras are side, top, wrist" in said
    path.write_text(sim.replace("name: sim", "name: mine").replace("name: side", "name: top"))
    assert parse(f"robot:={path}").robot == str(path)


def refused(*typed):
    with pytest.raises(ConfigError) as caught:
        parse(*typed)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("module", ["no_such_package.adapter", "expo_ft_ros.no_such_module"])
def test_an_adapter_that_is_not_there_is_named(toy, module):
    toy.write_text(ROBOT.replace("adapter: external", f"adapter: {module}"))
    with pytest.raises(ConfigError, match=f"no Python module {module} here"):
        parse(f"robot:={toy}", *ON_A_ROBOT)


def test_an_adapter_of_an_installed_package_is_taken(toy):
    toy.write_text(ROBOT.replace("adapter: external", "adapter: expo_ft_ros.nodes.sim"))
    assert parse(f"robot:={toy}", *ON_A_ROBOT).robot == str(toy)


def test_a_franka_arm_needs_its_package_which_is_named_with_the_command(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pylibfranka", None)
    with pytest.raises(ConfigError) as caught:
        parse("robot:=franka_fci", *ON_A_ROBOT)
    assert "robot:=franka_fci: " in str(caught.value)
    assert "pip install pylibfranka==" in str(caught.value)
    assert "\n" not in str(caught.value)
    monkeypatch.delitem(sys.modules, "pylibfranka")
    (tmp_path / "pylibfranka.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert parse("robot:=franka_fci", "robot_ip:=10.0.0.7", *ON_A_ROBOT).robot_ip == "10.0.0.7"


def test_an_address_of_another_robot_is_refused():
    with pytest.raises(ConfigError, match="robot:=sim has no address"):
        parse("robot_ip:=10.0.0.7")
    with pytest.raises(ConfigError, match="robot_ip:="):
        parse("robot_ip:=10.0.0.7; reboot")


def test_a_broken_robot_file_is_named_with_its_line(toy):
    toy.write_text(ROBOT.replace("home: [0.0]", "home: [zero]"))
    with pytest.raises(ConfigError, match=r"robot:=.*toy\.yaml:5: home\.0: 'zero'"):
        parse(f"robot:={toy}", *ON_A_ROBOT)


@pytest.mark.parametrize(
    ("given", "meant"),
    [("left", "/left"), ("/left", "/left"), ("/left/arm", "/left/arm"), ("/", "")],
)
def test_a_namespace_is_absolute_however_it_is_written(given, meant):
    assert parse(f"namespace:={given}").namespace == meant


@pytest.mark.parametrize("given", ["1left", "left//arm", "left-arm", "//"])
def test_a_namespace_is_one_of_ros(given):
    with pytest.raises(ConfigError, match="namespace:="):
        parse(f"namespace:={given}")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("side", "'side' is not <view>=<topic> .views of robot:=sim: side, wrist"),
        ("side=no topic", "'side=no topic' is not <view>=<topic>"),
        ("wirst=/hand/image", "robot:=sim has no view 'wirst' .did you mean '?wrist"),
        ("side=/a,side=/b", "side is given twice"),
        ("side=/a,wrist=/a", "/a would be both side and wrist"),
        ("side=/a,wrist=a", "a would be both side and wrist"),
        ("side=wrist_camera/image_raw", "wrist_camera/image_raw would be both side and wrist"),
    ],
)
def test_camera_topics_name_a_view_of_the_robot_and_a_topic(given, message):
    with pytest.raises(ConfigError, match=message):
        parse(f"camera_topics:={given}")


EXTERNAL = ("robot:=external", *ON_A_ROBOT)


def test_cameras_that_the_graph_reads_are_those_of_a_real_robot():
    assert parse("camera_drivers:=side=v4l2", *EXTERNAL).camera_drivers == "side=v4l2"
    with pytest.raises(ConfigError, match=r"robot:=sim is simulated, and its images with it"):
        parse("camera_drivers:=side=v4l2")
    with pytest.raises(ConfigError, match=r"has no view 'front'"):
        parse("camera_drivers:=front=v4l2", *EXTERNAL)


def test_a_camera_whose_library_is_missing_is_refused_before_anything_starts(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyrealsense2", None)
    with pytest.raises(ConfigError, match=r"wrist: driver: realsense: .* pip install pyrealsense2"):
        parse("camera_drivers:=wrist=realsense", *EXTERNAL)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (("linear_acceleration: 5.0", "linear_acceleration: 0"), "linear_acceleration"),
        (("policy: 1.0", "policy: 0.8"), "deadlines.policy: 0.8 s, but task cube_pick asks for"),
        (("cameras: 0.15", "cameras: 0.11"), "robot:=sim: views: side has rate 10, an image every"),
        (("proprio: 0.15", "proprio: 0.2"), "following.state_timeout: 0.15 s is less than"),
    ],
)
def test_what_stops_the_arm_is_checked_before_anything_starts(
    tmp_path, monkeypatch, changed, message
):
    written = (config_dir() / "safety.yaml").read_text().replace(*changed)
    (tmp_path / "safety.yaml").write_text(written)
    monkeypatch.setattr("expo_ft_ros.control.safety_filter.config_dir", lambda: tmp_path)
    with pytest.raises(ConfigError, match=message):
        parse("realtime:=true")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"joints": [f"joint{number}" for number in range(7)]}, "joints: joint0.*simulated arm's"),
        ({"fingers": ["jaw"]}, "fingers: jaw, but the simulated arm's are fr3_finger_joint1"),
        ({"home": [0.0] * 7}, "home: .*simulated arm's is"),
    ],
)
def test_the_simulation_is_one_arm(tmp_path, changed, message):
    robot = yaml.safe_load((config_dir() / "robots" / "sim.yaml").read_text())
    path = tmp_path / "other.yaml"
    path.write_text(yaml.safe_dump({**robot, "name": "other", **changed}))
    with pytest.raises(ConfigError, match=f"robot:=.*: {message}"):
        parse(f"robot:={path}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "can't be read: No such file"),
        ("a: [", "can't be read: "),
        ("", "no ROS parameters file"),
        ("camera: {size: 3}", "no ROS parameters file"),
        ("[camera]", "no ROS parameters file"),
    ],
)
def test_a_parameters_file_is_one(tmp_path, content, message):
    path = tmp_path / "p.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=f"params_file:={path}: {message}") as caught:
        parse(f"params_file:={path}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["camera", "/**", "/left/camera"])
def test_a_parameters_file_may_be_of_any_node(tmp_path, key):
    path = tmp_path / "p.yaml"
    path.write_text(f"{key}: {{ros__parameters: {{size: 96}}}}\n")
    assert parse(f"params_file:={path}").params_file == str(path)
