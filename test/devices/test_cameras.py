# SPDX-License-Identifier: Apache-2.0
"""Cameras that the graph reads itself: files, locks, loss and return. Over DDS:
test/nodes/test_camera_driver.py."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from expo_ft_ros.configuration import ConfigError, config_dir
from expo_ft_ros.devices.cameras import realsense
from expo_ft_ros.devices.cameras.by_view import cameras_of, with_whole_paths
from expo_ft_ros.devices.cameras.camera import (
    SILENCE,
    Automatic,
    CameraError,
    Frame,
    plausible_time,
)
from expo_ft_ros.devices.cameras.capture import Capture
from expo_ft_ros.devices.cameras.config import CameraConfig, load_camera
from expo_ft_ros.devices.cameras.locks import Locks
from expo_ft_ros.robots import load_robot
from support.realsense import HEIGHT, WIDTH, SoftwareCamera, library
from support.v4l2_camera import (
    EXPOSURE,
    EXPOSURE_ID,
    LATENCY,
    WHITE_BALANCE,
    WHITE_BALANCE_ID,
    V4l2Device,
)

PATH = "/dev/v4l/by-id/usb-Camera_0001-video-index0"


# -- files --------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["v4l2", "realsense"])
def test_the_files_to_copy_are_right(name):
    assert load_camera(name).driver == name
    assert load_camera(config_dir() / "cameras" / f"{name}.yaml") == load_camera(name)


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ({"device": "/dev/video0"}, "may be another camera after the next start"),
        ({"device": "video0"}, "'video0' is no path"),
        ({"driver": "realsense"}, "is no serial number of a RealSense"),
        ({"driver": "realsense", "device": "1", "format": "YUYV"}, "format is of v4l2 only"),
        ({"driver": "usb"}, "'v4l2' or 'realsense'"),
        ({"format": "NV12"}, "'YUYV' or 'MJPG'"),
        ({"exposure": "locked"}, "'settled' or 'auto'"),
        ({"exposure": True}, "not true or false"),
        ({"rate": 5}, "greater than or equal to 7"),
        ({"colour": 1}, "Extra inputs"),
    ],
)
def test_what_is_no_camera_is_refused(file, says):
    with pytest.raises(ValueError, match=says):
        CameraConfig.model_validate({"driver": "v4l2", "device": PATH} | file)


def written(folder, name, **file):
    lines = {"driver": "v4l2", "device": f"{PATH}-{name}"} | file
    path = folder / f"{name}.yaml"
    path.write_text("\n".join(f"{key}: {value}" for key, value in lines.items()))
    return path


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("side", "'side' is not <view>=<file> .views of robot:=external: side, wrist"),
        ("front={a}", "robot:=external has no view 'front'"),
        ("side={a},side={b}", "side is given twice"),
        ("side={a},wrist={a}", "would be two views"),
        ("side={slow}", "rate: 15 Hz is less than the 30 Hz of the view in external.yaml"),
        ("side=nothing", "no camera 'nothing' .known: realsense, v4l2"),
        ("side=nothing.yaml", "nothing.yaml: file: No such file"),
    ],
)
def test_the_option_names_a_view_of_the_robot_and_a_camera(tmp_path, option, says):
    names = {"a": {}, "b": {}, "slow": {"rate": 15}}
    files = {name: written(tmp_path, name, **file) for name, file in names.items()}
    with pytest.raises(ConfigError, match=says):
        cameras_of(option.format(**files), load_robot("external"))


def test_a_crop_that_leaves_the_image_is_refused(tmp_path):
    robot = load_robot("external")
    side = robot.views[0].model_copy(update={"crop": (100, 0, 224, 224)})
    robot = robot.model_copy(update={"views": (side,)})
    text = f"side={written(tmp_path, 'a', width=320, height=240)}"
    with pytest.raises(ConfigError, match=r"a.yaml: crop .* does not lie in the image of 320x240"):
        cameras_of(text, robot)


def test_a_camera_is_found_from_any_folder(tmp_path, monkeypatch):
    written(tmp_path, "a")
    monkeypatch.chdir(tmp_path)
    assert with_whole_paths("side=a.yaml,wrist=v4l2") == f"side={tmp_path}/a.yaml,wrist=v4l2"
    assert with_whole_paths("") == ""
    assert with_whole_paths("side") == "side", "what is wrong with it is said elsewhere"


# -- a camera of ours ---------------------------------------------------------------------------
class Fake:
    """A camera whose images the test gives; each control takes what it is set to."""

    lens = None

    def __init__(self):
        self.automatics = {"exposure": Automatic("auto", 0, 1, ("exposure", "gain"))}
        self.images = queue.SimpleQueue()
        self.controls = {"auto": 1, "exposure": 100, "gain": 5}
        self.is_closed = False

    def read(self):
        image = self.images.get(timeout=30)
        if isinstance(image, Exception):
            raise image
        return Frame(np.full((4, 4, 3), image, np.uint8), time.time_ns())

    def get(self, control):
        return self.controls.get(control)

    def set(self, control, value):
        if control not in self.controls:
            raise CameraError(f"{control}: no such")
        self.controls[control] = value

    def close(self):
        self.is_closed = True


def config_of(**changed):
    return CameraConfig(driver="v4l2", device=PATH, **{"settle": 0.1} | changed)


def test_what_has_settled_once_holds_after_it_was_lost():
    locks = Locks(config_of(controls={"gain": 7}))
    first = Fake()
    assert locks.begin(first)
    assert first.controls == {"auto": 1, "exposure": 100, "gain": 7}
    first.controls["exposure"] = 230
    locks.settle(first)
    assert first.controls == {"auto": 0, "exposure": 230, "gain": 7}
    again = Fake()
    assert not locks.begin(again)
    assert again.controls == {"auto": 0, "exposure": 230, "gain": 7}


@pytest.mark.parametrize(("wanted", "locked"), [(300, {"auto": 0, "exposure": 300}), ("auto", {})])
def test_a_number_is_locked_at_once_and_auto_never(wanted, locked):
    camera = Fake()
    assert not Locks(config_of(exposure=wanted)).begin(camera)
    assert camera.controls == {"auto": 1, "exposure": 100, "gain": 5} | locked


def test_auto_takes_the_control_back_and_needs_none():
    camera = Fake()
    camera.controls["auto"] = 0
    Locks(config_of(exposure="auto")).begin(camera)
    assert camera.controls["auto"] == 1
    del camera.controls["auto"]
    Locks(config_of(exposure="auto")).begin(camera)
    with pytest.raises(CameraError, match=r"auto: the device has no such control .write exposure"):
        Locks(config_of()).begin(camera)


class Cameras:
    """Those that are opened, one after the other; the test says what each open comes to."""

    def __init__(self, config):
        self.opened, self.images = [], queue.SimpleQueue()
        self._given = queue.SimpleQueue()
        self.capture = Capture("side", config, self._deliver, self._open)
        self.capture.start()

    def give(self, camera):
        self._given.put(camera)
        return camera

    def _open(self, config):
        given = self._given.get(timeout=30)
        if isinstance(given, Exception):
            raise given
        self.opened.append(given)
        return given

    def _deliver(self, frame, lens):
        self.images.put(int(frame.image[0, 0, 0]))


@pytest.fixture
def cameras():
    made = Cameras(config_of(exposure=100))
    yield made
    made.give(CameraError("the end"))
    for camera in made.opened:
        camera.images.put(CameraError("the end"))
    made.capture.close()


def test_a_camera_that_is_lost_is_opened_again_and_given_back(cameras):
    first, second = cameras.give(Fake()), Fake()
    assert not cameras.capture.has_begun
    first.images.put(1)
    assert cameras.images.get(timeout=30) == 1
    first.images.put(CameraError("was pulled out: no image"))
    cameras.give(CameraError("isn't there"))
    cameras.give(second)
    second.images.put(2)
    assert cameras.images.get(timeout=30) == 2
    assert first.is_closed
    assert cameras.opened == [first, second]
    assert cameras.capture.failure is None


def test_what_is_wrong_from_the_beginning_is_a_failure():
    cameras = Cameras(config_of())
    cameras.give(CameraError("isn't there"))
    cameras.capture._thread.join(30)
    assert str(cameras.capture.failure) == f"camera side ({PATH}): isn't there"


def test_a_fault_of_ours_is_a_failure_at_any_time(cameras):
    camera = cameras.give(Fake())
    camera.images.put(1)
    cameras.images.get(timeout=30)
    camera.images.put(KeyError("x"))
    cameras.capture._thread.join(30)
    assert isinstance(cameras.capture.failure, KeyError)
    assert camera.is_closed


def test_closing_ends_a_wait_for_a_camera_that_stays_away(cameras):
    camera = cameras.give(Fake())
    camera.images.put(1)
    cameras.images.get(timeout=30)
    for _ in range(3):
        cameras.give(CameraError("isn't there"))
    camera.images.put(CameraError("lost"))
    closing = threading.Thread(target=cameras.capture.close)
    closing.start()
    cameras.give(CameraError("isn't there"))
    closing.join(30)
    assert not closing.is_alive()


def test_a_stamp_that_cannot_be_is_the_time_of_arrival():
    now = 10**18
    assert plausible_time(now - 10**7, now) == now - 10**7
    assert plausible_time(0, now) == now
    assert plausible_time(now - 5 * 10**9, now) == now - 5 * 10**9, "an old image isn't a new one"
    assert plausible_time(now + 1, now) == now


# -- V4L2 ---------------------------------------------------------------------------------------
@pytest.mark.process
def test_what_a_v4l2_device_refuses_is_named_with_its_remedy(tmp_path, monkeypatch):
    device = V4l2Device(tmp_path, monkeypatch)
    list_ctrls = f"(v4l2-ctl -d {device.path} --list-ctrls shows what it takes)"
    gives = "gives 160x120 YUYV at 30 Hz for "
    cases = [
        ({}, 0, f'{{"exposure": {EXPOSURE}.0, "gain": 16.0, "age": '),
        ({"exposure": 300, "controls": {"gain": 9}}, 0, '{"exposure": 300.0, "gain": 9.0, "age": '),
        ({"exposure": 99_999}, 0, "exposure: the device has taken 5000 for 99999 (write another)"),
        ({"exposure": 300}, EXPOSURE_ID, f"exposure: the device refuses 300 {list_ctrls}"),
        (
            {},
            WHITE_BALANCE_ID,
            f"wb_temperature: the device refuses {WHITE_BALANCE} {list_ctrls}",
        ),
        ({"controls": {"focus": 1}}, 0, f"focus: the device refuses 1 {list_ctrls}"),
        ({"controls": {"gian": 1}}, 0, "gian: no such control (did you mean gain?)"),
        ({"controls": {"zzz": 1}}, 0, "zzz: no such control (see OpenCV's CAP_PROP_...)"),
        ({"width": 640}, 0, f"{gives}640x120 YUYV at 30 Hz (v4l2-ctl -d {device.path} "),
        ({"rate": 60}, 0, f"{gives}160x120 YUYV at 60 Hz (v4l2-ctl -d {device.path} "),
        ({"format": "MJPG"}, 0, f"{gives}160x120 MJPG at 30 Hz (v4l2-ctl -d {device.path} "),
        ({"device": f"{PATH}-no"}, 0, "isn't there: pulled out, or another one (ls /dev/v4l/by-id"),
        ({"device": "/dev/null"}, 0, "can't be opened: no camera, or another program has it (fus"),
    ]
    common = {"driver": "v4l2", "device": str(device.path), "width": 160, "height": 120}
    asked = "".join(
        json.dumps({"file": common | file, "refused": refused}) + "\n" for file, refused, _ in cases
    )
    done = subprocess.run(
        [sys.executable, "-m", "support.v4l2_reader"],
        input=asked,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for (file, _, says), said in zip(cases, done.stdout.splitlines(), strict=True):
        assert said.startswith(says), (file, said)
        if said.startswith("{"):
            assert LATENCY < json.loads(said)["age"] < SILENCE, "stamped by the kernel's clock"


# -- RealSense ----------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def module_patch():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def rs(module_patch):
    return library(module_patch)


@pytest.fixture
def device(rs, monkeypatch):
    made = SoftwareCamera(rs)
    monkeypatch.setattr(realsense, "find_device", lambda rs, serial: made.device)
    return made


def realsense_of(**changed):
    fields = {"width": WIDTH, "height": HEIGHT} | changed
    return CameraConfig(driver="realsense", device="123", **fields)


@pytest.mark.process
def test_a_realsense_gives_images_stamps_and_calibration(device):
    camera = realsense.RealSenseCamera(realsense_of())
    assert camera.lens.focal == (60.0, 61.0)
    assert camera.lens.centre == (31.5, 23.5)
    assert camera.lens.distortion[0] == pytest.approx(0.1)
    seen = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    for domain, is_told in (("global_time", True), ("hardware_clock", False)):
        captured = time.time() - 0.2
        device.show(seen, 1000 * captured, domain)
        frame = camera.read()
        np.testing.assert_array_equal(frame.image, seen)
        assert (abs(1e-9 * frame.time_ns - captured) < 0.01) == is_told
    camera.close()


@pytest.mark.process
def test_a_realsense_that_is_silent_is_lost_and_can_be_opened_again(device, monkeypatch):
    monkeypatch.setattr(realsense, "SILENCE", 0.05)
    for _ in range(2):
        camera = realsense.RealSenseCamera(realsense_of())
        with pytest.raises(CameraError, match="no image: pulled out"):
            camera.read()
        camera.close()


@pytest.mark.process
@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"exposure": 99_999}, r"exposure: the device refuses 99999: .*.allowed: 1 to 10000, in s"),
        ({"controls": {"hue": 1}}, "hue: the device has no such control"),
        ({"controls": {"gian": 1}}, "gian: no such control .did you mean gain?"),
        ({"rate": 60}, "has no colour images of 64x48 at 60 Hz .has: 64x48 at 30 Hz"),
    ],
)
def test_what_a_realsense_refuses_is_named_with_its_remedy(device, changed, says):
    config = realsense_of(**changed)
    with pytest.raises(CameraError, match=says):  # noqa: PT012
        camera = realsense.RealSenseCamera(config)
        try:
            Locks(config).begin(camera)
        finally:
            camera.close()


@pytest.mark.process
def test_a_realsense_is_locked_to_what_it_has_come_to(device, rs):
    config = realsense_of()
    locks, camera = Locks(config), realsense.RealSenseCamera(config)
    assert locks.begin(camera)
    device.sensor.set_option(rs.option.exposure, 333)
    locks.settle(camera)
    camera.close()
    assert locks.settled == {
        "exposure": {"exposure": 333, "gain": 64},
        "white_balance": {"white_balance": 4600},
    }
    assert device.sensor.get_option(rs.option.enable_auto_exposure) == 0
    assert device.sensor.get_option(rs.option.enable_auto_white_balance) == 0


@pytest.mark.process
def test_a_realsense_that_is_not_there_is_named_by_those_that_are(rs):
    with pytest.raises(CameraError, match=r"isn't there .plug it into USB 3; serial numbers there"):
        realsense.find_device(rs, "123")


def test_without_pyrealsense2_the_line_says_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyrealsense2", None)
    with pytest.raises(CameraError, match=r"pip install pyrealsense2==.*libusb-1.0-0"):
        realsense.RealSenseCamera(realsense_of())
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install pyrealsense2=="):
        realsense_of().require_package()
