"""The example frames: the picture, the depth and the labels agree."""

from __future__ import annotations

import numpy as np
import pytest

from uois_sam_ros.errors import FrameError
from uois_sam_ros.example import EYE_M, TARGET_M, box_scene, bundled_recording
from uois_sam_ros.geometry import compute_geometry


def test_fifteen_boxes_on_a_table():
    frame, label = box_scene()
    assert frame.color.shape == (480, 640, 3) and label.shape == (480, 640)
    assert set(np.unique(label)) == set(range(16))
    geometry = compute_geometry(frame.depth_m, frame.intrinsics)
    assert geometry.plane is not None
    np.testing.assert_allclose(geometry.plane.offset, EYE_M[2], atol=0.01)
    height = geometry.height_m
    assert abs(np.median(height[label == 0])) < 0.003
    for number in range(1, 16):
        assert 0.005 < np.median(height[label == number]) < 0.12


@pytest.mark.parametrize("boxes", [1, 15, 16, 37, 60])
def test_every_box_is_seen(boxes):
    _, label = box_scene(320, 240, boxes=boxes, seed=boxes)
    ids, pixels = np.unique(label, return_counts=True)
    assert ids.tolist() == list(range(boxes + 1)) and pixels.min() > 10


def test_more_boxes_than_places_are_refused():
    with pytest.raises(FrameError, match="expected 0 to 60 boxes, got 61"):
        box_scene(64, 48, boxes=61)


def test_optical_axis_meets_the_target():
    frame, _ = box_scene(161, 121, boxes=0)
    forward = (TARGET_M - EYE_M) / np.linalg.norm(TARGET_M - EYE_M)
    expected = -EYE_M[2] / forward[2]
    middle = frame.depth_m[55:66, 75:86]
    np.testing.assert_allclose(np.median(middle[middle > 0]), expected, atol=0.01)


def test_seed_decides_everything():
    first, second, other = box_scene(64, 48, seed=1), box_scene(64, 48, seed=1), box_scene(64, 48, seed=2)
    np.testing.assert_array_equal(first[0].color, second[0].color)
    np.testing.assert_array_equal(first[0].depth_m, second[0].depth_m)
    assert (first[0].color != other[0].color).any()


def test_bundled_recording_is_a_file_or_none():
    path = bundled_recording()
    assert path is None or path.suffix == ".mcap"
