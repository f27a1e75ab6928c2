"""The Segmenter end to end, with networks made of numpy and, where present, the shipped ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tabletop import BOXES, best_iou, numpy_networks, tabletop

from uois_sam_ros import Segmenter
from uois_sam_ros.config import SegmenterConfig, preset, update
from uois_sam_ros.errors import ConfigError, FrameError, ModelError
from uois_sam_ros.types import Frame, Prompts

MANIFEST = Path(__file__).parents[1] / "engines" / "manifest.json"
STAGES = ["encoding", "prompting", "decoding", "rescoring", "selection", "total"]


def segmenter(**overrides):
    return Segmenter(update(preset("compact"), overrides), numpy_networks())


def check_result(result, frame):
    """What holds for every result."""
    assert result.label.dtype == np.uint16 and result.label.shape == (frame.height, frame.width)
    ids = [item.id for item in result.items]
    assert ids == list(range(1, len(result) + 1)) == sorted(set(np.unique(result.label)) - {0})
    scores = [item.score for item in result.items]
    assert scores == sorted(scores, reverse=True) and all(0 <= s <= 1 for s in scores)
    for item in result.items:
        rows, cols = np.nonzero(result.label == item.id)
        assert item.box_xyxy == (cols.min(), rows.min(), cols.max() + 1, rows.max() + 1)
        assert item.area_px == len(rows)
        np.testing.assert_allclose(item.centroid_px, (cols.mean(), rows.mean()), atol=1e-3)


@pytest.mark.parametrize("height, width", [(480, 640), (240, 320), (270, 480)])
def test_tabletop(height, width):
    frame, truth, _ = tabletop(height=height, width=width)
    result = segmenter().segment(frame)
    check_result(result, frame)
    assert len(result) == len(BOXES) and result.depth_used
    assert min(best_iou(result.label, truth, k) for k in (1, 2, 3)) > 0.8
    assert list(result.timings_ms) == STAGES
    assert result.timings_ms["total"] >= sum(list(result.timings_ms.values())[:-1]) * 0.999
    for item in result.items:
        assert item.valid_depth_ratio == 1.0 and 0.3 < item.centroid_m[2] < 1.2


def test_prompts_from_elsewhere():
    frame, _, _ = tabletop()
    asked = []

    def prompter(features):
        asked.append(features.grid)
        return Prompts(features.grid.to_working(np.float32([[frame.width / 2, frame.height / 2]])),
                       np.ones(1, np.float32))

    stages = Segmenter(preset("compact"), numpy_networks(), prompter=prompter).stages(frame)
    assert asked == [stages.features.grid] and len(stages.mask_set) == 1


def test_stages_show_every_step():
    frame, _, _ = tabletop()
    stages = segmenter().stages(frame)
    assert stages.features.geometry is not None and "foreground" in stages.features.maps
    assert len(stages.prompts) == len(stages.mask_set) >= len(BOXES)
    assert stages.instances.prompts is stages.prompts
    assert stages.mask_set.scores.shape == stages.mask_set.iou_predictions.shape
    assert (stages.mask_set.scores[:, 2] < stages.mask_set.iou_predictions[:, 2] + 1e-6).all()


@pytest.mark.parametrize("strategy", ["grid", "foreground", "hpg"])
def test_every_prompting_strategy_runs(strategy):
    frame, truth, _ = tabletop()
    result = segmenter(prompting={"strategy": strategy, "grid_side": 16}).segment(frame)
    check_result(result, frame)
    assert min(best_iou(result.label, truth, k) for k in (1, 2, 3)) > 0.8


def test_decoder_scores_need_no_rescorer():
    networks = numpy_networks()
    del networks["compact_hdnet"]
    config = update(preset("compact"), {"rescoring": {"strategy": "decoder"}})
    frame, _, _ = tabletop()
    assert len(Segmenter(config, networks).segment(frame)) == len(BOXES)


def test_networks_run_in_batches():
    networks = numpy_networks()
    frame, _, _ = tabletop()
    config = update(preset("compact"), {"decoding": {"batch": 2}})
    result = Segmenter(config, networks).segment(frame)
    sizes = networks["compact_decoder"].batches
    assert len(sizes) > 1 and max(sizes) <= 2 and sum(sizes) == len(result.prompts)


def test_empty_table_has_no_instances():
    frame, _, _ = tabletop(())
    networks = numpy_networks()
    result = Segmenter(preset("compact"), networks).segment(frame)
    check_result(result, frame)
    assert len(result) == 0 and len(result.prompts) == 0
    assert networks["compact_decoder"].batches == []  # zero prompts never reach the decoder


@pytest.mark.parametrize("depth_mode", ["auto", "off"])
def test_colour_only_frames_are_segmented(depth_mode):
    frame, _, _ = tabletop()
    frame = frame if depth_mode == "off" else frame.without_depth()
    result = segmenter(encoding={"depth": depth_mode}).segment(frame)
    check_result(result, frame)
    assert not result.depth_used and all(item.centroid_m is None for item in result.items)


@pytest.mark.parametrize("frame", [
    tabletop()[0].without_depth(),
    Frame(tabletop()[0].color, np.zeros((240, 320), np.float32), tabletop()[0].intrinsics),
])
def test_required_depth_is_required(frame):
    with pytest.raises(FrameError, match="depth = require"):
        segmenter(encoding={"depth": "require"}).segment(frame)


def test_only_frames_are_segmented():
    segmenter = Segmenter.from_preset("geometry")
    with pytest.raises(FrameError, match="expected a Frame, got ndarray"):
        segmenter.segment(np.zeros((48, 64, 3), np.uint8))


def test_segmenting_is_deterministic_and_leaves_the_frame_alone():
    frame, _, _ = tabletop(noise_m=0.002)
    color, depth = frame.color.copy(), frame.depth_m.copy()
    one = segmenter()
    np.testing.assert_array_equal(one.segment(frame).label, one.segment(frame).label)
    np.testing.assert_array_equal(frame.color, color)
    np.testing.assert_array_equal(frame.depth_m, depth)


def test_broken_depth_values_do_no_harm():
    frame, truth, _ = tabletop()
    depth = frame.depth_m.copy()
    depth[::7, ::5] = np.nan
    depth[::5, ::7] = np.inf
    depth[::11, ::11] = 0
    result = segmenter().segment(Frame(frame.color, depth, frame.intrinsics))
    check_result(result, frame)
    assert min(best_iou(result.label, truth, k) for k in (1, 2, 3)) > 0.75
    assert all(0.5 < item.valid_depth_ratio < 1 for item in result.items)


def test_unknown_preset_and_override():
    with pytest.raises(ConfigError, match="preset: expected one of"):
        Segmenter.from_preset("huge")
    with pytest.raises(ConfigError, match="selection.score: unknown key"):
        Segmenter.from_preset("geometry", selection={"score": 0.5})


def test_models_that_are_not_there(tmp_path):
    config = update(SegmenterConfig(), {"runtime": {"model_dir": str(tmp_path)}})
    with pytest.raises(ModelError, match="manifest.json"):
        Segmenter(config)


def test_from_config_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("preset: geometry\nselection:\n  min_area: 0.001\n")
    assert Segmenter.from_config(str(path)).config.selection.min_area == 0.001


def test_geometry_method_times_its_stages():
    frame, _, _ = tabletop()
    stages = Segmenter.from_preset("geometry").stages(frame)
    assert stages.prompts is None and stages.mask_set is None
    assert list(stages.instances.timings_ms) == ["encoding", "selection", "total"]


@pytest.mark.skipif(not MANIFEST.exists(), reason="no shipped model: engines/manifest.json is missing")
@pytest.mark.parametrize("depth_mode", ["auto", "off"])
def test_shipped_model(depth_mode):
    """The shipped networks find boxes on a table; boxes without texture are hard without depth."""
    pytest.importorskip("onnxruntime")
    frame, truth, _ = tabletop(height=480, width=640, noise_m=0.001)
    result = Segmenter.from_preset("compact", encoding={"depth": depth_mode}).segment(frame)
    check_result(result, frame)
    assert list(result.timings_ms) == STAGES and result.depth_used == (depth_mode == "auto")
    if depth_mode == "auto":
        assert sum(best_iou(result.label, truth, k) > 0.7 for k in (1, 2, 3)) >= 2
