"""Device memory, pinned host memory, one stream and graphs, through NVIDIA's ``cuda-bindings`` alone.

Chosen because it is the smallest maintained way: no compiler, no torch, wheels for x86-64 and aarch64 (12.9 for CUDA 12
and the Python 3.10 of JetPack 6), and it needs only the driver.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import BackendError

INSTALL = "pip install 'cuda-bindings<13' with a driver for CUDA 12 (JetPack 6), 'cuda-bindings<14' for CUDA 13"
#: What is used of ``cuda.bindings.runtime``; tests look every name up.
NAMES = (
    "cudaError_t", "cudaGetDeviceCount", "cudaGetDeviceProperties", "cudaGetErrorString", "cudaSetDevice", "cudaMalloc",
    "cudaFree", "cudaMallocHost", "cudaFreeHost", "cudaMemcpyAsync", "cudaMemcpyKind", "cudaStreamCreateWithFlags",
    "cudaStreamNonBlocking", "cudaStreamDestroy", "cudaStreamSynchronize", "cudaStreamBeginCapture",
    "cudaStreamEndCapture", "cudaStreamCaptureMode", "cudaGraphInstantiate", "cudaGraphLaunch", "cudaGraphDestroy",
    "cudaGraphExecDestroy",
)


class CudaDevice:
    """One GPU and one stream on it.

    Attributes:
        name, compute_capability: "Orin", "8.7".

    Raises:
        BackendError: no cuda-bindings, no driver, no such GPU.
    """

    def __init__(self, index: int = 0) -> None:
        self.runtime = _import_runtime()
        self.index = index
        count = self.call("cudaGetDeviceCount")
        if not 0 <= index < count:
            raise BackendError(f"runtime.device: expected 0 to {count - 1}, got {index}; nvidia-smi lists the GPUs")
        properties = self.call("cudaGetDeviceProperties", index)
        name = properties.name
        self.name = (name.decode() if isinstance(name, bytes) else str(name)).rstrip("\0").strip()
        self.compute_capability = f"{properties.major}.{properties.minor}"
        self._stream: Any = None

    def call(self, name: str, *args: Any) -> Any:
        """Call a function of the CUDA run time; return its result without the status.

        Raises:
            BackendError: it failed.
        """
        status, *results = getattr(self.runtime, name)(*args)
        if int(status) != 0:
            text = self.runtime.cudaGetErrorString(status)[1]
            text = text.decode() if isinstance(text, bytes) else str(text)
            raise BackendError(f"GPU {self.index}: expected {name} to work, got: {text}; check the driver with "
                               "nvidia-smi and free GPU memory")
        return results[0] if results else None

    def use(self) -> None:
        """Make this the GPU of the calling thread."""
        self.call("cudaSetDevice", self.index)

    @property
    def stream(self) -> Any:
        """The stream; made at first use."""
        if self._stream is None:
            self.use()
            self._stream = self.call("cudaStreamCreateWithFlags", self.runtime.cudaStreamNonBlocking)
        return self._stream

    def synchronize(self) -> None:
        """Wait for everything on the stream."""
        self.call("cudaStreamSynchronize", self.stream)

    def capture(self, work: Callable[[], None]) -> Graph:
        """Record what ``work`` puts on the stream as a graph; nothing runs.

        Raises:
            BackendError: something in it cannot be recorded.
        """
        self.call("cudaStreamBeginCapture", self.stream,
                  self.runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal)
        try:
            work()
        except BaseException:
            self.runtime.cudaStreamEndCapture(self.stream)
            raise
        return Graph(self, self.call("cudaStreamEndCapture", self.stream))

    def close(self) -> None:
        """Destroy the stream."""
        if self._stream is not None:
            self.runtime.cudaStreamDestroy(self._stream)
            self._stream = None


class Graph:
    """A recorded graph, ready to launch."""

    def __init__(self, device: CudaDevice, graph: Any) -> None:
        self._device = device
        try:
            self._exec = device.call("cudaGraphInstantiate", graph, 0)
        finally:
            device.runtime.cudaGraphDestroy(graph)

    def launch(self) -> None:
        """Put the graph on the device's stream."""
        self._device.call("cudaGraphLaunch", self._exec, self._device.stream)

    def close(self) -> None:
        """Free the graph."""
        if self._exec is not None:
            self._device.runtime.cudaGraphExecDestroy(self._exec)
            self._exec = None


class Buffer:
    """A tensor's place on the GPU and its pinned twin on the host; both grow as needed.

    Attributes:
        address: on the GPU; changes only when ``shape`` returns True.
        host: array of the current shape on the pinned memory.
    """

    def __init__(self, device: CudaDevice, dtype: str) -> None:
        self._device = device
        self._dtype = np.dtype(dtype)
        self._capacity = 0
        self._pinned = 0
        self.address = 0
        self.host = np.zeros(0, self._dtype)

    def shape(self, shape: tuple[int, ...]) -> bool:
        """Take a shape; return True when the memory moved."""
        count = int(np.prod(shape))
        need = max(1, count * self._dtype.itemsize)
        moved = need > self._capacity
        if moved:
            self.close()
            self.address = int(self._device.call("cudaMalloc", need))
            self._pinned = int(self._device.call("cudaMallocHost", need))
            self._capacity = need
        memory = (ctypes.c_byte * need).from_address(self._pinned)
        self.host = np.frombuffer(memory, self._dtype, count).reshape(shape)
        return moved

    def upload(self) -> None:
        """Put the copy from host to GPU on the stream."""
        self._copy(self.address, self._pinned, "cudaMemcpyHostToDevice")

    def download(self) -> None:
        """Put the copy from GPU to host on the stream."""
        self._copy(self._pinned, self.address, "cudaMemcpyDeviceToHost")

    def _copy(self, target: int, source: int, kind: str) -> None:
        device = self._device
        device.call("cudaMemcpyAsync", target, source, self.host.nbytes, getattr(device.runtime.cudaMemcpyKind, kind),
                    device.stream)

    def close(self) -> None:
        """Free both memories."""
        self.host = np.zeros(0, self._dtype)
        if self.address:
            self._device.runtime.cudaFree(self.address)
        if self._pinned:
            self._device.runtime.cudaFreeHost(self._pinned)
        self.address, self._pinned, self._capacity = 0, 0, 0


def _import_runtime() -> Any:
    try:
        from cuda.bindings import runtime
    except ImportError as error:
        raise BackendError(f"GPU: expected the package cuda-bindings, got: {error}; {INSTALL}") from error
    return runtime
