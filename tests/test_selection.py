"""Selection: hypotheses, limits, plane veto, suppression, painting and records.

Over 300 lines because every rule is a table of small cases on the same hand-made masks.
"""

from __future__ import annotations

import numpy as np
import pytest
from tabletop import tabletop

from uois_sam_ros.config import SelectionConfig
from uois_sam_ros.geometry import compute_geometry
from uois_sam_ros.selection import select
from uois_sam_ros.selection.candidates import best_hypotheses
from uois_sam_ros.selection.describe import describe
from uois_sam_ros.selection.limits import metric_extent
from uois_sam_ros.selection.nms import intersect, suppress
from uois_sam_ros.selection.paint import paint
from uois_sam_ros.selection.support import plane_pixels
from uois_sam_ros.types import Features, Frame, Geometry, Grid, Intrinsics, MaskSet, Plane

HALF = Grid((96, 128), (48, 64), (48, 64))
ANY = SelectionConfig(edge_radius_px=0, min_area=0.0, max_area=1.0, score_threshold=0.0)


def mask_set(masks, scores):
    """Logits +-4 from bool[N, h, w] or [N, H, h, w] and scores of the same front shape."""
    masks = np.asarray(masks)
    scores = np.asarray(scores, np.float32)
    if masks.ndim == 3:
        masks, scores = masks[:, None], scores[:, None]
    logits = np.where(masks, np.float32(4), np.float32(-4))
    n, h = scores.shape
    return MaskSet(logits, scores, np.zeros((n, h, 4), np.float32), np.zeros((n, 4), np.float32),
                   np.zeros((n, 2), np.float32), scores)


def boxes(*xyxy, hw=(48, 64)):
    masks = np.zeros((len(xyxy),) + hw, bool)
    for mask, (x0, y0, x1, y1) in zip(masks, xyxy):
        mask[y0:y1, x0:x1] = True
    return masks


def run(masks, scores, config=ANY, grid=HALF, geometry=None, frame=None):
    frame = frame or Frame(np.zeros(grid.native_hw + (3,), np.uint8))
    result = select(frame, Features(grid, {}, geometry), mask_set(masks, scores), config)
    assert result.label.dtype == np.uint16 and result.label.shape == grid.native_hw
    assert sorted(set(np.unique(result.label)) - {0}) == [item.id for item in result.items]
    assert [item.id for item in result.items] == list(range(1, len(result) + 1))
    assert all(a.score >= b.score for a, b in zip(result.items, result.items[1:]))
    return result


def test_best_hypothesis_of_each_prompt():
    masks = np.stack([boxes((4, 4, 8, 8), (4, 4, 20, 20)), boxes((40, 4, 60, 20), (40, 4, 44, 8))])
    result = run(masks, [[0.5, 0.9], [0.8, 0.2]])
    assert [item.box_xyxy for item in result.items] == [(8, 8, 40, 40), (80, 8, 120, 40)]
    assert [round(item.score, 3) for item in result.items] == [0.9, 0.8]


@pytest.mark.parametrize("threshold, count", [(0.0, 2), (0.5, 2), (0.51, 1), (0.95, 0)])
def test_score_threshold(threshold, count):
    config = SelectionConfig(edge_radius_px=0, min_area=0, score_threshold=threshold)
    assert len(run(boxes((4, 4, 20, 20), (40, 4, 60, 20)), [0.9, 0.5], config)) == count


def test_nothing_in_nothing_out():
    assert len(run(np.zeros((0, 48, 64), bool), np.zeros(0))) == 0
    result = run(np.zeros((2, 48, 64), bool), [0.9, 0.8])  # two empty masks
    assert len(result) == 0 and not result.label.any() and result.items == ()


@pytest.mark.parametrize("low, high, count", [
    (0.0, 1.0, 2),
    (0.05, 1.0, 1),   # 16 of 3072 pixels is 0.005
    (0.0, 0.1, 1),    # 600 of 3072 pixels is 0.195
    (16 / 3072, 600 / 3072, 2),  # the limits themselves are allowed
])
def test_area_limits(low, high, count):
    config = SelectionConfig(edge_radius_px=0, score_threshold=0, min_area=low, max_area=high)
    assert len(run(boxes((2, 2, 6, 6), (20, 10, 50, 30)), [0.9, 0.8], config)) == count


