"""From a model's name and a ``RuntimeConfig`` to a loaded model."""

from __future__ import annotations

from collections.abc import Callable

from ..config import RuntimeConfig
from ..errors import BackendError
from ..models.spec import ModelSpec, model_spec
from .base import Model
from .manifest import Manifest, find_models


def load_model(name: str, config: RuntimeConfig) -> Model:
    """Load one network on the configured backend.

    Args:
        name: a name of ``models/spec.py``.
        config: backend, providers, threads and model folder.

    Raises:
        ModelError: unknown name, no models, or a file that is not the one its manifest vouches for.
            Also: an engine that is missing, damaged, of another GPU, version or ONNX file, or below the parity gate.
        BackendError: unknown backend, or its library, provider or GPU is not there.
    """
    if config.backend not in BACKENDS:
        raise BackendError(f"backend: expected one of {', '.join(BACKENDS)}, got "
                           f"'{config.backend}'")
    return BACKENDS[config.backend](model_spec(name), config)


def _load_onnxruntime(spec: ModelSpec, config: RuntimeConfig) -> Model:
    from .onnxruntime_backend import OnnxRuntimeModel

    manifest = Manifest.load(find_models(config.model_dir))
    return OnnxRuntimeModel(spec, manifest.verify(spec.name), config, manifest.entry(spec.name))


def _load_torch(spec: ModelSpec, config: RuntimeConfig) -> Model:
    from .torch_backend import TorchModel

    manifest = Manifest.load(find_models(config.model_dir))
    return TorchModel.load(spec, manifest.folder, config, manifest.entry(spec.name))


def _load_openvino(spec: ModelSpec, config: RuntimeConfig) -> Model:
    from .openvino_backend import OpenVinoModel

    manifest = Manifest.load(find_models(config.model_dir))
    return OpenVinoModel(spec, manifest.verify(spec.name), config, manifest.entry(spec.name))


def _load_engine(spec: ModelSpec, config: RuntimeConfig) -> Model:
    from .engine_backends import load_engine

    return load_engine(spec, config)


#: Backend name -> loader; the names are those of ``RuntimeConfig.backend``.
BACKENDS: dict[str, Callable[[ModelSpec, RuntimeConfig], Model]] = {
    "onnxruntime": _load_onnxruntime,
    "torch": _load_torch,
    "tensorrt": _load_engine,
    "tensorrt_rtx": _load_engine,
    "openvino": _load_openvino,
}
