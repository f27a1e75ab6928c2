"""Runs a TensorRT engine: pinned buffers, one stream, a CUDA graph while shapes repeat. For all TensorRT products."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from ..errors import BackendError
from ..models.spec import ModelSpec
from .base import check_inputs
from .cuda_device import Buffer, CudaDevice, Graph
from .engine_store import Engine, EngineError
from .tensorrt_api import Flavour
from .tensorrt_builder import make_logger

#: dtype of ``models/spec.py`` -> name in ``DataType``.
DATA_TYPES = {"float32": "FLOAT", "int32": "INT32", "int64": "INT64"}


class TensorRtModel:
    """An engine in an execution context; see ``base.Model``.

    Args:
        engine: checked sidecar; the plan is read here.
        device: the GPU; this model uses its stream.
        metadata: kept; gains "cuda_graph" when graphs cannot be recorded.

    Raises:
        EngineError: a damaged plan, one that the library does not accept, or one with other tensors than ``spec``.
        BackendError: no room on the GPU.
    """

    def __init__(self, spec: ModelSpec, engine: Engine, flavour: Flavour, device: CudaDevice,
                 metadata: Mapping[str, Any] | None = None) -> None:
        self.spec = spec
        self.metadata: dict[str, Any] = dict(metadata or {})
        self._profiles = engine.profiles
        self._device = device
        self._buffers: dict[str, Buffer] = {}
        self._graph: Graph | None = None
        self._lock = threading.Lock()
        device.use()
        trt = flavour.load()
        self._logger = make_logger(trt)
        self._runtime = trt.Runtime(self._logger)
        self._engine = self._runtime.deserialize_cuda_engine(engine.read_plan())
        if self._engine is None:
            raise EngineError(f"engine {engine.plan}: expected one that {flavour.backend} {trt.__version__} accepts, "
                              f"got: {self._reason()}; run 'uois-sam engines build --rebuild'")
        _check_tensors(trt, self._engine, spec, engine)
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise BackendError(f"{spec.name}: expected room for an execution context on {device.name}, got: "
                               f"{self._reason()}; free GPU memory or build with smaller profiles")
        self._buffers = {tensor.name: Buffer(device, tensor.dtype) for tensor in (*spec.inputs, *spec.outputs)}
        self._shapes: tuple[tuple[int, ...], ...] = ()
        self._repeats = 0
        self._graphs_work = True

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run once; see ``base.Model.run``. The arrays returned are the caller's own."""
        check_inputs(self.spec, inputs)
        with self._lock:
            self._device.use()
            shapes = tuple(inputs[name].shape for name in self.spec.input_names)
            if shapes == self._shapes:
                self._repeats += 1
            else:
                self._reshape(inputs)
                self._shapes, self._repeats = shapes, 0
            for name in self.spec.input_names:
                np.copyto(self._buffers[name].host, inputs[name])
            self._launch()
            self._device.synchronize()
            return {name: self._buffers[name].host.copy() for name in self.spec.output_names}

    def close(self) -> None:
        """Free graph, buffers and stream, as happens when the model is dropped; it is of no use afterwards."""
        self._drop_graph()
        for buffer in self._buffers.values():
            buffer.close()
        self._context = self._engine = self._runtime = None
        self._device.close()

    def __del__(self) -> None:
        with suppress(Exception):  # half made, or the library is gone already
            self.close()

    def _reshape(self, inputs: Mapping[str, np.ndarray]) -> None:
        """Give the context new input shapes and the tensors their places."""
        self._drop_graph()  # it belongs to the shapes that it was recorded with
        self._shapes = ()
        context = self._context
        for name in self.spec.input_names:
            if not context.set_input_shape(name, inputs[name].shape):
                ranges = ", ".join(f"{letter} {low} to {high}" for letter, (low, _, high) in self._profiles.items())
                raise BackendError(f"{self.spec.name} '{name}': expected a shape of the engine's profile ({ranges}), "
                                   f"got {list(inputs[name].shape)}; build an engine for it with 'uois-sam engines "
                                   "build'")
        missing = context.infer_shapes()
        shapes = {name: tuple(context.get_tensor_shape(name)) for name in self.spec.output_names}
        if missing or any(-1 in shape for shape in shapes.values()):
            raise BackendError(f"{self.spec.name}: expected output shapes that follow from the inputs, got {shapes}, "
                               f"missing {', '.join(missing) or 'no input'}; export the network again")
        shapes.update({name: inputs[name].shape for name in self.spec.input_names})
        for name, buffer in self._buffers.items():
            buffer.shape(shapes[name])
            if not context.set_tensor_address(name, buffer.address):
                raise BackendError(f"{self.spec.name} '{name}': expected its memory to be accepted, got: "
                                   f"{self._reason()}")

    def _launch(self) -> None:
        """Put the work on the stream: as a graph from the second time that the shapes repeat."""
        if self._graph is None and self._repeats and self._graphs_work:
            try:
                self._graph = self._device.capture(self._enqueue)
            except BackendError as error:
                self._graphs_work = False
                self.metadata["cuda_graph"] = f"off: {error}"
        if self._graph is not None:
            self._graph.launch()
        else:
            self._enqueue()

    def _enqueue(self) -> None:
        for name in self.spec.input_names:
            self._buffers[name].upload()
        if not self._context.execute_async_v3(int(self._device.stream)):
            raise BackendError(f"{self.spec.name}: expected TensorRT to run it, got: {self._reason()}; check GPU "
                               "memory")
        for name in self.spec.output_names:
            self._buffers[name].download()

    def _drop_graph(self) -> None:
        if self._graph is not None:
            self._graph.close()
            self._graph = None

    def _reason(self) -> str:
        return self._logger.errors[-1] if self._logger.errors else "no reason given"


def _check_tensors(trt: Any, engine: Any, spec: ModelSpec, source: Engine) -> None:
    """Refuse an engine whose tensors are not those of the spec."""
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    for mode, tensors in ((trt.TensorIOMode.INPUT, spec.inputs), (trt.TensorIOMode.OUTPUT, spec.outputs)):
        got = {name: engine.get_tensor_dtype(name) for name in names if engine.get_tensor_mode(name) == mode}
        wanted = {tensor.name: getattr(trt.DataType, DATA_TYPES[tensor.dtype]) for tensor in tensors}
        if got != wanted:
            raise EngineError(f"engine {source.plan}: expected the {mode.name.lower()}s {', '.join(sorted(wanted))} of "
                              f"{spec.name}, got {', '.join(sorted(got))} (or other types); it belongs to another "
                              "network: run 'uois-sam engines build --rebuild'")
