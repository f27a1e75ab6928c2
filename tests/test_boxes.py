"""Oriented boxes: cuboids of known size, what stands on what, and readings that belong to nothing."""

from __future__ import annotations

import numpy as np
import pytest
from tabletop import BOXES, tabletop

from uois_sam_ros.ros.boxes import MIN_READINGS, OrientedBox, oriented_boxes
from uois_sam_ros.selection.describe import describe
from uois_sam_ros.types import Instances, Intrinsics, Plane

#: A camera one metre above a table, looking straight down: 2 mm a pixel on the table.
K = Intrinsics(500.0, 500.0, 159.5, 119.5)
TABLE = Plane(np.array([0, 0, -1], np.float32), 1.0, 0.9)
SHAPE = (240, 320)


def segmented(label, depth_m, k=K):
    """Instances of a label image."""
    windows = []
    for number in range(1, int(label.max()) + 1):
        rows, cols = np.nonzero(label == number)
        windows.append((int(cols.min()), int(rows.min()), int(cols.max()) + 1, int(rows.max()) + 1))
    return Instances(label, describe(label, windows, np.full(len(windows), 0.9, np.float32), depth_m, k))


class Scene:
    """Level surfaces seen from above; ``add`` puts a rotated rectangle at a height on what is there."""

    def __init__(self, table_m=1.0):
        self.depth_m = np.full(SHAPE, table_m, np.float32)
        self.label = np.zeros(SHAPE, np.uint16)

    def add(self, center, size, height, *, yaw_deg=0.0, number=None):
        z = 1.0 - height
        x = (np.arange(SHAPE[1]) - K.cx) / K.fx * z - center[0]
        y = (np.arange(SHAPE[0]) - K.cy) / K.fy * z - center[1]
        turn = np.radians(yaw_deg)
        along = x[None, :] * np.cos(turn) + y[:, None] * np.sin(turn)
        across = -x[None, :] * np.sin(turn) + y[:, None] * np.cos(turn)
        inside = (np.abs(along) <= size[0] / 2) & (np.abs(across) <= size[1] / 2)
        self.depth_m[inside] = z
        self.label[inside] = self.label.max() + 1 if number is None else number
        return self

    def boxes(self, plane=TABLE):
        return oriented_boxes(segmented(self.label, self.depth_m), self.depth_m, K, plane)


def size_mm(box):
    return [1000 * side for side in box.size_m]


@pytest.mark.parametrize("view", [
    {}, {"height": 480, "width": 640}, {"pitch_deg": 30.0, "camera_m": (0, -0.8, 0.45)},
    {"pitch_deg": 89.0, "camera_m": (0.02, 0, 0.8)}])
@pytest.mark.parametrize("noise_mm", [0, 1])
def test_cuboids_on_a_plane(view, noise_mm):
    frame, label, (normal, offset) = tabletop(**view, noise_m=noise_mm / 1000)
    plane = Plane(normal.astype(np.float32), offset, 0.9)
    boxes = oriented_boxes(segmented(label, frame.depth_m, frame.intrinsics), frame.depth_m, frame.intrinsics, plane)
    pitch = np.radians(view.get("pitch_deg", 50.0))
    camera = np.asarray(view.get("camera_m", (0.0, -0.5, 0.6)))
    to_camera = np.array([[1, 0, 0], [0, -np.sin(pitch), -np.cos(pitch)], [0, np.cos(pitch), -np.sin(pitch)]])
    for box, (x0, y0, x1, y1, top) in zip(boxes, BOXES):
        sides = sorted([x1 - x0, y1 - y0], reverse=True)
        assert size_mm(box) == pytest.approx([1000 * side for side in (*sides, top)], abs=5)
        center = to_camera @ (np.array([(x0 + x1) / 2, (y0 + y1) / 2, top / 2]) - camera)
        assert box.center_m == pytest.approx(center, abs=0.004)
        assert box.rotation[:, 2] == pytest.approx(normal, abs=1e-6)
        longer = to_camera[:, 0 if x1 - x0 > y1 - y0 + 1e-6 else 1]
        if x1 - x0 != pytest.approx(y1 - y0):
            assert abs(box.rotation[:, 0] @ longer) > 0.999


