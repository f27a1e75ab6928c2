"""Graphs that TensorRT reads give the very same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="rewriting graphs needs the train extra")

import onnxruntime  # noqa: E402
from onnx import TensorProto, helper  # noqa: E402

from uois_sam_ros.models.portable import constant_value, make_portable  # noqa: E402

ENGINES = Path(__file__).parents[1] / "engines"


def build(nodes, inputs, outputs):
    values = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in side.items()]
              for side in (inputs, outputs)]
    model = helper.make_model(helper.make_graph(nodes, "net", *values), ir_version=10,
                              opset_imports=[helper.make_opsetid("", 18)])
    onnx.checker.check_model(model)
    return model


def constant(name, **value):
    return helper.make_node("Constant", [], [name], **value)


def run(model, **inputs):
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, inputs)


def kinds(model):
    return {node.op_type for node in model.graph.node}


@pytest.mark.parametrize("split", [{"value_ints": [1, 3, 2]}, {"value_int": 2}])
def test_sequences_become_slices(split):
    nodes = [constant("split", **split), helper.make_node("SplitToSequence", ["x", "split"], ["parts"], axis=-1),
             constant("last", value_int=2), constant("first", value_int=0),
             helper.make_node("SequenceAt", ["parts", "last"], ["c"]),
             helper.make_node("SequenceAt", ["parts", "first"], ["a"])]
    model = build(nodes, {"x": [2, 6]}, {"c": [2, "c"], "a": [2, "a"]})
    x = np.arange(12, dtype=np.float32).reshape(2, 6)
    before = run(model, x=x)
    after = run(make_portable(model), x=x)
    assert kinds(model) == {"Constant", "Slice"}
    for old, new in zip(before, after):
        np.testing.assert_array_equal(old, new)


def test_axes_that_are_computed_become_constants():
    nodes = [constant("axis", value_int=1), constant("shape", value_ints=[-1]),
             helper.make_node("Reshape", ["axis", "shape"], ["axes"]),
             helper.make_node("ReduceMean", ["x", "axes"], ["y"], keepdims=0)]
    model = build(nodes, {"x": [2, 3]}, {"y": [2]})
    x = np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32)
    before = run(model, x=x)[0]
    make_portable(model)
    assert sorted(node.op_type for node in model.graph.node) == ["Constant", "ReduceMean"]
    np.testing.assert_array_equal(run(model, x=x)[0], before)


def test_floats_are_never_folded():
    """Folding floats could round otherwise than the run time does."""
    nodes = [constant("a", value_float=0.1), constant("b", value_float=0.2), helper.make_node("Add", ["a", "b"], ["c"]),
             helper.make_node("Mul", ["x", "c"], ["y"])]
    model = make_portable(build(nodes, {"x": [2]}, {"y": [2]}))
    assert "Add" in kinds(model)


@pytest.mark.parametrize(("attribute", "expected"), [
    ({"value_int": 3}, np.int64(3)), ({"value_ints": [1, 2]}, np.array([1, 2])), ({"value_float": 0.5}, np.float32(0.5)),
    ({"value_floats": [0.5]}, np.float32([0.5])),
    ({"value": helper.make_tensor("t", TensorProto.INT32, [1], [4])}, np.int32([4]))])
def test_every_way_to_write_a_constant(attribute, expected):
    value = constant_value(constant("c", **attribute))
    assert value.dtype == expected.dtype and np.array_equal(value, expected)


@pytest.mark.parametrize("path", sorted(ENGINES.glob("*.onnx")), ids=lambda path: path.stem)
def test_shipped_files_are_portable(path):
    model = onnx.load(path)
    assert not kinds(model) & {"SplitToSequence", "SequenceAt"}
    assert model.ir_version <= 10 and model.opset_import[0].version == 18
    assert len(make_portable(onnx.load(path)).graph.node) == len(model.graph.node)
