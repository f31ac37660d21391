# SPDX-License-Identifier: Apache-2.0
"""One child process of the runner: how it is started, asked to stop, and reaped."""

import contextlib
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from expo_ft_ros.data.files import writing
from expo_ft_ros.graph.node_spec import NodeSpec
from expo_ft_ros.parent_process import PARENT_PID_VARIABLE

# Set by the ROS wheels' start hook once per Python start; inherited, it would skip that of a child
# and leave it without its library path.
_BOOTSTRAP_GUARD = "_ROS_WHEELS_BOOTSTRAP_COMPLETE"

_TAIL_BYTES = 16_384


def describe_exit(returncode: int) -> str:
    """A return code in words: "exit code 3" or "signal SIGKILL"."""
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        return f"signal {signal.Signals(-returncode).name}"
    except ValueError:
        return f"signal {-returncode}"


def log_tail(path: Path, lines: int = 12) -> str:
    """The last lines of a log; empty when it has none."""
    if not path.is_file():
        return ""
    with path.open("rb") as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(0, stream.tell() - _TAIL_BYTES))
        text = stream.read().decode(errors="replace")
    return "\n".join(text.rstrip().splitlines()[-lines:])


def write_parameters(spec: NodeSpec, folder: Path) -> Path:
    """Writes the node's parameters in ROS form; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{spec.name}.yaml"
    values = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in spec.parameters.items()
    }
    with writing(path):
        path.write_text(yaml.safe_dump({"/**": {"ros__parameters": values}}, sort_keys=True))
    return path


def ros_arguments(
    namespace: str = "",
    remappings: Sequence[tuple[str, str]] = (),
    log_level: str = "",
    params_files: Sequence[str] = (),
) -> list[str]:
    """A node's `--ros-args ...`, of parameters files the last of which wins; empty for none."""
    pairs = [("-r", f"__ns:={namespace}")] if namespace else []
    pairs += [("-r", f"{source}:={target}") for source, target in remappings]
    pairs += [("--log-level", log_level)] if log_level else []
    pairs += [("--params-file", file) for file in params_files]
    return ["--ros-args", *itertools.chain.from_iterable(pairs)] if pairs else []


def node_command(spec: NodeSpec, parameters: Path) -> list[str]:
    """The command line of a node."""
    # With several nodes in the process one name would be given to all of them.
    name = (("__node", spec.name),) if len(spec.node_names) == 1 else ()
    files = (str(parameters), *filter(None, [spec.params_file]))
    arguments = ros_arguments(spec.namespace, (*name, *spec.remappings), spec.log_level, files)
    return [sys.executable, "-m", spec.module, *arguments]


def child_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The runner's environment as a child needs it, with `extra` on top."""
    environment = {k: v for k, v in os.environ.items() if k != _BOOTSTRAP_GUARD}
    environment["PYTHONUNBUFFERED"] = "1"
    environment[PARENT_PID_VARIABLE] = str(os.getpid())
    environment.update(extra or {})
    return environment


def set_niceness(pid: int, nice: int) -> None:
    """Of the leader of a session, over what it inherited; nothing where it is 0."""
    if nice:
        # More than normal priority takes a privilege; without it the normal one has to do.
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, pid, nice)
        # Where the kernel groups processes by session, niceness counts inside a session only.
        with contextlib.suppress(OSError):
            Path(f"/proc/{pid}/autogroup").write_text(str(nice))


class NodeProcess:
    """A running node.

    Attributes:
        spec: What was started.
        log: Where its output goes.
        pidfd: Readable once it has ended.
        returncode: None while it runs.
    """

    def __init__(self, spec: NodeSpec, run_dir: Path, env: Mapping[str, str]) -> None:
        """Starts it.

        Raises:
            OSError: when it can't be started.
        """
        self.spec = spec
        self.log = run_dir / "logs" / f"{spec.name}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.returncode: int | None = None
        command = list(spec.command)
        if not command:
            command = node_command(spec, write_parameters(spec, run_dir / "params"))
        with self.log.open("ab") as output:
            self._popen = subprocess.Popen(
                command,
                stdin=None if spec.terminal else subprocess.DEVNULL,
                stdout=None if spec.terminal else output,
                stderr=subprocess.STDOUT,
                env=child_environment({**env, **spec.env}),
                # A Ctrl-C in the terminal is for the runner alone, which takes them down in order.
                start_new_session=True,
            )
        self.pid = self._popen.pid
        self.pidfd = os.pidfd_open(self.pid)
        set_niceness(self.pid, spec.nice)

    @property
    def name(self) -> str:
        """Name of the process."""
        return self.spec.name

    @property
    def alive(self) -> bool:
        """Not yet reaped."""
        return self.returncode is None

    def send(self, number: signal.Signals) -> None:
        """Signals the process; a no-op once it has been reaped."""
        if not self.alive:
            return
        self._popen.send_signal(number)

    def reap(self) -> int:
        """Takes the exit status of the ended process and ends what it left behind in its group."""
        if self.returncode is None:
            # While the leader is unreaped its group id can't have been given to anybody else.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            self.returncode = self._popen.wait()
            os.close(self.pidfd)
        return self.returncode
