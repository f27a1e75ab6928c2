"""The place around the objects: support, floor, walls, papers, lamps. Seen, never labelled."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from . import primitives
from .arrangement import Stock, about_z
from .furniture import hanging_fixture, room_clutter
from .holders import FLOOR_M, fixture
from .model import Light, ObjectModel, Placed, Surface
from .textures import random_texture


@dataclass(frozen=True)
class Extent:
    """What the objects and their holder take up.

    Attributes:
        lower, upper: corners float64[3] of the world box, metres.
        holder: one of ``arrangement.HOLDERS``.
    """

    lower: np.ndarray
    upper: np.ndarray
    holder: str


def build_room(stock: Stock, extent: Extent) -> tuple[Placed, ...]:
    """Return the background without the holder: table or floor, walls, clutter, papers, fixtures."""
    rng = stock.rng
    if extent.holder == "shelf":
        floor_z = float(extent.lower[2] - rng.uniform(0.0, 0.9))
        table, half, centre = [], np.maximum(np.abs(extent.lower), np.abs(extent.upper))[:2], np.zeros(2)
        papers: list[Placed] = []
    else:
        papers, drop = _papers(rng, extent) if extent.holder == "table" else ([], FLOOR_M)
        if rng.random() < 0.1:
            table, half, floor_z = [], (extent.upper - extent.lower)[:2] / 2 + 0.5, -drop
            centre = (extent.lower + extent.upper)[:2] / 2
        else:
            floor_z = -float(rng.uniform(0.35, 1.0))
            table, half, centre = _table(rng, extent, drop, floor_z)
    room = [_floor(floor_z), *table, *papers]
    room += _walls(rng, extent, half, centre, floor_z)
    room += room_clutter(stock, half, centre, floor_z, front_free=extent.holder == "shelf")
    if extent.holder != "shelf" and rng.random() < 0.09:
        room += hanging_fixture(rng, extent.lower, extent.upper)
    return tuple(room)


def _floor(z: float) -> Placed:
    return fixture("floor", [primitives.box((12, 12, 0.1), (0, 0, z - 0.05))], roughness=0.6)


def _table(
    rng: np.random.Generator, extent: Extent, drop: float, floor_z: float
) -> tuple[list[Placed], np.ndarray, np.ndarray]:
    """A top that carries the whole extent, with legs, a foot or a body below."""
    margin = rng.uniform(0.01, 0.12, 4) if rng.random() < 0.3 else rng.uniform(0.1, 0.9, 4)
    lower, upper = extent.lower[:2] - margin[:2], extent.upper[:2] + margin[2:]
    half, centre = (upper - lower) / 2, (upper + lower) / 2
    thickness = float(rng.uniform(0.008, 0.07))
    surface = {"roughness": float(rng.uniform(0.15, 0.95))}
    if rng.random() < 0.25:
        surface["material"] = "gloss"
    if rng.random() < 0.2:  # round, around the rectangle
        radius = float(np.linalg.norm(half)) * rng.uniform(1.0, 1.15)
        top = primitives.cylinder(radius, thickness, sides=48)
        half = np.array([radius, radius])
    else:
        top = primitives.box((2 * half[0], 2 * half[1], thickness), (0, 0, thickness / 2))
    pose = np.eye(4)
    pose[:3, 3] = (*centre, -drop - thickness)
    parts = [fixture("table", [top], pose, **surface)]
    under, height = -drop - thickness, -drop - thickness - floor_z
    kind = rng.random()
    shift = np.eye(4)
    shift[:3, 3] = (*centre, floor_z)
    if kind < 0.45:
        leg = rng.uniform(0.02, 0.07)
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * np.maximum(half * 0.7 - leg, 0.02)
        legs = [primitives.box((leg, leg, height), (x, y, height / 2)) for x, y in corners]
        parts.append(fixture("table_leg", legs, shift))
    elif kind < 0.7:
        body = primitives.box((1.8 * half[0], 1.8 * half[1], height), (0, 0, height / 2))
        parts.append(fixture("table_body", [body], shift))
    else:
        parts.append(fixture("table_leg", [primitives.cylinder(0.06, max(under - floor_z, 0.05))], shift))
    if len(top.vertices) == 8 and rng.random() < 0.12:  # a raised lip around the top
        lip, rise = rng.uniform(0.005, 0.03), rng.uniform(0.004, 0.04)
        size = ((2 * half[0] + 2 * lip, lip), (lip, 2 * half[1]))
        at = ((0, half[1] + lip / 2), (half[0] + lip / 2, 0))
        tall = thickness + rise
        rims = [
            primitives.box((*size[axis], tall), (sign * at[axis][0], sign * at[axis][1], tall / 2))
            for axis in (0, 1)
            for sign in (-1, 1)
        ]
        parts.append(fixture("table_rim", rims, pose, roughness=0.5))
    return parts, half, centre


def _papers(rng: np.random.Generator, extent: Extent) -> tuple[list[Placed], float]:
    """Sheets, a mat or a cloth with the upper face at z = 0, and how far the table lies below."""
    middle, reach = (extent.lower + extent.upper)[:2] / 2, (extent.upper - extent.lower)[:2] / 2
    if rng.random() < 0.12:
        thickness = float(rng.uniform(0.0005, 0.002))
        size = 2 * reach + rng.uniform(0.02, 0.25, 2)
        turn = np.eye(4)
        turn[:2, 3] = middle
        mat = primitives.box((*size, thickness), (0, 0, -thickness / 2))
        return [fixture("table_mat", [mat], turn, roughness=0.9)], thickness
    if rng.random() > 0.3:
        return [], 0.0
    sheets = []
    count = int(rng.integers(1, 5))
    step = 0.00015
    for index in range(count):
        size = (*rng.choice([(0.21, 0.297), (0.15, 0.21), (0.075, 0.075), (0.1, 0.15), (0.03, 0.2)]), step)
        sheet = primitives.box(size, (0, 0, -step / 2))
        pose = np.eye(4)
        pose[:3, :3] = about_z(rng.uniform(0, 2 * np.pi))
        pose[:3, 3] = (*(middle + rng.uniform(-1.2, 1.2, 2) * (reach + 0.05)), -index * step)
        model = ObjectModel("paper", (sheet,))
        kind = str(rng.choice(["label", "object", "table"], p=[0.6, 0.25, 0.15]))
        texture = random_texture(rng, kind, bounds=model.bounds)
        surface = Surface("gloss" if rng.random() < 0.2 else "matte", texture, 0.7)
        sheets.append(Placed(replace(model, surfaces=(surface,)), pose))
    return sheets, count * step


def _walls(
    rng: np.random.Generator, extent: Extent, half: np.ndarray, centre: np.ndarray, floor_z: float
) -> list[Placed]:
    """None, one or two walls (a corner), 0 to 3 m behind the support."""
    if extent.holder == "shelf":
        sides = [0]
        gaps = [0.02]
    else:
        count = int(rng.choice([0, 1, 2], p=[0.3, 0.45, 0.25]))
        first = int(rng.integers(4))
        sides = [(first + index) % 4 for index in range(count)]
        gaps = [rng.choice([0.0, rng.uniform(0.02, 0.3), rng.uniform(0.3, 3.0)], p=[0.2, 0.3, 0.5]) for _ in sides]
    walls = []
    for side, gap in zip(sides, gaps):
        # side 0 is +y, then +x, -y, -x
        axis, sign = (1, 0, 1, 0)[side], (1, 1, -1, -1)[side]
        distance = half[axis] + gap + 0.05
        size = np.array([12.0, 12.0, 4.0])
        size[axis] = 0.1
        pose = np.eye(4)
        pose[axis, 3] = centre[axis] + sign * distance
        pose[2, 3] = floor_z + 2.0
        walls.append(fixture("wall", [primitives.box(size)], pose, roughness=0.9))
    return walls


def build_lights(rng: np.random.Generator, extent: Extent) -> tuple[tuple[Light, ...], np.ndarray]:
    """Return one to four lamps and the ambient light float32[3].

    On a level surface near the objects the lamps add up to 0.5-1.2, the ambient is 0.15-0.6.
    """
    middle = (extent.lower + extent.upper) / 2
    count = int(rng.choice([1, 2, 3, 4], p=[0.35, 0.35, 0.2, 0.1]))
    shares = rng.dirichlet(np.full(count, 2.0)) * rng.uniform(0.5, 1.2)
    front = extent.holder == "shelf"
    lights = []
    for share in shares:
        azimuth = rng.uniform(np.pi, 2 * np.pi) if front else rng.uniform(0, 2 * np.pi)
        elevation = np.deg2rad(rng.uniform(20, 50) if front else rng.uniform(30, 88))
        flat = np.array([np.cos(azimuth), np.sin(azimuth)]) * np.cos(elevation)
        direction = np.array([*flat, np.sin(elevation)])
        warmth = rng.normal(0, 0.12)
        colour = np.clip([1 + warmth, 1, 1 - warmth], 0.5, 1.5) * share / max(np.sin(elevation), 0.5)
        if rng.random() < 0.45:
            lights.append(Light("sun", direction, colour.astype(np.float32), float(rng.uniform(0.005, 0.3))))
            continue
        distance = float(rng.uniform(0.9, 2.5))
        radius = float(rng.uniform(0.01, 0.35))
        bright = (colour * distance**2).astype(np.float32)
        lights.append(Light("point", middle + distance * direction, bright, radius))
    tint = np.clip(1 + rng.normal(0, 0.06) * np.array([1, 0, -1]), 0.8, 1.2)
    return tuple(lights), (rng.uniform(0.15, 0.6) * tint).astype(np.float32)
