"""Which TensorRT: the two products, how they are imported, and every name of theirs that is used.

The names are those that TensorRT 10, TensorRT 11 and TensorRT for RTX have in common. Precision lies in the ONNX file:
networks are strongly typed, which version 10 must be asked for and the others are.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from ..errors import BackendError

#: Class or enum -> the members used by builder and runner; tests look every one up in the real bindings.
NAMES: dict[str, tuple[str, ...]] = {
    "ILogger": ("log", "Severity"),
    "Builder": ("create_network", "create_builder_config", "create_optimization_profile", "build_serialized_network"),
    "IBuilderConfig": ("add_optimization_profile", "builder_optimization_level", "clear_flag", "create_timing_cache",
                       "get_timing_cache", "progress_monitor", "set_memory_pool_limit", "set_timing_cache"),
    "BuilderFlag": ("TF32",),
    "MemoryPoolType": ("WORKSPACE",),
    "NetworkDefinitionCreationFlag": ("STRONGLY_TYPED",),
    "INetworkDefinition": ("num_inputs", "get_input"),
    "ITensor": ("name", "shape"),
    "IOptimizationProfile": ("set_shape",),
    "IProgressMonitor": ("phase_start", "step_complete", "phase_finish"),
    "ITimingCache": ("serialize",),
    "OnnxParser": ("parse_from_file", "num_errors", "get_error"),
    "ParserError": ("desc", "node_name", "node_operator"),
    "Runtime": ("deserialize_cuda_engine",),
    "ICudaEngine": ("create_execution_context", "num_io_tensors", "get_tensor_name", "get_tensor_mode",
                    "get_tensor_dtype"),
    "TensorIOMode": ("INPUT", "OUTPUT"),
    "DataType": ("FLOAT", "INT32", "INT64"),
    "IExecutionContext": ("set_input_shape", "infer_shapes", "get_tensor_shape", "set_tensor_address",
                          "execute_async_v3"),
}
#: Only in TensorRT for RTX: building ahead of time for GPUs that are not here.
RTX_NAMES: dict[str, tuple[str, ...]] = {
    "IBuilderConfig": ("num_compute_capabilities", "set_compute_capability"),
    "ComputeCapability": ("SM75", "SM80", "SM86", "SM89", "SM120"),
}


@dataclass(frozen=True)
class Flavour:
    """One product.

    Attributes:
        backend: value of ``RuntimeConfig.backend``.
        module: to import.
        install: how to get it.
        timing_cache: whether it keeps timings of kernels between builds.
    """

    backend: str
    module: str
    install: str
    timing_cache: bool = True

    def load(self) -> Any:
        """Return the module.

        Raises:
            BackendError: it is not installed, or its libraries do not load.
        """
        try:
            return importlib.import_module(self.module)
        except Exception as error:  # the bindings raise anything when their libraries are missing
            raise BackendError(f"backend {self.backend}: expected the package {self.module}, got: "
                               f"{str(error).splitlines()[0] if str(error) else type(error).__name__}; "
                               f"{self.install}") from error

    def network_flags(self, module: Any) -> int:
        """Return what ``create_network`` must be told for a strongly typed network."""
        if self.module == "tensorrt" and int(str(module.__version__).split(".")[0]) == 10:
            return 1 << int(module.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        return 0


TENSORRT = Flavour("tensorrt", "tensorrt", "on a Jetson install JetPack 6.1 or later (apt install nvidia-jetpack; use "
                   "a virtual environment with --system-site-packages), on a desktop TensorRT 10 or 11 from NVIDIA")
TENSORRT_RTX = Flavour("tensorrt_rtx", "tensorrt_rtx", "pip install tensorrt-rtx-cu13 (RTX desktops with CUDA 13; a "
                       "Jetson wants --backend tensorrt)", timing_cache=False)
