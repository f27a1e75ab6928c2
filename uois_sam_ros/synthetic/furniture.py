"""Room clutter off the support: furniture, people, screens, shelves with things, a robot's arm.

A network must learn that none of this is an object, so much of it has an object's shape.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from . import primitives
from .arrangement import Stock, about_z
from .model import ObjectModel, Piece, Placed, Surface


def room_clutter(
    stock: Stock, half: np.ndarray, centre: np.ndarray, floor_z: float, *, front_free: bool = False
) -> list[Placed]:
    """Return furniture around the support, standing on the floor.

    Args:
        stock: random generator and families for object-like things.
        half: (x, y) half sizes of the support, metres.
        centre: (x, y) of the support.
        floor_z: height of the floor.
        front_free: leave the -y side empty (a shelf is seen from there).
    """
    rng = stock.rng
    placed: list[Placed] = []
    for _ in range(int(rng.choice([0, 2, 4, 7, 10], p=[0.12, 0.23, 0.3, 0.25, 0.1]))):
        kind = FURNITURE[rng.integers(len(FURNITURE))]
        angle = rng.uniform(0, np.pi) if front_free else rng.uniform(0, 2 * np.pi)
        direction = np.array([np.cos(angle), np.sin(angle)])
        pieces, width = kind(rng, -floor_z)
        distance = np.linalg.norm(half) + width + rng.choice([0.02, rng.uniform(0.05, 0.5), rng.uniform(0.4, 2.2)])
        pose = np.eye(4)
        pose[:3, :3] = about_z(rng.uniform(0, 2 * np.pi))
        pose[:3, 3] = (*(centre + distance * direction), floor_z)
        placed.append(_coloured(rng, pieces, pose))
        top = max(piece.vertices[:, 2].max() for piece in pieces)
        if kind in (cabinet, table_like) and rng.random() < 0.6:
            for _ in range(int(rng.integers(1, 5))):
                offset = rng.uniform(-0.6, 0.6, 2) * width / 1.5
                spot = np.array([*(pose[:2, 3] + offset), floor_z + top])
                placed.append(_object_like(stock, spot, rng.uniform(0.8, 1.8)))
    for _ in range(int(rng.integers(0, 5))):  # things on the floor
        angle = rng.uniform(0, 2 * np.pi)
        distance = np.linalg.norm(half) + rng.uniform(0.3, 1.8)
        spot = np.array([*(centre + distance * np.array([np.cos(angle), np.sin(angle)])), floor_z])
        placed.append(_object_like(stock, spot, rng.uniform(1.0, 3.0)))
    return placed


def _coloured(rng: np.random.Generator, pieces: list[Piece], pose: np.ndarray) -> Placed:
    """Spread the pieces over one to three differently coloured parts."""
    count = int(rng.integers(1, 4))
    pieces = [replace(piece, part=int(rng.integers(count))) for piece in pieces]
    materials = rng.choice(["matte", "gloss", "metal"], count, p=[0.7, 0.22, 0.08])
    surfaces = tuple(Surface(str(material), None, float(rng.uniform(0.2, 0.95))) for material in materials)
    names = tuple(f"part{index}" for index in range(count))
    return Placed(ObjectModel("clutter", tuple(pieces), names, surfaces), pose)


def _object_like(stock: Stock, spot: np.ndarray, scale: float) -> Placed:
    """A graspable-looking thing, larger than life, with its base at ``spot``."""
    rng = stock.rng
    model = stock.draw()
    lower, _ = model.bounds
    pose = np.eye(4)
    pose[:3, :3] = about_z(rng.uniform(0, 2 * np.pi))
    pose[:3, 3] = spot - (0, 0, scale * float(lower[2]))
    pieces = tuple(replace(piece, vertices=(piece.vertices * scale).astype(np.float32)) for piece in model.pieces)
    return Placed(replace(model, family="clutter_thing", pieces=pieces, cavity=None), pose)


def cabinet(rng: np.random.Generator, level: float) -> tuple[list[Piece], float]:
    """A chest with drawer fronts and knobs, up to 1.8 m."""
    size = np.array([rng.uniform(0.3, 0.9), rng.uniform(0.3, 0.6), rng.uniform(0.4, 1.8)])
    pieces = [primitives.box(size, (0, 0, size[2] / 2))]
    drawers = int(rng.integers(0, 5))
    for index in range(drawers):
        height = size[2] / drawers
        z = (index + 0.5) * height
        pieces.append(primitives.box((0.92 * size[0], 0.02, 0.88 * height), (0, -size[1] / 2, z)))
        pieces.append(primitives.box((0.12, 0.04, 0.015), (0, -size[1] / 2 - 0.02, z)))
    return pieces, float(np.linalg.norm(size[:2]) / 2)


def table_like(rng: np.random.Generator, level: float) -> tuple[list[Piece], float]:
    """Another table or bench, lower or higher than the support."""
    x, y = rng.uniform(0.3, 0.6, 2)
    height = max(0.25, level + rng.uniform(-0.3, 0.15))
    pieces = [primitives.box((2 * x, 2 * y, 0.03), (0, 0, height - 0.015))]
    for sx in (-1, 1):
        for sy in (-1, 1):
            pieces.append(primitives.box((0.04, 0.04, height - 0.03), (sx * (x - 0.03), sy * (y - 0.03), height / 2 - 0.015)))
    return pieces, float(np.hypot(x, y))


def chair(rng: np.random.Generator, level: float) -> tuple[list[Piece], float]:
    """A chair or stool: seat, legs, perhaps a back with slats."""
    width, seat = rng.uniform(0.34, 0.5), rng.uniform(0.4, 0.7)
    half = width / 2
    round_seat = rng.random() < 0.35
    top = (
        primitives.cylinder(half, 0.04)
        if round_seat
        else primitives.box((width, width, 0.04), (0, 0, 0.02), 0.008)
    )
    pieces = [primitives.move(top, (0, 0, seat - 0.04))]
    for sx in (-1, 1):
        for sy in (-1, 1):
            start, stop = (sx * half * 0.95, sy * half * 0.95, 0.02), (sx * half * 0.7, sy * half * 0.7, seat - 0.03)
            pieces.append(primitives.capsule(start, stop, 0.016, 8))
    if not round_seat:
        rise = rng.uniform(0.3, 0.5)
        for sx in (-1, 1):
            pieces.append(primitives.box((0.03, 0.03, rise), (sx * (half - 0.02), half - 0.02, seat + rise / 2)))
        for index in range(int(rng.integers(1, 4))):
            z = seat + rise * (0.5 + 0.2 * index)
            pieces.append(primitives.box((width, 0.02, 0.09), (0, half - 0.02, z)))
    return pieces, half * 1.45


def person(rng: np.random.Generator, level: float) -> tuple[list[Piece], float]:
    """A standing figure of ellipsoids and limbs."""
    height = rng.uniform(1.5, 1.95)
    pieces = []
    for side in (-1, 1):
        pieces.append(primitives.capsule((side * 0.1, 0, 0.09), (side * 0.1, 0, 0.48 * height), 0.085, 10))
        hand = (side * rng.uniform(0.2, 0.35), rng.uniform(-0.35, 0.1), rng.uniform(0.4, 0.75) * height)
        pieces.append(primitives.capsule((side * 0.21, 0, 0.78 * height), hand, 0.05, 10))
    torso = primitives.ellipsoid((0.2, 0.13, 0.2 * height), (0.6, 0.9))
    pieces.append(primitives.move(torso, (0, 0, 0.65 * height)))
    pieces.append(primitives.move(primitives.ellipsoid((0.085, 0.1, 0.13)), (0, 0, height - 0.13)))
    return pieces, 0.4


def screen(rng: np.random.Generator, level: float) -> tuple[list[Piece], float]:
    """A monitor on a desk-high stand."""
    base = max(0.2, level + rng.uniform(-0.1, 0.1))
    width = rng.uniform(0.4, 0.8)
    pieces = [
        primitives.box((1.3 * width, 0.5, 0.03), (0, 0, base - 0.015)),
        primitives.box((0.05, 0.05, base), (0, 0, base / 2)),
        primitives.cylinder(0.1, 0.015),
        primitives.box((0.05, 0.03, 0.25), (0, 0.02, base + 0.12)),
        primitives.box((width, 0.03, 0.6 * width), (0, 0, base + 0.12 + 0.3 * width)),
        primitives.box((0.95 * width, 0.004, 0.55 * width), (0, -0.017, base + 0.12 + 0.3 * width)),
    ]
    pieces[2] = primitives.move(pieces[2], (0, 0, base))
    return pieces, 0.65 * width + 0.15


def rack(rng: np.random.Generator, level: float) -> tuple[list[Piece], float]:
    """An open shelf with boxes and rolls on its boards."""
    x, y, gap = rng.uniform(0.25, 0.5), rng.uniform(0.12, 0.22), rng.uniform(0.25, 0.42)
    pieces, boards = [], int(rng.integers(2, 6))
    for index in range(boards):
        z = index * gap
        pieces.append(primitives.box((2 * x, 2 * y, 0.02), (0, 0, z + 0.01)))
        edge = -x + 0.02
        while index < boards - 1:
            width, height = rng.uniform(0.03, 0.2), rng.uniform(0.25, 0.85) * gap
            if edge + width > x:
                break
            if rng.random() < 0.3:
                roll = primitives.cylinder(min(width / 2, y), height, sides=16)
                pieces.append(primitives.move(roll, (edge + width / 2, 0, z + 0.02)))
            else:
                depth = rng.uniform(0.8, 1.8) * y
                pieces.append(primitives.box((width, depth, height), (edge + width / 2, 0, z + 0.02 + height / 2)))
            edge += width + rng.uniform(0, 0.1)
    for side in (-1, 1):
        pieces.append(primitives.box((0.02, 2 * y, boards * gap), (side * x, 0, boards * gap / 2)))
    return pieces, float(np.hypot(x, y))


def drum(rng: np.random.Generator, level: float) -> tuple[list[Piece], float]:
    """A dustbin, plant pot or lamp: things of revolution as large as furniture."""
    radius, height = rng.uniform(0.1, 0.25), rng.uniform(0.25, 0.9)
    pieces = [primitives.cylinder(radius * rng.uniform(0.7, 1), height, radius)]
    if rng.random() < 0.5:
        for _ in range(int(rng.integers(1, 5))):
            leaf = primitives.ellipsoid(rng.uniform(0.06, 0.25, 3), resolution=(5, 10))
            pieces.append(primitives.move(leaf, (*rng.uniform(-0.12, 0.12, 2), height + rng.uniform(0.1, 0.4))))
    return pieces, float(radius) + 0.15


def crates(rng: np.random.Generator, level: float) -> tuple[list[Piece], float]:
    """A stack of cartons or suitcases."""
    pieces, z, width = [], 0.0, rng.uniform(0.25, 0.6)
    for _ in range(int(rng.integers(1, 5))):
        size = np.array([width, rng.uniform(0.6, 1) * width, rng.uniform(0.12, 0.4)])
        crate = primitives.box(size, (0, 0, size[2] / 2), float(rng.choice([0, 0.02])))
        pieces.append(primitives.move(crate, (*rng.normal(0, 0.02, 2), z), about_z(rng.normal(0, 0.15))))
        z += size[2]
        width *= rng.uniform(0.8, 1)
    return pieces, 0.75 * float(np.linalg.norm([0.6, 0.6])) * 0.8


FURNITURE = (cabinet, table_like, chair, person, screen, rack, drum, crates)


def hanging_fixture(rng: np.random.Generator, lower: np.ndarray, upper: np.ndarray) -> list[Placed]:
    """A robot's arm with a gripper, reaching from above to the side of the objects.

    Args:
        lower, upper: corners of the objects' box; the gripper stays at least 5 cm away from it.
    """
    middle = (lower + upper) / 2
    angle = rng.uniform(0, 2 * np.pi)
    away = np.array([np.cos(angle), np.sin(angle)])
    reach = rng.uniform(0, 1) * np.linalg.norm((upper - lower)[:2] / 2)
    wrist = np.array([*(middle[:2] + away * reach), upper[2] + rng.uniform(0.17, 0.35)])
    elbow = wrist + (*(away * rng.uniform(0.2, 0.45)), rng.uniform(0.15, 0.4))
    base = elbow + (*(away * rng.uniform(0.2, 0.5)), -rng.uniform(0.0, 0.3))
    width = rng.uniform(0.025, 0.05)
    pieces = [primitives.capsule(wrist, elbow, width), primitives.capsule(elbow, base, 1.3 * width)]
    heading = about_z(rng.uniform(0, np.pi))
    palm = primitives.box((0.12, 0.05, 0.05))
    pieces.append(primitives.move(palm, wrist - (0, 0, 0.03), heading))
    opening = rng.uniform(0.01, 0.05)
    for side in (-1, 1):
        finger = primitives.box((0.012, 0.025, 0.07), (side * opening, 0, 0))
        pieces.append(primitives.move(finger, wrist - (0, 0, 0.085), heading))
    return [_coloured(rng, pieces, np.eye(4))]
