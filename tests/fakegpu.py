"""A pretended GPU and TensorRT in host memory: networks run on ONNX Runtime, everything else is bookkeeping.

Stands in for a device that test machines lack. It has only the members that ``tensorrt_api.NAMES`` and
``cuda_device.NAMES`` list (a test holds it to that), checks every copy against the allocations, and starts nothing
before it is on a stream, so that the order of operations matters as on a GPU.
"""

from __future__ import annotations

import ctypes
import pickle
import sys
from enum import IntEnum
from types import ModuleType, SimpleNamespace

import numpy as np
import onnxruntime
import pytest

onnx = pytest.importorskip("onnx", reason="the pretended GPU reads ONNX files with it")

MAGIC = b"PRETENDED PLAN"
UNREADABLE = ("SplitToSequence", "SequenceAt", "SequenceInsert", "Loop", "If")


class CudaRuntime(ModuleType):
    """``cuda.bindings.runtime`` on host memory."""

    class cudaError_t(IntEnum):
        cudaSuccess = 0
        cudaErrorInvalidValue = 1
        cudaErrorStreamCaptureInvalidated = 901

    class cudaMemcpyKind(IntEnum):
        cudaMemcpyHostToDevice = 1
        cudaMemcpyDeviceToHost = 2

    class cudaStreamCaptureMode(IntEnum):
        cudaStreamCaptureModeThreadLocal = 1

    cudaStreamNonBlocking = 1

    def __init__(self) -> None:
        super().__init__("cuda.bindings.runtime")
        self._memory: dict[int, ctypes.Array] = {}
        self._queue: list = []  # what the stream has not done yet
        self._recording: list | None = None
        self.capturable = True
        self.launches = 0
        self.gpus = 1

    def cudaGetDeviceCount(self):
        return 0, self.gpus

    def cudaGetDeviceProperties(self, index):
        return 0, SimpleNamespace(name=b"Pretended GPU\0\0", major=8, minor=7)

    def cudaGetErrorString(self, status):
        return 0, self.cudaError_t(status).name.encode()

    def cudaSetDevice(self, index):
        return (0,)

    def cudaMalloc(self, size):
        block = (ctypes.c_byte * size)(*([0x55] * min(size, 64)))
        self._memory[ctypes.addressof(block)] = block
        return 0, ctypes.addressof(block)

    cudaMallocHost = cudaMalloc

    def cudaFree(self, address):
        return (0 if self._memory.pop(int(address), None) is not None else 1,)

    cudaFreeHost = cudaFree

    def cudaMemcpyAsync(self, target, source, size, kind, stream):
        if not (self._inside(target, size) and self._inside(source, size)):
            return (self.cudaError_t.cudaErrorInvalidValue,)
        self.enqueue(lambda: ctypes.memmove(target, source, size))
        return (0,)

    def cudaStreamCreateWithFlags(self, flags):
        return 0, 77

    def cudaStreamDestroy(self, stream):
        return (0,)

    def cudaStreamSynchronize(self, stream):
        queue, self._queue = self._queue, []
        for work in queue:
            work()
        return (0,)

    def cudaStreamBeginCapture(self, stream, mode):
        self._recording = []
        return (0,)

    def cudaStreamEndCapture(self, stream):
        recorded, self._recording = self._recording, None
        if not self.capturable:
            return self.cudaError_t.cudaErrorStreamCaptureInvalidated, None
        return 0, recorded

    def cudaGraphInstantiate(self, graph, flags):
        return 0, graph

    def cudaGraphLaunch(self, graph, stream):
        self.launches += 1
        self._queue.extend(graph)
        return (0,)

    def cudaGraphDestroy(self, graph):
        return (0,)

    def cudaGraphExecDestroy(self, graph):
        return (0,)

    def enqueue(self, work) -> None:
        """Put work on the stream, or into the graph that is being recorded."""
        (self._queue if self._recording is None else self._recording).append(work)

    def allocated(self) -> int:
        """Blocks that were not freed."""
        return len(self._memory)

    def _inside(self, address, size) -> bool:
        return any(start <= address and address + size <= start + len(block) for start, block in self._memory.items())


