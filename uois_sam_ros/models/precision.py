"""Write a network's precision into its ONNX file: fp32, fp16 with delicate parts in fp32, or static int8 (QDQ).

Inputs and outputs stay float32, so that every variant fits the same ``ModelSpec``. Engines of strongly typed networks
take their precision from here; nothing is left to a builder's flags.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError
from .portable import make_portable

#: What int8 pays for.
QUANTIZED = ("Conv", "MatMul", "Gemm")
#: Who runs the file -> operators that are quantised, and whether activations are symmetric. Processors gain only when
#: everything between two convolutions is 8 bit, too, with zero points (measured: 2.2 times as fast, against 1.0 with
#: the other); TensorRT knows no zero points and decides itself what lies between.
TARGETS = {
    "processor": ((*QUANTIZED, "Add", "Relu", "AveragePool", "Concat", "Resize", "DepthToSpace", "Reshape", "Transpose",
                   "Slice"), False),
    "tensorrt": (QUANTIZED, True),
}
#: Larger models keep their weights in a second file: one must stay under 2 GiB.
ONE_FILE_BYTES = 2 * 10 ** 9


def load_portable(path: str | Path, *, widen: bool = True) -> Any:
    """Return the ``onnx.ModelProto`` of a file, portable.

    Args:
        widen: turn weights that are stored as fp16 into fp32.

    Raises:
        ModelError: not an ONNX file.
    """
    import onnx

    try:
        model = onnx.load(str(path))
    except Exception as error:  # protobuf raises types of its own
        raise ModelError(f"model file {path}: expected an ONNX model, got: {error!r}; export it again") from error
    if widen:
        _widen_weights(model)
    return make_portable(model)


def save(model: Any, path: Path) -> str:
    """Write and check a model; return the name of the second file with its weights, "" when one file holds all."""
    import onnx

    beside = Path(f"{path}.data")
    beside.unlink(missing_ok=True)
    large = sum(len(tensor.raw_data) for tensor in model.graph.initializer) > ONE_FILE_BYTES
    onnx.save(model, str(path), save_as_external_data=large, all_tensors_to_one_file=True,
              location=beside.name if large else None)
    onnx.checker.check_model(str(path))
    return beside.name if large else ""


def to_int8(model: Any, path: str | Path, inputs: Sequence[dict[str, np.ndarray]], target: str = "processor") -> None:
    """Write the model to ``path`` with quantise-dequantise pairs; weights are symmetric, a channel at a time.

    Args:
        inputs: what the network is given on the calibration frames.
        target: who will run it, one of ``TARGETS``.

    Raises:
        ModelError: nothing to calibrate with.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    if not inputs:
        raise ModelError(f"int8 {Path(path).stem}: expected inputs of calibration frames, got none")
    operators, symmetric = TARGETS[target]
    with tempfile.TemporaryDirectory() as folder, _quiet():
        plain, ready = Path(folder) / "plain.onnx", Path(folder) / "ready.onnx"
        onnx.save(model, str(plain))
        quant_pre_process(str(plain), str(ready), skip_symbolic_shape=True)
        quantize_static(
            str(ready), str(path), _Reader(inputs), quant_format=QuantFormat.QDQ, per_channel=True,
            op_types_to_quantize=list(operators), weight_type=QuantType.QInt8,
            activation_type=QuantType.QInt8 if symmetric else QuantType.QUInt8,
            calibrate_method=CalibrationMethod.MinMax, calibration_providers=["CPUExecutionProvider"],
            nodes_to_exclude=_delicate(onnx.load(str(ready))),
            extra_options={"ActivationSymmetric": symmetric, "WeightSymmetric": True, "QuantizeBias": not symmetric})


class _Reader:
    """Calibration data, as ONNX Runtime wants it."""

    def __init__(self, inputs: Sequence[dict[str, np.ndarray]]) -> None:
        self._left: Iterator[dict[str, np.ndarray]] = iter(inputs)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._left, None)


def _delicate(model: Any) -> list[str]:
    """Return the names of operators that int8 spoils: the last convolution or product before each output."""
    makers = {name: node for node in model.graph.node for name in node.output}
    found, queue = set(), [output.name for output in model.graph.output]
    while queue:
        node = makers.get(queue.pop())
        if node is None:
            continue
        if node.op_type in QUANTIZED:
            found.add(node.name)
        else:
            queue.extend(node.input)
    return sorted(found)


def _widen_weights(model: Any) -> None:
    """Turn weights that are stored as fp16 behind a Cast into plain fp32 initialisers."""
    import onnx

    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    kept = []
    for node in model.graph.node:
        source = weights.get(node.input[0]) if node.op_type == "Cast" else None
        if source is None or source.data_type != onnx.TensorProto.FLOAT16:
            kept.append(node)
            continue
        values = onnx.numpy_helper.to_array(source).astype(np.float32)
        source.CopyFrom(onnx.numpy_helper.from_array(values, node.output[0]))
    del model.graph.node[:]
    model.graph.node.extend(kept)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the tools' advice and warnings off the terminal."""
    import warnings

    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.root.setLevel(level)
