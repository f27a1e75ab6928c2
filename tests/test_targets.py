"""Targets and augmentation: where peaks lie, what is clicked, and that geometry stays true."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the train extra")
from blockscenes import block_frame  # noqa: E402

from uois_sam_ros.geometry import backproject  # noqa: E402
from uois_sam_ros.training import targets  # noqa: E402
from uois_sam_ros.training.augment import (AugmentConfig, View, augment, crop_resize,  # noqa: E402
                                           disturb_depth, mirrored, upside_down)
from uois_sam_ros.types import Intrinsics  # noqa: E402


@pytest.fixture
def view() -> View:
    frame = block_frame(3)
    return View(frame.color, frame.depth_m, frame.label, frame.part, Intrinsics(150, 150, 79.5, 59.5))


def test_heat_is_one_at_every_centre_and_falls_off():
    label = np.zeros((32, 48), np.uint16)
    label[4:12, 4:12], label[20:28, 30:42] = 1, 2
    heat = targets.heat_target(label, np.array([1, 2]))
    assert heat.shape == (16, 24)
    assert heat[3, 3] == 1 and heat[11, 17] == 1
    assert heat[0, 23] < 0.01
    assert np.count_nonzero(heat == 1) == 2


def test_a_ring_is_clicked_on_its_body_not_in_its_hole():
    y, x = np.mgrid[:41, :41]
    ring = np.abs(np.hypot(x - 20, y - 20) - 15) < 3
    cx, cy = targets.visible_centroid(ring)
    assert ring[int(cy), int(cx)]


def test_foreground_is_the_share_of_object_pixels():
    label = np.zeros((8, 8), np.uint16)
    label[0:2, 0:2], label[4, 4] = 1, 2
    share = targets.foreground_target(label)
    assert share[0, 0] == 1 and share[2, 2] == 0.25 and share.sum() == 1.25


def test_boundary_cells_see_part_and_object_edges():
    label = np.zeros((16, 16), np.uint16)
    label[:, 6:] = 1
    part = label.copy()
    part[6:, 6:] = 2
    cells = targets.boundary_cells(part, label)
    assert cells[:, 1].all() and not cells[:, 0].any()
    assert cells[1, 3] == 1 and cells[3, 3] == 0


def test_every_object_is_clicked_inside_and_levels_are_right():
    frame = block_frame(1)
    ids = np.unique(frame.label)[1:]
    objects = [targets.ObjectInfo(o["id"], o["group"], tuple(o["parts"])) for o in frame.meta["objects"]]
    groups = targets.group_map(frame.label, objects)
    prompts = targets.sample_prompts(frame.label, frame.part, groups, ids, 12, 0.25, np.random.default_rng(0))
    x, y = prompts.points.astype(int).T
    assert (prompts.wanted[-3:] == 0).all() and (frame.label[y[-3:], x[-3:]] == 0).all()
    clicked = prompts.wanted[:9]
    assert set(clicked[:len(ids), 0]) == set(ids)
    assert (frame.label[y[:9], x[:9]] == clicked[:, 0]).all()
    assert ((clicked[:, 1] == frame.part[y[:9], x[:9]]) | (clicked[:, 1] == 0)).all()
    for (obj, _, group), box in zip(clicked, prompts.boxes):
        region = groups == group if group else frame.label == obj
        rows, cols = np.nonzero(region)
        assert box[0] <= cols.min() // 4 and box[2] > cols.max() // 4
        assert box[1] <= rows.min() // 4 and box[3] > rows.max() // 4


@pytest.mark.parametrize("change,sign", [(mirrored, (-1, 1)), (upside_down, (-1, -1))])
def test_flips_keep_metric_geometry(view, change, sign):
    changed = change(view)
    before = backproject(view.depth_m, view.intrinsics)
    after = backproject(changed.depth_m, changed.intrinsics)
    flipped = before[:, ::-1] if sign[1] == 1 else before[::-1, ::-1]
    assert np.allclose(after, flipped * np.float32([*sign, 1]), atol=1e-5)


def test_crop_keeps_metric_geometry_and_shows_an_object(view):
    rng = np.random.default_rng(5)
    for _ in range(5):
        cut = crop_resize(view, (96, 128), 2.0, rng)
        assert cut.label.shape == cut.depth_m.shape == (96, 128) and cut.label.any()
        # the table is the plane z = 1.1 - 0.002 * row: its rows must come back from y and z
        points = backproject(cut.depth_m, cut.intrinsics)[cut.label == 0]
        row = points[:, 1] / points[:, 2] * 150 + 59.5
        assert np.abs(1.1 - 0.002 * row - points[:, 2]).max() < 0.004


def test_depth_disturbance_is_bounded_and_varied(view):
    config = AugmentConfig(lying_object=1.0, shift=1.0, depth_noise=1.0, depth_holes=1.0)
    changed = disturb_depth(view.depth_m, view.label, config, np.random.default_rng(2))
    assert changed.dtype == np.float32 and np.isfinite(changed).all() and (changed >= 0).all()
    assert np.median(np.abs(changed - view.depth_m)[changed > 0]) < 0.2
    assert (changed != view.depth_m).mean() > 0.5


def test_augment_is_deterministic(view):
    one, two = (augment(view, (96, 96), AugmentConfig(), np.random.default_rng(9)) for _ in range(2))
    assert np.array_equal(one.color, two.color) and np.array_equal(one.depth_m, two.depth_m)
