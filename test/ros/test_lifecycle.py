# SPDX-License-Identifier: Apache-2.0
"""What `ros2 lifecycle` and `ros2 param` do with a node, by the services that they call."""

import pytest
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetAvailableTransitions, GetState
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, ListParameters, SetParameters

from support.tiny_training import SMALLEST

# Each as often as an operator might: what is freed can be made again.
ROUND = [
    (Transition.TRANSITION_CONFIGURE, State.PRIMARY_STATE_INACTIVE),
    (Transition.TRANSITION_ACTIVATE, State.PRIMARY_STATE_ACTIVE),
    (Transition.TRANSITION_DEACTIVATE, State.PRIMARY_STATE_INACTIVE),
    (Transition.TRANSITION_ACTIVATE, State.PRIMARY_STATE_ACTIVE),
    (Transition.TRANSITION_DEACTIVATE, State.PRIMARY_STATE_INACTIVE),
    (Transition.TRANSITION_CLEANUP, State.PRIMARY_STATE_UNCONFIGURED),
]
NODES = (
    "arbitration",
    "camera",
    "learner",
    "monitor",
    "operator",
    "policy",
    "proprio",
    "recorder",
    "reward",
    "session",
    "sim",
    "teleop",
)
MORE = {"session": {"kind": "sim"}, "learner": SMALLEST, "policy": SMALLEST}
"""Node -> parameters beside the defaults."""


class Asked:
    """A node's lifecycle and parameter services."""

    def __init__(self, probe, name):
        self._probe, self._name = probe, name

    def call(self, type_, service, **fields):
        client = self._probe.node.create_client(type_, f"/{self._name}/{service}")
        self._probe.until(client.service_is_ready, f"{self._name}/{service}")
        future = client.call_async(type_.Request(**fields))
        self._probe.until(future.done, f"answer of {self._name}/{service}")
        self._probe.node.destroy_client(client)
        return future.result()

    def change(self, transition):
        asked = Transition(id=transition)
        return self.call(ChangeState, "change_state", transition=asked).success

    @property
    def state(self):
        return self.call(GetState, "get_state").current_state.id

    def set(self, name, text):
        value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=text)
        asked = [Parameter(name=name, value=value)]
        return self.call(SetParameters, "set_parameters", parameters=asked).results[0]

    def dump(self):
        names = self.call(ListParameters, "list_parameters").result.names
        values = self.call(GetParameters, "get_parameters", names=names).values
        return dict(zip(names, values, strict=True))


@pytest.mark.parametrize("name", NODES)
def test_a_manager_drives_a_node_round_and_round(graph, name):
    node = graph.start(name, autostart=False, **MORE.get(name, {}))
    asked = Asked(graph.probe, name)
    assert asked.state == State.PRIMARY_STATE_UNCONFIGURED
    # One that is unset would empty all of `ros2 param dump`.
    types = {each: value.type for each, value in asked.dump().items()}
    assert "run_dir" in types
    assert ParameterType.PARAMETER_NOT_SET not in types.values(), types
    alive = graph.probe.gather("nodes/heartbeat")
    for _ in range(2):
        for transition, state in ROUND:
            assert asked.change(transition), (transition, node.log.read_text())
            assert asked.state == state
            if state == State.PRIMARY_STATE_ACTIVE:
                alive.clear()
                graph.probe.until(lambda: alive, "a sign of life")
    listed = asked.call(GetAvailableTransitions, "get_available_transitions")
    labels = {each.transition.label for each in listed.available_transitions}
    assert labels == {"configure", "shutdown"}
    assert node.process.poll() is None
    assert "Traceback" not in node.log.read_text()


def test_a_parameter_is_taken_when_a_node_is_configured_and_says_so_later(graph):
    graph.start("proprio", autostart=False)
    asked = Asked(graph.probe, "proprio")
    assert asked.change(Transition.TRANSITION_CONFIGURE)
    for _ in range(2):
        refused = asked.set("task", "nonsense")
        assert not refused.successful
        assert "task: read-only while the node is configured" in refused.reason
        assert "ros2 lifecycle set /proprio cleanup" in refused.reason
        assert asked.dump()["task"].string_value == "cube_pick"
        asked.change(Transition.TRANSITION_ACTIVATE)
    assert asked.change(Transition.TRANSITION_DEACTIVATE)
    assert asked.change(Transition.TRANSITION_CLEANUP)
    assert asked.set("task", "candy_scoop").successful
    assert asked.change(Transition.TRANSITION_CONFIGURE)
    assert asked.dump()["task"].string_value == "candy_scoop"


def test_a_node_that_cannot_be_configured_can_be_mended_and_tried_again(graph):
    graph.start("reward", autostart=False, task="nonsense")
    asked = Asked(graph.probe, "reward")
    assert not asked.change(Transition.TRANSITION_CONFIGURE)
    assert asked.state == State.PRIMARY_STATE_UNCONFIGURED
    assert asked.set("task", "cube_pick").successful
    assert asked.change(Transition.TRANSITION_CONFIGURE)
