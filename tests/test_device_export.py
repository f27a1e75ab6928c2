"""Election and painting as ONNX graphs: the same results under ONNX Runtime as in torch."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the device path needs the train extra")
pytest.importorskip("onnxscript", reason="export needs the train extra")
onnxruntime = pytest.importorskip("onnxruntime")

from ondevice import device_features, device_masks  # noqa: E402
from test_device_selection import GRID, LOOSE, blobs, depth_scene, picture  # noqa: E402

from uois_sam_ros.config import SelectionConfig  # noqa: E402
from uois_sam_ros.device.paint import make_painter  # noqa: E402
from uois_sam_ros.device.select import DeviceElector  # noqa: E402
from uois_sam_ros.device.types import DeviceFeatures, DeviceGeometry, DeviceMaskSet  # noqa: E402
from uois_sam_ros.models.onnx_file import OPSET  # noqa: E402
from uois_sam_ros.types import Features  # noqa: E402

GEOMETRY = tuple(DeviceGeometry.__dataclass_fields__)
PLACES, PAINTED = 14, 8


class Election(torch.nn.Module):
    """Masks, scores, validity and geometry in; the first places of the rank out."""

    def __init__(self) -> None:
        super().__init__()
        self.elect = DeviceElector(SelectionConfig(score_threshold=0.0))

    def forward(self, masks, scores, valid, *geometry):
        features = DeviceFeatures(GRID, {}, DeviceGeometry(*geometry))
        mask_set = DeviceMaskSet(masks, scores, scores, scores, scores, valid, scores)
        election, settled = self.elect(features, mask_set)
        return (*election.ballots(PAINTED), election.rank, settled)


def both(module, inputs):
    """Return the results of torch and of ONNX Runtime."""
    with torch.inference_mode():
        expected = module(*inputs)
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(module.eval(), inputs, dynamo=True, opset_version=OPSET, optimize=False,
                                        verbose=False)
    finally:
        logging.disable(logging.NOTSET)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), options,
                                           providers=["CPUExecutionProvider"])
    # What no result depends on, such as normals, is an input all the same.
    given = {tensor.name: value.numpy() for tensor, value in zip(session.get_inputs(), inputs, strict=True)}
    return [value.numpy() for value in expected], session.run(None, given)


@pytest.fixture(scope="module")
def election():
    _, geometry = depth_scene(GRID)
    features = device_features([Features(GRID, {}, geometry), Features(GRID, {}, None)], "cpu")
    masks = device_masks([blobs(12, seed=1), blobs(9, seed=2)], PLACES, "cpu")
    inputs = (masks.low_res_masks, masks.scores, masks.valid, *(getattr(features.geometry, name) for name in GEOMETRY))
    return both(Election(), inputs)


def test_election(election):
    expected, found = election
    *_, chosen, rank, settled = expected
    assert settled and 2 < chosen.sum() < chosen.size
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_painting(election):
    ballots = [torch.from_numpy(values) for values in election[0][:5]]
    color = torch.from_numpy(np.stack([picture(GRID.native_hw, seed) for seed in range(2)]))
    expected, found = both(make_painter(LOOSE, GRID), (*ballots, color))
    assert len(np.unique(expected[0])) > 3
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
