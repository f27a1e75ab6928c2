"""The one place that chooses: the real rclpy where it can be imported, else the standalone subset.

The names are those of rclpy with its semantics. ``message`` and ``service`` return interface classes.
"""

from __future__ import annotations

import importlib
from typing import Any

from ..errors import BackendError

try:
    import rclpy
except ModuleNotFoundError as error:
    if error.name != "rclpy":
        raise BackendError(f"rclpy: expected a ROS 2 install that works with this Python, got: {error}; "
                           "complete the install, or do not source it") from error
    STANDALONE = True
except ImportError as error:
    raise BackendError(f"rclpy: expected a ROS 2 install that works with this Python, got: {error}; use the Python "
                       "of that install, or do not source it") from error
else:
    STANDALONE = False

if STANDALONE:
    from .standalone.context import init, ok, shutdown, try_shutdown
    from .standalone.executor import ExternalShutdownException, MultiThreadedExecutor, MutuallyExclusiveCallbackGroup
    from .standalone.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
    from .standalone.messages import message, service
    from .standalone.node import Node
    from .standalone.parameters import (
        FloatingPointRange, IntegerRange, Parameter, ParameterDescriptor, SetParametersResult)
    from .standalone.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

    BACKEND_NAME = "standalone on Cyclone DDS"
else:
    import signal
    import threading
    from collections.abc import Sequence

    from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
    from rclpy import executors, ok
    from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
    from rclpy.executors import ExternalShutdownException
    from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
    from rclpy.node import Node
    from rclpy.parameter import Parameter
    from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

    BACKEND_NAME = "rclpy"

    #: Not empty: the next SIGINT is one too many, or nobody waits for it, and raises KeyboardInterrupt.
    _interrupts: list[int] = []

    def _interrupted(number: int, frame: Any) -> None:
        if _interrupts:
            raise KeyboardInterrupt
        _interrupts.append(number)

    def init(args: Sequence[str] | None = None, *, domain_id: int | None = None) -> None:
        """Join the graph; SIGINT then ends ``spin`` as SIGTERM does, and a second one raises KeyboardInterrupt.

        A KeyboardInterrupt wherever the main thread is just now can leave rclpy's thread pool without an end.
        """
        _interrupts.clear()
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) != _interrupted:
            signal.signal(signal.SIGINT, _interrupted)  # rclpy's own handler, set below, calls it
        rclpy.init(args=args, domain_id=domain_id)

    def shutdown() -> None:
        """Leave the graph."""
        _interrupts.append(0)
        rclpy.shutdown()

    def try_shutdown() -> None:
        """Leave the graph if this process is in it."""
        _interrupts.append(0)
        rclpy.try_shutdown()

    class MultiThreadedExecutor(executors.MultiThreadedExecutor):
        """rclpy's executor; ``spin`` always tells a shutdown, which rclpy's own may pass over or stumble upon."""

        def spin(self) -> None:
            """Serve callbacks until ``shutdown``; raises ExternalShutdownException when the context went down."""
            try:
                super().spin()
            except Exception:
                if ok():
                    raise
            if not ok():
                raise ExternalShutdownException

    def message(name: str) -> Any:
        """Return the class of a message such as ``sensor_msgs/msg/Image``."""
        return _interface(name)

    def service(name: str) -> Any:
        """Return the class of a service such as ``std_srvs/srv/Trigger``."""
        return _interface(name)

    def _interface(name: str) -> Any:
        package, folder, kind = name.split("/")
        try:
            return getattr(importlib.import_module(f"{package}.{folder}"), kind)
        except (ImportError, AttributeError) as error:
            raise BackendError(f"{name}: expected an interface of an installed ROS package, got: {error}; install "
                               f"ros-<distribution>-{package.replace('_', '-')}") from error