def make_tensorrt(cuda: CudaRuntime, version: str) -> ModuleType:
    """Return a module like ``tensorrt`` (10, 11) or ``tensorrt_rtx`` (1)."""
    trt = ModuleType("tensorrt")
    trt.__version__ = version

    class ILogger:
        class Severity(IntEnum):
            INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

        def log(self, severity, message):
            raise NotImplementedError

    class IProgressMonitor:
        def phase_start(self, phase_name, parent_phase, num_steps): ...
        def step_complete(self, phase_name, step): ...
        def phase_finish(self, phase_name): ...

    class TensorIOMode(IntEnum):
        INPUT, OUTPUT = 1, 2

    class DataType(IntEnum):
        FLOAT, INT32, INT64 = 0, 3, 9

    class BuilderFlag(IntEnum):
        TF32 = 7

    class MemoryPoolType(IntEnum):
        WORKSPACE = 0

    class NetworkDefinitionCreationFlag(IntEnum):
        STRONGLY_TYPED = 1

    class ITensor:
        def __init__(self, name, shape):
            self.name, self.shape = name, shape

    class INetworkDefinition:
        def __init__(self, flags):
            self._flags, self._content, self._inputs = flags, b"", []

        @property
        def num_inputs(self):
            return len(self._inputs)

        def get_input(self, index):
            return self._inputs[index]

    class ParserError:
        def __init__(self, node):
            self._node = node

        def desc(self):
            return "UNSUPPORTED_NODE"

        def node_name(self):
            return self._node.name

        def node_operator(self):
            return self._node.op_type

    class OnnxParser:
        def __init__(self, network, logger):
            self._network, self._errors = network, []

        @property
        def num_errors(self):
            return len(self._errors)

        def get_error(self, index):
            return self._errors[index]

        def parse_from_file(self, path):
            model = onnx.load(path)
            self._errors = [ParserError(node) for node in model.graph.node if node.op_type in UNREADABLE]
            self._network._content = model.SerializeToString()
            for value in model.graph.input:
                dims = value.type.tensor_type.shape.dim
                self._network._inputs.append(
                    ITensor(value.name, tuple(-1 if dim.dim_param else dim.dim_value for dim in dims)))
            return not self._errors

    class ITimingCache:
        def __init__(self, content):
            self._content = content

        def serialize(self):
            return self._content + b"."

    class IOptimizationProfile:
        def __init__(self):
            self._shapes = {}

        def set_shape(self, name, least, usual, most):
            self._shapes[name] = (tuple(least), tuple(usual), tuple(most))

    class IBuilderConfig:
        builder_optimization_level = 3
        progress_monitor = None

        def __init__(self):
            self._profile, self._timing = IOptimizationProfile(), None

        def set_memory_pool_limit(self, pool, size): ...
        def clear_flag(self, flag): ...

        def create_timing_cache(self, content):
            return ITimingCache(content)

        def set_timing_cache(self, cache, ignore_mismatch):
            self._timing = cache
            return True

        def get_timing_cache(self):
            return self._timing

        def add_optimization_profile(self, profile):
            self._profile = profile
            return 0

    class Builder:
        def __init__(self, logger):
            self._logger = logger

        def create_network(self, flags=0):
            assert flags == (2 if version.startswith("10.") else 0), "networks are strongly typed"
            return INetworkDefinition(flags)

        def create_builder_config(self):
            return IBuilderConfig()

        def create_optimization_profile(self):
            return IOptimizationProfile()

        def build_serialized_network(self, network, config):
            monitor = config.progress_monitor
            monitor.phase_start("Building engine", None, 2)
            for step in range(2):
                monitor.phase_start("Timing tactics", "Building engine", 4)
                for inner in range(4):
                    if not monitor.step_complete("Timing tactics", inner):
                        return None
                monitor.phase_finish("Timing tactics")
                monitor.step_complete("Building engine", step)
            monitor.phase_finish("Building engine")
            self._logger.log(ILogger.Severity.INFO, "engine built")
            dynamic = [tensor for tensor in network._inputs if -1 in tensor.shape]
            if any(tensor.name not in config._profile._shapes for tensor in dynamic):
                self._logger.log(ILogger.Severity.ERROR, "no optimization profile")
                return None
            return MAGIC + pickle.dumps((network._content, config._profile._shapes))

    class IExecutionContext:
        def __init__(self, engine):
            self._engine, self._shapes, self._places, self._known = engine, {}, {}, {}

        def set_input_shape(self, name, shape):
            least, _, most = self._engine._profile.get(name, (shape, shape, shape))
            if not all(low <= size <= high for low, size, high in zip(least, shape, most)):
                return False
            self._shapes[name] = tuple(shape)
            return True

        def infer_shapes(self):
            missing = [value.name for value in self._engine._session.get_inputs() if value.name not in self._shapes]
            if not missing:
                key = tuple(sorted(self._shapes.items()))
                if key not in self._known:
                    zeros = {name: np.zeros(shape, np.float32) for name, shape in self._shapes.items()}
                    names = [value.name for value in self._engine._session.get_outputs()]
                    self._known[key] = {name: array.shape for name, array in
                                        zip(names, self._engine._session.run(names, zeros))}
                self._outputs = self._known[key]
            return missing

        def get_tensor_shape(self, name):
            return self._shapes.get(name) or self._outputs[name]

        def set_tensor_address(self, name, address):
            self._places[name] = address
            return True

        def execute_async_v3(self, stream):
            cuda.enqueue(self._work)
            return True

        def _work(self):
            feeds = {name: self._array(name, shape).copy() for name, shape in self._shapes.items()}
            names = list(self._outputs)
            for name, array in zip(names, self._engine._session.run(names, feeds)):
                self._array(name, self._outputs[name])[...] = array

        def _array(self, name, shape):
            assert cuda._inside(self._places[name], 4 * int(np.prod(shape))), f"{name} beyond its memory"
            block = (ctypes.c_float * int(np.prod(shape))).from_address(self._places[name])
            return np.frombuffer(block, np.float32).reshape(shape)

    class ICudaEngine:
        def __init__(self, content, profile):
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            self._profile = profile
            self._tensors = [(value.name, TensorIOMode.INPUT) for value in self._session.get_inputs()]
            self._tensors += [(value.name, TensorIOMode.OUTPUT) for value in self._session.get_outputs()]

        @property
        def num_io_tensors(self):
            return len(self._tensors)

        def get_tensor_name(self, index):
            return self._tensors[index][0]

        def get_tensor_mode(self, name):
            return dict(self._tensors)[name]

        def get_tensor_dtype(self, name):
            return DataType.FLOAT

        def create_execution_context(self):
            return IExecutionContext(self)

    class Runtime:
        def __init__(self, logger):
            self._logger = logger

        def deserialize_cuda_engine(self, content):
            if not content.startswith(MAGIC):
                self._logger.log(ILogger.Severity.ERROR, "magic tag does not match")
                return None
            return ICudaEngine(*pickle.loads(content[len(MAGIC):]))

    for made in (ILogger, IProgressMonitor, TensorIOMode, DataType, BuilderFlag, MemoryPoolType,
                 NetworkDefinitionCreationFlag, ITensor, INetworkDefinition, ParserError, OnnxParser, ITimingCache,
                 IOptimizationProfile, IBuilderConfig, Builder, IExecutionContext, ICudaEngine, Runtime):
        setattr(trt, made.__name__, made)
    return trt


def install(monkeypatch, version: str = "10.3.0", module: str = "tensorrt") -> CudaRuntime:
    """Make ``import tensorrt`` and ``from cuda.bindings import runtime`` find the pretended ones."""
    cuda = CudaRuntime()
    bindings = ModuleType("cuda.bindings")
    bindings.runtime = cuda
    package = ModuleType("cuda")
    package.bindings = bindings
    for name, made in (("cuda", package), ("cuda.bindings", bindings), ("cuda.bindings.runtime", cuda),
                       (module, make_tensorrt(cuda, version))):
        monkeypatch.setitem(sys.modules, name, made)
    return cuda
