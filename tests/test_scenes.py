"""Scenes: layouts, physics, rooms, lamps and cameras.

Over 300 lines because the parts are tried on the same few settled scenes.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("mujoco", reason="scene building needs mujoco")

from uois_sam_ros.errors import ConfigError
from uois_sam_ros.synthetic import primitives
from uois_sam_ros.synthetic.arrangement import Heap, axis_up, box_of, random_rotation
from uois_sam_ros.synthetic.cameras import look_at, sample_cameras
from uois_sam_ros.synthetic.layouts import LAYOUTS, draw_layout
from uois_sam_ros.synthetic.model import Camera, ObjectModel, Placed, Scene
from uois_sam_ros.synthetic.physics import settle
from uois_sam_ros.synthetic.scenes import build_scene
from uois_sam_ros.synthetic.shapes import FAMILIES, TRAIN_FAMILIES, make_object

SEEDS = (0,)  # scenes are the slow part; more seeds pass as well


@pytest.fixture(scope="module")
def scenes() -> dict[tuple[str, int], Scene]:
    return {
        (layout, seed): build_scene(np.random.default_rng(seed), families=TRAIN_FAMILIES, layout=layout, max_objects=16)
        for layout in LAYOUTS
        for seed in SEEDS
    }


def _at(model: ObjectModel, x: float, y: float, z: float) -> Placed:
    pose = np.eye(4)
    pose[:3, 3] = x, y, z
    return Placed(model, pose)


def _cube(size: float = 0.05) -> ObjectModel:
    return ObjectModel("cube", (primitives.box((size, size, size), (0, 0, size / 2)),))


def _mesh_vertices(placed: Placed) -> np.ndarray:
    points = np.concatenate([piece.vertices for piece in placed.model.pieces])
    return points @ placed.pose[:3, :3].T + placed.pose[:3, 3]


# physics


def test_a_dropped_cube_comes_to_rest_on_the_plane():
    settled = settle([_at(_cube(), 0.1, 0.0, 0.2)])
    assert settled.kept == (0,)
    assert settled.poses[0][2, 3] == pytest.approx(0.0, abs=1e-3)
    assert settled.poses[0][0, 3] == pytest.approx(0.1, abs=0.02)


def test_every_family_comes_to_rest_on_the_plane():
    rng = np.random.default_rng(0)
    models = [make_object(family, rng) for family in sorted(FAMILIES)]
    items = [_at(model, index % 9, index // 9, 0.01) for index, model in enumerate(models)]
    settled = settle(items, duration=3.0)
    lost = [item.model.family for index, item in enumerate(items) if index not in settled.kept]
    assert not lost
    for index, pose in zip(settled.kept, settled.poses):
        lowest = _mesh_vertices(Placed(items[index].model, pose))[:, 2].min()
        assert lowest == pytest.approx(0, abs=0.003), items[index].model.family


def test_a_coaxial_tower_of_cylinders_stays_where_it_was_put():
    can = ObjectModel("can", (primitives.cylinder(0.03, 0.1),))
    settled = settle([_at(can, 0, 0, 0.1005 * k + 0.0005) for k in range(4)], falling=False)
    assert settled.kept == (0, 1, 2, 3)
    for level, pose in enumerate(settled.poses):
        np.testing.assert_allclose(pose[:3, 3], (0, 0, 0.1 * level), atol=2e-3)


def test_a_ball_falls_into_a_ring_of_pieces_and_stays_inside():
    section = [(0.06, 0.004), (0.06, 0.06), (0.056, 0.06), (0.056, 0.004)]
    wall = primitives.ring(primitives.section_loops(primitives.circle(24), section))
    cup = ObjectModel("cup", (*wall, primitives.cylinder(0.06, 0.004)))
    ball = ObjectModel("ball", (primitives.ellipsoid((0.02, 0.02, 0.02)),))
    settled = settle([_at(cup, 0, 0, 0.001), _at(ball, 0.01, 0, 0.15)])
    assert settled.kept == (0, 1)
    centre = settled.poses[1][:3, 3] - settled.poses[0][:3, 3]
    assert np.linalg.norm(centre[:2]) < 0.04
    assert centre[2] == pytest.approx(0.024, abs=0.003)


def test_what_leaves_the_allowed_region_is_taken_out():
    settled = settle(
        [_at(_cube(), 0, 0, 0.01), _at(_cube(), 1.0, 0, 0.01)],
        inside=lambda points: bool((np.abs(points[:, 0]) < 0.5).all()),
    )
    assert settled.kept == (0,)


def test_of_two_things_in_one_place_at_most_one_is_kept_unless_they_part():
    settled = settle([_at(_cube(), 0, 0, 0.001), _at(_cube(), 0.001, 0, 0.001)], falling=False)
    boxes = [_mesh_vertices(Placed(_cube(), pose)) for pose in settled.poses]
    if len(boxes) == 2:
        gap = np.maximum(boxes[0].min(0) - boxes[1].max(0), boxes[1].min(0) - boxes[0].max(0)).max()
        assert gap > -0.005


def test_settling_nothing_is_nothing():
    assert settle([]).kept == ()


# arrangement


def test_axis_up_turns_the_axis_to_z():
    for axis in range(3):
        np.testing.assert_allclose(axis_up(axis) @ np.eye(3)[axis], (0, 0, 1), atol=1e-12)
        assert np.linalg.det(axis_up(axis)) == pytest.approx(1)


def test_random_rotations_are_rotations():
    turn = random_rotation(np.random.default_rng(3))
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(turn) == pytest.approx(1)


def test_heap_places_above_what_is_there():
    heap = Heap()
    first = heap.above(_cube(), np.eye(3), (0, 0))
    second = heap.above(_cube(), np.eye(3), (0.02, 0))
    beside = heap.above(_cube(), np.eye(3), (0.2, 0))
    assert box_of(second)[0][2] > box_of(first)[1][2]
    assert box_of(beside)[0][2] < 0.01


# scenes


def test_the_same_seed_gives_the_same_scene():
    first, second = (build_scene(np.random.default_rng(5), families=TRAIN_FAMILIES, max_objects=8) for _ in range(2))
    assert first.layout == second.layout
    assert len(first.objects) == len(second.objects) and len(first.background) == len(second.background)
    for one, other in zip(first.objects + first.background, second.objects + second.background):
        np.testing.assert_array_equal(one.pose, other.pose)
        np.testing.assert_array_equal(one.model.pieces[0].vertices, other.model.pieces[0].vertices)
    for one, other in zip(first.lights, second.lights):
        np.testing.assert_array_equal(one.vector, other.vector)
    cameras = [sample_cameras(np.random.default_rng(9), first, 2, width=64, height=48) for _ in range(2)]
    for one, other in zip(*cameras):
        np.testing.assert_array_equal(one.pose, other.pose)


def test_another_seed_gives_another_scene():
    first, second = (build_scene(np.random.default_rng(s), families=("box",), layout="sparse") for s in (1, 2))
    assert not np.array_equal(first.objects[0].pose, second.objects[0].pose)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_objects_rest_on_the_support_within_the_count(scenes, layout):
    for seed in SEEDS:
        scene = scenes[layout, seed]
        assert 1 <= len(scene.objects) <= 16
        for item in scene.objects:
            assert item.pose.shape == (4, 4) and item.pose.dtype == np.float64
            np.testing.assert_allclose(item.pose[:3, :3] @ item.pose[:3, :3].T, np.eye(3), atol=1e-6)
            assert -0.003 < _mesh_vertices(item)[:, 2].min() < 0.6


@pytest.mark.parametrize("layout", LAYOUTS)
def test_settling_again_moves_next_to_nothing(scenes, layout):
    """Objects are at rest: a tenth of a second more leaves nearly all in place."""
    scene = scenes[layout, 0]
    holders = [item for item in scene.background if item.model.family in ("bin", "tray", "shelf", "shelf_back")]
    again = settle(scene.objects, holders, duration=0.1, falling=False)
    moved = [
        np.linalg.norm(pose[:3, 3] - scene.objects[index].pose[:3, 3]) for index, pose in zip(again.kept, again.poses)
    ]
    assert len(moved) >= 0.8 * len(scene.objects)
    assert np.mean(np.array(moved) < 0.01) >= 0.8


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rooms_have_a_floor_lamps_and_unlabelled_things(scenes, layout):
    for seed in SEEDS:
        scene = scenes[layout, seed]
        families = [item.model.family for item in scene.background]
        assert "floor" in families
        if layout in ("bin", "tray", "shelf"):
            assert layout in families
        assert all(item.group == -1 for item in scene.background)
        assert 1 <= len(scene.lights) <= 4
        assert 0.1 < scene.ambient.mean() < 0.7 and scene.ambient.shape == (3,)


def test_support_lies_just_below_the_objects(scenes):
    for scene in scenes.values():
        tops = [
            _mesh_vertices(item)[:, 2].max()
            for item in scene.background
            if item.model.family in ("table", "floor", "table_mat", "paper", "shelf", "bin", "tray")
        ]
        assert max(tops) > -0.01
        tables = [item for item in scene.background if item.model.family == "table"]
        for table in tables:
            points = _mesh_vertices(table)
            assert points[:, 2].max() <= 1e-6
            for item in scene.objects:
                centre = np.mean(box_of(item), axis=0)[:2]
                assert (points[:, :2].min(0) < centre).all() and (centre < points[:, :2].max(0)).all()


def test_furniture_keeps_off_the_objects(scenes):
    for scene in scenes.values():
        centres = np.array([np.mean(box_of(item), axis=0) for item in scene.objects])
        for item in scene.background:
            if not item.model.family.startswith("clutter"):
                continue
            for piece in item.model.pieces:
                world = piece.vertices @ item.pose[:3, :3].T + item.pose[:3, 3]
                inside = ((centres > world.min(0)) & (centres < world.max(0))).all(1)
                assert not inside.any()


@pytest.mark.parametrize("layout", ["stack", "tower", "container"])
def test_stacks_towers_and_containers_are_groups(scenes, layout):
    for seed in SEEDS:
        groups = [item.group for item in scenes[layout, seed].objects if item.group >= 0]
        assert groups
        assert all(groups.count(group) >= 2 for group in set(groups))


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name not in ("stack", "tower", "container")])
def test_other_layouts_have_no_groups(scenes, layout):
    assert all(item.group == -1 for seed in SEEDS for item in scenes[layout, seed].objects)


def test_towers_are_coaxial_and_some_have_three_storeys(scenes):
    heights = []
    for seed in SEEDS:
        scene = scenes["tower", seed]
        for group in {item.group for item in scene.objects} - {-1}:
            members = [item for item in scene.objects if item.group == group]
            centres = np.array([np.mean(box_of(item), axis=0) for item in members])
            assert np.ptp(np.sort(centres[:, 2])) > 0.01
            axis = np.median(centres[:, :2], axis=0)
            assert np.median(np.linalg.norm(centres[:, :2] - axis, axis=1)) < 0.015
            heights.append(len(members))
    assert max(heights) >= 3


def test_contents_lie_within_their_container(scenes):
    inside = []
    for seed in SEEDS:
        scene = scenes["container", seed]
        for group in {item.group for item in scene.objects} - {-1}:
            vessel, *contents = [item for item in scene.objects if item.group == group]
            assert vessel.model.cavity is not None
            to_vessel = np.linalg.inv(vessel.pose)
            for item in contents:
                centre = to_vessel[:3] @ [*np.mean(box_of(item), axis=0), 1]
                offset = np.abs(centre - vessel.model.cavity.floor)[:2]
                inside.append((offset < np.array(vessel.model.cavity.half_extent) * 1.05).all())
    assert len(inside) >= 2 and np.mean(inside) > 0.7


def test_identical_copies_share_their_model(scenes):
    for seed in SEEDS:
        assert len({id(item.model) for item in scenes["identical", seed].objects}) == 1


def test_flat_things_are_thin(scenes):
    for seed in SEEDS:
        for item in scenes["flat", seed].objects:
            lower, upper = item.model.bounds
            assert (upper - lower).min() < 0.01


def test_max_objects_is_an_upper_limit():
    for layout in ("pile", "identical", "stack", "container"):
        assert len(build_scene(np.random.default_rng(0), families=TRAIN_FAMILIES, layout=layout, max_objects=3).objects) <= 3


def test_a_layout_that_the_families_cannot_make_still_gives_a_scene():
    scene = build_scene(np.random.default_rng(0), families=("ball",), layout="container")
    assert scene.objects and scene.layout == "sparse"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": "heap"}, "layout: expected one of"),
        ({"families": ()}, "families: expected at least one"),
        ({"max_objects": 0}, "max_objects: expected at least 1"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        build_scene(np.random.default_rng(0), **{"families": ("box",), **options})


def test_every_layout_is_drawn():
    rng = np.random.default_rng(0)
    assert {draw_layout(rng) for _ in range(800)} == set(LAYOUTS)


# cameras


def _project(camera: Camera, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    local = (points - camera.pose[:3, 3]) @ camera.pose[:3, :3]
    fx, fy, cx, cy = camera.intrinsics
    return np.stack([fx * local[:, 0] / local[:, 2] + cx, fy * local[:, 1] / local[:, 2] + cy], 1), local[:, 2]


def test_look_at_points_the_optical_axis_at_the_target_with_y_down():
    pose = look_at(np.array([0.0, -1.0, 1.0]), np.zeros(3))
    np.testing.assert_allclose(pose[:3, 2], np.array([0, 1, -1]) / np.sqrt(2), atol=1e-12)
    assert pose[2, 1] < 0  # image y goes down in the world
    assert pose[0, 0] == pytest.approx(1)  # image x goes right
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_cameras_see_the_objects(scenes, layout):
    seen = []
    for seed in SEEDS:
        scene = scenes[layout, seed]
        centres = np.array([np.mean(box_of(item), axis=0) for item in scene.objects])
        for camera in sample_cameras(np.random.default_rng(seed), scene, 3, width=64, height=48):
            assert np.linalg.det(camera.pose[:3, :3]) == pytest.approx(1)
            fx, fy, cx, cy = camera.intrinsics
            assert 40 < np.rad2deg(2 * np.arctan(32 / fx)) < 80 and fy == pytest.approx(fx, rel=0.02)
            pixels, depth = _project(camera, np.median(centres, axis=0, keepdims=True))
            assert depth[0] > 0.2
            assert (pixels[0] > 0).all() and (pixels[0] < (64, 48)).all()
            pixels, depth = _project(camera, centres)
            seen.append(((pixels > 0) & (pixels < (64, 48))).all(1).mean())
    assert np.mean(seen) > 0.6


def test_cameras_stay_out_of_solids(scenes):
    for (_, seed), scene in scenes.items():
        for camera in sample_cameras(np.random.default_rng(seed), scene, 2, width=64, height=48):
            eye = camera.pose[:3, 3]
            for item in (*scene.background, *scene.objects):
                for piece in item.model.pieces:
                    corners = (piece.vertices @ item.pose[:3, :3].T + item.pose[:3, 3])[piece.faces]
                    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
                    assert (np.einsum("ij,ij->i", normals, eye - corners[:, 0]) > 0).any()


def test_a_wall_in_the_way_is_looked_around():
    cube = _at(_cube(), 0, 0, 0)
    wall = ObjectModel("wall", (primitives.box((2.0, 0.02, 4.0)),))
    scene = Scene((cube,), (_at(wall, 0, -0.12, 0),), (), np.ones(3, np.float32), "sparse")
    for camera in sample_cameras(np.random.default_rng(0), scene, 30, width=64, height=48):
        assert camera.pose[1, 3] > -0.12


def test_cameras_refuse_an_empty_image():
    scene = Scene((_at(_cube(), 0, 0, 0),), (), (), np.ones(3, np.float32), "sparse")
    with pytest.raises(ValueError, match="at least 1 pixel"):
        sample_cameras(np.random.default_rng(0), scene, 1, width=0, height=48)
