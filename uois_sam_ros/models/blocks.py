"""Where a variant of an ONNX file strays from the original: operator by operator on ONNX Runtime, CPU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ..errors import BackendError

#: Relative error (largest difference over largest value) from which a value has strayed.
STRAY = 0.05


def first_stray(variant: str | Path, reference: str | Path, inputs: Mapping[str, np.ndarray]) -> str:
    """Return "operator 'name', off by 12 %" for the first value that strays, else for the one that is off most.

    Both files must call their values alike, as the variants of ``precision.py`` do.

    Raises:
        BackendError: ONNX Runtime cannot run one of the files.
    """
    models = [onnx.load(str(path)) for path in (variant, reference)]
    floats = [_float_values(model) for model in models]
    names = [name for name in floats[0] if name in floats[1]]
    ours, theirs = (_run(model, names, inputs) for model in models)
    makers = {name: node for node in models[0].graph.node for name in node.output}
    errors = {name: _error(ours[name], theirs[name]) for name in names}
    if not errors:
        return ""
    worst = next((name for name in names if not errors[name] <= STRAY), max(errors, key=errors.__getitem__))
    amount = "not finite" if not np.isfinite(errors[worst]) else f"off by {100 * errors[worst]:.2g} %"
    return f"{makers[worst].op_type} '{makers[worst].name or worst}', {amount}"


def _float_values(model: Any) -> list[str]:
    """Return the names of float values that operators make, in order."""
    kinds = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    inferred = onnx.shape_inference.infer_shapes(model).graph
    known = {value.name for value in (*inferred.value_info, *inferred.output)
             if value.type.tensor_type.elem_type in kinds}
    return [name for node in model.graph.node for name in node.output
            if name in known and node.op_type not in ("Constant", "Cast", "QuantizeLinear", "DequantizeLinear")]


def _run(model: Any, names: list[str], inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Run a model and return the named values."""
    import onnxruntime

    there = {output.name for output in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in there)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return dict(zip(names, session.run(names, dict(inputs))))
    except Exception as error:  # ORT raises its own types; protobuf refuses files over 2 GB
        raise BackendError(f"worst block: expected ONNX Runtime to run the file, got: {error}") from error


def _error(ours: np.ndarray, theirs: np.ndarray) -> float:
    ours, theirs = ours.astype(np.float32), theirs.astype(np.float32)
    if ours.shape != theirs.shape or not ours.size or not np.isfinite(ours).all():
        return float("inf") if ours.size else 0.0
    return float(np.abs(ours - theirs).max() / max(float(np.abs(theirs).max()), 1e-6))