@pytest.mark.parametrize("yaw_deg", [0, 30, 80, 120, 179])
def test_axes_of_a_turned_cuboid(yaw_deg):
    (box,) = Scene().add((0.05, -0.03), (0.16, 0.06), 0.1, yaw_deg=yaw_deg).boxes()
    assert size_mm(box) == pytest.approx([160, 60, 100], abs=4)
    assert box.center_m == pytest.approx((0.05, -0.03, 0.95), abs=0.002)
    x, y, z = box.rotation.T
    turn = np.radians(yaw_deg)
    assert abs(x @ [np.cos(turn), np.sin(turn), 0]) > 0.999 and x[0] > 0  # along the longer side, to the right
    assert z == pytest.approx([0, 0, -1]) and np.cross(z, x) == pytest.approx(y)


def test_what_a_box_rests_on():
    scene = Scene().add((-0.1, 0), (0.16, 0.14), 0.1).add((-0.1, 0), (0.06, 0.05), 0.18)
    scene.add((0.12, 0), (0.08, 0.06), 0.07)
    lower, upper, alone = scene.boxes()
    assert size_mm(lower)[2] == pytest.approx(100, abs=1)
    assert size_mm(upper) == pytest.approx([60, 50, 80], abs=4)  # down to the lower one, not to the table
    assert upper.center_m[2] == pytest.approx(0.86, abs=0.002)
    assert size_mm(alone)[2] == pytest.approx(70, abs=1)


def test_higher_neighbours_carry_nothing():
    scene = Scene().add((0, 0), (0.1, 0.09), 0.15).add((0, 0.015), (0.06, 0.06), 0.05)  # in a niche open to one side
    _, low = scene.boxes()
    assert size_mm(low)[2] == pytest.approx(50, abs=1)


def test_what_lies_far_behind_carries_nothing():
    boxes = ((-0.05, -0.05, 0.05, 0.05, 0.08), (-0.045, -0.045, 0.045, 0.045, 0.16))  # one on the other
    frame, label, (normal, offset) = tabletop(boxes, pitch_deg=25.0, camera_m=(0, -0.7, 0.4))
    plane = Plane(normal.astype(np.float32), offset, 0.9)
    _, upper = oriented_boxes(segmented(label, frame.depth_m, frame.intrinsics), frame.depth_m, frame.intrinsics, plane)
    assert size_mm(upper)[2] == pytest.approx(80, abs=10)


@pytest.mark.parametrize("stray", [0, 8])
def test_an_object_in_the_air_ends_with_what_is_seen_of_it(stray):
    scene = Scene().add((0, 0), (0.1, 0.08), 0.3)
    scene.depth_m[scene.label == 0] = np.nan  # next to nothing is seen around it
    right = np.nonzero(scene.label)[1].max()
    scene.depth_m[100:100 + stray, right + 1:right + 20] = 0.8
    (box,) = scene.boxes()
    assert box.center_m[2] == pytest.approx(0.7, abs=0.002) and box.size_m[2] == pytest.approx(0.001)


def test_a_card_on_the_table_keeps_its_footprint():
    (box,) = Scene().add((0, 0), (0.09, 0.055), 0.001).boxes()
    assert size_mm(box) == pytest.approx([90, 55, 1], abs=3)
    (box,) = Scene().add((0, 0), (0.1, 0.08), 0.002).add((0, 0), (0.04, 0.03), 0.02, number=1).boxes()
    assert size_mm(box) == pytest.approx([100, 80, 20], abs=4)  # its bump is not all of it


def test_a_mask_that_spills_onto_the_table():
    scene = Scene().add((0, 0), (0.1, 0.08), 0.06)
    clean, = scene.boxes()
    scene.label[:] = np.abs(np.arange(SHAPE[1]) - K.cx)[None] < 30  # 30 to 40 % too wide
    scene.label[:] *= (np.abs(np.arange(SHAPE[0]) - K.cy)[:, None] < 26).astype(np.uint16)
    spilled, = scene.boxes()
    assert size_mm(spilled) == pytest.approx(size_mm(clean), abs=3)


def test_a_mask_that_spills_onto_something_far_behind():
    scene = Scene(table_m=0.0).add((0, 0), (0.1, 0.08), 0.3)
    clean, = scene.boxes(plane=None)
    first = np.nonzero(scene.label)[0].min()
    scene.depth_m[first:first + 3] = np.where(scene.label[first:first + 3], 3.0, 0)
    spilled, = scene.boxes(plane=None)
    assert size_mm(spilled) == pytest.approx(size_mm(clean), abs=6)  # three rows of readings are gone


