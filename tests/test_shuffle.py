"""Pixel shuffles in two steps: the same numbers at any size, and nothing left of the slow operators."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="export needs the train extra")
pytest.importorskip("onnxscript", reason="export needs the train extra")
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from uois_sam_ros.models.onnx_file import write_onnx  # noqa: E402
from uois_sam_ros.models.shuffle import UNSHUFFLE  # noqa: E402
from uois_sam_ros.models.spec import ModelSpec, TensorSpec  # noqa: E402


class Shuffle(torch.nn.Module):
    def forward(self, x):
        return F.pixel_shuffle(x, 2) + 1


class Unshuffle(torch.nn.Module):
    def forward(self, x):
        return F.pixel_unshuffle(x, 2) + 1


@pytest.fixture(scope="module", params=[Shuffle, Unshuffle])
def network(request, tmp_path_factory):
    module = request.param()
    spec = ModelSpec("shuffle", "head", (TensorSpec("x", ("N", 8, "h", "w")),),
                     (TensorSpec("y", ("N", "C", "H", "W")),))
    n, h, w = torch.export.Dim("N", max=9), torch.export.Dim("h2", max=50), torch.export.Dim("w2", max=50)
    path = write_onnx(spec, module, (torch.zeros(3, 8, 6, 4),), ({0: n, 2: 2 * h, 3: 2 * w},),
                      tmp_path_factory.mktemp("onnx"))
    return module, path


@pytest.mark.parametrize("shape", [(1, 8, 6, 10), (3, 8, 2, 4), (5, 8, 14, 2)])
def test_equal_to_torch(network, shape):
    module, path = network
    x = torch.arange(float(np.prod(shape))).reshape(shape)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert np.array_equal(session.run(None, {"x": x.numpy()})[0], module(x).numpy())


def test_no_slow_operator_is_left(network, tmp_path):
    """Also not after ONNX Runtime's own optimiser, which merges transposes that follow one another."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(str(network[1]), options, providers=["CPUExecutionProvider"])
    for path in (network[1], options.optimized_model_filepath):
        nodes = onnx.load(path).graph.node
        moves = [list(node.attribute[0].ints) for node in nodes if node.op_type == "Transpose"]
        assert "DepthToSpace" not in {node.op_type for node in nodes}
        assert len(moves) == 2 and UNSHUFFLE not in moves
