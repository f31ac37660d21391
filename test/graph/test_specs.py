# SPDX-License-Identifier: Apache-2.0
"""The graphs as data."""

import importlib.util
from dataclasses import fields
from pathlib import Path

import pytest

from expo_ft_ros.configuration import config_dir
from expo_ft_ros.experiment.options import (
    CollectOptions,
    DemoOptions,
    EvalOptions,
    RobotOptions,
    SimOptions,
    TrainOptions,
)
from expo_ft_ros.graph.specs import (
    collect_graph,
    policy_graph,
    required_nodes,
    robot_graph,
    server_graph,
    sim_graph,
    train_graph,
)
from expo_ft_ros.nodes import velocity_guard
from expo_ft_ros.robots import load_robot
from expo_ft_ros.robots.config import GRAPH_NODES
from expo_ft_ros.robots.joint_group_config import VELOCITY_GUARD
from expo_ft_ros.ros.graph_node import GraphNode
from expo_ft_ros.ros.robot_adapter import RobotAdapter

TRAINED = {"algorithm": "expo_ft", "preset": "recommended", "size": "small"}
RUN = Path("/run")
CELL = TrainOptions(mode="async", namespace="/cell", ahead=4)
LEFT = RobotOptions(name="left", join="/run", namespace="/cell/left")

GRAPHS = {
    "train": train_graph(TrainOptions(), RUN),
    "async": train_graph(TrainOptions(mode="async"), RUN),
    "realtime": train_graph(TrainOptions(realtime=True), RUN),
    "spacemouse": train_graph(TrainOptions(operator="spacemouse"), RUN),
    "cameras": train_graph(TrainOptions(camera_drivers="side=v4l2,wrist=realsense"), RUN),
    "none": train_graph(TrainOptions(operator="none"), RUN),
    "collect": collect_graph(CollectOptions(), RUN),
    "eval": policy_graph("eval", EvalOptions(), RUN, Path("/weights.safetensors"), TRAINED),
    "server": server_graph(EvalOptions(), RUN, "ws://127.0.0.1:8000"),
    "demo": policy_graph("demo", DemoOptions(), RUN, Path("/weights.safetensors"), TRAINED),
    "sim": sim_graph(SimOptions(), RUN),
    "robot": robot_graph(LEFT, RUN / "robots" / "left", CELL),
}


UR5E = CollectOptions(
    robot="ur5e", realtime=True, operator="spacemouse", scene_reset="operator", motion="on"
)


def by_name(specs):
    return {spec.name: spec for spec in specs}


@pytest.fixture(params=GRAPHS.values(), ids=GRAPHS.keys())
def specs(request):
    return request.param


def test_no_name_twice(specs):
    processes = [spec.name for spec in specs]
    nodes = [name for spec in specs for name in spec.node_names]
    assert len(set(processes)) == len(processes)
    assert len(set(nodes)) == len(nodes)


def test_an_adapter_can_bear_no_name_of_the_graph():
    options = TrainOptions(
        operator="spacemouse",
        spacemouse="libspnav",
        camera_drivers="side=v4l2",
        console=True,
        mode="async",
        realtime=True,
    )
    led = train_graph(TrainOptions(operator="leader"), RUN)
    graphs = [*GRAPHS.values(), train_graph(options, RUN), led, collect_graph(UR5E, RUN)]
    names = {name for specs in graphs for spec in specs for name in (spec.name, *spec.node_names)}
    # What is started by hand, for a moment, or only where it is installed.
    others = {"bringup", "keyboard", "stop", "rviz", "robot_state_publisher"}
    assert set(GRAPH_NODES) == (names | others) - {"sim", "robot"}


def test_every_module_exists(specs):
    missing = [spec.module for spec in specs if importlib.util.find_spec(spec.module) is None]
    assert missing == []


def test_the_session_waits_for_all_others_but_who_only_looks(specs):
    session = by_name(specs)["session"]
    others = {name for spec in specs for name in spec.node_names} - {"session", "monitor"}
    assert set(session.parameters["required_nodes"]) == others


def test_the_robot_is_stopped_last_and_by_arbitration(specs):
    nodes = by_name(specs)
    assert nodes["session"].shutdown_order == min(spec.shutdown_order for spec in specs)
    assert nodes["arbitration"].shutdown_order < nodes["sim"].shutdown_order
    assert nodes["sim"].shutdown_order == max(spec.shutdown_order for spec in specs)
    assert [spec.name for spec in specs if spec.shutdown_order == nodes["sim"].shutdown_order] == [
        "sim"
    ]


