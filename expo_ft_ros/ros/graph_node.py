# SPDX-License-Identifier: Apache-2.0
"""The one base class of all nodes: it owns every lifecycle transition, stopping and failing.

A node fills `_setup`, `_teardown` and, where it moves something, `_safety_action`; it never
overrides a transition. Configured and activated by itself unless `autostart` is false, so that it
also runs under a lifecycle manager. A node fails closed: an exception in a callback ends the
process after the safety action, with exit code 1.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar, cast

from rcl_interfaces.msg import SetParametersResult
from rclpy.client import Client
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription
from rclpy.task import Future
from rclpy.timer import Timer

from expo_ft_ros.graph.topics import HEARTBEAT
from expo_ft_ros.graph.topics import service as service_entry
from expo_ft_ros.graph.topics import topic as topic_entry
from expo_ft_ros.robots import DEFAULT_ROBOT
from expo_ft_ros.ros.health import DIAGNOSTICS_PERIOD, ERROR, OK, WARN, NodeHealth
from expo_ft_ros.ros.parameters import declare, describe, parameter, read
from expo_ft_ros.ros.qos import message_type, qos_of, service_type
from expo_ft_ros.ros.subscription import GuardedSubscription, not_alone

READY_PERIOD = 0.05


@dataclass(frozen=True)
class NodeParameters:
    """Parameters of every node. Taken when a node is configured."""

    task: str = parameter(
        "cube_pick", "Task: a file name of config/tasks without its ending, or a path."
    )
    robot: str = parameter(
        DEFAULT_ROBOT, "Robot: a file name of config/robots without its ending, or a path."
    )
    run_dir: str = parameter("", "Folder of this run; empty: nothing is written.")
    lockstep: bool = parameter(
        False, "Simulation in lock-step: time advances when everyone has done their part."
    )
    autostart: bool = parameter(
        True, "Configure and activate at once; false under a lifecycle manager."
    )


P = TypeVar("P", bound=NodeParameters)
T = TypeVar("T")


class GraphNode(LifecycleNode, Generic[P]):
    """A node of the graph.

    Class attributes: `NAME`, its default name; `PARAMETERS`, a frozen dataclass whose fields are
    the node's parameters (see `parameters.parameter`); `URGENT`, where its messages must not wait
    for those who compute on its core, its real-time priority (`control.thread_priority`), else 0;
    `CALLBACK_TIMEOUT`, how long a callback of it may take before the node counts as
    hanging [s], 0 for `topics.ALIVE_WITHIN`.
    """

    NAME: ClassVar[str] = "node"
    URGENT: ClassVar[int] = 0
    CALLBACK_TIMEOUT: ClassVar[float] = 0.0
    PARAMETERS: ClassVar[type[NodeParameters]] = NodeParameters

    parameters: P

    def __init__(self) -> None:
        super().__init__(self.NAME)
        declare(self, self.PARAMETERS)
        self._is_configured = False
        self.add_on_set_parameters_callback(self._allow_change)
        self.parameters = cast(P, read(self, self.PARAMETERS))
        self.active = False
        self.exit_code: int | None = None
        self.failure: Exception | None = None
        self.health = NodeHealth(self, self.CALLBACK_TIMEOUT)
        self._entities: list[tuple[Callable[[Any], bool], Any]] = []
        self._subscriptions_of_table: list[GuardedSubscription] = []
        # Whose (a publisher's, say), and what must hold for the node to be ready.
        self._needed: list[tuple[object, Callable[[], bool]]] = []
        self._crowded = ""
        self._ready_timer: Timer | None = None
        self._wall_clock = Clock(clock_type=ClockType.STEADY_TIME)

    # -- filled by nodes ------------------------------------------------------------------------
    def _setup(self) -> None:
        """Makes publishers, subscriptions and what else the node needs; raising refuses."""

    def _start(self) -> None:
        """Begins the work; called when the node has become active."""

    def _teardown(self) -> None:
        """Frees what `_setup` made; must stand a half-built state and being called twice."""

    def _safety_action(self) -> None:
        """Makes safe what this node moves; called before it stops for whatever reason."""

    def _is_ready(self) -> bool:
        """Whether the node could work now, beyond its topics being matched."""
        return True

    # -- transitions ----------------------------------------------------------------------------
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Reads the parameters and calls `_setup`; a failure is logged and undone."""
        try:
            self.parameters = cast(P, read(self, self.PARAMETERS))
            diagnostics, ready = self.publisher("/diagnostics"), self.publisher("nodes/ready")
            if self.parameters.lockstep:
                self.health.open(diagnostics, ready, None)
            else:
                self.health.open(diagnostics, ready, self.publisher("nodes/heartbeat"))
                self.wall_timer(HEARTBEAT, self.health.kick)
            self.wall_timer(DIAGNOSTICS_PERIOD, self.health.publish)
            self.wall_timer(DIAGNOSTICS_PERIOD, self._refresh_guards)
            self._setup()
            self._is_configured = True
        except Exception:  # noqa: BLE001 (rclpy would swallow it)
            self._log_failure("configuring")
            self._undo()
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lets callbacks through and begins to look for the others."""
        try:
            self.active = True
            self.health.wait_for_others()
            self._start()
            for subscription in self._subscriptions_of_table:
                subscription.deliver_kept()
            if self._ready_timer is None:
                self._ready_timer = self.wall_timer(READY_PERIOD, self._look_for_others)
            self._ready_timer.reset()
        except Exception:  # noqa: BLE001 (rclpy would swallow it)
            self._log_failure("activating")
            self._make_safe()
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Makes safe and lets no callback through any more."""
        self._make_safe()
        return TransitionCallbackReturn.SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Back to unconfigured."""
        self._undo()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Makes safe where that has not been done, and frees everything."""
        self._make_safe()
        self._undo()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """As `on_shutdown`, after a failed transition."""
        self._make_safe()
        self._undo()
        return TransitionCallbackReturn.SUCCESS

    # -- driven by main -------------------------------------------------------------------------
    def start(self) -> None:
        """Configures and activates, where `autostart` says so.

        Raises:
            RuntimeError: when a transition was refused; the cause has been logged.
        """
        if not self.parameters.autostart:
            return
        for name, trigger in (
            ("configured", self.trigger_configure),
            ("activated", self.trigger_activate),
        ):
            if trigger() != TransitionCallbackReturn.SUCCESS:
                raise RuntimeError(f"node {self.get_name()} could not be {name}")

    def close(self) -> None:
        """Safety action, teardown, end; from any state, and a second time without effect."""
        self._make_safe()
        self._undo()

    def stop(self, code: int) -> None:
        """Ends this process after the current callback; the first code given stands."""
        if self.exit_code is None:
            self.exit_code = code

    def when_done(self, future: Future[T], callback: Callable[[Future[T]], None]) -> None:
        """Calls back once a future is done.

        What is raised there would end the process by SIGSEGV, without a safety action (rclpy 9.1's
        events executor). It is kept: the node is made safe at once, and `process.run` raises it.
        """

        def call(done: Future[T]) -> None:
            try:
                callback(done)
            except Exception as error:  # noqa: BLE001 (raised again by `process.run`)
                self.failure = self.failure or error
                self._make_safe()

        future.add_done_callback(call)

    def fail(self, cause: str) -> None:
        """Says on /diagnostics why this node ends."""
        self.report(ERROR, cause)

    def report(self, level: bytes, message: str, **values: object) -> None:
        """Sets this node's entry on /diagnostics; a change of message goes out at once."""
        self.health.report(level, message, **values)

    # -- topics, services, timers ---------------------------------------------------------------
    def publisher(
        self,
        name: str,
        *,
        needed: int = 0,
        type_name: str | None = None,
        remapped: str | None = None,
    ) -> Publisher[Any]:
        """A publisher of the topic table. needed: listeners it must have for the node to be ready;
        type_name, remapped: as in `subscription`.

        A subscriber's own word is not enough: it may know of this publisher before this one of it.
        """
        entry = topic_entry(name)
        made = self.create_publisher(
            message_type(type_name or entry.type),
            remapped or name,
            qos_of(entry, lockstep=self.parameters.lockstep),
        )
        self._entities.append((self.destroy_publisher, made))
        if needed:
            self._needed.append((made, lambda: made.get_subscription_count() >= needed))
        return made

    def subscription(
        self,
        name: str,
        callback: Callable[..., None],
        *,
        needed: bool = True,
        type_name: str | None = None,
        remapped: str | None = None,
        timed: bool = False,
        on_rejected: Callable[[Any], None] | None = None,
    ) -> Subscription[Any]:
        """A subscription of the topic table; its callback runs while the node is active.

        Args:
            name: Of the topic, as in the table.
            callback: Called with each message; a BadMessage that it raises is reported.
            needed: The node is ready once somebody publishes.
            type_name: Another type than the table's, with the same quality of service (a
                compressed image beside a raw one).
            remapped: Another name, likewise.
            timed: The callback is also given the system time at which the message was sent [ns].
            on_rejected: Called with what another than the topic's one publisher says, before that
                is dropped.
        """
        made = GuardedSubscription(
            self,
            topic_entry(name),
            callback,
            lockstep=self.parameters.lockstep,
            is_active=lambda: self.active,
            on_dropped=self.health.report_dropped,
            type_name=type_name,
            remapped=remapped,
            timed=timed,
            on_rejected=on_rejected,
        )
        self._entities.append((self.destroy_subscription, made.subscription))
        self._subscriptions_of_table.append(made)
        if needed:
            self._needed.append((made.subscription, lambda: made.publishers > 0))
        if made.has_one_publisher:
            self._needed.append((made.subscription, lambda: self._is_alone(made)))
        return made.subscription

    def drop(self, entity: object) -> None:
        """Ends a publisher, subscription or timer of this node, as if it had not been made."""
        for destroy, _ in [entry for entry in self._entities if entry[1] is entity]:
            destroy(entity)
        self._entities = [entry for entry in self._entities if entry[1] is not entity]
        self._needed = [entry for entry in self._needed if entry[0] is not entity]
        self._subscriptions_of_table = [
            made for made in self._subscriptions_of_table if made.subscription is not entity
        ]

    def service(self, name: str, callback: Callable[[Any, Any], Any]) -> None:
        """Offers a service of the table."""
        made = self.create_service(service_type(service_entry(name).type), name, callback)
        self._entities.append((self.destroy_service, made))

    def client(self, name: str, *, needed: bool = False) -> Client[Any, Any]:
        """A client of a service of the table. needed: the node is ready once it is offered."""
        made: Client[Any, Any] = self.create_client(service_type(service_entry(name).type), name)
        self._entities.append((self.destroy_client, made))
        if needed:
            self._needed.append((made, made.service_is_ready))
        return made

    def wall_timer(self, period: float, callback: Callable[[], None]) -> Timer:
        """A timer on wall time [s], also where the node's time is simulated."""

        def guarded() -> None:
            if self.active:
                callback()

        made = self.create_timer(period, guarded, clock=self._wall_clock)
        self._entities.append((self.destroy_timer, made))
        return made

    def wall_time(self) -> float:
        """Seconds of a clock that runs steadily, also where the node's time is simulated."""
        return time.monotonic()

    def now_ns(self) -> int:
        """The node's time [ns]: simulated with use_sim_time, else the system's."""
        return int(self.get_clock().now().nanoseconds)

    # -- readiness ------------------------------------------------------------------------------
    def _is_alone(self, subscription: GuardedSubscription) -> bool:
        publishers = subscription.publishers
        if publishers > 1:
            self._crowded = f"{subscription.name}: {not_alone(publishers)}"
            self.report(ERROR, self._crowded)
        return publishers <= 1

    def _refresh_guards(self) -> None:
        for subscription in self._subscriptions_of_table:
            subscription.refresh()

    def _look_for_others(self) -> None:
        if not all(found() for _, found in self._needed) or not self._is_ready():
            return
        self._refresh_guards()
        self.health.found_others(self._crowded)
        if self._ready_timer is not None:
            self._ready_timer.cancel()

    # -- ending ---------------------------------------------------------------------------------
    def _make_safe(self) -> None:
        if not self.active:
            return
        self.active = False
        self.health.stop_heartbeat()
        try:
            self._safety_action()
        except Exception:  # noqa: BLE001 (teardown must go on)
            self._log_failure("making safe")

    def _undo(self) -> None:
        try:
            self._teardown()
        except Exception:  # noqa: BLE001 (the rest must still be freed)
            self._log_failure("tearing down")
        self.health.close()
        self._is_configured = False
        for destroy, entity in reversed(self._entities):
            destroy(entity)
        self._entities.clear()
        self._subscriptions_of_table.clear()
        self._needed.clear()
        self._ready_timer = None

    def _allow_change(self, parameters: list[Parameter[Any]]) -> SetParametersResult:
        """Refuses what would change nothing: parameters are taken when a node is configured."""
        own = {name for name, _, _ in describe(self.PARAMETERS)}
        late = sorted(own & {parameter.name for parameter in parameters})
        if not late or not self._is_configured:
            return SetParametersResult(successful=True)
        return SetParametersResult(
            successful=False,
            reason=f"{', '.join(late)}: read-only while the node is configured, when it was taken "
            f"(ros2 lifecycle set {self.get_fully_qualified_name()} cleanup first, or give it at "
            "the start)",
        )

    def _log_failure(self, doing: str) -> None:
        self.get_logger().error(f"failed while {doing}:\n{traceback.format_exc()}")


__all__ = ["ERROR", "OK", "WARN", "GraphNode", "Node", "NodeParameters", "parameter"]
