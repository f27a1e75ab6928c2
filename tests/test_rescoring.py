"""Refined scores: the decoder's own, HDNet's, and the foreground factor."""

from __future__ import annotations

import numpy as np
import pytest

from uois_sam_ros.config import RescoringConfig
from uois_sam_ros.errors import ConfigError
from uois_sam_ros.models.spec import COMPACT_DECODER, COMPACT_HDNET
from uois_sam_ros.rescoring import make_rescorer
from uois_sam_ros.rescoring.depth import depth_consistency
from uois_sam_ros.rescoring.foreground import mean_foreground
from uois_sam_ros.types import Features, Geometry, Grid, MaskSet, Prompts

GRID = Grid((64, 96), (32, 48), (32, 48))
FEATURES = Features(GRID, {})


class Plus:
    """A rescorer network: IoU plus the first token."""

    spec = COMPACT_HDNET
    metadata: dict = {}

    def run(self, inputs):
        assert set(inputs) == {"mask_tokens", "iou_token", "iou_predictions"}
        return {"scores": inputs["iou_predictions"] + inputs["mask_tokens"][..., 0]}


def mask_set(masks, iou, token=0.1):
    n, h = iou.shape
    return MaskSet(masks, iou, np.full((n, h, 4), token, np.float32), np.zeros((n, 4), np.float32),
                   np.zeros((n, 2), np.float32), iou)


def left_half_and_all():
    """One prompt, hypotheses: left half, everything, nothing."""
    masks = np.full((1, 3, 32, 48), -1, np.float32)
    masks[0, 0, :, :24] = 1
    masks[0, 1] = 1
    return mask_set(masks, np.float32([[0.8, 0.8, 0.8]]))


def prompts(foreground):
    return Prompts(np.zeros((1, 2), np.float32), np.ones(1, np.float32), foreground)


def left_foreground():
    foreground = np.zeros((32, 48), np.float32)
    foreground[:, :24] = 1
    return foreground


def test_decoder_score():
    rescore = make_rescorer(RescoringConfig("decoder", foreground_weight=0), None)
    masks = left_half_and_all()
    result = rescore(FEATURES, prompts(left_foreground()), masks)
    np.testing.assert_array_equal(result.scores, masks.iou_predictions)


@pytest.mark.parametrize("weight, expected", [(1.0, 0.9), (0.5, 0.85), (0.0, 0.8)])
def test_hdnet_score(weight, expected):
    rescore = make_rescorer(RescoringConfig("hdnet", hdnet_weight=weight, foreground_weight=0), Plus())
    result = rescore(FEATURES, prompts(None), left_half_and_all())
    np.testing.assert_allclose(result.scores, [[expected] * 3], rtol=1e-6)
    np.testing.assert_allclose(result.iou_predictions, 0.8)  # stays for comparison


def test_scores_stay_in_range():
    rescore = make_rescorer(RescoringConfig("hdnet", hdnet_weight=1.0, foreground_weight=0), Plus())
    masks = left_half_and_all()
    high = rescore(FEATURES, prompts(None), mask_set(masks.low_res_masks, masks.iou_predictions, 5.0))
    low = rescore(FEATURES, prompts(None), mask_set(masks.low_res_masks, masks.iou_predictions, -5.0))
    assert (high.scores == 1).all() and (low.scores == 0).all()


@pytest.mark.parametrize("weight, expected", [
    (1.0, [0.8, 0.4, 0.0]),
    (2.0, [0.8, 0.2, 0.0]),
    (0.0, [0.8, 0.8, 0.8]),
])
def test_foreground_weight(weight, expected):
    rescore = make_rescorer(RescoringConfig("decoder", foreground_weight=weight), None)
    result = rescore(FEATURES, prompts(left_foreground()), left_half_and_all())
    np.testing.assert_allclose(result.scores, [expected], atol=1e-6)
    assert result.scores.dtype == np.float32


def test_no_foreground_map_no_factor():
    rescore = make_rescorer(RescoringConfig("decoder"), None)
    np.testing.assert_allclose(rescore(FEATURES, prompts(None), left_half_and_all()).scores, 0.8)


