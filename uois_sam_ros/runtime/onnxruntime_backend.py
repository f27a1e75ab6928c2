"""ONNX Runtime: the default backend. Runs on the providers it was told to, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..config import RuntimeConfig
from ..errors import BackendError, ModelError
from ..models.spec import ModelSpec
from .base import check_inputs, thread_count
from .engine_store import EngineStore, default_cache

CPU = "CPUExecutionProvider"
#: Package that brings a provider, for the error message.
PROVIDER_PACKAGES = {
    "CUDAExecutionProvider": "pip install onnxruntime-gpu",
    "TensorrtExecutionProvider": "pip install onnxruntime-gpu, and TensorRT",
    "OpenVINOExecutionProvider": "pip install onnxruntime-openvino",
    "DmlExecutionProvider": "pip install onnxruntime-directml",
    "ROCMExecutionProvider": "pip install onnxruntime-rocm",
}


class OnnxRuntimeModel:
    """An ONNX file in an inference session; see ``base.Model``.

    Args:
        spec: what the file must contain.
        path: an ONNX file whose checksum has been verified.
        config: providers and threads.
        metadata: kept as it is.

    Raises:
        BackendError: ONNX Runtime or one of the providers is not there or does not start.
        ModelError: the file cannot be loaded, or its tensors are not those of ``spec``.
    """

    def __init__(self, spec: ModelSpec, path: str | Path, config: RuntimeConfig,
                 metadata: Mapping[str, Any] | None = None) -> None:
        self.spec = spec
        self.metadata: Mapping[str, Any] = metadata or {}
        self._session = _open_session(Path(path), config)
        _check_names(spec, Path(path), self._session)

    @property
    def providers(self) -> tuple[str, ...]:
        """The providers in use, in order of preference."""
        return tuple(self._session.get_providers())

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run once; see ``base.Model.run``."""
        check_inputs(self.spec, inputs)
        try:
            outputs = self._session.run(self.spec.output_names, dict(inputs))
        except Exception as error:  # ORT raises its own exception types, one a status code
            raise BackendError(f"{self.spec.name}: expected ONNX Runtime to run it, got: "
                               f"{_first_line(error)}") from error
        return dict(zip(self.spec.output_names, outputs))


def _open_session(path: Path, config: RuntimeConfig) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendError(f"backend onnxruntime: expected the onnxruntime package, got: {error}; "
                           "pip install onnxruntime") from error
    _check_providers(config.providers, onnxruntime.get_available_providers())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_count(config.threads)
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3  # failures raise; warnings would go to the user's terminal
    # Each network has its own pool: an idle pool must not spin on cores that the next one needs.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if CPU not in config.providers:  # else ONNX Runtime would quietly run operators there
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=_with_options(config))
    except Exception as error:
        raise ModelError(f"model file {path}: expected an ONNX model that ONNX Runtime "
                         f"{onnxruntime.__version__} loads on {', '.join(config.providers)}, got: "
                         f"{_first_line(error)}; install the package again, upgrade onnxruntime, or, for an operator "
                         f"that this provider does not know, add {CPU} to the providers") from error
    session.disable_fallback()
    dropped = [name for name in config.providers if name not in session.get_providers()]
    if dropped:
        raise BackendError(f"provider {', '.join(dropped)}: expected it to start, but only "
                           f"{', '.join(session.get_providers())} did; check its driver and "
                           "libraries, or configure providers that work")
    return session


def _with_options(config: RuntimeConfig) -> list[Any]:
    """Return the providers with the GPU to use, and for TensorRT a folder that keeps what it builds."""
    result: list[Any] = []
    for name in config.providers:
        options = {}
        if name in ("CUDAExecutionProvider", "TensorrtExecutionProvider", "ROCMExecutionProvider"):
            options["device_id"] = str(config.device)
        if name == "TensorrtExecutionProvider":
            store = EngineStore(Path(config.cache) / "onnxruntime" if config.cache else default_cache() / "onnxruntime")
            store.prepare()
            options.update(trt_engine_cache_enable="1", trt_engine_cache_path=str(store.folder),
                           trt_timing_cache_enable="1", trt_timing_cache_path=str(store.folder))
        result.append((name, options) if options else name)
    return result


def _check_providers(wanted: tuple[str, ...], installed: list[str]) -> None:
    if not wanted:
        raise BackendError("providers: expected at least one ONNX Runtime provider, got none; "
                           f"installed are {', '.join(installed)}")
    for name in wanted:
        if name not in installed:
            remedy = PROVIDER_PACKAGES.get(name, "check the spelling")
            raise BackendError(f"provider: expected one of those installed "
                               f"({', '.join(installed)}), got '{name}'; to get it: {remedy}")


def _check_names(spec: ModelSpec, path: Path, session: Any) -> None:
    for what, expected, got in (
            ("inputs", spec.input_names, {tensor.name for tensor in session.get_inputs()}),
            ("outputs", spec.output_names, {tensor.name for tensor in session.get_outputs()})):
        if set(expected) != got:
            raise ModelError(f"model file {path}: expected the {what} {', '.join(expected)} of "
                             f"{spec.name}, got {', '.join(sorted(got))}; the file belongs to "
                             "another network or version: export it again")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