def test_the_rim_of_a_bowl_is_no_spill():
    scene = Scene().add((0, 0), (0.14, 0.14), 0.12).add((0, 0), (0.125, 0.125), 0.01, number=1)
    (box,) = scene.boxes()
    assert size_mm(box) == pytest.approx([140, 140, 120], abs=4)


def test_readings_between_object_and_table():
    scene = Scene().add((0, 0), (0.1, 0.08), 0.2)
    clean, = scene.boxes()
    rows, cols = np.nonzero(scene.label == 1)
    for offset in range(1, 4):  # a slope three pixels wide on the right, as sensors smear an edge
        column = cols.max() + offset
        scene.depth_m[rows.min():rows.max() + 1, column] = 0.8 + 0.05 * offset
        scene.label[rows.min():rows.max() + 1, column] = 1
    smeared, = scene.boxes()
    assert size_mm(smeared) == pytest.approx(size_mm(clean), abs=3)


def test_sparse_readings_are_no_edges():
    scene = Scene().add((0, 0), (0.12, 0.1), 0.1)
    scene.depth_m[(np.indices(SHAPE).sum(axis=0) % 2) == 1] = 0  # every reading stands alone
    (box,) = scene.boxes()
    assert size_mm(box) == pytest.approx([120, 100, 100], abs=5)


def test_too_few_readings():
    scene = Scene().add((-0.1, 0), (0.1, 0.1), 0.1).add((0.1, 0), (0.1, 0.1), 0.1)
    scene.depth_m[scene.label == 2] = np.inf
    first, second = scene.boxes()
    assert first is not None and second is None
    scene.depth_m[tuple(np.argwhere(scene.label == 2)[:MIN_READINGS - 1].T)] = 0.9
    assert scene.boxes()[1] is None


def test_nothing_is_left_when_every_reading_hangs_between_surfaces():
    scene = Scene()
    scene.depth_m[:, 100:180] = np.where(np.arange(80) % 2, 0.8, 0.9)
    scene.label[60:160, 110:170] = 1
    assert scene.boxes() == (None,)


def test_without_a_plane_the_flattest_direction_takes_its_place():
    scene = Scene(table_m=0.0).add((0, 0), (0.12, 0.05), 0.2, yaw_deg=40)
    (box,) = scene.boxes(plane=None)
    assert size_mm(box) == pytest.approx([120, 50, 1], abs=4)
    assert box.rotation[:, 2] == pytest.approx([0, 0, -1], abs=1e-6)
    assert box.center_m == pytest.approx((0, 0, 0.8), abs=0.002)


def test_a_mask_at_the_border_of_the_picture():
    scene = Scene()
    scene.depth_m[:50, :60] = 0.9
    scene.label[:50, :60] = 1
    (box,) = scene.boxes()
    assert size_mm(box) == pytest.approx([59 * 1.8, 49 * 1.8, 100], abs=4)


def test_no_instances():
    assert Scene().boxes() == () and Scene().boxes(plane=None) == ()


def rotation(axis, angle_deg):
    x, y, z = np.asarray(axis, float) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn = np.radians(angle_deg)
    return np.eye(3) + np.sin(turn) * cross + (1 - np.cos(turn)) * cross @ cross


@pytest.mark.parametrize(("axis", "angle_deg"), [
    ((1, 0, 0), 0), ((1, 0, 0), 180), ((0, 1, 0), 180), ((0, 0, 1), 180), ((1, 2, 3), 40), ((-1, 2, -3), 170),
    ((3, -1, 1), 179), ((1, 5, -1), 179), ((1, 1, -6), 179), ((0, 0, 1), -90)])
def test_quaternions(axis, angle_deg):
    quaternion = OrientedBox((0, 0, 0), (1, 1, 1), rotation(axis, angle_deg), 100).quaternion_xyzw()
    assert all(type(value) is float for value in quaternion)
    half = np.radians(angle_deg) / 2
    by_hand = [*np.sin(half) * np.asarray(axis) / np.linalg.norm(axis), np.cos(half)]
    assert abs(np.dot(quaternion, by_hand)) == pytest.approx(1) and quaternion[3] >= 0
