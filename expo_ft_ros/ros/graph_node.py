"""The one base class of all nodes: it owns every lifecycle transition, stopping and failing.

A node fills `_setup`, `_teardown` and, where it moves something, `_safety_action`; it never
overrides a transition. Configured and activated by itself unless `autostart` is false, so that it
also runs under a lifecycle manager. A node fails closed: an exception in a callback ends the
process after the safety action, with exit code 1.
"""

from __future__ import annotations

import inspect
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.client import Client
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible
from rclpy.subscription import Subscription
from rclpy.timer import Timer
from rclpy.utilities import get_rmw_implementation_identifier
from std_msgs.msg import String

from expo_ft_ros.graph.topics import HEARTBEAT
from expo_ft_ros.graph.topics import service as service_entry
from expo_ft_ros.graph.topics import topic as topic_entry
from expo_ft_ros.recording.messages import BadMessage, is_zero, nanoseconds
from expo_ft_ros.robots import DEFAULT_ROBOT
from expo_ft_ros.ros.heartbeat import HeartbeatPublisher
from expo_ft_ros.ros.parameters import declare, parameter, read
from expo_ft_ros.ros.publisher_guard import PublisherGuard
from expo_ft_ros.ros.qos import message_type, qos_of, reader_qos, service_type

READY_PERIOD = 0.05
DIAGNOSTICS_PERIOD = 1.0
DROPPED_SHOWN = 5.0
"""How long a dropped message is on /diagnostics after the last one [s]."""
_WAITING = "waiting for the other nodes"
_EVERY = ("every",)
_WITH_INFO = inspect.signature(lambda message, info: None)
OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


@dataclass(frozen=True)
class NodeParameters:
    """Parameters of every node. Taken when a node is configured."""

    task: str = parameter("cube_pick", "Task: a file name of config/tasks without its ending.")
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


def _fits(writer: QoSProfile, reader: QoSProfile) -> bool:
    return qos_check_compatible(writer, reader)[0] != QoSCompatibility.ERROR


