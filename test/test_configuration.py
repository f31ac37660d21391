# SPDX-License-Identifier: Apache-2.0
"""Configuration errors name the file, the line, the field, the value and the remedy."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pydantic import Field, ValidationError

from expo_ft_ros import configuration
from expo_ft_ros.configuration import Config, ConfigError, config_dir, load_yaml


class Arm(Config):
    speed: float = Field(gt=0, le=2, description="speed [m/s]")
    joints: tuple[float, float] = Field(default=(0.0, 0.0), description="two angles [rad]")


class Robot(Config):
    name: str = Field(description="what it is called")
    arm: Arm = Field(description="its arm")
    extra: dict[str, float | str | list[float]] = Field(default_factory=dict, description="more")


GOOD = "name: bob\n\narm:\n  # a comment\n  speed: 1.5\n  joints: [0.1, 0.2]\nextra:\n  a: 1\n"


@pytest.fixture
def write(tmp_path):
    def write_file(text: str) -> Path:
        path = tmp_path / "robot.yaml"
        path.write_text(text)
        return path

    return write_file


def test_a_good_file(write):
    robot = load_yaml(Robot, write(GOOD))
    assert robot.arm.speed == 1.5
    assert robot.arm.joints == (0.1, 0.2)
    assert robot.extra == {"a": 1}
    with pytest.raises(ValidationError):
        robot.name = "eve"


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "says"),
    [
        ("speed: 1.5", "speed: 3", 5, "arm.speed", ["3", "less than or equal to 2", "[m/s]"]),
        ("speed: 1.5", "speed: fast", 5, "arm.speed", ["'fast'", "allowed: > 0, <= 2"]),
        ("speed: 1.5", "speed: .inf", 5, "arm.speed", ["inf", "finite"]),
        ("speed: 1.5", "sped: 1.5", 3, "arm.speed", ["missing", "speed [m/s]"]),
        ("  speed: 1.5\n", "  speed: 1.5\n  sped: 1\n", 6, "arm.sped", ["did you mean speed?"]),
        ("name: bob", "name: bob\nzzz: 1", 2, "zzz", ["no such field", "known: arm, extra, name"]),
        ("[0.1, 0.2]", "[0.1, x]", 6, "arm.joints.1", ["'x'", "two angles"]),
        ("  a: 1", "  a: {b: 1}", 8, "extra.a", ["{'b': 1}"]),
        ("name: bob", "nam: bob", 1, "name", ["missing"]),
    ],
)
def test_a_bad_value_is_pointed_at(write, old, new, line, field, says):
    path = write(GOOD.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load_yaml(Robot, path)
    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: {field}: ")
    assert "\n" not in message
    for words in says:
        assert words in message


class Numbers(Config):
    real: float = Field(default=0.0, description="a number")
    whole: int = Field(default=0, description="a whole number")
    reals: tuple[float, ...] = Field(default=(), description="numbers")
    perhaps: float | None = Field(default=None, description="a number or nothing")
    text: str = Field(default="", description="words")
    switch: bool = Field(default=False, description="on or off")


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("12e-2", "real", 0.12),
        ("2e3", "real", 2000.0),
        ("1", "real", 1.0),
        ("'12e-2'", "real", 0.12),
        (".5", "real", 0.5),
        ("-1.5E+1", "real", -15.0),
        ("1_000.5", "real", 1000.5),
        ("2e3", "whole", 2000),
        ("'2e3'", "whole", 2000),
        ("2.0", "whole", 2),
        ("8_000", "whole", 8000),
        ("010", "whole", 10),
        ("0x1F", "whole", 31),
        ("[1e-1, 2, '3e0']", "reals", (0.1, 2.0, 3.0)),
        ("1e-3", "perhaps", 0.001),
        ("null", "perhaps", None),
        ("off", "text", "off"),
        ("1:30", "text", "1:30"),
        ("2026-11-29", "text", "2026-11-29"),
        ("on", "switch", True),
        ("false", "switch", False),
    ],
)
def test_a_number_is_read_alike_however_it_is_written(write, text, field, value):
    for read in (
        load_yaml(Numbers, write(f"{field}: {text}\n")),
        load_yaml(Numbers, write(""), {field: text}),
    ):
        assert getattr(read, field) == value
        assert type(getattr(read, field)) is type(value)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("true", "real"),
        ("false", "whole"),
        ("on", "real"),
        ("[1, true]", "reals"),
        ("true", "perhaps"),
        ("1.5", "whole"),
        ("1:30", "whole"),
        ("2026-11-29", "real"),
        ("1e999", "real"),
        (".nan", "real"),
        ("1e", "real"),
        ("12", "text"),
    ],
)
def test_what_is_no_such_number_is_refused(write, text, field):
    path = write(f"{field}: {text}\n")
    with pytest.raises(ConfigError) as caught:
        load_yaml(Numbers, path)
    assert str(caught.value).startswith(f"{path}:1: {field}")


@pytest.mark.parametrize(
    "text",
    [
        f"real: {'9' * 5000}\n",
        "real: !!int many\n",
        "switch: !!bool maybe\n",
        "real: !!int [1]\n",
        "real: !!float {a: 1}\n",
        "switch: !!bool [true]\n",
        "text: !!str [a]\n",
        "text: !!null [a]\n",
        "text: !!binary '=='\n",
        "reals: &a [*a]\n",
        f"reals: {'[' * 3000}\n",
        "? [a]\n: b\n",
        "? {a: b}\n: c\n",
        '"a\\nb": 1\n',
        '"\\ud800": 1\n',
        'text: "\\ud800"\n',
        "~: 1\n",
        "<<: 3\n",
    ],
)
def test_whatever_stands_in_a_file_the_error_is_one_line(write, text):
    path = write(text)
    with pytest.raises(ConfigError) as caught:
        load_yaml(Numbers, path)
    message = str(caught.value)
    assert message.startswith(f"{path}:1: ")
    assert message.isprintable()
    assert len(message) < 1000


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("name: bob\nname: eve\n", ":2: name: given twice"),
        ("name: bob\narm:\n  speed: 1\n  speed: 2\n", ":4: speed: given twice"),
        ("name: [1, 2\narm: 3\n", ":2: YAML: "),
        ("name: bob\n\tarm: 3\n", ":2: YAML: "),
        ("- a\n- b\n", ":1: file: list"),
        ("", ":1: name: missing"),
    ],
)
def test_bad_yaml_is_pointed_at(write, text, place):
    path = write(text)
    with pytest.raises(ConfigError) as caught:
        load_yaml(Robot, path)
    assert str(caught.value).startswith(f"{path}{place}")


def test_a_missing_file_and_one_that_is_no_text(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: file: No such file"):
        load_yaml(Robot, tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(ConfigError, match=r"binary\.yaml: file: "):
        load_yaml(Robot, tmp_path / "binary.yaml")


def test_overrides_go_on_top_and_strings_are_read_as_yaml(write):
    path = write(GOOD)
    robot = load_yaml(
        Robot, path, {"arm.speed": "0.5", "arm.joints": "[1, 2]", "extra.b": "yes!", "name": "al"}
    )
    assert robot.arm == Arm(speed=0.5, joints=(1, 2))
    assert robot.extra == {"a": 1, "b": "yes!"}
    assert robot.name == "al"
    assert load_yaml(Robot, path, {"arm.speed": 2.0}).arm.speed == 2.0


@pytest.mark.parametrize(
    ("overrides", "start"),
    [
        ({"arm.speed": "9"}, "override: arm.speed: 9: "),
        ({"arm.sped": "1"}, "override: arm.sped: no such field (did you mean speed?)"),
        ({"arm": "fast"}, "override: arm: 'fast': "),
        ({"name": "[a"}, "override: name: '[a' is not YAML"),
    ],
)
def test_a_bad_override_is_not_blamed_on_the_file(write, overrides, start):
    with pytest.raises(ConfigError) as caught:
        load_yaml(Robot, write(GOOD), overrides)
    assert str(caught.value).startswith(start)


def test_more_errors_are_counted(write):
    with pytest.raises(ConfigError, match=r"\[and 1 more\]$"):
        load_yaml(Robot, write("arm: {speed: 9}\n"))


@pytest.mark.parametrize("by_ament", [True, False])
def test_the_folder_of_an_installed_package(tmp_path, monkeypatch, by_ament):
    share = tmp_path / "prefix" / "share" / "expo_ft_ros" / "config"
    (share / "tasks").mkdir(parents=True)
    module = tmp_path / "elsewhere" / "expo_ft_ros" / "configuration.py"
    monkeypatch.setattr(configuration, "__file__", str(module))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ("no" if by_ament else "prefix")))
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "prefix") if by_ament else "")
    assert config_dir() == share
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "no"))
    monkeypatch.delenv("AMENT_PREFIX_PATH")
    with pytest.raises(ConfigError, match="install the package again"):
        config_dir()


def test_the_folder_of_a_checkout():
    assert config_dir() == Path(configuration.__file__).parents[1] / "config"
