# SPDX-License-Identifier: Apache-2.0
"""Whom the console is opened to."""

import socket

import pytest

from expo_ft_ros.configuration import ConfigError
from expo_ft_ros.experiment.arguments import parse_arguments
from expo_ft_ros.experiment.options import TrainOptions
from expo_ft_ros.experiment.preflight import open_run
from expo_ft_ros.graph.specs import train_graph
from expo_ft_ros.monitor.address import TOKEN_VARIABLE, require_openable_console


def test_on_this_machine_it_needs_no_token(monkeypatch):
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    assert parse_arguments(["console:=true"], TrainOptions).console


def test_elsewhere_it_needs_one_which_no_file_and_no_command_line_holds(monkeypatch, tmp_path):
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    words = ["console:=true", "console_host:=0.0.0.0"]
    with pytest.raises(ConfigError, match=f"console_host:=0.0.0.0: .*{TOKEN_VARIABLE}"):
        require_openable_console("0.0.0.0", 8090)
    monkeypatch.setenv(TOKEN_VARIABLE, "sixteen-letters_0")
    options = parse_arguments(words, TrainOptions)
    monitor = next(s for s in train_graph(options, tmp_path) if s.name == "monitor")
    assert "sixteen-letters_0" not in str(monitor.parameters) + str(monitor.env)


def test_what_cannot_be_opened_is_named(monkeypatch):
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        port = somebody.getsockname()[1]
        with pytest.raises(ConfigError, match=f"console_port:={port}: address already in use"):
            require_openable_console("127.0.0.1", port)
    require_openable_console("127.0.0.1", port)
    monkeypatch.setenv(TOKEN_VARIABLE, "sixteen-letters_0")
    for host in ("203.0.113.1", "a" * 80 + ".example"):
        with pytest.raises(ConfigError, match=f"console_host:={host}: can't be listened on"):
            require_openable_console(host, port)
    monkeypatch.setenv(TOKEN_VARIABLE, "short")
    with pytest.raises(ConfigError, match="token"):
        require_openable_console("127.0.0.1", port)


def test_it_is_told_before_there_is_a_folder_and_only_to_who_wants_one(monkeypatch, tmp_path):
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("EXPO_FT_ISOLATE", "1")
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        port = f"console_port:={somebody.getsockname()[1]}"
        with pytest.raises(ConfigError, match="in use"):
            open_run("train", ["console:=true", port], TrainOptions)
        assert not (tmp_path / "runs").exists()
        open_run("train", [port], TrainOptions).close()


def test_a_resumed_run_may_have_its_console_elsewhere_or_none(monkeypatch, tmp_path):
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path))
    monkeypatch.setenv("EXPO_FT_ISOLATE", "1")
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = f"console_port:={free.getsockname()[1]}"
    first = open_run("train", ["console:=true", port], TrainOptions)
    again = ["console:=true", f"resume:={first.path}"]
    with socket.create_server(("127.0.0.1", int(port.partition(":=")[2]))):
        with pytest.raises(ConfigError, match="in use by process"):
            open_run("train", again, TrainOptions)
        first.close()
        with pytest.raises(ConfigError, match=f"{port}: address already in use"):
            open_run("train", again, TrainOptions)
        open_run("train", ["console:=false", f"resume:={first.path}"], TrainOptions).close()


def test_nobody_waits_for_the_monitor_and_nobody_misses_it(tmp_path):
    specs = train_graph(TrainOptions(console=True, realtime=True), tmp_path)
    monitor = next(spec for spec in specs if spec.name == "monitor")
    assert not monitor.vital
    # A stop by way of the console isn't to wait for whoever learns.
    assert monitor.nice == 0
    for spec in specs:
        watched = spec.parameters.get("watched", ()), spec.parameters.get("required_nodes", ())
        assert all("monitor" not in names for names in watched)
    assert not any(s.name == "monitor" for s in train_graph(TrainOptions(), tmp_path))
