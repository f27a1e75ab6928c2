"""An fp32 ONNX graph in fp16, with delicate operators, positions, inputs and outputs in fp32.

Positions are what comes from point prompts, ranges and sizes alone: fp16 knows quarters of a pixel beyond 256.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ModelError
from .portable import constant_value
from .spec import POINTS

#: Stay fp32: sums over many values and what follows them, where SAM-like encoders overflow or lose everything (layer
#: norms, also when written out as mean, power and root; softmax), sampling at positions, and scales.
FULL_PRECISION = frozenset((
    "LayerNormalization", "InstanceNormalization", "GroupNormalization", "BatchNormalization", "Softmax", "LogSoftmax",
    "ReduceMean", "ReduceSum", "Pow", "Sqrt", "Exp", "Log", "Reciprocal", "Sin", "Cos", "CumSum", "GridSample",
    "Resize", "Range", "ConstantOfShape"))
#: Largest magnitude that fp16 holds.
HALF_MAX = 65504.0


def to_half(model: Any) -> Any:
    """Rewrite an ``onnx.ModelProto`` in place and return it.

    Raises:
        ModelError: a weight that fp16 cannot hold, or operators with graphs inside.
    """
    return _Halver(model).rewrite()


class _Halver:
    """Gives every value of the graph one type and casts where a reader wants the other."""

    def __init__(self, model: Any) -> None:
        import onnx

        self._onnx = onnx
        self._model = model
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
        kind = onnx.TensorProto.FLOAT
        self._float = {value.name for value in (*inferred.value_info, *inferred.input, *inferred.output)
                       if value.type.tensor_type.elem_type == kind}
        self._weights = {tensor.name: tensor for tensor in model.graph.initializer if tensor.data_type == kind}
        self._float |= set(self._weights)
        self._half: set[str] = set()  # values that are fp16 now, under their old name
        self._positions = {POINTS.name}
        self._made: dict[tuple[str, bool], str] = {}  # (value, wants half) -> name in that type
        self._nodes: list[Any] = []
        self._halved: list[Any] = []

    def rewrite(self) -> Any:
        graph = self._model.graph
        outputs = {output.name for output in graph.output}
        for node in list(graph.node):
            if any(attribute.HasField("g") for attribute in node.attribute):
                raise ModelError(f"fp16: expected a graph without branches, got {node.op_type} '{node.name}'; use "
                                 "--precision fp32")
            self._convert(node, outputs)
        used = {name for node in self._nodes for name in node.input}
        kept = [tensor for tensor in graph.initializer if tensor.name in used]
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(self._nodes)
        graph.initializer.extend([*kept, *self._halved])
        return self._model

    def _convert(self, node: Any, outputs: set[str]) -> None:
        if node.op_type == "Constant" and node.output[0] in self._float:
            self._constant(node)
            return
        half = node.op_type not in FULL_PRECISION and any(name in self._float for name in (*node.input, *node.output))
        if self._is_position(node):
            self._positions.update(node.output)
            half = False
        for place, name in enumerate(node.input):
            if name in self._float:
                node.input[place] = self._as(name, half)
        for attribute in node.attribute if half and node.op_type == "Cast" else ():
            if attribute.name == "to" and attribute.i == self._onnx.TensorProto.FLOAT:
                attribute.i = self._onnx.TensorProto.FLOAT16
        self._nodes.append(node)
        if not half:
            return
        for place, name in enumerate(node.output):
            if name in outputs and name in self._float:  # outputs of the graph stay fp32
                node.output[place] = f"{name}_fp16"
                self._made[name, True] = node.output[place]
                self._cast(node.output[place], name, False)
            elif name in self._float:
                self._half.add(name)

    def _is_position(self, node: Any) -> bool:
        """Return whether floats come from positions, or from integers, and from nothing else."""
        sources = node.input[:1] if node.op_type == "CastLike" else node.input  # its second input gives the type only
        floats = [name for name in sources if name in self._float and name not in self._weights]
        if floats:
            return self._positions.issuperset(floats)
        makes_floats = any(name in self._float for name in node.output)
        return bool(sources) and makes_floats and not self._weights.keys() >= set(sources)

    def _constant(self, node: Any) -> None:
        tensor = self._onnx.numpy_helper.from_array(constant_value(node).astype(np.float32), node.output[0])
        self._weights[tensor.name] = tensor
        self._model.graph.initializer.append(tensor)

    def _as(self, name: str, half: bool) -> str:
        """Return the name of a value in fp16 or fp32, making it where it is not there yet."""
        if (name in self._half) == half:
            return name
        if (name, half) not in self._made:
            made = f"{name}_{'fp16' if half else 'fp32'}"
            if name in self._weights:
                values = self._onnx.numpy_helper.to_array(self._weights[name])
                largest = float(np.abs(values[np.isfinite(values)]).max(initial=0))
                if largest > HALF_MAX:
                    raise ModelError(f"fp16: expected weights up to {HALF_MAX:g}, got {largest:g} in '{name}'; use "
                                     "--precision fp32")
                self._halved.append(self._onnx.numpy_helper.from_array(values.astype(np.float16), made))
            else:
                self._cast(name, made, half)
            self._made[name, half] = made
        return self._made[name, half]

    def _cast(self, source: str, target: str, half: bool) -> None:
        kind = self._onnx.TensorProto.FLOAT16 if half else self._onnx.TensorProto.FLOAT
        self._nodes.append(self._onnx.helper.make_node("Cast", [source], [target], to=kind, name=f"{target}_cast"))
