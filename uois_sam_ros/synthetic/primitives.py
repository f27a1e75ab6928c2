"""Convex pieces as closed triangle meshes: hulls, lofts, rings and sweeps.

Four tools cover every object. ``hull`` wraps points, ``loft`` and ``revolve`` stack scaled copies of one
polygon, ``ring`` splits a closed wall into blocks so that its inside stays free, ``sweep`` moves a
section along a path. All lengths are metres and all angles radians. Pieces come with outward
counter-clockwise faces; where a smooth piece has a sharp edge its vertices are doubled there, so that
interpolated normals do not smear over the edge.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull

from .model import Piece

#: Edges sharper than this stay sharp on smooth pieces.
CREASE_RAD = np.deg2rad(50.0)


def hull(points: np.ndarray, smooth: bool = False) -> Piece:
    """Wrap points (float[n, 3], not all in one plane) in their convex hull."""
    points = np.asarray(points, np.float32).astype(np.float64)
    wrapped = ConvexHull(points)
    corners = points[wrapped.simplices]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    inward = np.einsum("ij,ij->i", normals, wrapped.equations[:, :3]) < 0
    faces = np.where(inward[:, None], wrapped.simplices[:, ::-1], wrapped.simplices)
    used, faces = np.unique(faces, return_inverse=True)
    return _finish(points[used], faces.reshape(-1, 3), smooth)


def box(size: Sequence[float], centre: Sequence[float] = (0.0, 0.0, 0.0), bevel: float = 0.0) -> Piece:
    """Return a box of full ``size`` (x, y, z) with its edges cut off by ``bevel`` metres."""
    half = np.asarray(size, np.float64) / 2
    signs = np.stack(np.meshgrid([-1, 1], [-1, 1], [-1, 1], indexing="ij"), -1).reshape(-1, 3)
    bevel = min(bevel, 0.95 * float(half.min()))
    if bevel <= 0:
        return hull(signs * half + centre)
    cut = np.stack([half - bevel * (np.arange(3) != axis) for axis in range(3)])
    return hull((signs[:, None] * cut[None]).reshape(-1, 3) + centre)


def circle(sides: int = 24, stretch: float = 1.0) -> np.ndarray:
    """Return float64[sides, 2]: a unit circle, y stretched, counter-clockwise."""
    angle = 2 * np.pi * np.arange(sides) / sides
    return np.stack([np.cos(angle), stretch * np.sin(angle)], 1)


def rounded_rectangle(half_x: float, half_y: float, radius: float, per_corner: int = 4) -> np.ndarray:
    """Return float64[4 * per_corner, 2], counter-clockwise; ``radius`` is clipped to fit."""
    radius = float(np.clip(radius, 1e-5, 0.98 * min(half_x, half_y)))
    angle = np.linspace(0, np.pi / 2, per_corner)
    arc = radius * np.stack([np.cos(angle), np.sin(angle)], 1)
    corners = []
    for quarter, sign in enumerate(((1, 1), (-1, 1), (-1, -1), (1, -1))):
        turn = np.array([[0.0, -1.0], [1.0, 0.0]])
        turned = arc @ np.linalg.matrix_power(turn, quarter).T
        corners.append(turned + np.array(sign) * (half_x - radius, half_y - radius))
    return np.concatenate(corners)


def loft(polygon: np.ndarray, profile: Sequence[Sequence[float]], smooth: bool = True) -> Piece:
    """Stack scaled copies of a polygon into one convex piece.

    Args:
        polygon: float[n, 2], convex, counter-clockwise, around the origin.
        profile: (scale, z) rows, z not falling, scale >= 0 and convex as seen from outside.
    """
    polygon = np.asarray(polygon, np.float64)
    rows = np.asarray(profile, np.float64)
    rings = rows[rows[:, 0] > 1e-9]
    sides, levels = len(polygon), len(rings)
    flat = (rings[:, 0, None, None] * polygon).reshape(-1, 2)
    vertices = np.column_stack([flat, np.repeat(rings[:, 1], sides)])
    vertices = np.concatenate([vertices, [[0, 0, rows[0, 1]], [0, 0, rows[-1, 1]]]])
    here = np.arange(sides)
    there = (here + 1) % sides
    bottom, top = sides * levels, sides * levels + 1
    faces = [np.stack([np.full(sides, bottom), there, here], 1)]
    for level in range(levels - 1):
        low, high = level * sides, (level + 1) * sides
        faces.append(np.stack([low + here, low + there, high + there], 1))
        faces.append(np.stack([low + here, high + there, high + here], 1))
    last = (levels - 1) * sides
    faces.append(np.stack([np.full(sides, top), last + here, last + there], 1))
    return _finish(vertices, np.concatenate(faces), smooth)


def revolve(polygon: np.ndarray, profile: Sequence[Sequence[float]], smooth: bool = True) -> list[Piece]:
    """Loft a profile of any shape (z not falling), cut into convex pieces where it turns inwards."""
    rows = np.asarray(profile, np.float64)
    step = np.diff(rows, axis=0)
    turn = step[:-1, 0] * step[1:, 1] - step[:-1, 1] * step[1:, 0]
    length = np.linalg.norm(step, axis=1)
    cuts = [0, *(np.flatnonzero(turn < -1e-6 * length[:-1] * length[1:]) + 1), len(rows) - 1]
    runs = [rows[start:stop + 1] for start, stop in zip(cuts[:-1], cuts[1:])]
    return [loft(polygon, run, smooth) for run in runs if run[-1, 1] - run[0, 1] > 1e-6]


def extrude(polygon: np.ndarray, height: float, bevel: float = 0.0, smooth: bool = False) -> Piece:
    """Extrude a convex polygon (metres, around the origin) from z = 0 to ``height``."""
    if bevel <= 0:
        return loft(polygon, [(1, 0), (1, height)], smooth)
    bevel = min(bevel, 0.45 * height)
    inset = max(0.5, 1 - bevel / float(np.linalg.norm(polygon, axis=1).min()))
    return loft(polygon, [(inset, 0), (1, bevel), (1, height - bevel), (inset, height)], smooth)


def cylinder(radius: float, height: float, top: float | None = None, *, bevel: float = 0.0,
             sides: int = 24) -> Piece:
    """Return a cylinder or cone frustum (``top`` radius, 0 for a cone) standing on z = 0."""
    top = radius if top is None else top
    rows = [(radius, 0.0), (top, height)]
    if bevel > 0:
        bevel = min(bevel, 0.45 * height, 0.9 * min(radius, top))
        rows = [(radius - bevel, 0.0), (radius, bevel), (top, height - bevel), (top - bevel, height)]
    return loft(circle(sides), rows)


def ellipsoid(radii: Sequence[float], exponents: tuple[float, float] = (1.0, 1.0),
              resolution: tuple[int, int] = (9, 18)) -> Piece:
    """Return a superellipsoid around the origin.

    Args:
        radii: half sizes (x, y, z).
        exponents: vertical and horizontal roundness in (0.1, 2]: 1 round, small boxy, 2 pointed.
        resolution: rings between the poles, points a ring.
    """
    latitude = np.linspace(-np.pi / 2, np.pi / 2, resolution[0] + 2)[1:-1, None]
    longitude = 2 * np.pi * np.arange(resolution[1])[None] / resolution[1]

    def power(value: np.ndarray, exponent: float) -> np.ndarray:
        return np.sign(value) * np.abs(value) ** exponent

    vertical, horizontal = exponents
    ring = power(np.cos(latitude), vertical)
    grid = np.stack(np.broadcast_arrays(ring * power(np.cos(longitude), horizontal),
                                        ring * power(np.sin(longitude), horizontal),
                                        power(np.sin(latitude), vertical)), -1).reshape(-1, 3)
    return hull(np.concatenate([grid, [[0, 0, 1], [0, 0, -1]]]) * np.asarray(radii), smooth=True)


def section_loops(polygon: np.ndarray, section: Sequence[Sequence[float]]) -> np.ndarray:
    """Return float64[k, n, 3] loops: the polygon (n, 2) at each (scale, z) of a wall's cross-section."""
    section = np.asarray(section, np.float64)
    flat = section[:, 0, None, None] * np.asarray(polygon)
    return np.concatenate([flat, np.broadcast_to(section[:, 1, None, None], (*flat.shape[:2], 1))], -1)


