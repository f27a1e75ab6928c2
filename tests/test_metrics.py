"""Every rule of the metric, on cases that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from uois_sam_ros.replay.assignment import assign
from uois_sam_ros.replay.boundary import contour, dilate, tolerance_radius
from uois_sam_ros.replay.metrics import flatten_masks, mean_scores, score_frame

optimize = pytest.importorskip("scipy.optimize", reason="the reference solution needs scipy: the test extra")


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


SMALL, TWO, THREE = (20, 30), (240, 320), (480, 640)  # radius 1, 2 and 3 pixels
RING = label((5, 5, 15, 15))
RING[8:12, 8:12] = 0
LEFT, RIGHT = np.zeros(SMALL, bool), np.zeros(SMALL, bool)
LEFT[:10, :10], RIGHT[:10, 5:15] = True, True
HALVES = label((0, 0, 5, 10), (5, 0, 15, 10))

#: What, predicted, truth, overlap P R F, boundary P R F, %75; each counted by hand. A contour pixel differs from its
#: right, lower or lower-right neighbour, so a box apart from the border has a ring of (w + 1)(h + 1) - (w - 1)(h - 1).
BY_HAND = [
    ("nothing predicted", label(), label((2, 2, 6, 6)), (1, 0, 0), (1, 0, 0), 0),
    ("nothing there", label((2, 2, 6, 6)), label(), (0, 1, 0), (0, 1, 0), 0),
    ("neither", label(), label(), (1, 1, 1), (1, 1, 1), 1),
    ("the same", label((2, 2, 6, 6)), label((2, 2, 6, 6)), (1, 1, 1), (1, 1, 1), 1),
    # side by side: no pixel is shared, so nothing is matched and near contours count for nothing
    ("one pixel beside", label((11, 10, 12, 11)), label((10, 10, 11, 11)), (0, 0, 0), (0, 0, 0), 0),
    # 80 of 100 pixels. Contours: right column and bottom row, 8 + 10 - 1 and 10 + 10 - 1, none along the border; near
    # are the 8 shared pixels of the column and the one that touches it: (8, 7) here, (9, 8) there
    ("corner of the image", label((0, 0, 10, 8)), label((0, 0, 10, 10)), (1, 0.8, 8 / 9), (9 / 17, 9 / 19, 0.5), 1),
    # the border is no contour: all of both is found, and 0 / 0 of the contours is 0
    ("the whole image", label((0, 0, 30, 20)), label((0, 0, 30, 20)), (1, 1, 1), (0, 0, 0), 1),
    # 84 of 100 pixels; contours 40 and 40 + 16 around the hole
    ("hole filled", label((5, 5, 15, 15)), RING, (0.84, 1, 168 / 184), (1, 40 / 56, 5 / 6), 1),
    ("hole found where there is none", RING, label((5, 5, 15, 15)), (1, 0.84, 168 / 184), (40 / 56, 1, 5 / 6), 1),
    # 100 pixels each; contours 19 in the left corner, 10 + 10 in the right one
    ("one of two", label((0, 0, 10, 10)), label((0, 0, 10, 10), (20, 0, 30, 10)), (1, 0.5, 2 / 3),
     (1, 19 / 39, 19 / 29), 0.5),
    # Dice 200 / 320 with the left, 240 / 340 with the right one, which is matched: 120 of 220 pixels. Contours 31, and
    # 19 + 31; near the matched one: 12 of the bottom, 9 more of the right, 2 where the left side meets the bottom
    ("two merged", label((0, 0, 22, 10)), label((0, 0, 10, 10), (10, 0, 22, 10)), (6 / 11, 6 / 11, 6 / 11),
     (23 / 31, 23 / 50, 46 / 81), 0),
    ("later on top as in the truth", flatten_masks([LEFT, RIGHT], SMALL), HALVES, (1, 1, 1), (1, 1, 1), 1),
    # the other order: 100 and 50 pixels against 50 and 100, 50 of each pair shared; Dice 2 / 3. Contours 19 + 24
    # against 14 + 29. Near, left pair: 5 of the bottom, and (5, 9) here, (4, 8) there, which touch; right pair: 5 of
    # the bottom and 9 of the right, (9, 9), and (9, 8) here, (8, 9) there
    ("later on top in the other order", flatten_masks([RIGHT, LEFT], SMALL), HALVES, (2 / 3, 2 / 3, 2 / 3),
     (22 / 43, 22 / 43, 22 / 43), 0),
    ("2 px off at a radius of 2", label((52, 0, 92, 240), shape=TWO), label((50, 0, 90, 240), shape=TWO),
     (0.95, 0.95, 0.95), (1, 1, 1), 1),
    ("3 px off at a radius of 2", label((53, 0, 93, 240), shape=TWO), label((50, 0, 90, 240), shape=TWO),
     (0.925, 0.925, 0.925), (0, 0, 0), 1),
    ("3 px off at a radius of 3", label((53, 0, 93, 480), shape=THREE), label((50, 0, 90, 480), shape=THREE),
     (0.925, 0.925, 0.925), (1, 1, 1), 1),
    ("4 px off at a radius of 3", label((54, 0, 94, 480), shape=THREE), label((50, 0, 90, 480), shape=THREE),
     (0.9, 0.9, 0.9), (0, 0, 0), 1),
]


@pytest.mark.parametrize(("predicted", "truth", "overlap", "boundary", "detected"),
                         [case[1:] for case in BY_HAND], ids=[case[0] for case in BY_HAND])
def test_by_hand(predicted, truth, overlap, boundary, detected):
    scores = score_frame(predicted, truth)
    assert values(scores, OVERLAP) == pytest.approx(overlap)
    assert values(scores, BOUNDARY) == pytest.approx(boundary)
    assert scores.detected_75 == detected


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
    best = cost[optimize.linear_sum_assignment(cost)].sum()
    assert cost[rows, columns].sum() == pytest.approx(best)
    assert len(set(rows)) == len(set(columns)) == min(cost.shape)
    assert (np.diff(rows) > 0).all()


def test_assignment_refuses_what_it_cannot_order():
    with pytest.raises(ValueError, match="finite"):
        assign(np.array([[np.nan]]))
    assert [len(part) for part in assign(np.zeros((0, 4)))] == [0, 0]