def test_every_node_has_the_common_parameters(specs):
    for spec in specs:
        assert {"task", "run_dir", "lockstep", "use_sim_time"} <= set(spec.parameters)


def test_every_parameter_is_declared_by_its_node(specs):
    """ROS silently ignores a parameter that nobody has declared."""
    for spec in specs:
        module = importlib.import_module(spec.module)
        classes = [
            value
            for value in vars(module).values()
            if isinstance(value, type)
            and issubclass(value, GraphNode)
            and value not in (GraphNode, RobotAdapter)
        ]
        assert {node.NAME for node in classes} == set(spec.node_names)
        declared = {field.name for node in classes for field in fields(node.PARAMETERS)}
        assert set(spec.parameters) - {"use_sim_time"} <= declared, spec.name


def test_what_disturbs_the_scenes_is_told_to_the_robot_and_to_the_session():
    disturbed = EvalOptions(perturb="lighting,push")
    weights = Path("/weights.safetensors")
    graphs = {"lighting,push": policy_graph("eval", disturbed, RUN, weights, TRAINED)}
    graphs[""] = GRAPHS["eval"]
    for wanted, specs in graphs.items():
        nodes = by_name(specs)
        assert nodes["sim"].parameters["perturb"] == wanted
        assert nodes["session"].parameters["perturb"] == wanted
    assert by_name(GRAPHS["train"])["sim"].parameters["perturb"] == ""


def test_the_control_loop_is_never_niced_and_threads_are_limited(specs):
    assert by_name(specs)["arbitration"].nice <= 0
    assert all("OMP_NUM_THREADS" in spec.env for spec in specs)


def test_lockstep_unless_realtime():
    for name, lockstep in (("train", True), ("realtime", False)):
        for spec in GRAPHS[name]:
            assert spec.parameters["lockstep"] is lockstep
            assert spec.parameters["use_sim_time"] is lockstep


@pytest.mark.parametrize(("mode", "learner"), [("sync", "agent"), ("async", "learner")])
def test_the_learner_alone_has_further_processes(mode, learner):
    options = TrainOptions(mode=mode, learner_processes=2)
    told = {
        spec.name: spec.parameters["learner_processes"]
        for spec in train_graph(options, RUN)
        if "learner_processes" in spec.parameters
    }
    assert told == {learner: 2}


def test_sync_is_one_process_with_two_nodes_and_async_two():
    assert by_name(GRAPHS["train"])["agent"].node_names == ("policy", "learner")
    assert {"policy", "learner"} <= set(by_name(GRAPHS["async"]))


def test_in_real_time_the_tick_and_the_operators_way_to_it_come_first():
    for name, urgent in (("realtime", {"teleop", "arbitration"}), ("train", set())):
        assert {spec.name for spec in GRAPHS[name] if spec.nice < 0} == urgent


def test_in_real_time_learning_yields_to_control():
    assert by_name(GRAPHS["realtime"])["agent"].nice > 0
    pair = by_name(train_graph(TrainOptions(mode="async", realtime=True), RUN))
    assert pair["learner"].nice > pair["policy"].nice == 0


def test_what_only_acts_is_no_background():
    """A browser on the same machine, say, would starve it, and the arm would be held."""
    assert by_name(GRAPHS["demo"])["agent"].nice == 0
    options = EvalOptions(realtime=True)
    graph = policy_graph("eval", options, RUN, Path("/weights.safetensors"), TRAINED)
    assert by_name(graph)["agent"].nice == 0


def test_the_world_waits_only_for_an_operator_that_exists():
    for name, scripted in (("train", True), ("none", False), ("spacemouse", False)):
        nodes = by_name(GRAPHS[name])
        assert ("operator" in nodes) is scripted
        assert nodes["sim"].parameters["wait_for_operator"] is scripted
        assert "teleop" in nodes


