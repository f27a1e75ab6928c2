"""Backends that run engines: what each must offer, the registry, and how an engine is opened.

Opening never builds. ``uois_sam_ros/engines`` builds and proves engines; both sides meet in the store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..config import RuntimeConfig
from ..errors import BackendError
from ..models.spec import ModelSpec
from .base import Model
from .engine_store import Engine, EngineIdentity, EngineStore
from .manifest import Manifest, find_models


@dataclass(frozen=True)
class Target:
    """What an engine would be built for: library version, GPU name, compute capability ("8.7")."""

    version: str
    gpu: str
    compute_capability: str


@dataclass(frozen=True)
class BuildOptions:
    """Builder options; part of an engine's identity.

    Attributes:
        optimization_level: 0 (fastest build) to 5 (fastest engine).
        workspace_mb: scratch memory that a layer may use; 0 = what the GPU has.
        tf32: let fp32 layers round their factors to 10 bits of mantissa where the GPU is faster so.
    """

    optimization_level: int = 3
    workspace_mb: int = 0
    tf32: bool = True

    def items(self) -> tuple[tuple[str, Any], ...]:
        """(name, value), sorted by name."""
        return tuple(sorted(vars(self).items()))


@dataclass(frozen=True)
class BuildJob:
    """One engine to build.

    Attributes:
        onnx: verified file.
        profiles: dimension letter of ``spec`` -> (min, opt, max).
        log, timing_cache: files to write; the cache is read first.
        progress: told the share that is done (0..1) and the phase.
        capabilities: build ahead of time for these ("8.6") and not for this machine's GPU; TensorRT for RTX only.
    """

    spec: ModelSpec
    onnx: Path
    profiles: Mapping[str, tuple[int, int, int]]
    options: BuildOptions
    log: Path
    timing_cache: Path
    progress: Callable[[float, str], None]
    capabilities: tuple[str, ...] = ()


class EngineBackend(Protocol):
    """A library that builds engines and runs them."""

    def target(self, config: RuntimeConfig) -> Target:
        """Say what is here; raises BackendError when the library or the GPU is not."""
        ...

    def build(self, job: BuildJob) -> bytes:
        """Return the serialised engine; raises BackendError when the graph cannot be read or built."""
        ...

    def open(self, spec: ModelSpec, engine: Engine, config: RuntimeConfig, metadata: Mapping[str, Any]) -> Model:
        """Return a model that runs the engine; raises EngineError or BackendError."""
        ...


def _tensorrt() -> EngineBackend:
    from .tensorrt_backend import TensorRtBackend

    return TensorRtBackend()


def _tensorrt_rtx() -> EngineBackend:
    from .tensorrt_rtx_backend import TensorRtRtxBackend

    return TensorRtRtxBackend()


#: ``RuntimeConfig.backend`` -> backend.
ENGINE_BACKENDS: dict[str, Callable[[], EngineBackend]] = {"tensorrt": _tensorrt, "tensorrt_rtx": _tensorrt_rtx}


def engine_backend(name: str) -> EngineBackend:
    """Return the backend called ``name``.

    Raises:
        BackendError: it runs no engines.
    """
    if name not in ENGINE_BACKENDS:
        raise BackendError(f"engines: expected the backend {' or '.join(ENGINE_BACKENDS)}, got '{name}', which needs "
                           "no engines; use --backend or runtime.backend")
    return ENGINE_BACKENDS[name]()


def identity_of(name: str, entry: Mapping[str, Any], config: RuntimeConfig, target: Target,
                options: BuildOptions) -> EngineIdentity:
    """Return the identity of the engine for a manifest entry on a target."""
    return EngineIdentity(name, weights_sha256(entry), str(entry.get("precision", "fp32")), config.backend,
                          target.version, target.gpu, target.compute_capability, options.items())


def weights_sha256(entry: Mapping[str, Any]) -> str:
    """Return the sha256 of the ONNX file, joined with that of the file beside it that holds large weights."""
    return "+".join([entry["sha256"], *([entry["data"]["sha256"]] if "data" in entry else [])])


def build_options(config: RuntimeConfig) -> BuildOptions:
    """Return the builder options that a configuration asks for."""
    return BuildOptions(config.optimization_level, config.workspace_mb)


def load_engine(spec: ModelSpec, config: RuntimeConfig) -> Model:
    """Open the engine of a network; its metadata gain "parity" and "engine".

    Raises:
        ModelError: unknown network; no engine for this machine, GPU, version or ONNX file; a damaged one; one below
            the parity gate.
        BackendError: the library or the GPU is not here.
    """
    backend = engine_backend(config.backend)
    entry = Manifest.load(find_models(config.model_dir)).entry(spec.name)
    store = EngineStore(config.cache)
    engine = store.find(identity_of(spec.name, entry, config, backend.target(config), build_options(config)))
    parity = engine.require_parity()
    return backend.open(spec, engine, config, {**entry, "parity": parity, "engine": engine.identity.key})