def ring(loops: np.ndarray, edges_per_piece: int = 2, arc: int | None = None) -> list[Piece]:
    """Cut a closed wall into convex blocks that leave its inside free.

    Args:
        loops: float[k, n, 3], the wall's cross-section (k >= 3 corners) at each of n stations.
        edges_per_piece: stations a block spans; the outside keeps them all, the inside is one facet.
        arc: cover only this many edges from station 0 (an open arc); ``None`` closes the ring.
    """
    stations = loops.shape[1]
    total = stations if arc is None else arc
    starts = range(0, total, edges_per_piece)
    spans = [np.arange(start, min(start + edges_per_piece, total) + 1) % stations for start in starts]
    return [hull(loops[:, span].reshape(-1, 3)) for span in spans]


def sweep(path: np.ndarray, section: np.ndarray, scales: Sequence[float] | None = None, *,
          up: Sequence[float] = (0.0, 0.0, 1.0), round_ends: bool = False) -> list[Piece]:
    """Move a convex section along a path: handles, cables, bent bars, bananas.

    Args:
        path: float[m, 3], m >= 2, never straight along ``up``.
        section: float[n, 2]; its x runs sideways, its y along ``up``.
        scales: one a path point (default 1).
        round_ends: add a narrower section beyond each end.
    """
    path = np.asarray(path, np.float64)
    section = np.asarray(section, np.float64)
    sizes = np.ones(len(path)) if scales is None else np.asarray(scales, np.float64)
    if round_ends:
        reach = 0.5 * float(np.linalg.norm(section, axis=1).min())
        first, last = path[0] - path[1], path[-1] - path[-2]
        path = np.concatenate([[path[0] + reach * sizes[0] * first / np.linalg.norm(first)], path,
                               [path[-1] + reach * sizes[-1] * last / np.linalg.norm(last)]])
        sizes = np.concatenate([[0.7 * sizes[0]], sizes, [0.7 * sizes[-1]]])
    tangent = np.diff(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    tangent = np.concatenate([tangent[:1], tangent[:-1] + tangent[1:], tangent[-1:]])
    side = np.cross(tangent, np.asarray(up, np.float64))
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    rise = np.cross(side, tangent)
    rise /= np.linalg.norm(rise, axis=1, keepdims=True)
    scaled = sizes[:, None, None] * section
    stations = path[:, None] + scaled[..., :1] * side[:, None] + scaled[..., 1:] * rise[:, None]
    blocks = [stations[i:i + 2] for i in range(len(path) - 1)]
    if round_ends:  # the caps belong to their neighbours: fewer pieces, still convex
        blocks = [stations[:3] if i == 1 else stations[i:i + 2] for i in range(1, len(path) - 2)]
        blocks[-1] = np.concatenate([blocks[-1], stations[-1:]])
    return [hull(block.reshape(-1, 3), smooth=True) for block in blocks]


def capsule(start: Sequence[float], stop: Sequence[float], radius: float, sides: int = 12) -> Piece:
    """Return a rod with round ends between two points."""
    start, stop = np.asarray(start, np.float64), np.asarray(stop, np.float64)
    length = float(np.linalg.norm(stop - start))
    rows = [(0, -1), (0.5, -0.866), (0.866, -0.5), (1, 0)]
    rows = [(radius * r, radius * z) for r, z in rows]
    rows += [(r, length - z) for r, z in reversed(rows)]
    return move(loft(circle(sides), rows), start, align_z(stop - start))


def rotation(axis: str, angle: float) -> np.ndarray:
    """Return float64[3, 3], a right-handed turn about 'x', 'y' or 'z'."""
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = np.cos(angle)
    matrix[i, j], matrix[j, i] = -np.sin(angle), np.sin(angle)
    return matrix


def align_z(direction: Sequence[float]) -> np.ndarray:
    """Return a float64[3, 3] rotation that takes +z to ``direction`` (any length but 0)."""
    z = np.asarray(direction, np.float64) / np.linalg.norm(direction)
    x = np.cross([0.0, 1.0, 0.0] if abs(z[1]) < 0.9 else [1.0, 0.0, 0.0], z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], 1)


