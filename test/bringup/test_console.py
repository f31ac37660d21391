"""Whom the console is opened to."""

import socket

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


def test_what_cannot_be_opened_is_told_before_anything_starts(monkeypatch):
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        port = somebody.getsockname()[1]
        with pytest.raises(ConfigError, match=f"console_port:={port}: taken"):
            parse_arguments(["console:=true", f"console_port:={port}"], TrainOptions)
        # Whoever wants no console isn't asked for its port.
        parse_arguments([f"console_port:={port}"], TrainOptions)
    parse_arguments(["console:=true", f"console_port:={port}"], TrainOptions)
    monkeypatch.setenv(TOKEN_VARIABLE, "sixteen-letters_0")
    with pytest.raises(ConfigError, match=r"console_host:=203\.0\.113\.1: can't be listened on"):
        parse_arguments(["console:=true", "console_host:=203.0.113.1"], TrainOptions)
    monkeypatch.setenv(TOKEN_VARIABLE, "short")
    with pytest.raises(ConfigError, match="token"):
        parse_arguments(["console:=true"], TrainOptions)


def test_nobody_waits_for_the_monitor_and_nobody_misses_it(tmp_path):
    specs = train_graph(TrainOptions(console=True, realtime=True), tmp_path)
    monitor = next(spec for spec in specs if spec.name == "monitor")
    assert not monitor.vital
    assert monitor.nice > 0
    for spec in specs:
        watched = spec.parameters.get("watched", ()), spec.parameters.get("required_nodes", ())
        assert all("monitor" not in names for names in watched)
    assert not any(s.name == "monitor" for s in train_graph(TrainOptions(), tmp_path))
