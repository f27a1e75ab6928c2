"""Rewrite what the exporter leaves in a graph and TensorRT does not read; every result stays bit for bit the same.

* Integers that are known beforehand (axes, sizes) become constants.
* Splitting into a sequence and picking from it becomes slicing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

#: Constants with more values are not worth folding.
LARGEST = 4096


def make_portable(model: Any) -> Any:
    """Rewrite an ``onnx.ModelProto`` in place and return it."""
    import onnx

    known = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer
             if np.prod(tensor.dims) <= LARGEST}
    nodes = _slice_sequences(_fold_integers(list(model.graph.node), known, _opset(model)), known)
    nodes = _drop_unread(nodes, {output.name for output in model.graph.output})
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _opset(model: Any) -> int:
    return next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))


def _fold_integers(nodes: list[Any], known: dict[str, np.ndarray], opset: int) -> list[Any]:
    """Replace nodes that make integers from constants; ``known`` gains every constant's value."""
    import onnx

    kept = []
    for node in nodes:
        if node.op_type == "Constant":
            known[node.output[0]] = constant_value(node)
        elif (len(node.output) == 1 and node.input and not any(attribute.HasField("g") for attribute in node.attribute)
              and all(not name or name in known for name in node.input)):
            value = _evaluate(node, known, opset)
            if value.dtype in (np.int64, np.int32, np.bool_) and value.size <= LARGEST:
                known[node.output[0]] = value
                node = onnx.helper.make_node("Constant", [], [node.output[0]], name=node.name,
                                             value=onnx.numpy_helper.from_array(value))
        kept.append(node)
    return kept


def constant_value(node: Any) -> np.ndarray:
    """Return the value of a Constant node, whichever attribute holds it."""
    import onnx

    value = onnx.helper.get_attribute_value(node.attribute[0])
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value)
    kind = np.float32 if node.attribute[0].name in ("value_float", "value_floats") else np.int64
    return np.asarray(value, kind)


def _evaluate(node: Any, known: dict[str, np.ndarray], opset: int) -> np.ndarray:
    import onnx
    from onnx.reference import ReferenceEvaluator

    names = list(dict.fromkeys(name for name in node.input if name))
    inputs = [onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(known[name].dtype), None)
              for name in names]
    graph = onnx.helper.make_graph([node], "one", inputs, [onnx.ValueInfoProto(name=node.output[0])])
    one = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    return np.asarray(ReferenceEvaluator(one).run(None, {name: known[name] for name in names})[0])


def _slice_sequences(nodes: list[Any], known: dict[str, np.ndarray]) -> list[Any]:
    """Replace SplitToSequence and the SequenceAt that read it by Slice."""
    import onnx

    splits = {node.output[0]: node for node in nodes if node.op_type == "SplitToSequence"}
    kept = []
    for node in nodes:
        if node.op_type != "SequenceAt" or node.input[0] not in splits:
            kept.append(node)
            continue
        split = splits[node.input[0]]
        axis = next((entry.i for entry in split.attribute if entry.name == "axis"), 0)
        sizes, index = known[split.input[1]], int(known[node.input[1]])
        start = int(sizes[:index].sum()) if sizes.ndim else index * int(sizes)
        stop = start + int(sizes[index] if sizes.ndim else sizes)
        names = []
        for role, value in (("start", start), ("stop", stop), ("axis", axis)):
            names.append(f"{node.output[0]}_{role}")
            kept.append(onnx.helper.make_node(
                "Constant", [], names[-1:], value=onnx.numpy_helper.from_array(np.array([value], np.int64))))
        kept.append(onnx.helper.make_node("Slice", [split.input[0], *names], list(node.output), name=node.name))
    return kept


def _drop_unread(nodes: list[Any], outputs: set[str]) -> list[Any]:
    """Leave out nodes whose results nobody reads."""
    read, kept = set(outputs), []
    for node in reversed(nodes):
        if read.intersection(node.output):
            read.update(node.input)
            for attribute in node.attribute:  # what a subgraph reads from around it
                read.update(name for inner in attribute.g.node for name in inner.input)
            kept.append(node)
    return kept[::-1]
