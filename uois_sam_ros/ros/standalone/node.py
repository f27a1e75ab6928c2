"""The node: makes publishers, subscriptions, services, clients and timers under one name in the graph."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from . import names
from .context import Context, default_context
from .executor import MultiThreadedExecutor, MutuallyExclusiveCallbackGroup
from .graph import TopicEndpointInfo
from .logger import Logger
from .messages import message
from .parameter_services import ParameterServices
from .parameters import Parameter, Parameters
from .qos import ROSOUT, SENSOR_DATA, QoSProfile
from .services import Client, Service
from .timing import NANOSECONDS, Clock, Timer
from .topics import Publisher, Subscription


class Node:
    """A node with rclpy's methods; names and parameters of the command line apply."""

    def __init__(self, node_name: str, *, namespace: str | None = None, context: Context | None = None,
                 parameter_overrides: Sequence[Parameter] = ()) -> None:
        self.context = context or default_context()
        arguments = self.context.arguments
        self._rules = arguments.remaps_of(node_name)
        special = {source: target for source, target in reversed(self._rules) if source.startswith("__")}
        self._rules = [rule for rule in self._rules if rule[0] not in special]
        self._name = names.check_node_name(special.get("__node", special.get("__name", node_name)))
        self._namespace = names.normalize_namespace(special.get("__ns", namespace))
        self.executor: MultiThreadedExecutor | None = None
        self.default_callback_group = MutuallyExclusiveCallbackGroup()
        self._lock, self._members, self._alive = threading.RLock(), [], True
        self._clock, self._sim_time = Clock(), None
        self._logger = Logger(names.join(self._namespace, self._name).strip("/").replace("/", "."),
                              arguments.log_levels)
        self._entry = self.context.graph.add_node(self._name, self._namespace)
        self._log_class = message("rcl_interfaces/msg/Log")
        self._rosout = self.create_publisher(self._log_class, "/rosout", ROSOUT)
        self._logger.publish = self._publish_log
        overrides = arguments.parameters_of(self._namespace, self._name)
        overrides.update({parameter.name: parameter.value for parameter in parameter_overrides})
        self._events: ParameterServices | None = None
        self._parameters = Parameters(overrides, self._parameters_changed)
        self._events = ParameterServices(self, self._parameters)
        self.declare_parameter("use_sim_time", False)

    def get_name(self) -> str:
        """Return the name without the namespace."""
        return self._name

    def get_namespace(self) -> str:
        """Return the namespace, ``/`` for the root."""
        return self._namespace

    def get_fully_qualified_name(self) -> str:
        """Return namespace and name."""
        return names.join(self._namespace, self._name)

    def resolve_topic_name(self, topic: str) -> str:
        """Return the absolute name after remapping."""
        return names.remap(topic, self._rules, self._namespace, self._name)

    def get_logger(self) -> Logger:
        """Return the node's logger."""
        return self._logger

    def get_clock(self) -> Clock:
        """Return the node's clock."""
        return self._clock

    def create_publisher(self, msg_type: type, topic: str, qos_profile: QoSProfile | int) -> Publisher:
        """Return a publisher on ``topic``."""
        publisher = Publisher(self.context.participant, msg_type, self.resolve_topic_name(topic),
                              QoSProfile.of(qos_profile), self._logger)
        return self._added(publisher, writers=(publisher.handle,))

    def create_subscription(self, msg_type: type, topic: str, callback: Callable[[Any], None],
                            qos_profile: QoSProfile | int, *, callback_group: Any = None) -> Subscription:
        """Return a subscription that calls ``callback(message)``."""
        subscription = Subscription(
            self.context.participant, msg_type, self.resolve_topic_name(topic), callback, QoSProfile.of(qos_profile),
            callback_group or self.default_callback_group, self._logger)
        return self._added(subscription, readers=(subscription.reader,))

    def create_service(self, srv_type: type, srv_name: str, callback: Callable[[Any, Any], Any], *,
                       callback_group: Any = None) -> Service:
        """Return a service that answers with ``callback(request, response)``."""
        service = Service(self.context.participant, srv_type, self.resolve_topic_name(srv_name), callback,
                          callback_group or self.default_callback_group, self._logger)
        return self._added(service, writers=(service.writer,), readers=(service.reader,))

    def create_client(self, srv_type: type, srv_name: str, *, callback_group: Any = None) -> Client:
        """Return a client of a service."""
        client = Client(self.context.participant, srv_type, self.resolve_topic_name(srv_name),
                        callback_group or self.default_callback_group, self._logger)
        return self._added(client, writers=(client.writer,), readers=(client.reader,))

    def create_timer(self, timer_period_sec: float, callback: Callable[[], None], *,
                     callback_group: Any = None) -> Timer:
        """Return a timer that calls ``callback()`` once a period."""
        timer = Timer(timer_period_sec, callback, callback_group or self.default_callback_group)
        return self._added(timer)

    def destroy_publisher(self, member: Any) -> bool:
        """Release a publisher, subscription, service, client or timer; false when it is not one of this node."""
        return self._removed(member)

    destroy_subscription = destroy_service = destroy_client = destroy_timer = destroy_publisher

    def destroy_node(self) -> None:
        """Release everything the node made, and leave the graph."""
        with self._lock:
            if not self._alive:
                return
            self._alive = False
        if self.executor is not None:
            self.executor.remove_node(self)
        self._logger.publish = None
        for member in list(self._members):
            self._removed(member)
        self.context.graph.remove_node(self._entry)

    def waitables(self) -> list[Any]:
        """Return what an executor serves."""
        with self._lock:
            return [member for member in self._members if hasattr(member, "callback_group")]

    def declare_parameter(self, name: str, value: Any = None, descriptor: Any = None) -> Parameter:
        """Declare a parameter; see ``Parameters.declare``."""
        return self._parameters.declare(name, value, descriptor)

    def get_parameter(self, name: str) -> Parameter:
        """Return a declared parameter."""
        return self._parameters.get(name)

    def set_parameters(self, parameter_list: Sequence[Parameter]) -> list[Any]:
        """Set parameters one by one; return a SetParametersResult each."""
        return [self._parameters.set([parameter]) for parameter in parameter_list]

    def add_on_set_parameters_callback(self, callback: Callable[[list[Parameter]], Any]) -> None:
        """Ask ``callback(parameters) -> SetParametersResult`` before each change."""
        self._parameters.add_callback(callback)

    def get_publishers_info_by_topic(self, topic_name: str) -> list[TopicEndpointInfo]:
        """Return the publishers of a topic, with their nodes."""
        graph = self.context.graph
        return graph.describe(graph.publishers(names.dds_topic(self.resolve_topic_name(topic_name))))

    def get_subscriptions_info_by_topic(self, topic_name: str) -> list[TopicEndpointInfo]:
        """Return the subscriptions of a topic, with their nodes."""
        graph = self.context.graph
        return graph.describe(graph.subscriptions(names.dds_topic(self.resolve_topic_name(topic_name))))

    def count_publishers(self, topic_name: str) -> int:
        """Return the number of publishers of a topic."""
        return len(self.context.graph.publishers(names.dds_topic(self.resolve_topic_name(topic_name))))

    def count_subscribers(self, topic_name: str) -> int:
        """Return the number of subscriptions of a topic."""
        return len(self.context.graph.subscriptions(names.dds_topic(self.resolve_topic_name(topic_name))))

    def get_topic_names_and_types(self) -> list[tuple[str, list[str]]]:
        """Return the topics of the graph with their types."""
        found: dict[str, set[str]] = {}
        graph = self.context.graph
        for endpoint in [*graph.publishers(), *graph.subscriptions()]:
            topic = names.ros_topic(endpoint.topic)
            if topic is not None:
                found.setdefault(topic, set()).add(names.ros_type(endpoint.kind))
        return [(topic, sorted(kinds)) for topic, kinds in sorted(found.items())]

    def _added(self, member: Any, *, writers: tuple[int, ...] = (), readers: tuple[int, ...] = ()) -> Any:
        if writers or readers:
            member.guids = self.context.graph.update(self._entry, add=writers, readers=readers)
        with self._lock:
            self._members.append(member)
            executor = self.executor
        if executor is not None and hasattr(member, "callback_group"):
            executor.add(member)
        return member

    def _removed(self, member: Any) -> bool:
        with self._lock:
            if not any(member is mine for mine in self._members):
                return False
            self._members = [mine for mine in self._members if mine is not member]
        if self.executor is not None and hasattr(member, "callback_group"):
            self.executor.remove(member)
        if isinstance(member, Timer):
            member.cancel()
        else:
            self.context.graph.update(self._entry, forget=member.guids)
            member.close()
        return True

    def _publish_log(self, level: int, stamp_ns: int, name: str, text: str) -> None:
        seconds, nanoseconds = divmod(stamp_ns, NANOSECONDS)
        stamp = message("builtin_interfaces/msg/Time")(sec=seconds, nanosec=nanoseconds)
        self._rosout.publish(self._log_class(stamp=stamp, level=level, name=name, msg=text))

    def _parameters_changed(self, new: list[Parameter], changed: list[Parameter]) -> None:
        for parameter in [*new, *changed]:
            if parameter.name == "use_sim_time":
                self._follow_clock(parameter.value)
        if self._events is not None:
            self._events.publish(new, changed)

    def _follow_clock(self, follow: bool) -> None:
        """Take the time from /clock, or from the system again."""
        if follow and self._sim_time is None:
            self._clock.simulated_ns = 0
            self._sim_time = self.create_subscription(
                message("rosgraph_msgs/msg/Clock"), "/clock", self._tick, SENSOR_DATA,
                callback_group=MutuallyExclusiveCallbackGroup())
        elif not follow and self._sim_time is not None:
            self.destroy_subscription(self._sim_time)
            self._sim_time = self._clock.simulated_ns = None

    def _tick(self, sample: Any) -> None:
        self._clock.simulated_ns = sample.clock.sec * NANOSECONDS + sample.clock.nanosec
