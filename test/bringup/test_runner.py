# SPDX-License-Identifier: Apache-2.0
"""The runner with real child processes: order, exit codes, and that nothing is left."""

import os
import select
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from expo_ft_ros.bringup.process import describe_exit, log_tail
from expo_ft_ros.bringup.runner import Runner, RunnerConfig
from expo_ft_ros.graph.node_spec import NodeSpec

pytestmark = pytest.mark.process

# A child says that it is up, writes down when it is asked to stop, and does as told.
CHILD = """
import os, signal, sys
name, behaviour, folder = sys.argv[1:4]
def note(word):
    with open(os.path.join(folder, "order"), "a") as stream:
        stream.write(f"{name} {word}\\n")
def interrupted(number, frame):
    note(signal.Signals(number).name)
    if behaviour not in ("deaf", "stone"):
        sys.exit(3 if behaviour == "messy" else 0)
def terminated(number, frame):
    note(signal.Signals(number).name)
    if behaviour != "stone":
        sys.exit(0)
signal.signal(signal.SIGINT, interrupted)
signal.signal(signal.SIGTERM, terminated)
print(f"{name} is up", flush=True)
with open(os.path.join(folder, name + ".pid"), "w") as stream:
    stream.write(str(os.getpid()))
os.mkfifo(os.path.join(folder, name + ".fifo"))
if behaviour.startswith("exit"):
    # Wait until told: opening a fifo blocks until the other side is opened.
    open(os.path.join(folder, name + ".fifo")).read()
    print("going now", flush=True)
    sys.exit(int(behaviour[4:]))
while True:
    signal.pause()
"""

CONFIG = RunnerConfig(refresh=0.02, term_grace=0.3, stop_timeout=5.0, stop_command=())


class Scene:
    """A run folder, its children, and what is done once all of them are up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.script = folder / "child.py"
        self.script.write_text(CHILD)
        self.names: list[str] = []
        self.when_up = lambda: None

    def spec(self, name, behaviour="plain", shutdown_order=1, **others):
        self.names.append(name)
        command = (sys.executable, str(self.script), name, behaviour, str(self.folder))
        return NodeSpec(
            name,
            command=command,
            shutdown_order=shutdown_order,
            grace=others.pop("grace", 60.0),
            **others,
        )

    def run(self, *specs, config=CONFIG):
        done = False

        def refresh():
            nonlocal done
            ready = all((self.folder / f"{name}.fifo").exists() for name in self.names)
            if ready and not done:
                done = True
                self.when_up()

        return Runner(specs, self.folder, on_refresh=refresh, config=config).run()

    def pid(self, name):
        return int((self.folder / f"{name}.pid").read_text())

    def release(self, name):
        with (self.folder / f"{name}.fifo").open("w"):
            pass

    @property
    def order(self):
        file = self.folder / "order"
        return file.read_text().splitlines() if file.exists() else []

    def assert_nothing_left(self):
        for name in self.names:
            with pytest.raises(ProcessLookupError):
                os.kill(self.pid(name), 0)


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


def test_a_session_that_is_done_ends_the_run_well(scene):
    scene.when_up = lambda: scene.release("session")
    result = scene.run(
        scene.spec("session", "exit0", 0),
        scene.spec("arbitration", shutdown_order=1),
        scene.spec("sim", shutdown_order=4),
    )
    assert (result.code, result.cause, result.warnings) == (0, "", ())
    assert scene.order == ["arbitration SIGINT", "sim SIGINT"]
    scene.assert_nothing_left()


def test_a_session_that_fails_is_a_failure(scene):
    scene.when_up = lambda: scene.release("session")
    result = scene.run(scene.spec("session", "exit4", 0), scene.spec("sim", shutdown_order=4))
    assert result.code == 1
    assert "session ended with exit code 4" in result.cause
    assert result.tail.splitlines() == ["session is up", "going now"]


def test_a_killed_child_takes_the_others_down_in_order(scene):
    scene.when_up = lambda: os.kill(scene.pid("camera"), signal.SIGKILL)
    result = scene.run(
        scene.spec("sim", shutdown_order=4),
        scene.spec("camera", shutdown_order=3),
        scene.spec("agent", shutdown_order=2),
        scene.spec("session", shutdown_order=0),
    )
    assert result.code == 1
    assert "camera ended with signal SIGKILL" in result.cause
    assert "camera is up" in result.tail
    assert scene.order == ["session SIGINT", "agent SIGINT", "sim SIGINT"]
    scene.assert_nothing_left()


def test_a_node_that_ends_by_itself_is_a_failure_also_with_0(scene):
    scene.when_up = lambda: scene.release("camera")
    result = scene.run(scene.spec("camera", "exit0"), scene.spec("sim", shutdown_order=4))
    assert result.code == 1
    assert "camera ended with exit code 0" in result.cause


def test_what_is_not_vital_may_end(scene):
    def up():
        scene.release("rviz")
        os.waitid(os.P_PID, scene.pid("rviz"), os.WEXITED | os.WNOWAIT)
        scene.release("session")

    scene.when_up = up
    result = scene.run(
        scene.spec("rviz", "exit5", vital=False), scene.spec("session", "exit0"), scene.spec("sim")
    )
    assert result.code == 0
    assert "rviz ended early with exit code 5" in result.warnings[0]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_takes_everything_down(scene, number, code):
    scene.when_up = lambda: os.kill(os.getpid(), number)
    result = scene.run(scene.spec("session", shutdown_order=0), scene.spec("sim", shutdown_order=4))
    assert result.code == code
    assert number.name in result.cause
    assert scene.order == ["session SIGINT", "sim SIGINT"]
    scene.assert_nothing_left()


def test_one_that_ignores_sigint_gets_sigterm_then_sigkill(scene):
    scene.when_up = lambda: os.kill(os.getpid(), signal.SIGINT)
    # Long enough for a child to write down what it gets, also where it is halted meanwhile.
    patient = replace(CONFIG, term_grace=4.0)
    result = scene.run(
        scene.spec("deaf", "deaf", 0, grace=4.0),
        scene.spec("stone", "stone", 1, grace=4.0),
        config=patient,
    )
    assert result.code == 130
    assert scene.order == ["deaf SIGINT", "deaf SIGTERM", "stone SIGINT", "stone SIGTERM"]
    assert result.warnings == ("stone did not stop and was killed",)
    scene.assert_nothing_left()


def test_a_second_signal_hurries(scene):
    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    scene.when_up = twice
    # The grace is longer than the test may take.
    result = scene.run(
        scene.spec("stone", "stone", grace=600.0), scene.spec("sim", shutdown_order=4)
    )
    assert result.code == 130
    assert scene.order[-1] == "sim SIGINT"
    scene.assert_nothing_left()


def test_a_node_that_fails_while_stopping_is_reported(scene):
    scene.when_up = lambda: os.kill(os.getpid(), signal.SIGINT)
    result = scene.run(scene.spec("recorder", "messy"))
    assert result.warnings == ("recorder ended with exit code 3 while stopping",)


def test_what_a_node_leaves_behind_in_its_group_is_ended(scene, tmp_path):
    parent = tmp_path / "parent.py"
    parent.write_text(
        "import os, signal, subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        f"open({str(tmp_path / 'grandchild')!r}, 'w').write(str(child.pid))\n"
        f"open({str(tmp_path / 'fifo_reader')!r}, 'w').close()\n"
        "signal.pause()\n"
    )
    grandchild = tmp_path / "grandchild"

    def refresh():
        if grandchild.exists() and grandchild.read_text():
            os.kill(os.getpid(), signal.SIGINT)

    spec = NodeSpec("parent", command=(sys.executable, str(parent)), grace=60.0)
    Runner([spec], tmp_path, on_refresh=refresh, config=CONFIG).run()
    assert _gone(int(grandchild.read_text()))


def _gone(pid, timeout=60.0):
    """Waits for the end of a process that is no child of ours."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], timeout)[0])
    finally:
        os.close(watched)