@pytest.mark.parametrize("second, iou, containment, kept", [
    ((4, 4, 24, 24), 0.4, 1.0, [0]),      # the same mask twice
    ((14, 4, 34, 24), 0.4, 1.0, [0, 1]),  # IoU 1/3
    ((14, 4, 34, 24), 0.3, 1.0, [0]),     # ... over a smaller limit
    ((6, 6, 12, 12), 0.4, 1.0, [0, 1]),   # inside the better one, containment off
    ((6, 6, 12, 12), 0.4, 0.8, [0]),      # ... and on
    ((20, 4, 30, 24), 0.9, 0.4, [0, 1]),  # 40 % inside is not more than 40 %
    ((20, 4, 30, 24), 0.9, 0.39, [0]),
    ((24, 4, 40, 24), 0.0, 0.0, [0, 1]),  # only touching
])
def test_suppression(second, iou, containment, kept):
    candidates = best_hypotheses(mask_set(boxes((4, 4, 24, 24), second), [0.9, 0.8]), HALF, score_threshold=0)
    assert suppress(candidates, iou=iou, containment=containment, limit=9) == kept


def test_containment_counts_all_better_masks_together():
    """A group mask behind its two parts goes, though neither part covers it."""
    masks = boxes((4, 4, 14, 24), (14, 4, 24, 24), (4, 4, 25, 24))
    candidates = best_hypotheses(mask_set(masks, [0.9, 0.8, 0.7]), HALF, score_threshold=0)
    assert suppress(candidates, iou=0.6, containment=0.8, limit=9) == [0, 1]
    assert suppress(candidates, iou=0.6, containment=1.0, limit=9) == [0, 1, 2]


def test_suppression_agrees_with_plain_iou():
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 30, (40, 2))
    sizes = rng.integers(1, 25, (40, 2))
    masks = boxes(*[(x, y, x + w, y + h) for (x, y), (w, h) in zip(corners, sizes)])
    candidates = best_hypotheses(mask_set(masks, np.linspace(1, 0.1, 40)), HALF, score_threshold=0)
    flat = masks.reshape(40, -1).astype(int)
    both = flat @ flat.T
    iou = both / (flat.sum(1)[:, None] + flat.sum(1)[None] - both)
    kept = []
    for index in range(40):
        if all(iou[index, better] <= 0.3 for better in kept):
            kept.append(index)
    assert suppress(candidates, iou=0.3, containment=1.0, limit=99) == kept
    assert suppress(candidates, iou=0.3, containment=1.0, limit=3) == kept[:3]


def test_intersect():
    assert intersect((0, 0, 4, 4), (2, 1, 9, 3)) == (2, 1, 4, 3)
    assert intersect((0, 0, 4, 4), (4, 0, 9, 3)) is None


def test_max_instances_keeps_the_best():
    config = SelectionConfig(edge_radius_px=0, score_threshold=0, min_area=0, max_instances=2)
    result = run(boxes((0, 0, 9, 9), (20, 0, 29, 9), (40, 0, 49, 9)), [0.5, 0.9, 0.7], config)
    assert [item.box_xyxy[0] for item in result.items] == [40, 80]


@pytest.mark.parametrize("native, resized, padded", [
    ((96, 128), (48, 64), (48, 64)),    # half
    ((48, 64), (48, 64), (48, 64)),     # the same
    ((90, 150), (48, 80), (48, 80)),    # 1.875
    ((120, 213), (48, 85), (48, 96)),   # odd and padded
    ((24, 32), (48, 64), (48, 64)),     # native is smaller
])
def test_painting_is_aligned(native, resized, padded):
    """A half-plane through the logits is cut at the native place that Grid names."""
    grid = Grid(native, resized, padded)
    rows, cols = np.mgrid[:padded[0], :padded[1]].astype(np.float32)
    edge_x, edge_y = 0.4 * native[1], 0.6 * native[0]  # native pixel coordinates of the edges
    x, y = grid.to_working(np.float32([[edge_x, edge_y]]))[0]
    logits = np.minimum(x - cols, rows - y)[None, None]  # left of x and below y
    one = np.ones((1, 1), np.float32)
    masks = MaskSet(logits, one, one[..., None], one, np.zeros((1, 2), np.float32), one)
    label = select(Frame(np.zeros(native + (3,), np.uint8)), Features(grid, {}), masks, ANY).label
    native_rows, native_cols = np.mgrid[:native[0], :native[1]]
    wanted = (native_cols < edge_x) & (native_rows > edge_y)
    wrong = (label > 0) != wanted
    near_edge = (np.abs(native_cols - edge_x) < 0.6) | (np.abs(native_rows - edge_y) < 0.6)
    corner = (np.abs(native_cols - edge_x) < 4) & (np.abs(native_rows - edge_y) < 4)
    assert not (wrong & ~near_edge & ~corner).any()


