"""The learning-free baseline on ray-cast tables."""

from __future__ import annotations

import numpy as np
import pytest
from tabletop import BOXES, best_iou, tabletop

from uois_sam_ros import Segmenter
from uois_sam_ros.baseline.geometry import break_pixels, geometry_pieces
from uois_sam_ros.config import EncodingConfig
from uois_sam_ros.encoding.encode import Encoder
from uois_sam_ros.errors import FrameError
from uois_sam_ros.types import Frame


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter.from_preset("geometry")


@pytest.mark.parametrize("noise_m", [0.0, 0.001])
def test_separate_boxes(segmenter, noise_m):
    frame, truth, _ = tabletop(height=480, width=640, noise_m=noise_m)
    result = segmenter.segment(frame)
    assert len(result) == len(BOXES) and result.depth_used
    assert min(best_iou(result.label, truth, k) for k in (1, 2, 3)) > 0.85
    assert all(0 < item.score <= 1 for item in result.items)
    assert [item.score for item in result.items] == sorted((i.score for i in result.items), reverse=True)


def test_touching_boxes_are_split(segmenter):
    """A low box and a high one set back by 3 cm, touching along a wall that the camera sees."""
    touching = ((-0.10, -0.05, 0.0, 0.05, 0.05), (0.0, -0.02, 0.10, 0.08, 0.14))
    frame, truth, _ = tabletop(touching, height=480, width=640, camera_m=(-0.15, -0.5, 0.6))
    result = segmenter.segment(frame)
    assert len(result) == 2
    assert min(best_iou(result.label, truth, k) for k in (1, 2)) > 0.75


def test_box_in_front_of_a_box_is_split(segmenter):
    rows = ((-0.06, -0.12, 0.06, -0.06, 0.06), (-0.06, 0.04, 0.06, 0.10, 0.16))
    frame, truth, _ = tabletop(rows, height=480, width=640, pitch_deg=35, camera_m=(0, -0.7, 0.5))
    result = segmenter.segment(frame)
    assert len(result) == 2
    assert min(best_iou(result.label, truth, k) for k in (1, 2)) > 0.8


def test_empty_table(segmenter):
    frame, _, _ = tabletop((), height=480, width=640, noise_m=0.001)
    result = segmenter.segment(frame)
    assert len(result) == 0 and not result.label.any()


def test_a_convex_edge_is_no_break():
    """Top and front of one box meet in a convex edge; box and table meet in a concave one."""
    frame, truth, _ = tabletop(((-0.1, -0.1, 0.1, 0.1, 0.15),), pitch_deg=45, camera_m=(0, -0.6, 0.6))
    geometry = Encoder(EncodingConfig(), ())(frame).geometry
    broken = break_pixels(geometry)
    column = truth.shape[1] // 2
    rows = np.flatnonzero(truth[:, column])
    assert not broken[rows[4]:rows[-4], column].any()
    assert broken[rows[-1] - 3:rows[-1] + 4, column].any()


def test_nothing_but_holes_is_no_piece():
    frame, _, _ = tabletop()
    geometry = Encoder(EncodingConfig(), ())(frame).geometry
    geometry.valid[:] = False
    assert not geometry_pieces(geometry).any()


@pytest.mark.parametrize("depth", [None, np.zeros((240, 320), np.float32)])
def test_without_depth_the_frame_is_refused(segmenter, depth):
    frame, _, _ = tabletop()
    with pytest.raises(FrameError, match="tabletop: expected a depth image with readings.*got none"):
        segmenter.segment(Frame(frame.color, depth, frame.intrinsics, "tabletop"))


def test_depth_off_is_refused():
    frame, _, _ = tabletop()
    with pytest.raises(FrameError, match="do not switch depth off"):
        Segmenter.from_preset("geometry", encoding={"depth": "off"}).segment(frame)


def test_limits_apply(segmenter):
    frame, _, _ = tabletop(height=480, width=640)
    small = Segmenter.from_preset("geometry", selection={"max_size_m": 0.05})
    assert len(small.segment(frame)) == 0