def _not_alone(publishers: int) -> str:
    return (
        f"{publishers} publish here, where one does (stop the other; one that was killed is gone "
        "after ten seconds)"
    )


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
        self.parameters = read(self, self.PARAMETERS)  # type: ignore[assignment]
        self.active = False
        self.exit_code: int | None = None
        self._entities: list[tuple[Callable[[Any], bool], Any]] = []
        self._needed: list[Callable[[], bool]] = []
        self._publisher_guards: list[PublisherGuard] = []
        self._held: list[Callable[[], None]] = []
        self._level, self._message = OK, "starting"
        self._crowded = ""
        self._dropped, self._dropped_at = "", 0.0
        self._found_others = False
        self._alive: Publisher[Any] | None = None
        self._heartbeat: HeartbeatPublisher | None = None
        self._values: dict[str, str] = {}
        self._diagnostics: Publisher[Any] | None = None
        self._ready_publisher: Publisher[Any] | None = None
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
            self.parameters = read(self, self.PARAMETERS)  # type: ignore[assignment]
            self._diagnostics = self.publisher("/diagnostics")
            self._ready_publisher = self.publisher("nodes/ready")
            if not self.parameters.lockstep:
                self._alive = self.publisher("nodes/heartbeat")
                self.wall_timer(HEARTBEAT, self._show_life)
            self.wall_timer(DIAGNOSTICS_PERIOD, self._publish_diagnostics)
            self.wall_timer(DIAGNOSTICS_PERIOD, self._refresh_guards)
            self._setup()
        except Exception:  # noqa: BLE001 (rclpy would swallow it)
            self._log_failure("configuring")
            self._undo()
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Lets callbacks through and begins to look for the others."""
        try:
            self.active = True
            if self._message == "starting":
                self._message = _WAITING
            self._start()
            held, self._held = self._held, []
            for deliver in held:
                deliver()
            self._ready_timer = self.wall_timer(READY_PERIOD, self._look_for_others)
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

    def fail(self, cause: str) -> None:
        """Says on /diagnostics why this node ends."""
        self.report(ERROR, cause)

    # -- topics, services, timers ---------------------------------------------------------------
    def publisher(self, name: str, *, needed: int = 0) -> Publisher[Any]:
        """A publisher of the topic table. needed: listeners it must have for the node to be ready.

        A listener's own word is not enough: he may know of this publisher before it knows of him.
        """
        entry = topic_entry(name)
        made = self.create_publisher(
            message_type(entry.type),
            name,
            qos_of(entry, lockstep=self.parameters.lockstep),
        )
        self._entities.append((self.destroy_publisher, made))
        if needed:
            self._needed.append(lambda: made.get_subscription_count() >= needed)
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

        needed: the node is ready once somebody publishes. type_name, remapped: another type and
        name with the same quality of service (a compressed image beside a raw one). A latched
        message that arrives before the node is active is kept for then; in lock-step one that is
        older than the newest is late and dropped. timed: the callback is also
        given the system time at which the message was sent [ns]. Heard is the topic's one sender
        only; of a command, in real time, also who says that the robot stands. on_rejected: called
        with what anybody else says, before that is dropped. A BadMessage that the callback raises
        is dropped and reported.
        """
        entry = topic_entry(name)
        latched = entry.durability == "transient_local"
        newest = 0
        many = entry.publishers == _EVERY
        qos = reader_qos(entry, lockstep=self.parameters.lockstep)
        guard = PublisherGuard(
            lambda: made.get_publisher_count(),
            lambda: self._identities(made.topic_name, qos),
            reject_permanently=entry.commands,
        )
        # `nodes/stop.py` may have to, while one that has died seems to be there. In lock-step the
        # robot stands by itself.
        stops = entry.commands and not self.parameters.lockstep

        # Of a state only the newest counts. By the system's clock, which may be set back, a stamp
        # is no order; there the order of its one sender is.
        ordered = latched and self.parameters.lockstep

        def take(message: Any, info: Mapping[str, Any]) -> None:
            nonlocal newest
            try:
                if not (many or (stops and is_zero(message)) or guard.accepts(info)):
                    if on_rejected is not None:
                        on_rejected(message)
                    raise BadMessage(_not_alone(made.get_publisher_count()))
                header = getattr(message, "header", None) if ordered else None
                stamp = nanoseconds(header.stamp) if header is not None else newest
                if stamp < newest:
                    raise BadMessage(f"older by {1e-9 * (newest - stamp):.2f} s than the newest")
                if timed:
                    callback(message, info["source_timestamp"])
                else:
                    callback(message)
                newest = stamp
            except BadMessage as error:
                # Dropped: where it is missed, a deadline stops the arm.
                self._dropped, self._dropped_at = f"{name}: {error}", self.wall_time()
                self.report(ERROR, self._dropped)
                self.get_logger().error(f"dropped on {name}: {error}", throttle_duration_sec=2.0)

        def guarded(*given: Any) -> None:
            message, info = given if len(given) == 2 else given[0]
            if self.active:
                take(message, info)
            elif latched:
                self._held.append(lambda: take(message, info))

        # By its signature rclpy knows what to give; its events executor gives both as one tuple.
        guarded.__signature__ = _WITH_INFO  # type: ignore[attr-defined]

        made = self.create_subscription(
            message_type(type_name or entry.type),
            remapped or name,
            guarded,
            qos,
        )
        self._entities.append((self.destroy_subscription, made))
        if needed:
            self._needed.append(lambda: made.get_publisher_count() > 0)
        if not many:
            self._publisher_guards.append(guard)
            self._needed.append(lambda: self._is_alone(name, made.get_publisher_count()))
        return made

    def _is_alone(self, name: str, publishers: int) -> bool:
        if publishers > 1:
            self._crowded = f"{name}: {_not_alone(publishers)}"
            self.report(ERROR, self._crowded)
        return publishers <= 1

    def _refresh_guards(self) -> None:
        for guard in self._publisher_guards:
            guard.refresh()

    def _identities(self, name: str, qos: QoSProfile) -> list[bytes]:
        """Of all who publish a topic; other middlewares give messages another name of their sender
        than this one (rmw_cyclonedds, issue 446)."""
        if not get_rmw_implementation_identifier().startswith("rmw_fastrtps"):
            return []
        found = self.get_publishers_info_by_topic(name)
        # Who can't be heard isn't counted either.
        return [bytes(it.endpoint_gid) for it in found if _fits(it.qos_profile, qos)]

    def service(self, name: str, callback: Callable[[Any, Any], Any]) -> None:
        """Offers a service of the table."""
        made = self.create_service(service_type(service_entry(name).type), name, callback)
        self._entities.append((self.destroy_service, made))

    def client(self, name: str, *, needed: bool = False) -> Client[Any, Any]:
        """A client of a service of the table. needed: the node is ready once it is offered."""
        made: Client[Any, Any] = self.create_client(service_type(service_entry(name).type), name)
        self._entities.append((self.destroy_client, made))
        if needed:
            self._needed.append(made.service_is_ready)
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

    # -- health ---------------------------------------------------------------------------------
    def report(self, level: bytes, message: str, **values: object) -> None:
        """Sets this node's entry on /diagnostics; a change of message goes out at once."""
        changed = (level, message) != (self._level, self._message)
        self._level, self._message = level, message
        self._values = {key: str(value) for key, value in values.items()}
        if changed:
            self._publish_diagnostics()

    def _publish_diagnostics(self) -> None:
        if self._diagnostics is None:
            return
        shown = self.wall_time() - self._dropped_at < DROPPED_SHOWN
        if self._message == self._dropped and not shown:
            # Nodes that have more to say of themselves do so by and by.
            self._level, self._message = OK, "ready" if self._found_others else _WAITING
        status = DiagnosticStatus(
            level=self._level,
            name=self.get_name(),
            message=self._message,
            values=[KeyValue(key=k, value=v) for k, v in self._values.items()],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    def _show_life(self) -> None:
        if not self.CALLBACK_TIMEOUT:
            self._say_alive()
        elif self._heartbeat is None:
            self._heartbeat = HeartbeatPublisher(self._say_alive, HEARTBEAT, self.CALLBACK_TIMEOUT)
        else:
            self._heartbeat.kick()

    def _say_alive(self) -> None:
        if self._alive is not None:
            self._alive.publish(String(data=self.get_name()))

    def _look_for_others(self) -> None:
        if not all(found() for found in self._needed) or not self._is_ready():
            return
        self._refresh_guards()
        if self._ready_publisher is not None:
            self._ready_publisher.publish(String(data=self.get_name()))
        if self._ready_timer is not None:
            self._ready_timer.cancel()
        self._found_others = True
        if self._message in (_WAITING, self._crowded):
            self.report(OK, "ready")

    # -- ending ---------------------------------------------------------------------------------
    def _make_safe(self) -> None:
        if not self.active:
            return
        self.active = False
        self._stop_heart()
        try:
            self._safety_action()
        except Exception:  # noqa: BLE001 (teardown must go on)
            self._log_failure("making safe")

    def _stop_heart(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.stop()
            self._heartbeat = None

    def _undo(self) -> None:
        try:
            self._teardown()
        except Exception:  # noqa: BLE001 (the rest must still be freed)
            self._log_failure("tearing down")
        self._stop_heart()
        for destroy, entity in reversed(self._entities):
            destroy(entity)
        self._entities.clear()
        self._needed.clear()
        self._publisher_guards.clear()
        self._held.clear()
        self._diagnostics = self._ready_publisher = self._ready_timer = self._alive = None

    def _log_failure(self, doing: str) -> None:
        self.get_logger().error(f"failed while {doing}:\n{traceback.format_exc()}")


__all__ = ["ERROR", "OK", "WARN", "GraphNode", "Node", "NodeParameters", "parameter"]
