# SPDX-License-Identifier: Apache-2.0
"""What ROS tools read of this package is what the code needs."""

import ast
import re
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import expo_ft_ros
from expo_ft_ros.cli.test import QUICK
from expo_ft_ros.devices.cameras.config import PYREALSENSE2
from expo_ft_ros.robots.fci_config import PYLIBFRANKA

ROOT = Path(__file__).parents[1]
PACKAGE = ElementTree.parse(ROOT / "package.xml").getroot()
OF_ROS = re.compile(r"(.*_(msgs|srvs|interfaces)|rclpy|launch|launch_ros|ament_index_python)")


def imported():
    """Top names of what the code imports, also inside functions and as the topic table's types."""
    for path in [*(ROOT / "expo_ft_ros").rglob("*.py"), *(ROOT / "launch").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield str(node.module).partition(".")[0]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from re.findall(r"^([a-z0-9_]+_(?:msgs|srvs))/[A-Z]\w*$", node.value)


def depends(*kinds):
    return {element.text for kind in kinds for element in PACKAGE.iter(kind)}


def test_package_xml_names_every_ros_package_that_is_imported():
    needed = {name for name in imported() if OF_ROS.fullmatch(name)}
    assert needed - depends("depend", "exec_depend") == set()


def test_package_xml_names_what_the_interfaces_and_the_build_need():
    used = set()
    for path in [*(ROOT / "msg").glob("*.msg"), *(ROOT / "srv").glob("*.srv")]:
        used |= set(re.findall(r"^([a-z_]+)/[A-Z]", path.read_text(), re.MULTILINE))
    assert used <= depends("depend")
    cmake = "".join(p.read_text() for p in [ROOT / "CMakeLists.txt", *ROOT.glob("cmake/*.cmake")])
    found = set(re.findall(r"find_package\((\w+)", cmake)) - {"Python3"}
    assert found <= depends("buildtool_depend", "depend", "test_depend")


def test_a_wheel_brings_every_file_of_the_configuration():
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["data-files"]
    brought = {path for patterns in told.values() for p in patterns for path in ROOT.glob(p)}
    assert {path for path in (ROOT / "config").rglob("*") if path.is_file()} <= brought


def test_what_is_installed_has_every_file_of_the_package():
    """By a wheel and by colcon, also what isn't Python."""
    package = ROOT / "expo_ft_ros"
    files = {p for p in package.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    others = {path for path in files if path.suffix != ".py"}
    assert {path.suffix for path in others} >= {".css", ".js"}
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    told = tools["package-data"]["expo_ft_ros"]
    assert others == {path for pattern in told for path in package.glob(pattern)}
    cmake = (ROOT / "cmake" / "install_python.cmake").read_text()
    installed = cmake.partition("FILES_MATCHING")[2].partition('PATTERN "__pycache__" EXCLUDE')[0]
    patterns = re.findall(r'PATTERN "([^"]+)"', installed)
    assert [p for p in files if not any(p.match(pattern) for pattern in patterns)] == []


def test_versions_agree():
    version = PACKAGE.findtext("version")
    assert version == expo_ft_ros.__version__
    released = re.findall(
        r"^(\d+\.\d+\.\d+) \(", (ROOT / "CHANGELOG.rst").read_text(), re.MULTILINE
    )
    assert released[0] == version


def test_colcon_runs_the_quick_tier():
    assert f"-m '{QUICK}'" in (ROOT / "cmake" / "quick_tests.cmake").read_text()
    assert "if(BUILD_TESTING)\n  include(quick_tests)" in (ROOT / "CMakeLists.txt").read_text()


def test_colcon_installs_the_command_line_for_the_shell():
    installed = (ROOT / "cmake" / "install_python.cmake").read_text()
    assert "install_executable(expo-ft ${PROJECT_NAME}.cli.main bin)" in installed
    assert "  include(install_python)" in (ROOT / "CMakeLists.txt").read_text()


def sources():
    for folder in ("benchmarks", "cmake", "expo_ft_ros", "launch", "requirements", "test"):
        for ending in ("py", "cmake", "sh", "in"):
            if folder != "requirements" or ending != "in":  # lists of packages
                yield from (ROOT / folder).rglob(f"*.{ending}")
    yield from (ROOT / name for name in ("expo-ft", "CMakeLists.txt", "setup.py"))


def test_every_source_says_its_licence():
    line = "# SPDX-License-Identifier: " + str(PACKAGE.findtext("license"))
    without = [path for path in sources() if line not in path.read_text().splitlines()[:2]]
    assert [str(path.relative_to(ROOT)) for path in without] == []


@pytest.mark.parametrize("path", sorted((ROOT / "expo_ft_ros" / "nodes").glob("[a-z]*.py")))
def test_what_is_installed_as_an_executable_has_a_main(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert "main" in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_what_refusals_tell_to_install_are_the_pins_of_the_extras():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = extras["optional-dependencies"]
    assert pins["franka"][0].partition(";")[0] == PYLIBFRANKA
    assert pins["realsense"][0].partition(";")[0] == PYREALSENSE2
