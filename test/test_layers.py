# SPDX-License-Identifier: Apache-2.0
"""The library is free of ROS, and imports go in one direction (docs/architecture.md)."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "expo_ft_ros"

# A part imports from earlier lines only; parts of one line don't know each other.
LAYERS = (
    ("yaml_loader", "yaml_edit"),
    ("configuration", "data"),
    ("named_files", "parent_process"),
    ("robots",),
    ("devices", "policies", "recording", "sim"),
    ("tasks",),
    ("control", "rl"),
    ("monitor",),
    ("serving",),
    ("experiment",),
    ("graph",),
    ("fci", "report", "ros"),
    ("doctor",),
    ("nodes",),
    ("bringup",),
    ("dashboard",),
    ("cli",),
)
RANKS = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}
WITH_ROS = ("nodes", "ros")

# The one file of bringup/ that speaks to `launch`, inside functions that launch files call.
LAUNCH_FRONT_END = PACKAGE / "bringup" / "launching.py"
ROS = ("rclpy", "launch", "launch_ros", "ament_index_python", "builtin_interfaces", "std_srvs")

FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
LIBRARY = [path for path in FILES if path.relative_to(PACKAGE).parts[0] not in WITH_ROS]


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def imports_of(path: Path) -> Iterator[str]:
    """Every module that the file names in an import, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            # `from expo_ft_ros import sim` names expo_ft_ros.sim.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_ros(module: str) -> bool:
    top, _, rest = module.partition(".")
    own = top == "expo_ft_ros" and rest.split(".")[0] in ("msg", "srv")
    return own or top in ROS or top.endswith(("_msgs", "_interfaces"))


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(PACKAGE)) for path in paths]


@pytest.mark.parametrize("path", LIBRARY, ids=names(LIBRARY))
def test_the_library_names_nothing_of_ros(path):
    if path == LAUNCH_FRONT_END:
        return
    assert [module for module in imports_of(path) if is_ros(module)] == []


@pytest.mark.parametrize("path", FILES, ids=names(FILES))
def test_imports_go_down_the_layers(path):
    part = path.relative_to(PACKAGE).with_suffix("").parts[0]
    assert part in RANKS, f"{path}: which layer of test_layers.py is {part!r} in?"
    for module in imports_of(path):
        top, _, rest = module.partition(".")
        if top != "expo_ft_ros":
            continue
        other = rest.split(".")[0]
        if other in RANKS and other != part:
            assert RANKS[other] < RANKS[part], f"{path} imports {module}"


@pytest.mark.process
def test_the_library_imports_where_there_is_no_ros():
    modules = [module_of(path) for path in LIBRARY if path.name != "__main__.py"]
    refused = (*ROS, "expo_ft_ros.msg", "expo_ft_ros.srv")
    run_without(refused, f"import importlib; [importlib.import_module(name) for name in {modules}]")


@pytest.mark.process
def test_a_robot_judges_its_task_where_there_is_no_simulation():
    program = """
from expo_ft_ros.tasks import known_tasks, load_task
from expo_ft_ros.tasks.classifiers import make_classifier
for name in known_tasks():
    make_classifier(load_task(name))
"""
    run_without(("mujoco", "torch"), program)


def run_without(refused: tuple[str, ...], program: str) -> None:
    """Runs the program in an interpreter that can't import what is refused."""
    prelude = f"""
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in {refused} or name in {refused}:
            raise ImportError(f"{{name}} is not here")
        if "rclpy" in {refused} and top.endswith(("_msgs", "_interfaces")):
            raise ImportError(f"{{name}} is of ROS")
sys.meta_path.insert(0, Refuse())
"""
    done = subprocess.run(
        [sys.executable, "-c", prelude + program],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=PACKAGE.parent,
    )
    assert done.returncode == 0, done.stderr


def test_the_rules_see_what_they_are_about(tmp_path):
    path = tmp_path / "x.py"
    path.write_text("def f():\n    from expo_ft_ros.msg import Step\n    import rclpy.qos\n")
    assert [is_ros(module) for module in imports_of(path)] == [True, True]
    assert not is_ros("expo_ft_ros.data.types")
