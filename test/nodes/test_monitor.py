# SPDX-License-Identifier: Apache-2.0
"""What the monitor shows of a simulated training, against what the graph says."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import rclpy
from expo_ft_ros.msg import Candidates, EpisodeState, Observation, Proprio, Step
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String
from std_srvs.srv import Trigger
from visualization_msgs.msg import Marker

from expo_ft_ros.data.types import Source
from expo_ft_ros.monitor.arm import arm_frames, link_shapes
from expo_ft_ros.monitor.controls import NotDone
from expo_ft_ros.monitor.paths import DRIVER_COLOURS
from expo_ft_ros.nodes.monitor import MonitorNode
from expo_ft_ros.recording.messages import candidates_from_msg
from expo_ft_ros.robots import load_robot
from expo_ft_ros.ros.camera_info import pinhole_info
from expo_ft_ros.ros.frames import transform
from expo_ft_ros.ros.messages import array_to_image, header_of, pose_of, to_array
from support.episodes import VIEWS

BRIGHTNESS = np.array([0.2126, 0.7152, 0.0722])
KINDS = {"base", "edited", "chosen", "edits", "executed", "workspace", "regions", "state", "arm"}


class Monitored:
    """One monitor node, and everybody else whom it hears."""

    def __init__(self, graph) -> None:
        self.probe = graph.probe
        self.seen = self.probe.gather("monitor/markers")
        self.images = {v: self.probe.gather(f"monitor/{v}/image_raw") for v in VIEWS}
        self.plot = self.probe.gather("monitor/q")
        self.path = self.probe.gather("monitor/executed")
        self.out = {
            name: self.probe.publisher(name)
            for name in ("episode/state", "proprio", "observation", "step", "policy/candidates")
        }
        self.cameras = [self.probe.publisher(f"camera/{view}/image_raw") for view in VIEWS]
        self.node = graph.start("monitor")
        self.probe.ready("monitor")
        self.probe.matched()

    def markers(self, namespace: str) -> list[Marker]:
        return [m for m in self.seen[-1].markers if m.ns == namespace] if self.seen else []

    def state(self, episode: int, state: str = "running", **more) -> None:
        self.out["episode/state"].publish(EpisodeState(episode=episode, state=state, **more))

    def observe(self, number: int, x: float, episode: int = 1) -> None:
        proprio = Proprio(gripper_width=0.08, joint_positions=[0.0] * 7)
        proprio.pose.position.x, proprio.pose.position.z = x, 0.2
        proprio.pose.orientation.x, proprio.pose.orientation.w = 1.0, 0.0
        self.out["proprio"].publish(proprio)
        image = array_to_image(np.full((224, 224, 3), 80, np.uint8), header_of(0))
        for camera in self.cameras:
            camera.publish(image)
        self.out["observation"].publish(
            Observation(
                number=number,
                episode=episode,
                view_names=VIEWS,
                views=[image] * len(VIEWS),
                proprio=proprio,
            )
        )

    def step(self, number: int, source: Source, episode: int = 1) -> None:
        self.out["step"].publish(Step(observation=number, episode=episode, source=int(source)))

    def choose(self, number: int, q: np.ndarray) -> Candidates:
        rng = np.random.default_rng(number)
        actions = rng.uniform(-1, 1, (len(q), 16, 7)).astype(np.float32)
        message = Candidates(
            observation=number, count=len(q), horizon=16, actions=to_array(actions.ravel(), "f"),
            q=to_array(q.astype(np.float32), "f"),
            kind=[int(i >= len(q) // 2) for i in range(len(q))], chosen=int(q.argmax()),
        )  # fmt: skip
        self.out["policy/candidates"].publish(message)
        return message


def rgb(colour) -> np.ndarray:
    return np.round(255 * np.array([colour.r, colour.g, colour.b]))


def places(marker: Marker) -> np.ndarray:
    return np.array([[p.x, p.y, p.z] for p in marker.points])


def test_sixteen_paths_the_best_is_chosen_and_the_better_is_the_brighter(graph):
    world = Monitored(graph)
    world.state(1)
    world.observe(5, 0.45)
    q = np.random.default_rng(1).permutation(np.linspace(0.1, 0.9, 16))
    message = world.choose(5, q)
    shown = ("chosen", "arm")
    world.probe.until(lambda: all(map(world.markers, shown)), "the chosen path, the arm")
    paths = world.markers("base") + world.markers("edited")
    assert [m.id for m in paths] == list(range(16))
    assert {m.type for m in world.markers("base")} == {Marker.LINE_STRIP}
    assert {m.type for m in world.markers("edited")} == {Marker.LINE_LIST}
    brightness = np.array([rgb(m.color) @ BRIGHTNESS for m in paths])
    assert (np.diff(brightness[np.argsort(q)]) > 0).all()
    best = world.markers("chosen")[0]
    assert (rgb(best.color) == rgb(paths[int(q.argmax())].color)).all()
    actions = candidates_from_msg(message).actions[int(q.argmax()), :, :3]
    moved = np.cumsum(actions.astype(float) * 0.25 * 0.1, axis=0)
    start = np.array([0.45, 0.0, 0.2])
    np.testing.assert_allclose(places(best), [start, *(start + moved)], atol=1e-6)
    assert len(world.markers("edits")) == 8
    assert {m.header.frame_id for m in world.seen[-1].markers} == {"base"}
    assert {m.ns for m in world.seen[-1].markers if m.ns} >= KINDS - {"executed"}
    arm = [m for m in world.markers("arm") if m.type == Marker.TRIANGLE_LIST]
    links = sum(len(parts) for parts in link_shapes())
    assert len(arm) == links + 4 * 1 + 2  # a hand of two parts, fingers of two parts each
    of_base, last = arm[0].pose.position, arm[links - 1].pose.position
    assert (of_base.x, of_base.y, of_base.z) == (0.0, 0.0, 0.0)
    np.testing.assert_allclose([last.x, last.y, last.z], arm_frames(np.zeros(7))[0][7], atol=1e-9)
    texts = [m.text for m in world.markers("regions") if m.text]
    assert texts == ["lifted", "grasped below"]


def test_the_arm_is_left_to_rvizs_robot_model_where_somebody_publishes_one(graph):
    world = Monitored(graph)
    world.state(1)
    world.observe(5, 0.45)
    world.probe.until(lambda: world.markers("arm"), "the arm")
    held = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    model = world.probe.node.create_publisher(String, "robot_description", held)
    world.probe.until(lambda: not world.markers("arm"), "no arm of ours")
    world.probe.node.destroy_publisher(model)
    world.probe.until(lambda: world.markers("arm"), "the arm again")


def test_the_executed_path_shows_the_operators_steps_where_the_records_say(graph):
    world = Monitored(graph)
    world.state(1)
    drivers = [Source.POLICY] * 3 + [Source.HUMAN] * 2 + [Source.HOLD, Source.POLICY]
    for number, source in enumerate(drivers, start=1):
        world.observe(number, 0.3 + 0.01 * number)
        world.step(number, source)
    world.observe(8, 0.38)
    world.probe.until(
        lambda: world.markers("executed") and len(world.markers("executed")[0].points) == 8,
        "the path",
    )
    path = world.markers("executed")[0]
    np.testing.assert_allclose(places(path)[:, 0], 0.3 + 0.01 * np.arange(1, 9), atol=1e-6)
    shown = [tuple(rgb(colour)) for colour in path.colors[1:]]
    assert shown == [DRIVER_COLOURS[source] for source in drivers]
    world.probe.until(lambda: world.path and len(world.path[-1].poses) == 8, "nav_msgs/Path")
    drives = lambda: any("policy drives" in m.text for m in world.markers("state"))  # noqa: E731
    world.probe.until(drives, "who drives")


def test_images_and_the_plot_of_q_come_and_an_episode_takes_its_own_with_it(graph):
    world = Monitored(graph)
    world.state(1, asked="refill the bin")
    world.observe(5, 0.45)
    world.step(5, Source.HUMAN)
    world.choose(5, np.linspace(0, 1, 16))
    world.probe.until(lambda: world.plot and all(world.images.values()), "the images")
    assert world.images["side"][-1].encoding == "rgb8"
    assert world.images["side"][-1].height == 448
    asked = lambda: any("refill the bin" in m.text for m in world.markers("state"))  # noqa: E731
    world.probe.until(asked, "what is asked")
    world.state(2, state="resetting")
    world.probe.until(lambda: not world.markers("chosen"), "the next episode")
    assert not world.markers("executed")


def test_paths_are_on_an_image_once_its_camera_is_known(graph):
    world, robot = Monitored(graph), load_robot("sim")
    told = {v: world.probe.publisher(f"camera/{v}/camera_info") for v in VIEWS}
    mounts = {v: world.probe.publisher(f"camera/{v}/mount") for v in VIEWS}
    world.probe.matched()
    world.state(1)
    world.observe(5, 0.45)
    world.choose(5, np.linspace(0, 1, 16))
    world.probe.until(lambda: world.markers("chosen") and all(world.images.values()), "the images")

    def brightest(view: str) -> int:
        return int(np.frombuffer(world.images[view][-1].data, np.uint8).max())

    # The images are grey, without a word of the classifier on them.
    assert {brightest(view) for view in VIEWS} == {80}
    header = header_of(0, robot.frames.base)
    for view in robot.views:
        told[view.name].publish(pinhole_info(header_of(0, view.frame), 224, 200.0))
    # A metre over the tool, looking down; of the wrist's nothing is known.
    pose = pose_of(np.array([0.45, 0.0, 1.2]), np.array([1.0, 0.0, 0.0, 0.0]))
    mounts["side"].publish(transform(header, robot.views[0].frame, pose))
    world.probe.until(lambda: brightest("side") > 150, "the paths")
    assert brightest("wrist") == 80


def test_a_button_says_whether_it_was_obeyed(graph):
    """In the node's own code, with services that answer, refuse, hang, or aren't there."""
    probe = graph.probe
    rclpy.init(domain_id=graph.domain)
    node = MonitorNode()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    stop = threading.Event()

    def spin() -> None:
        while not stop.is_set():
            executor.spin_once(timeout_sec=0.05)

    answers = {"taken": True, "means nothing now": False}

    def answer(request, response):
        response.message, response.success = next(iter(answers.items()))
        answers.pop(response.message)
        return response

    client = node.client("episode/pause")
    spinner = threading.Thread(target=spin)
    spinner.start()
    try:
        ask = partial(node._call, client, Trigger.Request())
        with pytest.raises(NotDone, match="nobody offers"):
            ask()
        probe.serve("episode/pause", answer)
        with ThreadPoolExecutor(1) as human:
            probe.until(client.service_is_ready, "the service")
            taken = human.submit(ask)
            probe.until(taken.done, "an answer")
            assert taken.result() == "taken"
            refused = human.submit(ask)
            probe.until(refused.done, "a refusal")
            with pytest.raises(NotDone, match="refused: means nothing now"):
                refused.result()
            # The probe isn't spun: nobody answers.
            with pytest.raises(NotDone, match="has not answered within 2 s"):
                human.submit(ask).result()
    finally:
        stop.set()
        spinner.join()
        node.destroy_node()
        rclpy.shutdown()
