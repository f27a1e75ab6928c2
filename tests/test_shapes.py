"""Object families and the convex primitives that they are made of."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy", reason="shapes need scipy: the synth extra")

from uois_sam_ros.errors import ConfigError
from uois_sam_ros.synthetic import primitives
from uois_sam_ros.synthetic.model import MATERIALS, ObjectModel, Piece
from uois_sam_ros.synthetic.shapes import FAMILIES, HOLDOUT_FAMILIES, SCORE_FAMILIES, TRAIN_FAMILIES, make_object

SEEDS = (0, 1, 2)
CAVITY_FAMILIES = {"mug", "glass", "goblet", "bowl", "plate", "tray", "open_carton", "pot", "pan", "flower_pot",
                   "basket", "vase", "pitcher"}


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def drawn(request) -> list[ObjectModel]:
    return [make_object(request.param, np.random.default_rng(seed)) for seed in SEEDS]


def volume(piece: Piece) -> float:
    corners = piece.vertices.astype(np.float64)[piece.faces]
    return float(np.einsum("ij,ij->", np.cross(corners[:, 0], corners[:, 1]), corners[:, 2]) / 6)


def planes(piece: Piece) -> tuple[np.ndarray, np.ndarray]:
    """Unit normal and a point of every face that is not a sliver."""
    corners = piece.vertices.astype(np.float64)[piece.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normals, axis=1)
    kept = area > 1e-5 * np.ptp(piece.vertices, axis=0).max() ** 2
    return normals[kept] / area[kept, None], corners[kept, 0]


def protrusion(piece: Piece) -> float:
    """How far any vertex lies before any face plane, as a share of the piece's size."""
    normals, anchors = planes(piece)
    heights = piece.vertices.astype(np.float64) @ normals.T - np.einsum("ij,ij->i", normals, anchors)
    return float(heights.max() / np.ptp(piece.vertices, axis=0).max())


def is_closed(piece: Piece) -> bool:
    """Every edge is walked once in each direction, doubled vertices counted as one."""
    _, welded = np.unique(piece.vertices, axis=0, return_inverse=True)
    faces = welded.reshape(-1)[piece.faces]
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    forward = {tuple(edge) for edge in edges.tolist()}
    return len(forward) == len(edges) and all((b, a) in forward for a, b in forward)


def test_pieces_are_closed_convex_and_outward(drawn):
    for model in drawn:
        for number, piece in enumerate(model.pieces):
            name = f"{model.family} piece {number} ({model.parts[piece.part]})"
            assert piece.vertices.dtype == np.float32 and piece.faces.dtype == np.int32, name
            assert np.isfinite(piece.vertices).all() and piece.faces.max() < len(piece.vertices), name
            assert is_closed(piece), name
            assert volume(piece) > 0, name
            assert protrusion(piece) < 1e-5, name


def test_parts_and_surfaces_match(drawn):
    for model in drawn:
        assert {piece.part for piece in model.pieces} == set(range(len(model.parts))), model.family
        assert len(model.surfaces) == len(model.parts) == len(set(model.parts)), model.family
        assert all(surface.material in MATERIALS and 0 <= surface.roughness <= 1 for surface in model.surfaces)
        assert 50 < model.density < 10000


def test_sizes_frame_and_piece_counts(drawn):
    for model in drawn:
        low, high = model.bounds
        extent = high - low
        assert 0.005 < extent.max() < 0.40 and extent.min() > 0.0009, (model.family, extent)
        assert abs(low[2]) < 1e-6, "the lowest point lies at z = 0"
        assert (low[:2] < 0).all() and (high[:2] > 0).all(), "the origin lies below the object"
        assert len(model.pieces) <= 45
        assert sum(len(piece.faces) for piece in model.pieces) <= 2500


def test_same_seed_same_object(drawn):
    for seed, model in zip(SEEDS, drawn):
        again = make_object(model.family, np.random.default_rng(seed))
        assert len(again.pieces) == len(model.pieces) and again.surfaces == model.surfaces
        assert all(np.array_equal(a.vertices, b.vertices) for a, b in zip(again.pieces, model.pieces))
    assert not np.array_equal(drawn[0].bounds[1], drawn[1].bounds[1]), "seeds differ"


def test_cavities_are_free(drawn):
    assert (drawn[0].cavity is not None) == (drawn[0].family in CAVITY_FAMILIES)
    for model in drawn:
        if model.cavity is None:
            continue
        angle = np.arange(8) * np.pi / 4
        across = np.concatenate([[(0, 0)], 0.95 * np.stack([np.cos(angle), np.sin(angle)], 1)])
        spots = np.concatenate([np.column_stack([across, np.full(9, z)]) for z in np.linspace(0.03, 0.97, 25)])
        spots = spots * (*model.cavity.half_extent, model.cavity.depth) + model.cavity.floor
        assert model.cavity.depth > 0.004
        for piece in model.pieces:
            normals, anchors = planes(piece)
            heights = spots @ normals.T - np.einsum("ij,ij->i", normals, anchors)
            assert (heights.max(1) > 0).all(), f"{model.family}: {model.parts[piece.part]} fills the cavity"


