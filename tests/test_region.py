"""Region of interest and ignore mask: coordinates, cut pixels and dropped objects."""

from __future__ import annotations

import numpy as np
import pytest

from uois_sam_ros.errors import FrameError
from uois_sam_ros.geometry import backproject
from uois_sam_ros.ros.region import crop, drop_ignored, uncrop, uncrop_map
from uois_sam_ros.selection.describe import describe
from uois_sam_ros.types import Frame, Instances, Intrinsics

CAMERA = Intrinsics(100.0, 110.0, 31.5, 23.5)


def frame():
    depth = np.linspace(0.5, 1.5, 48 * 64, dtype=np.float32).reshape(48, 64)
    color = np.arange(48 * 64 * 3, dtype=np.uint32).reshape(48, 64, 3).astype(np.uint8)
    return Frame(color, depth, CAMERA, "f", 7)


def instances(label, of):
    count = int(label.max())
    items = describe(label, [(0, 0, label.shape[1], label.shape[0])] * count, np.linspace(0.9, 0.5, count),
                     of.depth_m, of.intrinsics)
    return Instances(label, items, depth_used=True)


def test_a_crop_keeps_the_camera_frame():
    whole, roi = frame(), (10, 5, 50, 40)
    part = crop(whole, roi)
    assert part.color.shape == (35, 40, 3) and (part.name, part.stamp_ns) == ("f", 7)
    assert np.allclose(backproject(part.depth_m, part.intrinsics),
                       backproject(whole.depth_m, whole.intrinsics)[5:40, 10:50])
    assert crop(whole.without_depth(), roi).depth_m is None


def test_uncropped_records_are_those_of_the_whole_picture():
    whole, roi = frame(), (10, 5, 50, 40)
    small = np.zeros((35, 40), np.uint16)
    small[3:10, 20:30], small[20:25, 0:4] = 1, 2
    back = uncrop(instances(small, crop(whole, roi)), roi, (48, 64))
    expected = instances(back.label, whole)
    assert np.array_equal(back.label[5:40, 10:50], small) and back.label.sum() == small.sum()
    for ours, theirs in zip(back.items, expected.items):
        assert ours.box_xyxy == theirs.box_xyxy
        assert np.allclose(ours.centroid_px, theirs.centroid_px)
        assert np.allclose(ours.centroid_m, theirs.centroid_m, atol=0.02)


def test_maps_go_back_to_their_place():
    whole = uncrop_map(np.ones((3, 4), np.float32), (2, 1, 6, 4), (10, 10))
    assert whole.sum() == 12 and whole[1:4, 2:6].all()


@pytest.mark.parametrize(("roi", "text"), [((0, 0, 65, 20), "inside 64x48"), ((0, 0, 20, 10), "16x16")])
def test_regions_that_do_not_fit_are_refused(roi, text):
    with pytest.raises(FrameError, match=text):
        crop(frame(), roi)


def test_ignored_pixels_and_objects_go():
    whole = frame()
    label = np.zeros((48, 64), np.uint16)
    label[0:10, 0:10], label[20:30, 0:10], label[20:30, 30:40] = 1, 2, 3
    ignored = np.zeros((48, 64), bool)
    ignored[0:10, 0:6] = True    # most of 1
    ignored[20:30, 0:4] = True   # a part of 2
    left = drop_ignored(instances(label, whole), ignored, whole)
    assert [item.id for item in left.items] == [1, 2]
    assert left.items[0].box_xyxy == (4, 20, 10, 30) and left.items[0].area_px == 60
    assert left.items[1].box_xyxy == (30, 20, 40, 30)
    assert [item.score for item in left.items] == pytest.approx([0.7, 0.5])
    assert not left.label[ignored].any() and set(np.unique(left.label)) == {0, 1, 2}


def test_a_mask_beside_all_objects_changes_nothing():
    whole = frame()
    label = np.zeros((48, 64), np.uint16)
    label[0:10, 0:10] = 1
    before = instances(label, whole)
    ignored = np.zeros((48, 64), bool)
    ignored[30:] = True
    assert drop_ignored(before, ignored, whole) is before