def test_a_namespace_has_all_of_its_graph_to_itself():
    specs = train_graph(TrainOptions(namespace="left", operator="gamepad"), RUN)
    for spec in specs:
        assert spec.namespace == "/left"
        moved = dict(spec.remappings)
        assert moved["/reset_episode"] == "reset_episode"
        assert moved["/clock"] == "clock"
        assert moved["/tf"] == "tf"
        assert "/diagnostics" not in moved
        # One device never drives two robots.
        assert "joy" not in moved
    for spec in GRAPHS["train"]:
        assert spec.namespace == ""
        assert spec.remappings == ()


def test_what_is_asked_of_every_node_reaches_every_node():
    options = TrainOptions(log_level="debug", params_file="/p.yaml", autostart=False)
    for spec in train_graph(options, RUN):
        assert spec.log_level == "debug"
        assert spec.params_file == "/p.yaml"
        assert spec.parameters["autostart"] is False


def test_a_camera_may_have_another_topic_than_the_robots_file_says():
    options = TrainOptions(camera_topics="wrist=/hand/color/image_raw")
    moved = dict(by_name(train_graph(options, RUN))["camera"].remappings)
    assert moved["wrist_camera/image_raw"] == "/hand/color/image_raw"
    assert moved["wrist_camera/image_raw/compressed"] == "/hand/color/image_raw/compressed"
    assert moved["wrist_camera/camera_info"] == "/hand/color/camera_info"
    assert not any(name.startswith("side") for name in moved)
    assert dict(by_name(train_graph(options, RUN))["sim"].remappings) == moved, "it draws them"


def test_the_graph_may_read_cameras_itself():
    options = TrainOptions(camera_drivers="side=v4l2", camera_topics="side=/cell/image_raw")
    nodes = by_name(train_graph(options, RUN))
    driver = nodes["camera_driver"]
    assert driver.parameters["cameras"] == "side=v4l2"
    assert driver.remappings == nodes["camera"].remappings
    assert driver.vital, "a run whose camera can't be used has a cause to end"
    assert "camera_driver" in nodes["session"].parameters["required_nodes"]
    assert "camera_driver" not in by_name(GRAPHS["train"])


def test_the_graph_may_read_the_spacemouse_itself():
    nodes = by_name(train_graph(TrainOptions(operator="spacemouse", spacemouse="libspnav"), RUN))
    assert nodes["spacemouse"].vital, "a run without its device has a cause to end"
    assert nodes["teleop"].remappings == ()
    assert nodes["teleop"].parameters["device_needed"]
    assert "spacemouse" not in by_name(GRAPHS["spacemouse"])


def test_a_gamepad_is_a_driver_outside_the_graph():
    teleop = by_name(train_graph(TrainOptions(operator="gamepad"), RUN))["teleop"]
    assert teleop.parameters["device"] == "joy"
    assert teleop.parameters["device_needed"]


def test_a_keyboard_is_a_driver_outside_the_graph():
    nodes = by_name(train_graph(TrainOptions(operator="keyboard"), RUN))
    assert nodes["teleop"].parameters["device"] == "keyboard"
    assert nodes["teleop"].parameters["device_needed"]
    assert "keyboard" not in nodes, "a node of the graph has no terminal"


def test_a_leader_arm_is_read_by_a_node_of_the_graph():
    nodes = by_name(train_graph(TrainOptions(operator="leader"), RUN))
    assert nodes["leader"].vital, "a run without its device has a cause to end"
    assert nodes["teleop"].parameters["device"] == "leader"
    assert nodes["teleop"].parameters["device_needed"]
    assert "leader" in nodes["session"].parameters["required_nodes"]


def test_no_learner_without_learning():
    assert "learner" not in required_nodes(GRAPHS["server"], load_robot("sim"))
    for name in ("collect", "sim"):
        assert not {"agent", "policy", "learner"} & set(
            required_nodes(GRAPHS[name], load_robot("sim"))
        )


def test_an_evaluation_gets_its_weights():
    parameters = by_name(GRAPHS["eval"])["agent"].parameters
    assert parameters["checkpoint"] == "/weights.safetensors"


@pytest.mark.parametrize(("operator", "waits"), [("keyboard", True), ("scripted", False)])
def test_a_demonstration_waits_for_the_takeover_of_a_human_only(operator, waits):
    specs = collect_graph(CollectOptions(operator=operator), Path("run"))
    (arbitration,) = (spec for spec in specs if spec.name == "arbitration")
    assert arbitration.parameters["begins_with_takeover"] is waits