def move(piece: Piece, offset: Sequence[float] = (0.0, 0.0, 0.0), turn: np.ndarray | None = None) -> Piece:
    """Return the piece turned (3 x 3, about the origin) and then shifted."""
    vertices = piece.vertices.astype(np.float64)
    if turn is not None:
        vertices = vertices @ np.asarray(turn, np.float64).T
    return replace(piece, vertices=(vertices + np.asarray(offset, np.float64)).astype(np.float32))


def move_all(pieces: Iterable[Piece], offset: Sequence[float] = (0.0, 0.0, 0.0),
             turn: np.ndarray | None = None) -> list[Piece]:
    """``move`` every piece."""
    return [move(piece, offset, turn) for piece in pieces]


def _finish(vertices: np.ndarray, faces: np.ndarray, smooth: bool) -> Piece:
    """Double the vertices at sharp edges of smooth pieces and set the dtypes."""
    if smooth:
        vertices, faces = _split_creases(vertices, faces)
    return Piece(vertices.astype(np.float32), faces.astype(np.int32), smooth=smooth)


def _split_creases(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give each smooth patch around a vertex its own copy of that vertex."""
    corners = vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-20)
    count = len(faces)
    start, stop = faces.reshape(-1), np.roll(faces, -1, axis=1).reshape(-1)
    here = np.arange(3 * count)
    after = (here // 3) * 3 + (here % 3 + 1) % 3
    key = np.minimum(start, stop) * len(vertices) + np.maximum(start, stop)
    order = np.lexsort((start, key))
    first, second = order[0::2], order[1::2]  # the two half edges of every edge
    blunt = np.einsum("ij,ij->i", normals[first // 3], normals[second // 3]) > np.cos(CREASE_RAD)
    first, second = first[blunt], second[blunt]
    rows = np.concatenate([first, after[first]])
    cols = np.concatenate([after[second], second])
    graph = coo_array((np.ones(len(rows), bool), (rows, cols)), shape=(3 * count, 3 * count))
    total, group = connected_components(graph, directed=False)
    doubled = np.empty((total, 3))
    doubled[group] = vertices[start]
    return doubled, group.reshape(-1, 3)