def test_handle_hole_is_open():
    """A ray along y through the middle of a mug's handle meets nothing."""
    model = make_object("mug", np.random.default_rng(0))
    handle = np.concatenate([p.vertices for p in model.pieces if model.parts[p.part] == "handle"])
    body = np.concatenate([p.vertices for p in model.pieces if model.parts[p.part] == "body"])
    middle = (handle[:, 2].min() + handle[:, 2].max()) / 2
    x = (body[:, 0].max() + handle[:, 0].max()) / 2 - 0.002
    line = np.column_stack([np.full(41, x), np.linspace(-0.02, 0.02, 41), np.full(41, middle)])
    for piece in model.pieces:
        normals, anchors = planes(piece)
        assert ((line @ normals.T - np.einsum("ij,ij->i", normals, anchors)).max(1) > 0).all()


def test_the_three_groups_of_families_are_disjoint():
    assert len(TRAIN_FAMILIES) >= 20 and len(SCORE_FAMILIES) >= 14 and len(HOLDOUT_FAMILIES) >= 5
    assert len(TRAIN_FAMILIES) + len(SCORE_FAMILIES) + len(HOLDOUT_FAMILIES) == len(FAMILIES)
    assert HOLDOUT_FAMILIES | set(SCORE_FAMILIES) | set(TRAIN_FAMILIES) == set(FAMILIES)
    assert all(make_object(name, np.random.default_rng(0)).family == name for name in FAMILIES)


@pytest.mark.parametrize("family", SCORE_FAMILIES)
def test_families_for_the_scores_have_visible_parts(family):
    """The score heads learn that a part is no object, so parts of some size must be there."""
    models = [make_object(family, np.random.default_rng(seed)) for seed in range(10)]
    whole = max(models, key=lambda model: len(model.parts))
    assert len(whole.parts) >= 2, family
    largest = [max(np.ptp(piece.vertices, axis=0).max() for piece in whole.pieces if piece.part == part)
               for part in range(len(whole.parts))]
    assert sorted(largest)[-2] > 0.1 * (whole.bounds[1] - whole.bounds[0]).max(), (family, largest)


def test_families_for_the_scores_are_small_to_large():
    sizes = [float(np.ptp(make_object(name, np.random.default_rng(seed)).bounds, axis=0).max())
             for name in SCORE_FAMILIES for seed in range(3)]
    assert min(sizes) < 0.05 and sum(size > 0.2 for size in sizes) > 0.2 * len(sizes)


def test_materials_that_break_depth_sensors_occur():
    def share(family: str, material: str) -> float:
        drawn = [make_object(family, np.random.default_rng(seed)).surfaces[0].material for seed in range(40)]
        return drawn.count(material) / len(drawn)

    assert 0.35 < share("glass", "glass") < 0.85
    assert 0.05 < share("bottle", "glass") < 0.5
    assert share("nut", "metal") == 1


def test_unknown_family_is_refused():
    with pytest.raises(ConfigError, match="'teapot' is unknown; expected one of .*wrench"):
        make_object("teapot", np.random.default_rng(0))


@pytest.mark.parametrize("piece, expected", [
    (primitives.box((1, 2, 3)), 6.0),
    (primitives.box((2, 2, 2), bevel=0.5), 8 - 12 * 0.5 ** 2 / 2 * 2 + 8 * 2 / 3 * 0.5 ** 3),  # edges off, corners back
    (primitives.extrude(np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]), 2.0), 8.0),
    (primitives.cylinder(1.0, 2.0, sides=4), 4.0),  # a square of diagonal 2
    (primitives.cylinder(1.0, 3.0, 0.0, sides=4), 2.0),  # a pyramid
], ids=["box", "bevelled box", "extrusion", "prism", "pyramid"])
def test_volumes_known_by_hand(piece, expected):
    assert volume(piece) == pytest.approx(expected, rel=1e-5)


def test_revolve_splits_where_the_profile_turns_inwards():
    necked = primitives.revolve(primitives.circle(16), [(2, 0), (2, 2), (1, 3), (1, 4)])
    assert len(necked) == 2
    assert all(protrusion(piece) < 1e-6 for piece in necked)
    assert len(primitives.revolve(primitives.circle(16), [(1, 0), (2, 1), (2, 2), (1, 3)])) == 1


def test_ring_leaves_its_inside_free_and_fills_its_wall():
    wall = [(1, 0), (0.8, 0), (1, 1), (0.8, 1)]
    blocks = primitives.ring(primitives.section_loops(primitives.circle(32), wall))
    assert len(blocks) == 16
    outer = 0.5 * 32 * np.sin(2 * np.pi / 32)
    inner = 0.8 ** 2 * 0.5 * 16 * np.sin(2 * np.pi / 16)
    assert sum(volume(block) for block in blocks) == pytest.approx(outer - inner, rel=1e-5)


def test_smooth_pieces_keep_their_sharp_edges():
    """The rim of a cylinder has two vertices a corner, its round side one."""
    assert len(primitives.cylinder(1.0, 2.0, sides=16).vertices) == 4 * 16 + 2
    ball = primitives.ellipsoid((1, 1, 1))
    assert len(np.unique(ball.vertices, axis=0)) == len(ball.vertices)


def test_sweep_follows_its_path():
    path = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0)], float)
    pieces = primitives.sweep(path, 0.1 * primitives.circle(8))
    points = np.concatenate([piece.vertices for piece in pieces])
    assert len(pieces) == 2
    np.testing.assert_allclose(points.max(0), [1.1, 1.0, 0.1], atol=0.03)
    rounded = primitives.sweep(path, 0.1 * primitives.circle(8), round_ends=True)
    assert len(rounded) == 2 and rounded[0].vertices[:, 0].min() == pytest.approx(-0.05, abs=1e-3)