def test_disputed_pixels_go_to_the_stronger_claim():
    logits = np.full((2, 1, 48, 64), -4, np.float32)
    cols = np.arange(64, dtype=np.float32)
    logits[0, 0, 10:30] = np.where((cols > 5) & (cols < 36), 36 - cols, -4)   # fades to the right
    logits[1, 0, 10:30] = np.where((cols > 28) & (cols < 60), cols - 28, -4)  # fades to the left
    scores = np.float32([[0.9], [0.9]])
    masks = MaskSet(logits, scores, scores[..., None], scores, np.zeros((2, 2), np.float32), scores)
    label = select(Frame(np.zeros((96, 128, 3), np.uint8)), Features(HALF, {}), masks, ANY).label
    row = label[40]
    assert set(row[12:120]) <= {1, 2, 0}
    border = np.flatnonzero(np.diff(row.astype(int)) == 1)[-1]
    assert 62 <= border <= 66  # both claim with the same logit at working column 32


def test_sure_masks_share_pixels_by_score():
    config = SelectionConfig(edge_radius_px=0, score_threshold=0, min_area=0, nms_iou=1.0, containment=1.0)
    result = run(boxes((4, 4, 30, 30), (20, 4, 50, 30)), [0.7, 0.9], config)
    assert (result.label[10:50, 44:56] == 1).all()  # disputed: the better one
    x0, *rest = result.items[0].box_xyxy
    assert x0 in (40, 41) and rest == [8, 100, 60]  # its soft edge may lose a pixel


def test_hidden_masks_get_no_id():
    config = SelectionConfig(edge_radius_px=0, score_threshold=0, min_area=0, nms_iou=1.0, containment=1.0)
    result = run(boxes((4, 4, 30, 30), (10, 10, 14, 14), (40, 4, 50, 14)), [0.9, 0.8, 0.7], config)
    assert [round(item.score, 1) for item in result.items] == [0.9, 0.7]


def test_crumbs_are_not_painted():
    mask = boxes((4, 4, 34, 34))
    mask[0, 40:42, 50:52] = True    # 4 of 904 pixels: a crumb
    mask[0, 4:14, 40:50] = True     # 100 pixels: a part of the object
    label = run(mask, [0.9]).label
    assert not label[76:90, 96:110].any()
    assert label[10:26, 82:98].all()


def test_one_pixel_objects():
    masks = boxes((10, 10, 11, 11), (63, 47, 64, 48), (0, 0, 1, 1))
    result = run(masks, [0.9, 0.8, 0.7])
    assert len(result) == 3 and all(item.area_px >= 1 for item in result.items)
    assert [item.touches_border for item in result.items] == [False, True, True]
    same = Grid((48, 64), (48, 64), (48, 64))
    assert [item.area_px for item in run(masks, [0.9, 0.8, 0.7], grid=same).items] == [1, 1, 1]


def test_more_than_255_objects():
    grid = Grid((96, 128), (96, 128), (96, 128))
    corners = [(x, y) for y in range(1, 90, 5) for x in range(1, 120, 5)][:400]
    masks = boxes(*[(x, y, x + 3, y + 3) for x, y in corners], hw=(96, 128))
    result = run(masks, np.linspace(1, 0.5, 400), grid=grid)
    assert len(result) == 400 and result.label.max() == 400
    x, y = corners[299]
    assert (result.label[y:y + 3, x:x + 3] == 300).all()
    assert result.items[299].area_px == 9


