"""The decoder stage: batches, inputs by the model's spec, no prompts, refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from uois_sam_ros.config import DecodingConfig
from uois_sam_ros.decoding import Decoder
from uois_sam_ros.errors import ModelError
from uois_sam_ros.models.spec import COMPACT_DECODER, TensorSpec
from uois_sam_ros.types import Features, Grid, Prompts

GRID = Grid((64, 96), (32, 48), (32, 48))
MAPS = {name: np.zeros(1, np.float32) for name in ("pixel", "middle", "context", "foreground", "heatmap")}


class Echo:
    """Writes each prompt's x into its outputs, so that the order can be checked."""

    spec = COMPACT_DECODER
    metadata: dict = {}

    def __init__(self, hw=(32, 48)):
        self.calls, self.hw = [], hw

    def run(self, inputs):
        self.calls.append(inputs)
        x = inputs["points"][:, 0]
        ones = np.ones((len(x), 3), np.float32) * x[:, None]
        return {"low_res_masks": np.ones((len(x), 3) + self.hw, np.float32) * x[:, None, None, None],
                "iou_predictions": ones, "mask_tokens": ones[..., None], "iou_token": ones}


def prompts(count):
    points = np.stack([np.arange(count), np.arange(count)], axis=1).astype(np.float32)
    return Prompts(points, np.ones(count, np.float32))


@pytest.mark.parametrize("count, batch, sizes", [
    (5, 32, [5]),          # one run
    (32, 32, [32]),        # exactly full
    (35, 32, [18, 17]),    # evenly, not 32 and 3
    (7, 2, [2, 2, 2, 1]),
    (1, 1, [1]),
])
def test_batches_keep_the_order(count, batch, sizes):
    model = Echo()
    result = Decoder(DecodingConfig(batch=batch), model)(Features(GRID, MAPS), prompts(count))
    assert [len(call["points"]) for call in model.calls] == sizes
    assert result.low_res_masks.shape == (count, 3, 32, 48)
    for values in (result.low_res_masks[:, 0, 0, 0], result.iou_predictions[:, 1], result.iou_token[:, 0],
                   result.mask_tokens[:, 0, 0], result.points_px[:, 0], result.scores[:, 2]):
        np.testing.assert_array_equal(values, np.arange(count))


def test_inputs_are_those_of_the_spec():
    model = Echo()
    model.spec = replace(COMPACT_DECODER, inputs=(TensorSpec("pixel", (1,)), TensorSpec("points", ("M", 2))))
    Decoder(DecodingConfig(), model)(Features(GRID, MAPS), prompts(2))
    assert set(model.calls[0]) == {"pixel", "points"}
    assert model.calls[0]["pixel"] is MAPS["pixel"]
    assert model.calls[0]["points"].dtype == np.float32


def test_no_prompts_do_not_run_the_model():
    model = Echo()
    result = Decoder(DecodingConfig(), model)(Features(GRID, {}), prompts(0))
    assert model.calls == [] and len(result) == 0
    assert result.low_res_masks.shape[2:] == (32, 48) and result.points_px.shape == (0, 2)


def test_missing_feature_map_is_named():
    with pytest.raises(ModelError, match="compact_decoder.*made no middle"):
        Decoder(DecodingConfig(), Echo())(
            Features(GRID, {k: v for k, v in MAPS.items() if k != "middle"}), prompts(2))


def test_masks_off_the_working_grid_are_refused():
    with pytest.raises(ModelError, match=r"expected masks of \(32, 48\).*got \(16, 24\)"):
        Decoder(DecodingConfig(), Echo((16, 24)))(Features(GRID, MAPS), prompts(2))


def test_square_masks_are_cut_to_the_grid_from_the_top_left():
    model = Echo((48, 48))
    whole = model.run
    model.run = lambda inputs: {**whole(inputs), "low_res_masks": np.tile(
        np.arange(48 * 48, dtype=np.float32).reshape(48, 48), (len(inputs["points"]), 4, 1, 1))}
    result = Decoder(DecodingConfig(), model)(Features(GRID, MAPS), prompts(3))
    assert result.low_res_masks.shape == (3, 4, 32, 48)
    np.testing.assert_array_equal(result.low_res_masks[2, 3], np.arange(32 * 48).reshape(32, 48))


@pytest.mark.parametrize("sides", [(64, 96), (96, 96), (32, 32), (48, 32)])
def test_masks_of_another_grid_are_refused(sides):
    with pytest.raises(ModelError, match=r"expected masks of \(32, 48\)"):
        Decoder(DecodingConfig(), Echo(sides))(Features(GRID, MAPS), prompts(2))