def test_mean_foreground_sees_masks_smaller_than_its_step():
    masks = np.full((1, 2, 32, 48), -1, np.float32)
    masks[0, 0, 5, 7] = 1   # odd row and column: between the samples
    masks[0, 1, 4, 6] = 1
    foreground = np.zeros((32, 48), np.float32)
    foreground[5, 7], foreground[4, 6] = 0.7, 0.3
    np.testing.assert_allclose(mean_foreground(masks, foreground, (32, 48)), [[0.7, 0.3]])


def test_mean_foreground_ignores_the_padding():
    masks = np.ones((1, 1, 32, 48), np.float32)
    foreground = np.ones((32, 48), np.float32)
    foreground[:, 40:] = 0
    np.testing.assert_allclose(mean_foreground(masks, foreground, (32, 40)), [[1.0]])
    assert mean_foreground(masks, foreground, (32, 48))[0, 0] < 0.9


def test_mean_foreground_is_close_to_the_full_mean():
    rng = np.random.default_rng(0)
    rows, cols = np.mgrid[:240, :320]
    masks = np.stack([30 - np.hypot(cols - x, rows - y) for x, y in rng.uniform(40, 200, (6, 2))])
    masks = masks.reshape(3, 2, 240, 320).astype(np.float32)
    foreground = (0.5 + 0.5 * np.sin(cols / 40) * np.cos(rows / 30)).astype(np.float32)
    exact = [[foreground[mask > 0].mean() for mask in row] for row in masks]
    np.testing.assert_allclose(mean_foreground(masks, foreground, (240, 320)), exact, atol=0.01)


def test_no_masks():
    rescore = make_rescorer(RescoringConfig("hdnet"), Plus())
    nothing = mask_set(np.zeros((0, 1, 32, 48), np.float32), np.zeros((0, 1), np.float32))
    assert len(rescore(FEATURES, prompts(left_foreground()), nothing)) == 0


def test_hdnet_without_model_is_refused():
    with pytest.raises(ConfigError, match="rescoring.strategy.*got none.*'decoder'"):
        make_rescorer(RescoringConfig("hdnet"), None)


def test_another_network_is_no_rescorer():
    class Decoder(Plus):
        spec = COMPACT_DECODER

    with pytest.raises(ConfigError, match="expected a rescorer such as compact_hdnet, got the decoder compact_decoder"):
        make_rescorer(RescoringConfig(), Decoder())


def stepped(*, valid=True, slope=0.0):
    """A table seen aslant whose right half lies 10 cm deeper."""
    rows, cols = np.mgrid[:32, :48].astype(np.float32)
    z = 1 / (1 - slope * rows) + np.where(cols < 24, 0, 0.1)
    points = np.stack([cols, rows, z], axis=-1).astype(np.float32)
    return Geometry(points, np.full((32, 48), valid), np.zeros((32, 48, 3), np.float32),
                    np.zeros((32, 48), np.float32), None)


@pytest.mark.parametrize("slope", [0.0, 0.02])
def test_a_mask_across_a_depth_step_is_not_one_surface(slope):
    masks = left_half_and_all().low_res_masks
    share = depth_consistency(masks, stepped(slope=slope), (32, 48))
    np.testing.assert_allclose(share, [[1.0, 0.5, 1.0]], atol=0.01)  # an empty mask has no verdict
    assert (depth_consistency(masks, stepped(valid=False), (32, 48)) == 1).all()


def test_the_padding_has_no_surface():
    masks = left_half_and_all().low_res_masks
    np.testing.assert_allclose(depth_consistency(masks, stepped(), (32, 30))[0, 1], 23 / 28, atol=0.01)


@pytest.mark.parametrize("weight, expected", [(0.0, 0.8), (1.0, 0.4), (2.0, 0.2)])
def test_depth_weight(weight, expected):
    rescore = make_rescorer(RescoringConfig("decoder", depth_weight=weight), None)
    result = rescore(Features(GRID, {}, stepped()), prompts(None), left_half_and_all())
    np.testing.assert_allclose(result.scores[0, :2], [0.8, expected], atol=0.01)
    colour_only = rescore(FEATURES, prompts(None), left_half_and_all())
    np.testing.assert_allclose(colour_only.scores, 0.8)
