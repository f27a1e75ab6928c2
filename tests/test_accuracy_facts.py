"""A frame taken apart, and the bins over many: worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from uois_sam_ros.replay.accuracy.bins import SIZE_EDGES, by_hidden, by_size, calibrate, rank_correlation
from uois_sam_ros.replay.accuracy.facts import FrameFacts, Prediction, TrueObject, analyse
from uois_sam_ros.replay.evaluate import ScoredFrame
from uois_sam_ros.replay.metrics import score_frame
from uois_sam_ros.replay.sources import Sample
from uois_sam_ros.replay.stored import StoredResult
from uois_sam_ros.types import Frame

SHAPE = (40, 60)


def label(**boxes) -> np.ndarray:
    """A label image; ``_3=(0, 4, 0, 8)`` paints rows 0..4 and columns 0..8 with 3."""
    image = np.zeros(SHAPE, np.uint16)
    for number, (top, bottom, left, right) in boxes.items():
        image[top:bottom, left:right] = int(number[1:])
    return image


def facts_of(truth, answer, scores=None, **more) -> FrameFacts:
    sample = Sample("desk", "a", Frame(np.zeros((*SHAPE, 3), np.uint8)), truth, **more)
    return analyse(sample, StoredResult(answer, scores or {}, 5.0), {1: 0.25})


def test_objects_and_predictions():
    truth = label(_1=(0, 10, 0, 10), _2=(0, 10, 20, 30), _7=(20, 22, 0, 2))
    answer = label(_1=(0, 10, 0, 6), _2=(0, 10, 6, 10), _5=(0, 10, 18, 30))  # two pieces; 120 px over 100
    facts = facts_of(truth, answer, {1: 0.9, 5: 0.4})
    one, two, seven = facts.objects
    assert (one.iou, two.iou, seven.iou) == pytest.approx((0.6, 100 / 120, 0.0))
    assert (one.dice, seven.dice) == pytest.approx((0.75, 0.0)) and not one.found and two.found
    assert (one.pieces, two.pieces, seven.pieces) == ((1, 2), (5,), ())
    assert (one.hidden, two.hidden) == (0.25, None) and seven.area_share == pytest.approx(4 / 2400)
    assert [(p.id, p.score, p.covers) for p in facts.predictions] == [(1, 0.9, (1,)), (2, None, ()), (5, 0.4, (2,))]
    assert [p.iou for p in facts.predictions] == pytest.approx([0.6, 0.4, 100 / 120])
    assert facts.matches == {1: 1, 2: 5}
    assert facts.scored.scores == score_frame(answer, truth) and facts.scored.total_ms == 5.0


def test_a_prediction_over_two_objects():
    facts = facts_of(label(_1=(0, 10, 0, 10), _2=(0, 10, 10, 20)), label(_1=(0, 10, 0, 16)))
    assert facts.predictions[0].covers == (1, 2) and facts.matches == {1: 1}


def test_ignored_pixels_are_left_out():
    truth, answer = label(_1=(0, 10, 0, 10), _2=(20, 30, 0, 10)), label(_1=(0, 10, 0, 10), _2=(20, 30, 0, 10))
    ignore = np.zeros(SHAPE, bool)
    ignore[20:] = True
    facts = facts_of(truth, answer, ignore=ignore)
    assert [o.id for o in facts.objects] == [1] and [p.id for p in facts.predictions] == [1]


@pytest.mark.parametrize(("truth", "answer", "objects", "predictions"), [
    (label(), label(), 0, 0), (label(_1=(0, 4, 0, 4)), label(), 1, 0), (label(), label(_3=(0, 4, 0, 4)), 0, 1)])
def test_empty_images(truth, answer, objects, predictions):
    facts = facts_of(truth, answer)
    assert (len(facts.objects), len(facts.predictions), facts.matches) == (objects, predictions, {})
    assert all(o.iou == 0 for o in facts.objects) and all(p.iou == 0 for p in facts.predictions)


def test_another_size_is_refused():
    with pytest.raises(ValueError, match="expected equal shapes"):
        facts_of(label(), np.zeros((4, 4), np.uint16))


def frame_of(objects=(), predictions=()) -> FrameFacts:
    scored = ScoredFrame("desk", "a", score_frame(label(), label()), 0.0)
    return FrameFacts(scored, tuple(objects), tuple(predictions), {})


def prediction(score, iou):
    return Prediction(1, 10, score, iou, ())


def thing(share, iou, hidden=None):
    return TrueObject(1, 10, share, iou, hidden, ())


def test_calibration_by_hand():
    """Bin 0.8: mean score 0.85 over IoU 0.65, two of four; bins 0.1 and 1.0: 0.1 under, 0.05 over."""
    found = calibrate([frame_of(predictions=[prediction(0.8, 0.6), prediction(0.9 - 1e-9, 0.7)]),
                       frame_of(predictions=[prediction(0.1, 0.2), prediction(1.0, 0.95), prediction(None, 0.0)])])
    assert found.count == 4 and [b.count for b in found.bins] == [0, 1, 0, 0, 0, 0, 0, 0, 2, 1]
    assert found.error == pytest.approx((2 * 0.2 + 0.1 + 0.05) / 4)
    assert found.bias == pytest.approx((2.8 - 2.45) / 4) and found.rank == pytest.approx(1.0)
    assert (found.bins[8].mean, found.bins[8].extra, found.bins[8].low) == pytest.approx((0.65, 0.85, None))
    assert found.bins[0].mean is None


def test_perfect_scores_have_no_error_and_shuffled_ones_do():
    rng = np.random.default_rng(0)
    iou = rng.uniform(0.3, 1, 400)
    perfect = calibrate([frame_of(predictions=[prediction(v, v) for v in iou])])
    shuffled = calibrate([frame_of(predictions=[prediction(v, w) for v, w in zip(rng.permutation(iou), iou)])])
    assert perfect.error == pytest.approx(0) and perfect.rank == pytest.approx(1)
    assert shuffled.error > 0.1 and abs(shuffled.rank) < 0.2
    assert calibrate([frame_of(predictions=[prediction(None, 0.5)])]) is None


def test_rank_correlation_shares_ranks():
    assert rank_correlation(np.array([1, 2, 2, 3]), np.array([1, 2, 2, 3])) == pytest.approx(1)
    assert rank_correlation(np.array([1, 2, 2, 3]), np.array([1, 2, 3, 4])) == pytest.approx(4.5 / np.sqrt(4.5 * 5))
    assert rank_correlation(np.array([1, 2, 3, 4]), np.array([8, 6, 4, 2])) == pytest.approx(-1)
    assert rank_correlation(np.array([1, 1, 1]), np.array([1, 2, 3])) is None


def test_bins_by_size():
    bins = by_size([frame_of([thing(0.001, 0.0), thing(0.00125, 0.5), thing(0.0024, 1.0), thing(0.2, 1.0)])])
    assert [(b.start, b.end) for b in bins] == list(zip(SIZE_EDGES, SIZE_EDGES[1:]))
    assert [b.count for b in bins] == [1, 2, 0, 0, 0, 0, 1]  # an edge belongs to the bin above it
    assert bins[1].mean == pytest.approx((2 / 3 + 1) / 2) and bins[1].extra == 0.5
    assert [b.count for b in by_size([])] == [0] * 7


def test_intervals_of_the_bins():
    bins = by_size([frame_of([thing(0.015, iou) for iou in (0.2, 0.6, 1.0)])])
    dice = np.array([1 / 3, 0.75, 1.0])
    half = 1.96 * dice.std(ddof=1) / np.sqrt(3)
    assert (bins[4].mean, bins[4].low, bins[4].high) == pytest.approx((dice.mean(), dice.mean() - half, 1.0))


def test_bins_by_occlusion():
    assert by_hidden([frame_of([thing(0.1, 1.0)])]) == ()
    bins = by_hidden([frame_of([thing(0.1, 1, 0.0), thing(0.1, 0.5, 0.5), thing(0.1, 0.5, None), thing(0.1, 0, 1.0)])])
    assert [b.count for b in bins] == [1, 0, 0, 1, 0, 1]
