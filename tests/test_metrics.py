"""Every rule of the metric, on cases that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from uois_sam_ros.replay.assignment import assign
from uois_sam_ros.replay.boundary import contour, dilate, tolerance_radius
from uois_sam_ros.replay.metrics import flatten_masks, mean_scores, score_frame


def label(*boxes: tuple[int, int, int, int], shape=(20, 30)) -> np.ndarray:
    """Paint xyxy boxes with ids 1..N; later boxes overwrite earlier ones."""
    image = np.zeros(shape, np.uint16)
    for value, (x0, y0, x1, y1) in enumerate(boxes, start=1):
        image[y0:y1, x0:x1] = value
    return image


OVERLAP = ("overlap_precision", "overlap_recall", "overlap_f")
BOUNDARY = ("boundary_precision", "boundary_recall", "boundary_f")


def values(scores, names):
    return tuple(getattr(scores, name) for name in names)


@pytest.mark.parametrize(("predicted", "truth", "expected"), [
    (label(), label((2, 2, 6, 6)), (1.0, 0.0, 0.0, 0.0)),  # nothing predicted
    (label((2, 2, 6, 6)), label(), (0.0, 1.0, 0.0, 0.0)),  # nothing there
    (label(), label(), (1.0, 1.0, 1.0, 1.0)),  # neither
])
def test_empty_cases(predicted, truth, expected):
    scores = score_frame(predicted, truth)
    assert (*values(scores, OVERLAP), scores.detected_75) == expected
    assert (*values(scores, BOUNDARY), scores.detected_75) == expected


def test_objects_apart_score_zero_and_divide_by_nothing():
    scores = score_frame(label((0, 0, 4, 4)), label((20, 10, 24, 14)))
    assert values(scores, OVERLAP) == values(scores, BOUNDARY) == (0.0, 0.0, 0.0)


def test_denominators_are_all_object_pixels():
    # truth: 100 and 20 pixels; predictions: 80 inside the first, and 40 on the table
    truth = label((0, 0, 10, 10), (20, 0, 30, 2))
    predicted = label((0, 0, 10, 8), (0, 12, 10, 16))
    precision, recall, f = 80 / 120, 80 / 120, 80 / 120
    assert values(score_frame(predicted, truth), OVERLAP) == pytest.approx((precision, recall, f))


def test_contour_is_the_half_pixel_neighbour_rule():
    mask = np.zeros((8, 8), bool)
    mask[2:5, 2:5] = True
    expected = np.zeros((8, 8), bool)
    expected[1:5, 1:5] = True  # one pixel up and left of the mask ...
    expected[2:4, 2:4] = False  # ... whose inner 2x2 has only equal right and lower neighbours
    assert np.array_equal(contour(mask), expected)


def test_image_border_is_no_contour():
    assert not contour(np.ones((6, 6), bool)).any()
    mask = np.zeros((6, 6), bool)
    mask[:, :3] = True  # touches three borders
    assert np.array_equal(np.argwhere(contour(mask))[:, 1], [2] * 6)


def test_holes_have_contours():
    ring = np.zeros((12, 12), bool)
    ring[1:11, 1:11] = True
    filled = contour(ring).sum()
    ring[5, 5] = False
    assert contour(ring).sum() == filled + 4  # the hole and its three upper-left neighbours


@pytest.mark.parametrize(("height", "width", "radius"), [
    (480, 640, 3), (480, 848, 3), (720, 1280, 5), (1080, 1920, 7), (240, 320, 2), (20, 30, 1)])
def test_tolerance_grows_with_the_diagonal(height, width, radius):
    assert tolerance_radius(height, width) == radius


@pytest.mark.parametrize(("radius", "pixels"), [(0, 1), (1, 5), (2, 13), (3, 29), (5, 81)])
def test_disc(radius, pixels):
    point = np.zeros((15, 15), bool)
    point[7, 7] = True
    assert dilate(point, radius).sum() == pixels


@pytest.mark.parametrize(("shift", "shape", "f"), [
    (2, (240, 320), 1.0),  # radius 2 forgives two pixels
    (3, (240, 320), None),  # ... not three
    (3, (480, 640), 1.0),  # radius 3 forgives three
    (4, (480, 640), None),
])
def test_boundary_tolerance(shift, shape, f):
    truth = label((50, 0, 90, shape[0]), shape=shape)  # two vertical edges, no horizontal ones
    predicted = label((50 + shift, 0, 90 + shift, shape[0]), shape=shape)
    score = score_frame(predicted, truth).boundary_f
    assert score == (f if f is not None else 0.0)


def test_boundary_counts_by_hand():
    # edges at x = 49 and 89 (truth), 49 and 99 (predicted): one of two lines matches, each way
    truth = label((50, 0, 90, 240), shape=(240, 320))
    predicted = label((50, 0, 100, 240), shape=(240, 320))
    assert values(score_frame(predicted, truth), BOUNDARY) == (0.5, 0.5, 0.5)


def test_unmatched_contours_stay_in_the_denominator():
    truth = label((50, 0, 90, 240), shape=(240, 320))
    predicted = label((50, 0, 90, 240), (200, 0, 240, 240), shape=(240, 320))
    precision, recall, f = values(score_frame(predicted, truth), BOUNDARY)
    assert (precision, recall, f) == pytest.approx((0.5, 1.0, 2 / 3))


@pytest.mark.parametrize(("columns", "detected"), [
    (12, 0.0),  # Dice 2 * 12 / (20 + 12) is exactly 0.75: not above
    (13, 1.0),  # 26 / 33 = 0.788
])
def test_75_is_strict_and_dice(columns, detected):
    truth = label((0, 5, 20, 6))
    assert score_frame(label((0, 5, columns, 6)), truth).detected_75 == detected


def test_75_divides_by_true_objects():
    truth = label((0, 0, 5, 5), (10, 0, 15, 5), (20, 0, 25, 5), (0, 10, 5, 15))
    assert score_frame(label((0, 0, 5, 5), (10, 0, 15, 5), (16, 14, 30, 20)), truth).detected_75 == 0.5


def test_best_sum_beats_the_greedy_choice():
    # one row: truth A = 0..9, B = 10..19; predictions P = 4..14, Q = 0..3 + nothing of B
    truth = label((0, 0, 10, 1), (10, 0, 20, 1))
    predicted = label((4, 0, 15, 1), (0, 0, 4, 1))
    # P-A 12/21, P-B 10/21, Q-A 8/14: greedy gives P-A alone (6 pixels), the best sum P-B and Q-A (5 + 4)
    assert score_frame(predicted, truth).overlap_precision == pytest.approx(9 / 15)


def test_matching_is_one_to_one():
    truth = label((0, 0, 20, 10))
    predicted = label((0, 0, 12, 10), (12, 0, 20, 10))  # split in two: 120 + 80 pixels
    scores = score_frame(predicted, truth)
    assert values(scores, OVERLAP) == pytest.approx((0.6, 0.6, 0.6))
    assert (scores.over_segmentation, scores.merges) == (1.0, 0.0)


def test_merge_rate():
    truth = label((0, 0, 10, 10), (10, 0, 20, 10))
    scores = score_frame(label((0, 0, 20, 10), (22, 12, 28, 18)), truth)
    assert (scores.merges, scores.over_segmentation) == (0.5, 0.0)
    half = score_frame(label((0, 0, 15, 10)), truth)  # exactly half of the second still counts
    assert half.merges == 1.0


def test_ids_need_not_be_contiguous():
    truth, predicted = label((0, 0, 5, 5), (10, 0, 15, 5)), label((10, 0, 15, 5), (0, 0, 5, 5))
    assert score_frame(predicted * 300, truth * 7).overlap_f == 1.0


def test_later_masks_overwrite_earlier_ones():
    first, second = np.zeros((4, 6), bool), np.zeros((4, 6), bool)
    first[:, :4], second[:, 3:] = True, True
    assert np.array_equal(flatten_masks([first, second], (4, 6))[0], [1, 1, 1, 2, 2, 2])


def test_ignore_drops_predictions_and_removes_pixels():
    truth = label((0, 0, 10, 10), (20, 0, 30, 10))
    ignore = np.zeros(truth.shape, bool)
    ignore[:, 18:] = True  # hides the second object
    predicted = label((0, 0, 10, 10), (22, 0, 30, 10), (14, 12, 20, 20))
    # the second lies inside; the third has 2 of 6 columns there: it stays, with 4 x 8 pixels
    scores = score_frame(predicted, truth, ignore)
    assert values(scores, OVERLAP) == pytest.approx((100 / 132, 1.0, 200 / 232))
    assert (scores.objects, scores.predictions) == (1, 2)


def test_exactly_half_ignored_is_kept():
    truth = label((0, 0, 10, 10))
    ignore = np.zeros(truth.shape, bool)
    ignore[:, 20:] = True
    assert score_frame(label((0, 0, 10, 10), (18, 0, 22, 4)), truth, ignore).predictions == 2
    assert score_frame(label((0, 0, 10, 10), (18, 0, 23, 4)), truth, ignore).predictions == 1


def test_mean_is_over_frames():
    good, bad = score_frame(label((0, 0, 5, 5)), label((0, 0, 5, 5))), score_frame(label(), label((0, 0, 5, 5)))
    mean = mean_scores([good, bad])
    assert values(mean, OVERLAP) == (1.0, 0.5, 0.5)  # F is not the harmonic mean of P and R


def test_refuses_other_sizes_and_no_frames():
    with pytest.raises(ValueError, match="equal shapes"):
        score_frame(label(), label(shape=(20, 31)))
    with pytest.raises(ValueError, match="at least one"):
        mean_scores([])


def test_many_objects_and_one_pixel_objects():
    truth = np.zeros((40, 40), np.uint16)
    truth[::2, ::2] = np.arange(1, 401).reshape(20, 20)
    scores = score_frame(truth, truth)
    assert (scores.overlap_f, scores.boundary_f, scores.detected_75, scores.objects) == (1.0, 1.0, 1.0, 400)


@pytest.mark.parametrize("seed", range(30))
def test_assignment_is_optimal(seed):
    rng = np.random.default_rng(seed)
    cost = rng.normal(size=rng.integers(1, 25, 2))
    if seed % 3 == 0:
        cost = np.round(cost)  # many ties
    rows, columns = assign(cost)
    best = cost[linear_sum_assignment(cost)].sum()
    assert cost[rows, columns].sum() == pytest.approx(best)
    assert len(set(rows)) == len(set(columns)) == min(cost.shape)
    assert (np.diff(rows) > 0).all()


def test_assignment_refuses_what_it_cannot_order():
    with pytest.raises(ValueError, match="finite"):
        assign(np.array([[np.nan]]))
    assert [len(part) for part in assign(np.zeros((0, 4)))] == [0, 0]
