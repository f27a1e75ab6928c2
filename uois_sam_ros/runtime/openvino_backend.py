"""OpenVINO on the processor: optional, faster than ONNX Runtime on many Intel machines."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..config import RuntimeConfig
from ..errors import BackendError, ModelError
from ..models.spec import ModelSpec
from .base import check_inputs, thread_count


class OpenVinoModel:
    """An ONNX file compiled by OpenVINO for the CPU; see ``base.Model``.

    Numbers stay as wide as the file says: OpenVINO's own switch to bfloat16 is off.

    Args:
        path: an ONNX file whose checksum has been verified.

    Raises:
        BackendError: OpenVINO is not installed.
        ModelError: the file cannot be loaded, or its tensors are not those of ``spec``.
    """

    def __init__(self, spec: ModelSpec, path: str | Path, config: RuntimeConfig,
                 metadata: Mapping[str, Any] | None = None) -> None:
        openvino = _import_openvino()
        self.spec = spec
        self.metadata: Mapping[str, Any] = metadata or {}
        self._lock = threading.Lock()
        options = {"INFERENCE_NUM_THREADS": thread_count(config.threads), "PERFORMANCE_HINT": "LATENCY",
                   "INFERENCE_PRECISION_HINT": "f32"}
        try:
            model = openvino.Core().compile_model(str(path), "CPU", options)
        except Exception as error:  # OpenVINO raises RuntimeError and types of its own
            raise ModelError(f"model file {path}: expected an ONNX model that OpenVINO {openvino.__version__} loads, "
                             f"got: {_first_line(error)}; use --backend onnxruntime") from error
        for what, expected, ports in (("inputs", spec.input_names, model.inputs),
                                      ("outputs", spec.output_names, model.outputs)):
            got = {name for port in ports for name in port.get_names()}
            if not set(expected) <= got or len(ports) != len(expected):
                raise ModelError(f"model file {path}: expected the {what} {', '.join(expected)} of {spec.name}, got "
                                 f"{', '.join(sorted(got))}; the file belongs to another network or version: export it "
                                 "again")
        self._request = model.create_infer_request()

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run once; see ``base.Model.run``."""
        check_inputs(self.spec, inputs)
        with self._lock:
            try:
                self._request.infer({name: np.ascontiguousarray(inputs[name]) for name in self.spec.input_names})
                return {name: self._request.get_tensor(name).data.copy() for name in self.spec.output_names}
            except Exception as error:
                raise BackendError(f"{self.spec.name}: expected OpenVINO to run it, got: "
                                   f"{_first_line(error)}") from error


def _import_openvino() -> Any:
    try:
        import openvino
    except ImportError as error:
        raise BackendError(f"backend openvino: expected the package openvino, got: {error}; pip install openvino"
                           ) from error
    return openvino


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
