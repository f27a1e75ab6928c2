"""The lifecycle node: parameters, transitions and services. What it does with a frame is ``processor``."""

from __future__ import annotations

import os
from array import array
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

from ..errors import ConfigError, FrameError, UoisError
from . import api
from .counts import FrameCounter
from .health import assess
from .inputs import Inputs
from .intake import Intake, Pair
from .model_facts import model_facts
from .notices import ERROR, WARNING, Notices
from .outputs import Outputs
from .params import NODE_NAME, PRESET, ParameterSpec, check_change, parameter_specs, read_settings
from .processor import Processor
from .qos import profile
from .save import save_result
from .stats import Sample, Stats
from .worker import LatestWorker

SUCCESS, FAILURE = api.TransitionCallbackReturn.SUCCESS, api.TransitionCallbackReturn.FAILURE
#: Seconds between two diagnostics messages, and between two looks at silent topics.
TICK_S = 1.0


class SegmentNode(api.LifecycleNode):
    """RGB-D topics in, instance masks out.

    configure loads and warms the networks, activate subscribes, deactivate unsubscribes, cleanup
    frees the networks. A pair that fails costs one frame; the node stays active and goes on.

    Raises:
        ConfigError: a parameter given at start cannot be used.
    """

    def __init__(self, name: str = NODE_NAME, **options: Any) -> None:
        super().__init__(name, **options)
        self._notices = Notices(self._log)
        self._declare_parameters()
        self._phase = "unconfigured"
        self._counter, self._stats = FrameCounter(), Stats()
        self._processor: Processor | None = None
        self._outputs: Outputs | None = None
        self._inputs: Inputs | None = None
        self._intake: Intake | None = None
        self._worker: LatestWorker | None = None
        self._last: Any = None
        self._free_s = 0.0
        self._diagnostics = self.create_publisher(
            api.message("diagnostic_msgs/msg/DiagnosticArray"), "/diagnostics", profile("reliable"))
        self.create_timer(TICK_S, self._on_tick)
        services = api.MutuallyExclusiveCallbackGroup()
        trigger = api.service("std_srvs/srv/Trigger")
        self.create_service(trigger, "~/segment", self._on_segment, callback_group=services)
        self.create_service(trigger, "~/save", self._on_save, callback_group=services)

    def start(self) -> bool:
        """Configure and activate when ``autostart`` says so; return False when one of them failed."""
        if not self._settings.autostart:
            return True
        return self.trigger_configure() == SUCCESS and self.trigger_activate() == SUCCESS

    # Transitions

    def on_configure(self, state: Any) -> Any:
        """Load and warm the networks, announce the outputs."""
        try:
            self._settings, self._config = read_settings(self._values())
            begin = perf_counter()
            self._processor = Processor(self._settings, self._config)
            self._outputs = Outputs(self, self._settings, self._notices)
        except (UoisError, OSError, MemoryError) as error:
            return self._failed("configure", error)
        self._phase = "inactive"
        self._notices.clear("configure")
        self.get_logger().info(f"configured in {perf_counter() - begin:.2f} s: preset {self._preset}, "
                               f"backend {self._config.runtime.backend}, {api.BACKEND_NAME}")
        return SUCCESS

    def on_activate(self, state: Any) -> Any:
        """Subscribe and start the worker."""
        self._counter, self._stats = FrameCounter(), Stats()
        self._worker = LatestWorker(self._process, self._on_replaced, self._on_fault)
        self._set_pace()
        self._intake = Intake(self._settings, self._config.encoding.depth, self._offer, self._counter, self._notices)
        try:
            self._inputs = Inputs(self, self._settings, self._intake, self._notices)
        except Exception as error:  # rclpy raises several types for names it cannot use
            self._close_inputs()
            return self._failed("activate", error)
        self._phase = "active"
        self._notices.clear("activate")
        return SUCCESS

    def on_deactivate(self, state: Any) -> Any:
        """Unsubscribe; what waits is counted, nothing is half done."""
        self._close_inputs()
        self._phase = "inactive"
        return SUCCESS

    def on_cleanup(self, state: Any) -> Any:
        """Free the networks and withdraw the outputs."""
        self._release()
        self._phase = "unconfigured"
        return SUCCESS

    def on_shutdown(self, state: Any) -> Any:
        """Stop from any state."""
        self._release()
        self._phase = "finalized"
        return SUCCESS

    def on_error(self, state: Any) -> Any:
        """Come back to unconfigured after a transition that broke."""
        self._release()
        self._phase = "unconfigured"
        return SUCCESS

    def destroy_node(self) -> Any:
        """Stop the worker before everything else goes."""
        self._release()
        return super().destroy_node()

    def _close_inputs(self) -> None:
        if self._inputs is not None:
            self._inputs.close()
        if self._intake is not None:
            self._intake.close()
        if self._worker is not None:
            self._worker.stop()
        self._inputs = self._intake = self._worker = None

    def _release(self) -> None:
        self._close_inputs()
        if self._outputs is not None:
            self._outputs.close()
        self._outputs = self._processor = self._last = None

    def _failed(self, step: str, error: Exception) -> Any:
        self._notices.report(step, f"{step} failed: {error}", ERROR)
        self._publish_health()
        return FAILURE

    # Frames

    def _offer(self, pair: Pair) -> None:
        """Hand a pair to the worker; it runs only while somebody subscribes to a result."""
        self._set_pace()
        self._worker.offer(pair)

    def _on_replaced(self, _: Pair) -> None:
        self._counter.add("replaced")

    def _on_fault(self, _: Pair, error: Exception) -> str:
        """A fault of a library must not end the node: it costs this pair, the next one is the retry."""
        return self._refuse("fault", error) if api.ok() else "shutting down"

    def _process(self, pair: Pair) -> Any:
        """Segment and publish one pair in the worker's thread; return its Result, or the reason it failed."""
        begin = monotonic()
        try:
            done = self._processor(pair, with_heatmap=self._outputs.wanted("heatmap"))
            publishing = perf_counter()
            self._outputs.publish(done.result)
            published_ms = 1000 * (perf_counter() - publishing)
        except FrameError as error:
            return self._refuse("frame", error)
        end = monotonic()
        self._stats.add(Sample(
            {"pairing": 1000 * (pair.paired_s - pair.arrived_s), "queue": 1000 * (begin - pair.paired_s),
             **done.stages_ms, "publishing": published_ms, "latency": 1000 * (end - pair.arrived_s),
             "overhead": 1000 * (end - max(pair.paired_s, self._free_s)) - done.stages_ms["segment"]},
            pair.skew_ns / 1e6, done.valid_depth, len(done.result.instances), done.result.instances.depth_used))
        self._last, self._free_s = done.result, end
        self._notices.clear("frame")
        self._notices.clear("fault")
        self._counter.add("processed")
        return done.result

    def _refuse(self, key: str, error: Exception) -> str:
        text = str(error) if isinstance(error, UoisError) else f"{type(error).__name__}: {error}"
        self._counter.add("refused")
        self._notices.report(key, text, ERROR)
        return text

    # Services

    def _on_segment(self, request: Any, response: Any) -> Any:
        """Segment the newest pair now and answer when the result is published."""
        worker = self._worker
        if worker is None:
            response.success, response.message = False, f"expected an active node, it is {self._phase}; activate it"
            return response
        try:
            result = worker.demand(self._settings.service_timeout_s)
        except TimeoutError:
            reasons = "; ".join(notice.text for notice in self._notices.active().values())
            response.success = False
            response.message = (f"expected a pair within {self._settings.service_timeout_s:g} s, got none"
                                f"{': ' + reasons if reasons else ''}")
            return response
        response.success = not isinstance(result, str)
        response.message = result if isinstance(result, str) else (
            f"{len(result.instances)} objects, stamp {result.frame.name}, "
            f"{result.instances.timings_ms['total']:.0f} ms")
        return response

    def _on_save(self, request: Any, response: Any) -> Any:
        """Write the newest result to disk in the layout that 'uois-sam segment' reads back."""
        result = self._last
        if result is None:
            response.success, response.message = False, "expected a result to save, none yet; call ~/segment first"
            return response
        folder = self._settings.save_dir or os.path.join(os.environ.get("ROS_HOME", "~/.ros"), NODE_NAME)
        try:
            response.message = str(save_result(Path(folder).expanduser(), result))
            response.success = True
            self._notices.clear("save")
        except (UoisError, OSError) as error:
            response.success, response.message = False, str(error)
            self._notices.report("save", f"save failed: {error}", ERROR)
        return response

    # Parameters

    def _declare_parameters(self) -> None:
        first, *_ = parameter_specs()
        self._declare(first)
        self._preset = self.get_parameter(PRESET).value
        self._specs = parameter_specs(self._preset)
        for spec in self._specs[1:]:
            self._declare(spec)
        self._settings, self._config = read_settings(self._values())
        self.add_on_set_parameters_callback(self._on_parameters)

    def _declare(self, spec: ParameterSpec) -> None:
        descriptor = api.ParameterDescriptor(description=spec.help, read_only=spec.read_only,
                                             additional_constraints=spec.constraint)
        if spec.low is not None and isinstance(spec.default, float):
            descriptor.floating_point_range = [api.FloatingPointRange(from_value=float(spec.low),
                                                                      to_value=float(spec.high), step=0.0)]
        elif spec.low is not None:
            descriptor.integer_range = [api.IntegerRange(from_value=int(spec.low), to_value=int(spec.high), step=1)]
        try:
            self.declare_parameter(spec.name, spec.default, descriptor)
        except Exception as error:  # rclpy has a type of its own for each way to be wrong
            raise ConfigError(f"parameter {spec.name}: expected a value like {spec.default!r}"
                              f"{f' ({spec.constraint})' if spec.constraint else ''}, got: {error}; {spec.help}") from error

    def _values(self) -> dict[str, Any]:
        return {spec.name: _plain(self.get_parameter(spec.name).value) for spec in self._specs}

    def _on_parameters(self, parameters: list[Any]) -> Any:
        """Refuse what cannot change now or makes no sense; apply the rest at once."""
        values, changes = self._values(), {p.name: _plain(p.value) for p in parameters}
        reason = check_change(values, changes, configured=self._processor is not None)
        if not reason:
            try:
                self._apply({**values, **{name: changes[name] for name in changes if name in values}})
            except ConfigError as error:
                reason = str(error)
        return api.SetParametersResult(successful=not reason, reason=reason)

    def _apply(self, values: dict[str, Any]) -> None:
        settings, config = read_settings(values)
        if self._processor is not None:
            self._processor.configure(settings, config)
            self._outputs.configure(settings)
        self._settings, self._config = settings, config
        if self._worker is not None:
            self._set_pace()

    def _set_pace(self) -> None:
        period_s = 1 / self._settings.max_rate_hz if self._settings.max_rate_hz > 0 else 0.0
        self._worker.set_pace(continuous=self._settings.mode == "continuous" and self._outputs.any_wanted(),
                              min_period_s=period_s)

    # Health

    def _on_tick(self) -> None:
        if self._inputs is not None:
            self._inputs.check()
            self._outputs.check_subscribers()
        self._notices.expire()
        self._publish_health()

    def _publish_health(self) -> None:
        health = assess(self._phase, self._counter.totals(), self._stats.summary(), self._notices.active(),
                        self._facts())
        pair = api.message("diagnostic_msgs/msg/KeyValue")
        status = api.message("diagnostic_msgs/msg/DiagnosticStatus")(
            level=bytes([health.level]), name=f"{self.get_fully_qualified_name()}: segmentation",
            message=health.message, hardware_id=self._settings.color_topic,
            values=[pair(key=key, value=value) for key, value in health.values.items()])
        message = api.message("diagnostic_msgs/msg/DiagnosticArray")(status=[status])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    def _facts(self) -> dict[str, str]:
        runtime = self._config.runtime
        facts = {"preset": self._preset, "mode": self._settings.mode, "depth": self._config.encoding.depth,
                 "backend": runtime.backend, "middleware": api.BACKEND_NAME}
        if runtime.backend == "onnxruntime":
            facts["providers"] = ", ".join(runtime.providers)
        if self._processor is not None:
            facts.update(model_facts(self._processor.segmenter.models))
        return facts

    def _log(self, level: str, text: str) -> None:
        """Log; one line of code a level, because rclpy ties a severity to the place of the call."""
        if level == ERROR:
            self.get_logger().error(text)
        elif level == WARNING:
            self.get_logger().warning(text)
        else:
            self.get_logger().info(text)


def _plain(value: Any) -> Any:
    """Return a parameter's value with arrays as lists."""
    return list(value) if isinstance(value, (tuple, array)) else value
