# SPDX-License-Identifier: Apache-2.0
"""What somebody adds, as they would: a policy, a robot by its file alone, and a task.

Each is one folder and one YAML file at most, lies outside the package, and is named by an
environment variable or an argument. Nothing in the package knows them, and a whole run has all
three.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from expo_ft_ros.cli import bench_learn
from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.control.plan import Plan
from expo_ft_ros.experiment.arguments import parse_arguments
from expo_ft_ros.experiment.bench_options import LearnOptions
from expo_ft_ros.experiment.rollout import InProcessRollout
from expo_ft_ros.policies.registry import FOLDERS_VARIABLE as POLICIES
from expo_ft_ros.robots import load_robot
from expo_ft_ros.robots.registry import ROBOTS
from expo_ft_ros.tasks import TASKS, load_task
from support import added_policy, toy_task

ROOT = Path(__file__).resolve().parents[1]
ROBOT = """\
name: desk
adapter: sim
capabilities: {resets_scene: true, lockstep: true, knows_objects: true}
joints: [fr3_joint1, fr3_joint2, fr3_joint3, fr3_joint4, fr3_joint5, fr3_joint6, fr3_joint7]
fingers: [fr3_finger_joint1, fr3_finger_joint2]
home: [0.0, -0.785398, 0.0, -2.356194, 0.0, 1.570796, 0.785398]
limits: {linear_velocity: 0.2, angular_velocity: 0.8}
workspace: {low: [0.25, -0.4, 0.0], high: [0.7, 0.4, 0.5]}
views:
  - {name: top, topic: top_camera/image_raw, frame: top_camera_optical_frame, role: base}
  - {name: wrist, topic: wrist_camera/image_raw, frame: wrist_camera_optical_frame}
  - {name: side, topic: side_camera/image_raw, frame: side_camera_optical_frame}
"""
SHORT = "warmup_episodes=0,warmup_updates=0,critic_steps_per_update=2,edits=true,edits_after=0"


@pytest.fixture
def added(tmp_path: Path) -> dict[str, Path]:
    """Folder of each addition, as a pull request of its own would have it."""
    folders = {kind: tmp_path / kind for kind in ("policies", "robots", "tasks")}
    for folder in folders.values():
        folder.mkdir()
    added_policy.add(folders["policies"])
    (folders["robots"] / "desk.yaml").write_text(ROBOT)
    toy_task.write_toy_task(folders["tasks"])
    return folders


@pytest.fixture
def by_variables(added, monkeypatch) -> list[str]:
    """The words of a command line that names them, where their folders are in the environment."""
    for variable, kind in ((POLICIES, "policies"), (ROBOTS.variable, "robots")):
        monkeypatch.setenv(variable, str(added[kind]))
    monkeypatch.setenv(TASKS.variable, str(added["tasks"]))
    return [f"size:={added_policy.SIZE}", "robot:=desk", f"task:={toy_task.NAME}"]


@pytest.fixture
def by_paths(added, monkeypatch) -> list[str]:
    """The words of a command line that names their files; a policy's code needs the variable."""
    monkeypatch.setenv(POLICIES, str(added["policies"]))
    size = added["policies"] / added_policy.KIND / f"{added_policy.SIZE}.yaml"
    robot, task = added["robots"] / "desk.yaml", added["tasks"] / toy_task.NAME
    return [f"size:={size}", f"robot:={robot}", f"task:={task}"]


def test_each_is_one_folder_and_one_file_at_most(added):
    for kind, folder in added.items():
        top = list(folder.iterdir())
        files = [path for path in top if path.is_file()]
        assert len(top) - len(files) <= 1, f"{kind}: {top}"
        assert [path.suffix for path in files] in ([], [".yaml"]), f"{kind}: {top}"
    assert [path.name for path in added["robots"].rglob("*")] == ["desk.yaml"]


@pytest.mark.parametrize("name", [added_policy.KIND, toy_task.NAME, "desk"])
def test_nothing_in_the_package_knows_it(name):
    """But for examples in the documents."""
    found = subprocess.run(
        ["git", "grep", "-lw", name, "--", "expo_ft_ros", "config", "launch", "msg", "srv"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode not in (0, 1):
        pytest.skip("no checkout")
    assert found.stdout == ""


@pytest.mark.parametrize("named", ["by_variables", "by_paths"])
def test_a_whole_run_has_all_three(named, request, tmp_path, monkeypatch):
    words = request.getfixturevalue(named)
    monkeypatch.setattr(bench_learn, "results_folder", lambda: tmp_path)
    monkeypatch.chdir(tmp_path)
    words += ["demos:=1", "steps:=20", "eval_trials:=1", f"change:={SHORT}"]
    assert bench_learn.main(words) == 0
    (path,) = tmp_path.glob(f"learn_{toy_task.NAME}_*.json")
    result = json.loads(path.read_text())
    assert result["config"]["vla"]["kind"] == added_policy.KIND
    assert result["task"]["instruction"] == "touch the mat"
    (run,) = result["runs"]
    stages = list(dict.fromkeys(line["stage"] for line in run["log"]))
    assert stages == ["collect", "imitation", "eval_before", "rl", "eval_after"]
    assert run["env_steps"] >= 20
    assert run["critic_updates"] > 0


def test_the_robot_s_limits_and_views_are_what_is_driven_and_seen(by_variables):
    options = parse_arguments(by_variables, LearnOptions)
    task, robot = load_task(options.task), load_robot(options.robot)
    cell = InProcessRollout(task, image_size=16, seed=0, rate=1.0, share=1.0, robot=robot)
    shown = cell.play(Plan("collect", 1, 3, 80, "none", "demonstrate", False), None)
    cell.close()
    assert shown.ended.success
    assert shown.episode is not None
    assert list(shown.episode.views) == ["top", "wrist", "side"]
    went = shown.episode.state[-1, :3] - shown.episode.state[0, :3]
    speed = robot.limits.linear_velocity * shown.episode.executed[:, :3]
    np.testing.assert_allclose(went, task.period * speed.sum(axis=0), atol=0.01)


@pytest.mark.parametrize(
    ("robot", "says"),
    [
        (ROBOT.replace("adapter: sim", "adapter: external"), "its adapter is external, but a run"),
        (ROBOT.replace("0.7, 0.4, 0.5", "0.6, 0.4, 0.5"), "touch_mat"),
    ],
)
def test_a_robot_that_cannot_do_it_is_refused_before_anything_starts(
    by_variables, added, robot, says
):
    (added["robots"] / "desk.yaml").write_text(robot)
    with pytest.raises(ConfigError, match=says) as caught:
        parse_arguments(by_variables, LearnOptions)
    assert str(caught.value).isprintable()
