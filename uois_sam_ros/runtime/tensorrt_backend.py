"""TensorRT 10 and 11: the backend for a Jetson, and for desktops and servers with NVIDIA's packages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..config import RuntimeConfig
from ..errors import BackendError
from ..models.spec import ModelSpec
from .cuda_device import CudaDevice
from .engine_backends import BuildJob, Target
from .engine_store import Engine
from .tensorrt_api import TENSORRT, Flavour
from .tensorrt_builder import build_plan
from .tensorrt_runner import TensorRtModel


class TensorRtBackend:
    """See ``engine_backends.EngineBackend``."""

    flavour: Flavour = TENSORRT
    versions: tuple[int, ...] = (10, 11)

    def target(self, config: RuntimeConfig) -> Target:
        """Return library version and GPU.

        Raises:
            BackendError: library, cuda-bindings, driver or GPU is missing, or the version is not supported.
        """
        version = str(self.flavour.load().__version__)
        if int(version.split(".")[0]) not in self.versions:
            raise BackendError(f"backend {self.flavour.backend}: expected version "
                               f"{' or '.join(map(str, self.versions))}, got {version}; {self.flavour.install}")
        device = CudaDevice(config.device)
        return Target(version, device.name, device.compute_capability)

    def build(self, job: BuildJob) -> bytes:
        """Return the serialised engine; see ``tensorrt_builder.build_plan``."""
        return build_plan(self.flavour, job)

    def open(self, spec: ModelSpec, engine: Engine, config: RuntimeConfig,
             metadata: Mapping[str, Any]) -> TensorRtModel:
        """Return a model that runs the engine; see ``tensorrt_runner.TensorRtModel``."""
        return TensorRtModel(spec, engine, self.flavour, CudaDevice(config.device), metadata)