def test_mask_in_the_padding_is_cut():
    grid = Grid((96, 120), (48, 60), (48, 64))
    assert len(run(boxes((61, 10, 64, 20)), [0.9], grid=grid)) == 0
    result = run(boxes((50, 10, 64, 20)), [0.9], grid=grid)
    assert result.items[0].box_xyxy == (100, 20, 120, 40) and result.items[0].touches_border


def test_describe_by_hand():
    label = np.zeros((6, 8), np.uint16)
    label[1:3, 2:6] = 1   # 8 pixels
    label[5, 7] = 2
    depth = np.full((6, 8), 2.0, np.float32)
    depth[1, 2:4] = [0, np.nan]
    depth[2, 2] = 4.0
    depth[5, 7] = np.inf
    first, second = describe(label, [(1, 0, 7, 4), (7, 5, 8, 6)], np.float32([0.9, 0.5]), depth,
                             Intrinsics(10, 20, 1.5, 0.5))
    assert first.box_xyxy == (2, 1, 6, 3) and first.area_px == 8 and first.id == 1
    assert first.centroid_px == (3.5, 1.5)
    assert first.centroid_m == pytest.approx(((3.5 - 1.5) / 10 * 2, (1.5 - 0.5) / 20 * 2, 2.0))
    assert first.valid_depth_ratio == 0.75 and not first.touches_border
    assert second.box_xyxy == (7, 5, 8, 6) and second.area_px == 1 and second.centroid_px == (7, 5)
    assert second.centroid_m is None and second.valid_depth_ratio == 0 and second.touches_border
    colour_only = describe(label, [(1, 0, 7, 4), (7, 5, 8, 6)], np.float32([0.9, 0.5]), None, None)
    assert colour_only[0].centroid_m is None and colour_only[0].valid_depth_ratio == 0


def flat_geometry(height_m, z_m=0.8, valid=True, hw=(48, 64)):
    """Points of 1 cm a pixel in x and y, a plane, and heights as given."""
    rows, cols = np.mgrid[:hw[0], :hw[1]].astype(np.float32)
    points = np.stack([cols * 0.01, rows * 0.01, np.full(hw, z_m, np.float32)], axis=-1)
    plane = Plane(np.float32([0, 0, -1]), z_m, 0.9)
    return Geometry(points, np.broadcast_to(valid, hw).copy(), np.zeros(hw + (3,), np.float32),
                    np.broadcast_to(np.float32(height_m), hw).copy(), plane)


def run_depth(masks, scores, geometry, **changes):
    config = SelectionConfig(edge_radius_px=0, **{"score_threshold": 0, "min_area": 0, "max_area": 1, **changes})
    frame = Frame(np.zeros((96, 128, 3), np.uint8), np.full((96, 128), 0.8, np.float32),
                  Intrinsics(100, 100, 63.5, 47.5))
    return run(masks, scores, config, geometry=geometry, frame=frame)


@pytest.mark.parametrize("height, score, changes, count", [
    (0.05, 0.6, {}, 1),                         # stands on the table
    (0.001, 0.6, {}, 0),                        # is the table
    (-0.001, 0.6, {}, 0),                       # noise below
    (-0.05, 0.6, {}, 1),                        # a hole in the table is no table
    (0.001, 0.85, {}, 1),                       # a flat thing that the network is sure of
    (0.001, 0.6, {"plane_veto": False}, 1),
    (0.003, 0.6, {"plane_tolerance_m": 0.002}, 1),
])
def test_plane_veto(height, score, changes, count):
    assert len(run_depth(boxes((10, 10, 30, 30)), [score], flat_geometry(height), **changes)) == count


def test_plane_veto_needs_the_ratio():
    geometry = flat_geometry(0.0)
    geometry.height_m[:, :14] = 0.05  # 4 of 20 columns stand up: 80 % is plane
    assert len(run_depth(boxes((10, 10, 30, 30)), [0.6], geometry)) == 1
    assert len(run_depth(boxes((10, 10, 30, 30)), [0.6], geometry, plane_ratio=0.79)) == 0


