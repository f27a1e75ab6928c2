"""What a planner answers: rows of grasps, their poses, and which object each is on."""

from __future__ import annotations

import numpy as np
import pytest
from graspscenes import make_view

from uois_sam_ros.errors import FrameError
from uois_sam_ros.grasping.grasps import grasp_rows, on_objects, poses

transform = pytest.importorskip("scipy.spatial.transform", reason="the reference needs scipy: the test extra")


def row(score, point, rotation=np.eye(3)):
    """One row of a GraspGroup."""
    return [score, 0.08, 0.02, 0.02, *np.ravel(rotation), *point, -1]


class Group:
    """Stands for graspnetAPI's GraspGroup."""

    def __init__(self, rows):
        self.grasp_group_array = np.array(rows)


def test_rows_are_sorted_and_a_group_is_taken_as_it_is():
    group = Group([row(0.2, (0, 0, 1)), row(0.9, (1, 0, 1)), row(0.2, (2, 0, 1))])
    rows = grasp_rows(group)
    assert rows[:, 13].tolist() == [1, 0, 2] and rows.dtype == np.float64
    assert grasp_rows(np.empty((0, 17))).shape == (0, 17)


@pytest.mark.parametrize("wrong, message", [
    (np.zeros((3, 16)), r"expected rows of 17 numbers .* got shape \[3, 16\]"),
    (np.zeros(17), r"got shape \[17\]"),
    ([row(np.nan, (0, 0, 1))], "expected finite numbers, got NaN or infinity"),
])
def test_rows_that_are_refused(wrong, message):
    with pytest.raises(FrameError, match=message):
        grasp_rows(wrong)


def test_quaternions_are_those_of_the_rotation_matrices():
    """Random turns, and half turns, for which the trace alone is no help."""
    rng = np.random.default_rng(0)
    corners = [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (1, 1, 0, 0), (0, 1, 1, 0)]
    turns = transform.Rotation.from_quat([*rng.normal(size=(200, 4)), *corners])
    rows = np.array([row(0.5, (1, 2, 3), matrix) for matrix in turns.as_matrix()])
    points, quaternions = poses(rows)
    assert points.tolist() == [[1, 2, 3]] * 206
    assert np.linalg.norm(quaternions, axis=1) == pytest.approx(1)
    assert np.abs(transform.Rotation.from_quat(quaternions).as_matrix() - turns.as_matrix()).max() < 1e-9
    assert poses(np.empty((0, 17)))[1].shape == (0, 4)


def test_grasps_are_matched_with_the_label_image():
    view = make_view()
    points = []
    for number in (1, 2, 3):
        v, u = (int(value) for value in np.argwhere(view.label == number)[400])
        z = float(view.depth_m[v, u])
        points.append(((u - 159.5) * z / 288, (v - 119.5) * z / 288, z))
    rows = [row(0.1, points[0]), row(0.9, points[1]), row(0.5, points[2]), row(0.7, (0.3, 0.1, 0.9)),
            row(0.8, (0, 0, -1)), row(0.6, (50, 0, 1)), row(0.6, (0, 0, 0))]
    kept = on_objects(rows, view)
    assert kept[:, 16].tolist() == [2, 3, 1] and kept[:, 0].tolist() == [0.9, 0.5, 0.1]
    assert on_objects(rows, view, 1, 3)[:, 16].tolist() == [3, 1]
    assert on_objects(rows, view, 9).shape == (0, 17)
    assert on_objects(np.empty((0, 17)), view).shape == (0, 17)