def stopper(folder, code=0):
    script = folder / "stop.py"
    script.write_text(
        f"open({str(folder / 'order')!r}, 'a').write('zero command\\n'); "
        f"print('nobody answered'); raise SystemExit({code})"
    )
    return RunnerConfig(0.02, 0.3, 60.0, (sys.executable, str(script)))


def test_when_arbitration_dies_the_arm_is_stopped_first(scene):
    scene.when_up = lambda: os.kill(scene.pid("arbitration"), signal.SIGKILL)
    result = scene.run(
        scene.spec("session", shutdown_order=0),
        scene.spec("arbitration", shutdown_order=1),
        scene.spec("sim", shutdown_order=4),
        config=stopper(scene.folder),
    )
    assert result.code == 1
    assert scene.order == ["zero command", "session SIGINT", "sim SIGINT"]


def test_when_arbitration_must_be_killed_the_arm_is_stopped_before_the_robot(scene):
    scene.when_up = lambda: os.kill(os.getpid(), signal.SIGINT)
    result = scene.run(
        scene.spec("arbitration", "stone", shutdown_order=1, grace=0.2),
        scene.spec("sim", shutdown_order=4),
        config=stopper(scene.folder),
    )
    assert scene.order[-2:] == ["zero command", "sim SIGINT"]
    assert result.code == 130


def test_when_arbitration_stops_well_nobody_else_commands(scene):
    scene.when_up = lambda: os.kill(os.getpid(), signal.SIGINT)
    scene.run(
        scene.spec("arbitration", shutdown_order=1),
        scene.spec("sim", shutdown_order=4),
        config=stopper(scene.folder),
    )
    assert scene.order == ["arbitration SIGINT", "sim SIGINT"]