ROBOT = """\
name: arm
adapter: {adapter}
node: driver
joints: [a]
fingers: [grip]
home: [0.0]
workspace: {{low: [0, -1, 0], high: [1, 1, 1]}}
views: [{{name: top, topic: top/image_raw, frame: top_optical}}]
"""


@pytest.fixture
def on_robot(tmp_path):
    """Makes the graph of a collection on a robot whose adapter is started so."""

    def make(adapter):
        path = tmp_path / "arm.yaml"
        path.write_text(ROBOT.format(adapter=adapter))
        options = CollectOptions(
            robot=str(path), realtime=True, operator="spacemouse", scene_reset="operator"
        )
        return collect_graph(options, RUN)

    return make


def test_an_adapter_that_somebody_else_starts_is_waited_for_and_watched(on_robot):
    specs = on_robot("external")
    nodes = by_name(specs)
    assert not {"sim", "driver"} & set(nodes)
    assert "driver" in nodes["session"].parameters["required_nodes"]
    assert "driver" in nodes["arbitration"].parameters["watched"]
    here = {spec.name for spec in GRAPHS["collect"]} - {"sim", "operator"}
    assert set(nodes) == here, "the graph is the same but for the simulation"


def test_an_adapter_of_a_package_of_ones_own_is_a_node_of_the_graph(on_robot):
    specs = on_robot("my_robot.adapter")
    adapter = by_name(specs)["driver"]
    assert adapter.module == "my_robot.adapter"
    assert adapter.shutdown_order == max(spec.shutdown_order for spec in specs)
    assert adapter.parameters["robot"].endswith("arm.yaml")
    required = by_name(specs)["session"].parameters["required_nodes"]
    assert required.count("driver") == 1


def test_the_franka_adapter_is_told_the_address():
    options = CollectOptions(
        robot="franka_fci",
        robot_ip="10.0.0.7",
        realtime=True,
        operator="spacemouse",
        scene_reset="operator",
    )
    adapter = by_name(collect_graph(options, RUN))["franka_fci"]
    assert adapter.module == "expo_ft_ros.nodes.franka_fci"
    assert adapter.parameters["robot_ip"] == "10.0.0.7"
    assert adapter.nice < 0


def test_joint_velocities_have_a_guard_that_is_waited_for_and_whose_silence_stops_the_arm():
    nodes = by_name(collect_graph(UR5E, RUN))
    assert nodes["robot"].module == "expo_ft_ros.nodes.joint_group"
    guard = nodes[VELOCITY_GUARD]
    assert guard.module == velocity_guard.__name__
    assert VELOCITY_GUARD in nodes["session"].parameters["required_nodes"]
    assert VELOCITY_GUARD in nodes["arbitration"].parameters["watched"]
    assert guard.shutdown_order == max(spec.shutdown_order for spec in nodes.values())
    assert guard.nice < 0


def test_joint_positions_have_none(tmp_path):
    text = (config_dir() / "robots" / "ur5e.yaml").read_text().replace("name: ur5e", "name: arm")
    path = tmp_path / "arm.yaml"
    path.write_text(text.replace("interface: velocity", "interface: position"))
    options = UR5E.model_copy(update={"robot": str(path)})
    assert VELOCITY_GUARD not in by_name(collect_graph(options, RUN))


def test_every_node_knows_the_robot(on_robot):
    for spec in on_robot("external"):
        assert spec.parameters["robot"].endswith("arm.yaml")


def test_a_robot_that_joins_a_run_has_all_but_a_learner():
    """The run's learner hears what its own would, and its policy has the run's weights."""
    own, joined = by_name(GRAPHS["async"]), by_name(GRAPHS["robot"])
    assert set(own) - set(joined) == {"learner"}
    assert {spec.namespace for spec in joined.values()} == {"/cell/left"}
    for name in ("observation_listeners", "step_listeners"):
        of_both = [nodes["arbitration"].parameters[name] for nodes in (own, joined)]
        assert of_both[0] == of_both[1]
    assert joined["policy"].parameters["learner_dir"] == "/run"
    assert joined["policy"].parameters["run_dir"] == "/run/robots/left"
    assert joined["arbitration"].parameters["robot_name"] == "left"
    session = joined["session"]
    assert session.parameters["robot_name"] == "left"
    assert session.parameters["episodes_ahead"] == 4
    assert ("robots/present", "/cell/robots/present") in session.remappings
