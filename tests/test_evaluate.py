"""The evaluation: rows, refusals, perturbation, intervals and tables."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from tabletop import numpy_networks, tabletop

from uois_sam_ros import Instances, Segmenter, SegmenterConfig
from uois_sam_ros.errors import FrameError
from uois_sam_ros.replay.bootstrap import paired_difference
from uois_sam_ros.replay.evaluate import evaluate, shift_depth
from uois_sam_ros.replay.report import format_report, format_run, format_table
from uois_sam_ros.replay.sources import Sample
from uois_sam_ros.replay.stage_metrics import score_prompts, score_selection
from uois_sam_ros.types import Frame, Grid, MaskSet, Prompts

FRAME, TRUTH, _ = tabletop()


class Answers:
    """Segments by handing out prepared label images; ``None`` refuses."""

    def __init__(self, *labels):
        self._labels = list(labels)
        self.seen = []

    def segment(self, frame):
        self.seen.append(frame)
        label = self._labels.pop(0)
        if label is None:
            raise FrameError("depth image: expected one, got none; record it")
        return Instances(label, (), {"total": 5.0})


def sample(source, name, truth=TRUTH, **changes):
    return Sample(source, name, **{"frame": FRAME, "truth": truth, **changes})


def test_rows_are_means_over_frames():
    empty = np.zeros_like(TRUTH)
    report = evaluate(Answers(TRUTH, empty, TRUTH, empty), [
        sample("a", "1"), sample("a", "2"), sample("b", "1"), sample("b", "no labels", truth=None)], progress=False)
    rows = report.rows()
    assert {name: row.overlap_f for name, row in rows.items()} == pytest.approx({"a": 0.5, "b": 1.0, "all": 2 / 3})
    assert rows["all"].overlap_precision == 1.0  # an empty answer has precision 1
    assert (len(report.frames), report.unlabelled, report.refused) == (3, 1, ())


def test_refused_frames_are_kept_apart():
    samples = [sample("a", "1"), sample("a", "2", frame=None, error="a_color.png: cut off"), sample("a", "3")]
    report = evaluate(Answers(None, TRUTH), samples, progress=False)
    assert [name for name, _ in report.refused] == ["a/1", "a/2"]
    assert report.rows()["all"].overlap_f == 1.0
    assert "1 scored, 0 without labels, 2 refused" in format_report(report)


def test_ignore_reaches_the_metric():
    predicted = TRUTH.copy()
    predicted[:40, :40] = 9
    ignore = np.zeros(TRUTH.shape, bool)
    ignore[:60, :60] = True
    report = evaluate(Answers(predicted, predicted), [sample("a", "1"), sample("a", "2", ignore=ignore)], progress=False)
    first, second = report.frames
    assert first.scores.overlap_precision < 1.0 == second.scores.overlap_precision


def test_json_and_table():
    report = evaluate(Answers(TRUTH, TRUTH), [sample("a", "x_opaque"), sample("a", "x_clear")], progress=False)
    data = json.loads(json.dumps(report.to_json()))
    assert data["rows"]["all"] == {**data["rows"]["a"]} and data["rows"]["a"]["frames"] == 2
    assert data["frames"][0]["name"] == "x_opaque" and data["frames"][0]["total_ms"] == 5.0
    split = report.split_by(re.compile("opaque|clear"))
    assert split.sources == ["a/opaque", "a/clear"]
    text = format_report(split, per_frame=True)
    assert "all (mean over frames)       2  100.0  100.0  100.0" in text and "a/opaque/x_opaque" in text


def test_nothing_to_score():
    report = evaluate(Answers(TRUTH), [sample("a", "1", truth=None)], progress=False)
    assert report.rows() == {} and "no labelled frame" in format_report(report)


@pytest.mark.parametrize(("pixels", "empty"), [(4, slice(0, 4)), (-4, slice(-4, None)), (0, slice(0, 0))])
def test_shifted_depth(pixels, empty):
    depth = np.arange(1, 33, dtype=np.float32)[None].repeat(24, 0) / 10
    frame = Frame(np.zeros((24, 32, 3), np.uint8), depth, FRAME.intrinsics)
    moved = shift_depth(pixels)(frame)
    assert (moved.depth_m[:, empty] == 0).all() and (moved.depth_m == 0).sum() == 24 * abs(pixels)
    assert np.array_equal(moved.depth_m[:, 10], depth[:, 10 - pixels])
    assert np.array_equal(moved.color, frame.color) and frame.depth_m[0, 0] == np.float32(0.1)
    assert shift_depth(3)(frame.without_depth()).depth_m is None


def test_transform_reaches_the_segmenter():
    segmenter = Answers(TRUTH)
    evaluate(segmenter, [sample("a", "1")], transform_frame=shift_depth(4), progress=False)
    assert (segmenter.seen[0].depth_m[:, :4] == 0).all()


def test_interval_of_a_sure_and_an_unsure_gain():
    rng = np.random.default_rng(0)
    before = rng.normal(50, 20, 40)
    sure = paired_difference(before, before + 5 + rng.normal(0, 1, 40))  # paired: the spread between frames is gone
    assert sure.excludes_zero and 4.5 < sure.low < sure.mean < sure.high < 6
    unsure = paired_difference(before, before + rng.normal(0, 5, 40))
    assert not unsure.excludes_zero and unsure.low < 0 < unsure.high
    assert paired_difference([1.0], [2.0]) == paired_difference([1.0], [2.0])
    with pytest.raises(ValueError, match="equally many frames, got 1 and 2"):
        paired_difference([1.0], [1.0, 2.0])


def test_interval_has_the_width_of_the_normal_one():
    values = np.random.default_rng(1).normal(0, 1, 400)
    found = paired_difference(np.zeros(400), values)
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.08)


def test_tables():
    assert format_table(("", "n"), [["long name", "1"], None, ["b", "100"]]).splitlines() == [
        "             n", "-" * 14, "long name    1", "-" * 14, "b          100"]
    text = format_run([("a", 3, 10.0, True), ("a", 5, 30.0, False)], 2, "out")
    assert "a         2            4.0         30           1" in text
    assert text.endswith("2 frames written to out, 2 refused")
    assert format_run([], 1, "out") == "0 frames written to out, 1 refused"


GRID = Grid((20, 40), (10, 20), (16, 32))


def test_prompts_against_truth():
    truth = np.zeros((20, 40), np.uint16)
    truth[0:10, 0:10], truth[0:10, 20:30], truth[15:, 35:] = 1, 2, 3
    # working points: in object 1 twice, on the table, in object 3
    points = np.float32([[1, 1], [3, 3], [8, 8], [19, 9]])
    found = score_prompts(Prompts(points, np.ones(4, np.float32)), GRID, truth)
    assert (found.precision, found.recall, found.count) == pytest.approx((0.75, 2 / 3, 4))
    ignore = truth == 3
    found = score_prompts(Prompts(points, np.ones(4, np.float32)), GRID, truth, ignore)
    assert (found.precision, found.recall, found.count) == pytest.approx((2 / 3, 1 / 2, 3))
    none = score_prompts(Prompts(np.zeros((0, 2), np.float32), np.zeros(0, np.float32)), GRID, truth * 0)
    assert (none.precision, none.recall, none.count) == (1.0, 1.0, 0)


def test_choice_among_hypotheses():
    truth = np.zeros((20, 40), np.uint16)
    truth[4:12, 4:12] = 7  # 4x4 working pixels
    masks = np.full((2, 3, 16, 32), -1, np.float32)
    masks[:, 0, 2:4, 2:6] = 1  # half: IoU 0.5
    masks[:, 1, 2:6, 2:6] = 1  # the object
    masks[:, 2, :10, :20] = 1  # everything: IoU 16 / 200
    masks[:, 1, 10:, :] = 1  # padding does not count
    own, refined = np.tile(np.float32([0.9, 0.5, 0.1]), (2, 1)), np.tile(np.float32([0.1, 0.3, 0.8]), (2, 1))
    points = np.float32([[3, 3], [15, 8]])  # on the object, on the table
    found = score_selection(MaskSet(masks, own, np.zeros((2, 3, 4)), np.zeros((2, 4)), points, refined), GRID, truth)
    assert (found.decoder, found.refined, found.oracle, found.prompts) == pytest.approx((0.5, 0.08, 1.0, 1))
    assert score_selection(MaskSet(masks[:0], own[:0], np.zeros((0, 3, 4)), np.zeros((0, 4)), points[:0], refined[:0]),
                           GRID, truth) is None


def test_with_the_real_pipeline():
    report = evaluate(Segmenter(SegmenterConfig(), numpy_networks()), [sample("table", "1")], progress=False)
    assert report.rows()["table"].detected_75 == 1.0 and report.frames[0].total_ms > 0