def test_plane_veto_needs_readings_and_a_plane():
    unseen = flat_geometry(0.0, valid=False)
    assert len(run_depth(boxes((10, 10, 30, 30)), [0.6], unseen)) == 1
    no_plane = Geometry(**{**vars(flat_geometry(0.0)), "plane": None})
    assert len(run_depth(boxes((10, 10, 30, 30)), [0.6], no_plane)) == 1


def test_plane_tolerance_grows_with_distance():
    assert not plane_pixels(flat_geometry(0.010, z_m=1.0), 0.004).any()
    assert plane_pixels(flat_geometry(0.010, z_m=2.0), 0.004).all()
    assert not plane_pixels(flat_geometry(0.0045, z_m=0.3), 0.004).any()


@pytest.mark.parametrize("low, high, count", [(0.0, 1.0, 1), (0.0, 0.15, 0), (0.25, 1.0, 0)])
def test_metric_size(low, high, count):
    """A mask of 20 x 10 pixels, a centimetre each, is 0.2 m long."""
    result = run_depth(boxes((10, 10, 30, 20)), [0.9], flat_geometry(0.05), min_size_m=low, max_size_m=high)
    assert len(result) == count


def test_metric_size_without_readings_is_no_limit():
    geometry = flat_geometry(0.05, valid=False)
    assert len(run_depth(boxes((10, 10, 30, 20)), [0.9], geometry, max_size_m=0.01)) == 1


def test_metric_extent_is_robust_and_true():
    geometry = flat_geometry(0.05, hw=(240, 320))
    mask = np.ones((100, 200), bool)
    crop = (slice(20, 120), slice(30, 230))
    assert metric_extent(geometry, mask, crop) == pytest.approx(2.0, rel=0.05)
    flying = np.random.default_rng(0).random((240, 320)) < 0.03
    geometry.points_m[flying, 2] = 9.0
    assert metric_extent(geometry, mask, crop) == pytest.approx(2.0, rel=0.05)
    line = np.zeros_like(mask)
    line[41, :] = True  # between the samples
    assert metric_extent(geometry, line, crop) == pytest.approx(2.0, rel=0.05)
    assert metric_extent(geometry, np.zeros_like(mask), crop) is None


def test_depth_switched_off_is_not_used():
    """Without geometry the records carry no metres, whatever the frame has."""
    frame = Frame(np.zeros((96, 128, 3), np.uint8), np.full((96, 128), 0.8, np.float32),
                  Intrinsics(100, 100, 63.5, 47.5))
    result = run(boxes((10, 10, 30, 20)), [0.9], frame=frame)
    assert not result.depth_used and result.items[0].centroid_m is None
    used = run_depth(boxes((10, 10, 30, 20)), [0.9], flat_geometry(0.05))
    assert used.depth_used and used.items[0].centroid_m[2] == pytest.approx(0.8)


def test_real_geometry_vetoes_the_table_and_keeps_the_boxes():
    frame, truth, _ = tabletop(noise_m=0.001)
    grid = Grid((240, 320), (240, 320), (240, 320))
    geometry = compute_geometry(frame.depth_m, frame.intrinsics)
    patch = np.zeros_like(truth, bool)
    patch[200:230, 20:90] = True
    assert not truth[patch].any()
    masks = np.stack([truth == 1, truth == 2, truth == 3, patch])
    result = run(masks, [0.7, 0.7, 0.7, 0.7], SelectionConfig(), grid, geometry, frame)
    assert len(result) == 3 and not result.label[patch].any()


def test_paint_windows_hold_their_pixels():
    rng = np.random.default_rng(0)
    grid = Grid((120, 213), (48, 85), (48, 96))
    corners = rng.integers(0, [70, 38], (25, 2))
    masks = boxes(*[(x, y, x + 12, y + 9) for x, y in corners], hw=(48, 96))
    painting = paint(best_hypotheses(mask_set(masks, np.linspace(1, 0.5, 25)), grid, score_threshold=0), grid)
    for number, (x0, y0, x1, y1) in enumerate(painting.windows, start=1):
        inside = (painting.label[y0:y1, x0:x1] == number).sum()
        assert 0 < inside == (painting.label == number).sum()
