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
        BackendError: unknown backend, or its library or provider is not there.
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


#: Backend name -> loader; the names are those of ``RuntimeConfig.backend``.
BACKENDS: dict[str, Callable[[ModelSpec, RuntimeConfig], Model]] = {
    "onnxruntime": _load_onnxruntime,
    "torch": _load_torch,
}