def test_a_zero_command_without_answer_is_reported(scene):
    scene.when_up = lambda: os.kill(scene.pid("arbitration"), signal.SIGKILL)
    result = scene.run(
        scene.spec("arbitration", shutdown_order=1),
        scene.spec("sim", shutdown_order=4),
        config=stopper(scene.folder, code=1),
    )
    assert result.warnings == ("the zero command was not acknowledged: nobody answered",)


def test_nothing_is_left_when_the_display_fails(scene):
    def broken():
        raise BrokenPipeError("nobody reads")

    scene.when_up = broken
    with pytest.raises(BrokenPipeError):
        scene.run(scene.spec("session", shutdown_order=0), scene.spec("sim", shutdown_order=4))
    scene.assert_nothing_left()


def test_a_program_that_is_missing_is_one_clear_cause(scene):
    result = Runner(
        [scene.spec("sim", shutdown_order=4), NodeSpec("rviz", command=("/no/such/rviz2",))],
        scene.folder,
        config=CONFIG,
    ).run()
    assert result.code == 1
    assert "rviz could not be started" in result.cause
    assert "/no/such/rviz2" in result.cause


def test_two_nodes_of_one_name_are_refused(scene):
    with pytest.raises(ValueError, match="two nodes are named 'sim'"):
        Runner([scene.spec("sim"), scene.spec("sim")], scene.folder)


def test_signal_handlers_are_given_back(scene):
    before = signal.getsignal(signal.SIGINT)
    scene.when_up = lambda: os.kill(os.getpid(), signal.SIGINT)
    scene.run(scene.spec("sim"))
    assert signal.getsignal(signal.SIGINT) is before
    assert threading.current_thread() is threading.main_thread()


def test_a_module_gets_its_name_parameters_and_environment(tmp_path):
    package = tmp_path / "code"
    package.mkdir()
    (package / "probe_node.py").write_text(
        "import os, sys\n"
        "print(sys.argv[1:], os.environ['OMP_NUM_THREADS'], os.environ['EXPO_FT_PARENT_PID'],"
        " os.getpid() == os.getsid(0), os.nice(0))\n"
    )
    spec = NodeSpec(
        "session",
        module="probe_node",
        parameters={"task": "on", "required_nodes": ("a", "b"), "rate": 1.0},
        remappings=(("x", "/y"),),
        env={"OMP_NUM_THREADS": "1"},
        nice=10,
    )
    result = Runner([spec], tmp_path, env={"PYTHONPATH": str(package)}, config=CONFIG).run()
    assert result.code == 0, result
    arguments = (
        f"['--ros-args', '-r', '__node:=session', '-r', 'x:=/y', '--params-file', "
        f"'{tmp_path}/params/session.yaml']"
    )
    assert log_tail(tmp_path / "logs/session.log") == f"{arguments} 1 {os.getpid()} True 10"
    text = (tmp_path / "params/session.yaml").read_text()
    # Quoted, because `on` alone is a boolean to YAML.
    assert "task: 'on'" in text
    assert "required_nodes:\n    - a\n    - b" in text


def test_two_nodes_in_a_process_keep_their_names(tmp_path):
    (tmp_path / "pair_node.py").write_text("import sys; print(sys.argv[1:])\n")
    spec = NodeSpec("session", module="pair_node", nodes=("policy", "learner"))
    Runner([spec], tmp_path, env={"PYTHONPATH": str(tmp_path)}, config=CONFIG).run()
    assert "__node" not in log_tail(tmp_path / "logs/session.log")


def test_nodes_end_when_the_runner_is_killed(tmp_path):
    """The node's half of it: it asks the kernel for a signal at its parent's death."""
    (tmp_path / "mortal.py").write_text(
        "import os, signal\n"
        "from expo_ft_ros.parent_process import die_with_parent\n"
        "die_with_parent()\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        f"os.open({str(tmp_path / 'up')!r}, os.O_WRONLY)\n"
        "signal.pause()\n"
    )
    os.mkfifo(tmp_path / "up")
    root = Path(__file__).parents[2]
    runner = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path\n"
            "from expo_ft_ros.graph.node_spec import NodeSpec\n"
            "from expo_ft_ros.bringup.runner import Runner\n"
            "Runner([NodeSpec('mortal', module='mortal')], Path(sys.argv[1])).run()",
            str(tmp_path),
        ],
        env={**os.environ, "PYTHONPATH": f"{root}:{tmp_path}"},
    )
    up = os.open(tmp_path / "up", os.O_RDONLY)
    pid = int((tmp_path / "pid").read_text())
    runner.kill()
    runner.wait()
    # End of file: the node held the other side until it died.
    assert os.read(up, 1) == b""
    os.close(up)
    assert _gone(pid)


def test_return_codes_in_words():
    assert describe_exit(3) == "exit code 3"
    assert describe_exit(-signal.SIGSEGV) == "signal SIGSEGV"


def test_the_tail_of_a_long_log(tmp_path):
    path = tmp_path / "log"
    path.write_text("".join(f"line {number}\n" for number in range(10_000)))
    assert log_tail(path, 2) == "line 9998\nline 9999"
    assert log_tail(tmp_path / "none") == ""
