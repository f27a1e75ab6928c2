"""The ladder: which rungs there are, what differs between them, and how gains are reported."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tabletop import numpy_networks, tabletop

from uois_sam_ros import Segmenter, SegmenterConfig
from uois_sam_ros.config import DEPTH_TERMS, preset, update
from uois_sam_ros.errors import ConfigError
from uois_sam_ros.replay.ladder import LadderFrame, LadderResult, rungs_of, run_rungs
from uois_sam_ros.replay.ladder_report import compare, format_ladder, format_rungs
from uois_sam_ros.replay.metrics import score_frame
from uois_sam_ros.replay.sources import Sample

NAMES = ["geometry", "grid", "+ foreground", "+ heatmap", "+ foreground score", "+ HDNet", "+ depth selection",
         "+ focus"]


WEIGHTED = update(SegmenterConfig(), {"rescoring": {"foreground_weight": 1.0}})


def test_rungs_add_one_stage_each():
    rungs = rungs_of(WEIGHTED)
    assert list(rungs) == NAMES
    assert [rungs[name].prompting.strategy for name in NAMES[1:]] == ["grid", "foreground"] + ["hpg"] * 5
    assert [rungs[name].rescoring.strategy for name in NAMES[1:]] == ["decoder"] * 4 + ["hdnet"] * 3
    assert [rungs[name].rescoring.foreground_weight for name in NAMES[1:]] == [0, 0, 0, 1, 1, 1, 1]
    assert [rungs[name].selection.plane_veto for name in NAMES[1:]] == [False] * 5 + [True] * 2
    assert [rungs[name].encoding.focus for name in NAMES[1:]] == ["off"] * 6 + ["auto"]
    assert rungs["+ focus"] == WEIGHTED


def test_post_processing_is_identical():
    rungs = rungs_of(update(WEIGHTED, {"selection": {"score_threshold": 0.33, "nms_iou": 0.2}}))
    plain = {"plane_veto": True, "min_size_m": 0.004, "max_size_m": 0.8}
    selections = {update(rungs[name].selection, plain) for name in NAMES[1:]}
    assert len(selections) == 1 and selections.pop().score_threshold == 0.33


def test_without_foreground_weight_there_is_no_such_rung():
    config = update(SegmenterConfig(), {"rescoring": {"foreground_weight": 0.0}})
    assert "+ foreground score" not in rungs_of(config)
    assert "+ focus" not in rungs_of(update(config, {"encoding": {"focus": "off"}}))


def test_depth_terms_are_rungs_of_their_own_where_prompts_or_scores_use_depth():
    config = update(SegmenterConfig(), DEPTH_TERMS)
    rungs = rungs_of(config)
    steps = ["+ HDNet", "+ depth foreground", "+ depth score", "+ plane veto", "+ metric size"]
    assert list(rungs) == [*NAMES[:-3], *steps, "+ focus"]
    seen = [(rung.prompting.depth_prior, rung.rescoring.depth_weight, rung.selection.plane_veto,
             rung.selection.max_size_m) for rung in (rungs[name] for name in steps)]
    assert seen == [(0, 0, False, 10), (1, 0, False, 10), (1, 0.5, False, 10), (1, 0.5, True, 10), (1, 0.5, True, 0.8)]
    assert rungs["+ focus"] == config


def test_a_preset_without_networks_is_refused():
    with pytest.raises(ConfigError, match="got method 'geometry'; use --preset compact"):
        rungs_of(preset("geometry"))


def samples(count=4):
    for seed in range(count):
        frame, truth, _ = tabletop(noise_m=0.0005, seed=seed)
        yield Sample("one" if seed % 2 else "two", str(seed), frame, truth)
    yield Sample("two", "bad", error="bad_color.png: cut off")
    yield Sample("two", "unlabelled", frame)


def segmenter(config):
    return Segmenter(config, numpy_networks())


def test_whole_ladder_on_tabletops():
    result = run_rungs(WEIGHTED, samples(), progress=False, make_segmenter=segmenter)
    assert result.rungs == tuple(NAMES) and len(result.frames) == 4
    assert [name for name, _ in result.refused] == ["two/bad"]
    top = [frame.scores["+ focus"].detected_75 for frame in result.frames]
    assert top == [1.0] * 4
    grid, peaks = result.frames[0].prompts["grid"], result.frames[0].prompts["+ heatmap"]
    assert grid.count > 100 > peaks.count and grid.precision < 0.5 < peaks.precision
    assert result.frames[0].selection.oracle >= result.frames[0].selection.refined
    text = format_ladder(result)
    for expected in ("two ", "one ", "all (mean over frames)", "+ focus over geometry", "oracle"):
        assert expected in text
    data = json.loads(json.dumps(result.to_json()))
    assert data["frames"][0]["scores"]["grid"]["overlap_f"] == result.frames[0].scores["grid"].overlap_f


def test_frames_without_depth_leave_geometry_out():
    frame, truth, _ = tabletop()
    result = run_rungs(WEIGHTED, [Sample("s", "f", frame.without_depth(), truth)], progress=False,
                       make_segmenter=segmenter)
    assert "geometry" not in result.frames[0].scores and "grid" in result.frames[0].scores
    assert "geometry left out s/f" in result.notes[0] and result.refused == ()


def scored(f, baseline=0.5):
    """A frame whose overlap F is ``baseline`` on the first rung and ``f`` on the second."""
    truth = np.zeros((4, 1000), np.uint16)
    truth[0] = 1
    scores = {}
    for rung, share in (("grid", baseline), ("+ heatmap", f)):
        predicted = np.zeros_like(truth)
        predicted[0, :round(1000 * share / (2 - share))] = 1
        scores[rung] = score_frame(predicted, truth)
    return LadderFrame("s", "f", scores, {})


@pytest.mark.parametrize(("values", "verdict"), [
    ([0.8, 0.82, 0.78, 0.81], "gain"), ([0.3, 0.7, 0.45, 0.55], "no gain shown"), ([0.2, 0.22, 0.18, 0.21], "loss"),
    ([0.5, 0.5, 0.5], "no gain shown"), ([0.9], "too few frames"), ([0.9, 0.9], "too few frames")])
def test_verdicts(values, verdict):
    frames = [scored(f) for f in values]
    text, found = compare(frames, "grid", "+ heatmap")
    assert found == verdict
    assert float(text.split()[0]) == pytest.approx(100 * (np.mean(values) - 0.5), abs=0.2)
    table = format_rungs(LadderResult(("grid", "+ heatmap"), tuple(frames)), "s")
    assert table.splitlines()[-1].endswith(verdict)


def test_nothing_to_compare():
    assert compare([scored(0.5)], "geometry", "grid") == ("", "")
    assert "no labelled frame" in format_ladder(LadderResult(("grid",), ()))
