"""ONNX file -> serialised engine, with progress, a log and a timing cache; for all TensorRT products."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, TextIO

from ..errors import BackendError
from ..models.spec import ModelSpec
from .engine_backends import BuildJob
from .engine_store import write_atomically
from .tensorrt_api import Flavour


def build_plan(flavour: Flavour, job: BuildJob) -> bytes:
    """Return the serialised engine.

    Raises:
        BackendError: the library is missing, the graph has an operator that it does not read, or no engine came out.
    """
    trt = flavour.load()
    with job.log.open("w", encoding="utf-8") as stream:
        logger = make_logger(trt, stream)
        builder = trt.Builder(logger)
        network = builder.create_network(flavour.network_flags(trt))
        _parse(trt, network, logger, job, flavour)
        config = _configure(trt, builder, network, job, flavour)
        monitor = config.progress_monitor = _make_monitor(trt, job)
        plan = builder.build_serialized_network(network, config)
        if monitor.interrupted:
            raise KeyboardInterrupt
        if plan is None:
            reason = logger.errors[-1] if logger.errors else "no reason given"
            raise BackendError(f"{job.spec.name}: expected {flavour.backend} {trt.__version__} to build an engine, "
                               f"got: {reason}; see {job.log}")
        if flavour.timing_cache:
            write_atomically(job.timing_cache, bytes(config.get_timing_cache().serialize()))
        return bytes(plan)


def profile_shapes(spec: ModelSpec, letters: Mapping[str, tuple[int, int, int]],
                   shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[tuple[int, ...], ...]]:
    """Return (min, opt, max) shapes of the inputs that have dynamic dimensions.

    Args:
        letters: sizes of the spec's dimension letters; "h/2" is half of "h".
        shapes: of the network's inputs, -1 where dynamic.

    Raises:
        BackendError: a dynamic dimension for which there are no sizes.
    """
    result = {}
    for tensor in spec.inputs:
        shape = shapes[tensor.name]
        if -1 not in shape:
            continue
        triple: list[tuple[int, ...]] = []
        for place in range(3):
            sizes = []
            for size, dim in zip(shape, tensor.dims):
                letter, _, divisor = str(dim).partition("/")
                if size == -1 and letter not in letters:
                    raise BackendError(f"{spec.name} '{tensor.name}': expected sizes for its dimension {dim}, got "
                                       f"those of {', '.join(letters) or 'none'}; add them to engines/profiles.py")
                sizes.append(letters[letter][place] // int(divisor or 1) if size == -1 else int(size))
            triple.append(tuple(sizes))
        result[tensor.name] = tuple(triple)
    return result


def make_logger(trt: Any, stream: TextIO | None = None) -> Any:
    """Return a logger that writes to ``stream`` and keeps the errors for messages."""

    class Log(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if int(severity) <= int(trt.ILogger.Severity.ERROR):
                self.errors.append(message.strip())
            if stream is not None and int(severity) <= int(trt.ILogger.Severity.INFO):
                stream.write(f"{time.strftime('%H:%M:%S')} {severity.name} {message}\n")
                stream.flush()

    return Log()


def _parse(trt: Any, network: Any, logger: Any, job: BuildJob, flavour: Flavour) -> None:
    parser = trt.OnnxParser(network, logger)
    if parser.parse_from_file(str(job.onnx)):
        return
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    text = "; ".join(f"{error.node_operator()} '{error.node_name()}': {error.desc()}" for error in errors[:3])
    raise BackendError(f"{job.onnx.name}: expected a graph that {flavour.backend} {trt.__version__} reads, got "
                       f"{len(errors)} errors, first {text or 'unknown'}; export it again with 'uois-sam engines "
                       "export'")


def _configure(trt: Any, builder: Any, network: Any, job: BuildJob, flavour: Flavour) -> Any:
    config = builder.create_builder_config()
    config.builder_optimization_level = job.options.optimization_level
    if job.options.workspace_mb:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, job.options.workspace_mb << 20)
    if not job.options.tf32:
        config.clear_flag(trt.BuilderFlag.TF32)
    if job.capabilities:
        config.num_compute_capabilities = len(job.capabilities)
        for index, capability in enumerate(job.capabilities):
            config.set_compute_capability(getattr(trt.ComputeCapability, f"SM{capability.replace('.', '')}"), index)
    if flavour.timing_cache:
        cached = job.timing_cache.read_bytes() if job.timing_cache.is_file() else b""
        config.set_timing_cache(config.create_timing_cache(cached), False)
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    shapes = profile_shapes(job.spec, job.profiles, {item.name: tuple(item.shape) for item in inputs})
    if shapes:
        profile = builder.create_optimization_profile()
        for name, (least, usual, most) in shapes.items():
            profile.set_shape(name, least, usual, most)
        config.add_optimization_profile(profile)
    return config


def _make_monitor(trt: Any, job: BuildJob) -> Any:
    """Return a monitor that turns nested phases into one share of the work."""

    class Monitor(trt.IProgressMonitor):
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.interrupted = False
            self._phases: dict[str, list[Any]] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._phases[phase_name] = [parent_phase, max(1, num_steps), 0]
            self._report(phase_name)

        def step_complete(self, phase_name: str, step: int) -> bool:
            if phase_name in self._phases:
                self._phases[phase_name][2] = step + 1
                self._report(phase_name)
            return not self.interrupted

        def phase_finish(self, phase_name: str) -> None:
            self._phases.pop(phase_name, None)

        def _report(self, phase_name: str) -> None:
            share, name = 0.0, phase_name
            while name in self._phases:
                name, steps, done = self._phases[name]
                share = min(1.0, (done + share) / steps)
            try:
                job.progress(share, phase_name)
            except KeyboardInterrupt:  # must not leave through the library's frames
                self.interrupted = True

    return Monitor()
