# SPDX-License-Identifier: Apache-2.0
"""The doctor sees what is there, says how to mend what isn't, and fails only for what runs need."""

import sys
from collections import namedtuple

import pytest

from expo_ft_ros.cli import main as cli
from expo_ft_ros.doctor import machine
from expo_ft_ros.doctor.check import Check

Usage = namedtuple("Usage", "total used free")


@pytest.mark.process
def test_rendering_makes_a_real_image():
    check = machine.check_rendering()
    assert check.status in ("ok", "missing"), check.text


@pytest.mark.process
def test_rendering_fails_with_the_last_line_of_the_error():
    check = machine.check_rendering("raise RuntimeError('no driver')")
    assert (check.status, check.text) == ("fail", "RuntimeError: no driver")
    assert "libegl1" in check.remedy


@pytest.mark.process
def test_a_hanging_driver_is_given_up():
    check = machine.check_rendering("import threading; threading.Event().wait()", patience=0.5)
    assert (check.status, check.text) == ("fail", "no image within 0.5 s")


def test_without_ros_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "rclpy", None)
    check = machine.check_ros()
    assert check.status == "fail"
    assert "./expo-ft" in check.remedy


def test_ros_and_every_type_of_the_graph_are_there():
    pytest.importorskip("rclpy")
    assert machine.check_ros().status == "ok"
    assert machine.check_interfaces().status == "ok"


@pytest.mark.parametrize(
    ("release", "status"),
    [("6.18.44-fc", "ok"), ("6.12.0-rt", "ok"), ("6.8.0-45-generic", "missing"), ("7.1", "ok")],
)
def test_a_kernel_without_short_slices_is_named(monkeypatch, release, status):
    monkeypatch.setattr(machine.platform, "release", lambda: release)
    check = machine.check_kernel()
    assert (check.status, release in check.text) == (status, True)


@pytest.mark.parametrize(("granted", "status"), [(True, "ok"), (False, "missing")])
def test_a_user_without_real_time_priority_is_told_of_it(monkeypatch, granted, status):
    from expo_ft_ros.control import thread_priority

    monkeypatch.setattr(thread_priority, "may_set_fifo_priority", lambda: granted)
    check = machine.check_priority()
    assert check.status == status
    assert granted or "rtprio" in check.remedy


def test_a_missing_type_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "expo_ft_ros.msg", None)
    check = machine.check_interfaces()
    assert check.status == "fail"
    assert "expo_ft_ros/" in check.text


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (None, "fail"),
        ("<dds", "fail"),
        ("<dds xmlns='x'><type>UDPv4</type></dds>", "missing"),
        ("<dds xmlns='x'><type>SHM</type></dds>", "ok"),
    ],
)
def test_the_profile_of_fast_dds_is_read(monkeypatch, tmp_path, content, status):
    path = tmp_path / "profile.xml"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", str(path))
    monkeypatch.delenv("RMW_IMPLEMENTATION", raising=False)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: Usage(0, 0, 10**10))
    assert machine.check_middleware().status == status


def test_too_little_shared_memory_fails(monkeypatch, tmp_path):
    path = tmp_path / "profile.xml"
    path.write_text("<dds xmlns='x'><type>SHM</type></dds>")
    monkeypatch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", str(path))
    monkeypatch.delenv("RMW_IMPLEMENTATION", raising=False)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: Usage(0, 0, 64 * 2**20))
    check = machine.check_middleware()
    assert check.status == "fail"
    assert "--shm-size" in check.remedy


def hidraw(root, name, vendor):
    folder = root / "sys" / "class" / "hidraw" / "hidraw3" / "device"
    folder.mkdir(parents=True)
    (folder / "uevent").write_text(f"HID_ID=0003:{vendor}:0000C635\nHID_NAME={name}\n")
    (root / "dev").mkdir()
    (root / "dev" / "hidraw3").touch()


def test_a_spacemouse_is_found_by_its_vendor(tmp_path):
    hidraw(tmp_path, "3Dconnexion SpaceMouse Compact", "0000256F")
    check = machine.check_spacemouse(tmp_path)
    assert check.status == "ok"
    assert check.text.endswith("dev/hidraw3")


def test_another_mouse_of_the_same_vendor_is_none(tmp_path):
    hidraw(tmp_path, "Logitech M500", "0000046D")
    assert machine.check_spacemouse(tmp_path).status == "missing"


def test_the_socket_of_spacenavd_is_enough(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "spnav.sock").touch()
    assert machine.check_spacemouse(tmp_path).status == "ok"


def test_cameras_are_listed(tmp_path):
    assert machine.check_cameras(tmp_path).status == "missing"
    (tmp_path / "dev").mkdir()
    for name in ("video0", "video2"):
        (tmp_path / "dev" / name).touch()
    assert machine.check_cameras(tmp_path).text == "/dev/video0, /dev/video2"


def test_a_full_disk_fails(monkeypatch, tmp_path):
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: Usage(0, 0, 10**9))
    assert machine.check_disk(tmp_path).status == "fail"


@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("missing", 0), ("fail", 1)])
def test_only_a_failure_makes_the_exit_code(monkeypatch, capsys, status, code):
    monkeypatch.setattr(machine, "CHECKS", (lambda: Check("thing", status, "seen", "mend it"),))
    assert cli.main(["doctor"]) == code
    output = capsys.readouterr().out
    assert f"{status:<7}  thing" in output
    assert "-> mend it" in output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["now"], "unknown argument 'now'"),
        (["robot:=sim", "robot:=sim"], "given twice"),
        (["robot_ip:=10.0.0.7"], "robot_ip without robot:="),
        (["robot:=sim", "seconds:=long"], "seconds:=long: no number above 0"),
        (["robot:=sim", "seconds:=0"], "seconds:=0: no number above 0"),
    ],
)
def test_other_words_are_refused_before_anything_is_looked_at(capsys, words, said):
    assert cli.main(["doctor", *words]) == 2
    written = capsys.readouterr()
    assert said in written.err
    assert not written.out


def test_an_unknown_robot_is_refused_with_those_that_are_known(monkeypatch, capsys):
    monkeypatch.setattr(machine, "CHECKS", ())
    assert cli.main(["doctor", "robot:=none"]) == 2
    assert "franka_ros2" in capsys.readouterr().err
