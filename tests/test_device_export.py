"""The device stages as ONNX graphs: the same results under ONNX Runtime as in torch, and no operator TensorRT lacks."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the device path needs the train extra")
onnx = pytest.importorskip("onnx", reason="export needs the train extra")
pytest.importorskip("onnxscript", reason="export needs the train extra")
pytest.importorskip("onnxruntime")

from devicerig import run_exported  # noqa: E402
from exportable import STAGES  # noqa: E402
from test_device_selection import GRID  # noqa: E402

from uois_sam_ros.config import RescoringConfig  # noqa: E402
from uois_sam_ros.device.graphs import RescoringGraph  # noqa: E402
from uois_sam_ros.errors import ConfigError  # noqa: E402

#: The most that TensorRT sorts.
TOP_K = 3840
#: Results that are sums of fractions; all others are equal.
ROUNDED = ("points_px", "scores", "foreground_work", "heatmap_work")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Stage -> results of torch and of ONNX Runtime by name, and the graph's nodes and constants."""
    made = {}

    def of(name):
        if name not in made:
            stage, inputs = STAGES[name]()
            folder = tmp_path_factory.mktemp(name)
            with torch.inference_mode():
                expected = dict(zip(stage.output_names, [value.numpy() for value in stage(*inputs.values())]))
            made[name] = expected, run_exported(name, stage, inputs, stage.output_names, folder), onnx.load(
                folder / f"{name}.onnx").graph
        return made[name]

    return of


@pytest.mark.parametrize("name", STAGES)
def test_results_are_torchs(exported, name):
    expected, found, _ = exported(name)
    for key, value in expected.items():
        if key in ROUNDED:
            np.testing.assert_allclose(found[key], value, atol=1e-5, err_msg=key)
        else:
            np.testing.assert_array_equal(found[key], value, err_msg=key)


@pytest.mark.parametrize("name", STAGES)
def test_nothing_that_tensorrt_lacks(exported, name):
    """No scatter that reduces, no types of 64-bit fractions or 16-bit numbers, no loops, no long sorting."""
    _, _, graph = exported(name)
    types = {tensor.type.tensor_type.elem_type for tensor in (*graph.value_info, *graph.input, *graph.output)}
    types |= {tensor.data_type for tensor in graph.initializer}
    known = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        given = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
        if node.op_type == "Cast":
            types.add(given["to"])
        if node.op_type == "Constant":
            known[node.output[0]] = onnx.numpy_helper.to_array(given["value"]) if "value" in given else None
        assert not node.op_type.startswith("Scatter") and node.op_type not in ("Loop", "If", "NonZero"), node.op_type
        if node.op_type == "TopK":
            assert known[node.input[1]].max() <= TOP_K
    assert not types & {onnx.TensorProto.DOUBLE, onnx.TensorProto.INT16, onnx.TensorProto.UINT16}


def test_stages_decide_something(exported):
    """The inputs are no empty ones."""
    assert exported("prompting")[0]["valid"].sum() > 20
    assert np.ptp(exported("rescoring")[0]["scores"]) > 1.5  # from -1 without a prompt
    *_, chosen, _, settled = exported("election")[0].values()
    assert settled and 2 < chosen.sum() < chosen.size
    label = exported("painting")[0]["label"]
    assert len(np.unique(label)) > 3 and exported("painting")[0]["settled"]


def test_the_depth_term_is_refused():
    with pytest.raises(ConfigError, match="depth_weight: expected 0 for an exported stage, got 0.5"):
        RescoringGraph(RescoringConfig(strategy="decoder", depth_weight=0.5), GRID)
