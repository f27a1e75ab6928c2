"""fp16 and int8 files: close to the original, delicate parts in fp32, readable everywhere; and who is to blame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="export needs the train extra")

import onnxruntime  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from uois_sam_ros.errors import BackendError, ModelError  # noqa: E402
from uois_sam_ros.models.blocks import first_stray  # noqa: E402
from uois_sam_ros.models.half import FULL_PRECISION, to_half  # noqa: E402
from uois_sam_ros.models.precision import load_portable, save, to_int8  # noqa: E402

ENGINES = Path(__file__).parents[1] / "engines"
shipped = pytest.mark.skipif(not (ENGINES / "compact_encoder.onnx").exists(), reason="engines/ holds no models")


def run(path, inputs):
    content = path.SerializeToString() if isinstance(path, onnx.ModelProto) else str(path)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs)))


@pytest.fixture(scope="module")
def inputs():
    """What the encoder and the decoder are given on a generated scene, by network."""
    from uois_sam_ros.config import preset
    from uois_sam_ros.engines.parity import record_inputs
    from uois_sam_ros.example import box_scene

    return {name: given[0] for name, given in record_inputs(preset("compact"), "", [box_scene(320, 240)[0]]).items()}


def types(model):
    inferred = onnx.shape_inference.infer_shapes(model).graph
    values = (*inferred.value_info, *inferred.input, *inferred.output)
    return {value.name: value.type.tensor_type.elem_type for value in values} | {
        tensor.name: tensor.data_type for tensor in inferred.initializer}


@shipped
@pytest.mark.parametrize("name", ["compact_encoder", "compact_decoder", "compact_hdnet"])
def test_half_is_close_and_delicate_parts_are_not_half(name, inputs, tmp_path):
    half = to_half(load_portable(ENGINES / f"{name}.onnx"))
    assert save(half, tmp_path / "half.onnx") == ""
    known = types(half)
    made = {node.op_type: known.get(node.output[0]) for node in half.graph.node}
    assert made.get("Conv", made.get("MatMul")) == TensorProto.FLOAT16
    for node in half.graph.node:
        if node.op_type in FULL_PRECISION:
            floats = {known[each] for each in (*node.input, *node.output) if each in known} - {TensorProto.INT64}
            assert floats <= {TensorProto.FLOAT}, f"{node.op_type} {node.name}"
    for value in (*half.graph.input, *half.graph.output):
        assert value.type.tensor_type.elem_type == TensorProto.FLOAT, value.name
    expected, got = run(ENGINES / f"{name}.onnx", inputs[name]), run(tmp_path / "half.onnx", inputs[name])
    for output, array in expected.items():
        assert got[output].dtype == np.float32
        error = np.abs(got[output] - array).max() / np.abs(array).max()
        assert error < 1e-2, f"{output}: {error:g}"


def chain(*nodes, weights=(), where="points"):
    model = helper.make_model(helper.make_graph(
        list(nodes), "net", [helper.make_tensor_value_info(where, TensorProto.FLOAT, ["M", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["M", 4])],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in weights]),
        opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return model


NODE = helper.make_node


def test_positions_keep_their_fractions():
    """1000.25 is no fp16 number, but the difference of two positions is one."""
    model = chain(NODE("Sub", ["points", "origin"], ["offset"]), NODE("Relu", ["offset"], ["y"]),
                  weights=[("origin", [1000.0, 1000, 1000, 1000])])
    half = to_half(model)
    assert not [node for node in half.graph.node if node.op_type == "Cast"]
    points = np.float32([[1000.25, 1001, 1000, 1000]])
    np.testing.assert_array_equal(run(half, {"points": points})["y"], [[0.25, 1, 0, 0]])


def test_ranges_are_positions_too():
    model = chain(NODE("Range", ["start", "limit", "step"], ["steps"]), NODE("Add", ["points", "steps"], ["y"]),
                  weights=[("start", 0.0), ("limit", 4.0), ("step", 1.0)], where="points")
    points = np.float32([[2049] * 4])
    np.testing.assert_array_equal(run(to_half(model), {"points": points})["y"], [[2049, 2050, 2051, 2052]])


def test_features_become_half():
    def model():
        return chain(NODE("Add", ["features", "one"], ["sum"]), NODE("Softmax", ["sum"], ["share"]),
                     NODE("Mul", ["share", "sum"], ["y"]), weights=[("one", [1.0, 1, 1, 1])], where="features")

    half = to_half(model())
    known = types(half)
    assert [known[name] for name in ("sum", "share", "y")] == [TensorProto.FLOAT16, *[TensorProto.FLOAT] * 2]
    given = {"features": np.float32([[0.1, 0.2, 0.3, 4.0]])}
    np.testing.assert_allclose(run(half, given)["y"], run(model(), given)["y"], atol=3e-3)


def test_weights_beyond_fp16_are_refused():
    model = chain(NODE("Add", ["features", "big"], ["y"]), weights=[("big", [1e6, 1, 1, 1])], where="features")
    with pytest.raises(ModelError, match="fp16: expected weights up to 65504, got 1e.06 in 'big'; use --precision"):
        to_half(model)


def test_branches_are_refused():
    inner = helper.make_graph([NODE("Relu", ["features"], ["z"])], "then", [],
                              [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)])
    model = chain(NODE("Relu", ["features"], ["y"]), where="features")
    model.graph.node.append(NODE("If", ["c"], ["unused"], then_branch=inner, else_branch=inner, name="fork"))
    with pytest.raises(ModelError, match="fp16: expected a graph without branches, got If 'fork'"):
        to_half(model)


@shipped
@pytest.mark.parametrize("target", ["processor", "tensorrt"])
def test_int8_has_pairs_and_spares_the_last_layers(inputs, tmp_path, target):
    path = tmp_path / "int8.onnx"
    to_int8(load_portable(ENGINES / "compact_encoder.onnx"), path, [inputs["compact_encoder"]], target)
    model = onnx.load(path)
    onnx.checker.check_model(model)
    assert model.ir_version <= 10 and [entry.version for entry in model.opset_import if not entry.domain] == [18]
    assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"}, "TensorRT knows no other"
    makers = {name: node for node in model.graph.node for name in node.output}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    quantised = [node for node in convolutions if node.input[1] in makers]  # its weights come from a pair
    assert 20 < len(quantised) < len(convolutions)
    zero_points = [numpy_helper.to_array(tensor) for tensor in model.graph.initializer if "zero_point" in tensor.name]
    symmetric = not any(values.any() for values in zero_points)
    assert zero_points and symmetric == (target == "tensorrt"), "TensorRT knows no zero points, processors gain by them"
    biases = [node for node in quantised if makers.get(node.input[2]) is not None]
    assert bool(biases) == (target == "processor"), "TensorRT reads no 32-bit biases"
    expected, got = (run(file, inputs["compact_encoder"]) for file in (ENGINES / "compact_encoder.onnx", path))
    assert np.abs(got["heatmap"] - expected["heatmap"]).mean() < 0.01
    assert path.stat().st_size < (ENGINES / "compact_encoder.onnx").stat().st_size


def test_int8_needs_something_to_calibrate_with(tmp_path):
    with pytest.raises(ModelError, match="int8 net: expected inputs of calibration frames, got none"):
        to_int8(chain(NODE("Relu", ["features"], ["y"]), where="features"), tmp_path / "net.onnx", [])


def test_file_that_is_no_model(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"nothing of the kind")
    with pytest.raises(ModelError, match="expected an ONNX model, got"):
        load_portable(tmp_path / "net.onnx")


def test_large_weights_go_beside_the_file(tmp_path, monkeypatch):
    model = chain(NODE("Add", ["features", "one"], ["y"]), weights=[("one", np.ones(4))], where="features")
    monkeypatch.setattr("uois_sam_ros.models.precision.ONE_FILE_BYTES", 4)
    assert save(model, tmp_path / "net.onnx") == "net.onnx.data"
    assert run(tmp_path / "net.onnx", {"features": np.float32([[1, 2, 3, 4]])})["y"].tolist() == [[2, 3, 4, 5]]


def layers(spoilt=None):
    weights = {name: np.eye(4) for name in ("a", "b", "c")}
    if spoilt:
        weights[spoilt] = weights[spoilt] * 1.5
    return chain(NODE("MatMul", ["features", "a"], ["first"], name="block_1"),
                 NODE("MatMul", ["first", "b"], ["second"], name="block_2"),
                 NODE("MatMul", ["second", "c"], ["y"], name="block_3"), weights=weights.items(), where="features")


@pytest.mark.parametrize(("spoilt", "words"), [
    ("a", "MatMul 'block_1', off by 50 %"), ("b", "MatMul 'block_2', off by 50 %"),
    ("c", "MatMul 'block_3', off by 50 %"), (None, "MatMul 'block_1', off by 0 %")])
def test_the_block_that_strays_is_named(tmp_path, spoilt, words):
    onnx.save(layers(), tmp_path / "original.onnx")
    onnx.save(layers(spoilt), tmp_path / "variant.onnx")
    given = {"features": np.float32([[1, 2, 3, 4]])}
    assert first_stray(tmp_path / "variant.onnx", tmp_path / "original.onnx", given) == words


def test_overflow_is_named(tmp_path):
    onnx.save(layers(), tmp_path / "original.onnx")
    onnx.save(to_half(layers()), tmp_path / "variant.onnx")
    given = {"features": np.float32([[7e4, 2, 3, 4]])}
    assert "not finite" in first_stray(tmp_path / "variant.onnx", tmp_path / "original.onnx", given)


def test_block_of_a_file_that_does_not_run(tmp_path):
    onnx.save(layers(), tmp_path / "original.onnx")
    with pytest.raises(BackendError, match="worst block: expected ONNX Runtime to run the file"):
        first_stray(tmp_path / "original.onnx", tmp_path / "original.onnx", {"features": np.zeros((1, 7), np.float32)})
