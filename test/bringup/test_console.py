"""Whom the console is opened to."""

import pytest

from expo_ft_ros.bringup.console import TOKEN_VARIABLE
from expo_ft_ros.bringup.graph import train_graph
from expo_ft_ros.bringup.options import TrainOptions, parse_arguments
from expo_ft_ros.configuration import ConfigError


def test_on_this_machine_it_needs_no_token(monkeypatch):
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    assert parse_arguments(["console:=true"], TrainOptions).console


def test_elsewhere_it_needs_one_which_no_file_and_no_command_line_holds(monkeypatch, tmp_path):
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    words = ["console:=true", "console_host:=0.0.0.0"]
    with pytest.raises(ConfigError, match=f"console_host:=0.0.0.0: .*{TOKEN_VARIABLE}"):
        parse_arguments(words, TrainOptions)
    monkeypatch.setenv(TOKEN_VARIABLE, "sixteen-letters_0")
    options = parse_arguments(words, TrainOptions)
    monitor = next(s for s in train_graph(options, tmp_path) if s.name == "monitor")
    assert "sixteen-letters_0" not in str(monitor.parameters) + str(monitor.env)


def test_nobody_waits_for_the_monitor_and_nobody_misses_it(tmp_path):
    specs = train_graph(TrainOptions(console=True, realtime=True), tmp_path)
    monitor = next(spec for spec in specs if spec.name == "monitor")
    assert not monitor.vital
    assert monitor.nice > 0
    for spec in specs:
        watched = spec.parameters.get("watched", ()), spec.parameters.get("required_nodes", ())
        assert all("monitor" not in names for names in watched)
    assert not any(s.name == "monitor" for s in train_graph(TrainOptions(), tmp_path))
