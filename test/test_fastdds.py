# SPDX-License-Identifier: Apache-2.0
"""config/fastdds.xml does what it is for: large images between two processes, none lost."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

ROOT = Path(__file__).resolve().parents[1]
PROFILE = ROOT / "config" / "fastdds.xml"
IMAGES = 60

PUBLISHER = f"""
import array, rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
rclpy.init()
node = rclpy.create_node("publisher")
publisher = node.create_publisher(Image, "image", qos_profile_sensor_data)
pixels = array.array("B", bytes(480 * 640 * 3))
image = Image(height=480, width=640, step=640 * 3, encoding="rgb8", data=pixels)
sent = 0
def tick():
    global sent
    if publisher.get_subscription_count() == 1:
        image.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(image)
        sent += 1
        if sent == {IMAGES}:
            done.set_result(True)
done = rclpy.Future()
node.create_timer(1 / 30, tick)
rclpy.spin_until_future_complete(node, done, timeout_sec=30)
"""

SUBSCRIBER = f"""
import rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
rclpy.init()
node = rclpy.create_node("subscriber")
delays = []
def take(image):
    stamp = rclpy.time.Time.from_msg(image.header.stamp)
    delays.append((node.get_clock().now() - stamp).nanoseconds / 1e6)
    if len(delays) == {IMAGES}:
        done.set_result(True)
done = rclpy.Future()
node.create_subscription(Image, "image", take, qos_profile_sensor_data)
rclpy.spin_until_future_complete(node, done, timeout_sec=8)
print(len(delays), sorted(delays)[len(delays) // 2] if delays else -1)
"""


@pytest.mark.realtime
def test_images_of_a_camera_reach_another_process(domain):
    environment = dict(
        os.environ,
        ROS_DOMAIN_ID=str(domain),
        FASTDDS_DEFAULT_PROFILES_FILE=str(PROFILE),
        ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST",
    )
    with subprocess.Popen([sys.executable, "-c", PUBLISHER], env=environment) as publisher:
        try:
            subscriber = subprocess.run(
                [sys.executable, "-c", SUBSCRIBER],
                env=environment,
                capture_output=True,
                text=True,
                timeout=40,
                check=True,
            )
        finally:
            publisher.terminate()
    received, delay = subscriber.stdout.split()
    # A busy machine may drop one; the default profile drops a third and more.
    assert int(received) >= IMAGES * 0.9, subscriber.stderr
    assert float(delay) < 50
    assert "Error" not in subscriber.stderr, "Fast DDS refuses the profile"


WRITER = f"""
import sys, rclpy
from pathlib import Path
from std_msgs.msg import String
rclpy.init()
node = rclpy.create_node("writer")
publisher = node.create_publisher(String, sys.argv[1], 1)
heard = []
node.create_subscription(String, sys.argv[1], heard.append, 1)
def woken():
    tasks = [t for t in Path("/proc/self/task").iterdir() if "asyn" in (t / "comm").read_text()]
    lines = [line.split() for t in tasks for line in (t / "status").read_text().splitlines()]
    return sum(int(line[1]) for line in lines if line[0] == "voluntary_ctxt_switches:")
before = woken()
while len(heard) < {IMAGES}:
    publisher.publish(String())
    rclpy.spin_once(node, timeout_sec=1.0)
print(woken() - before)
"""


@pytest.mark.realtime
@pytest.mark.parametrize(
    ("topic", "by_a_thread"),
    [("step", True), ("observation", True), ("robot/twist_cmd", False), ("episode/state", False)],
)
def test_what_the_control_loop_tells_beside_commands_is_sent_by_a_thread(
    domain, topic, by_a_thread
):
    done = subprocess.run(
        [sys.executable, "-c", WRITER, topic],
        env=dict(
            os.environ,
            ROS_DOMAIN_ID=str(domain),
            FASTDDS_DEFAULT_PROFILES_FILE=str(PROFILE),
            RMW_FASTRTPS_PUBLICATION_MODE="AUTO",
        ),
        capture_output=True,
        text=True,
        timeout=40,
        check=True,
    )
    # Fast DDS's thread is woken once a message, on a busy machine once for several, or not at all.
    assert (int(done.stdout) > IMAGES / 6) == by_a_thread
