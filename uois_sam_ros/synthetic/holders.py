"""Bins, trays and shelves: walls that hold objects and are themselves background.

All have the upper face of their floor at z = 0 and their inside centred on the origin.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import primitives
from .model import ObjectModel, Piece, Placed, Surface


FLOOR_M = 0.008  # thickness of the floor of bins and trays; the table lies this far below z = 0


def fixture(family: str, pieces: Sequence[Piece], pose: np.ndarray | None = None, **surface) -> Placed:
    """Make an unlabelled thing; ``family`` tells what it is, ``surface`` how it looks."""
    model = ObjectModel(family, tuple(pieces), surfaces=(Surface(**surface),))
    return Placed(model, np.eye(4) if pose is None else pose)


def _walls(half: tuple[float, float], height: float, wall: float, lean: float) -> list[Piece]:
    """Four walls around a rectangle; ``lean`` metres wider at the top."""
    x, y = half
    outer = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float64)
    low_in, low_out = outer * (x, y), outer * (x + wall, y + wall)
    high_in, high_out = outer * (x + lean, y + lean), outer * (x + lean + wall, y + lean + wall)
    pieces = []
    for a in range(4):
        b = (a + 1) % 4
        ring = [(low_in[a], 0), (low_in[b], 0), (low_out[a], 0), (low_out[b], 0)]
        ring += [(high_in[a], 1), (high_in[b], 1), (high_out[a], 1), (high_out[b], 1)]
        pieces.append(primitives.hull(np.array([[*xy, height * up] for xy, up in ring])))
    return pieces


def _rim(half: tuple[float, float], z: float, width: float, thickness: float) -> list[Piece]:
    """A flange around the top of walls."""
    x, y = half
    long = (2 * (x + width), width, thickness)
    short = (width, 2 * y, thickness)
    return [
        primitives.box(long, (0, y + width / 2, z)),
        primitives.box(long, (0, -y - width / 2, z)),
        primitives.box(short, (x + width / 2, 0, z)),
        primitives.box(short, (-x - width / 2, 0, z)),
    ]


def bin_walls(rng: np.random.Generator, half: tuple[float, float]) -> tuple[tuple[Placed, ...], float]:
    """Return a bin, tote or carton around the inner half sizes, and its height in metres."""
    height = float(np.clip(rng.uniform(0.25, 1.1) * 2 * min(half), 0.05, 0.3))
    wall = float(rng.uniform(0.0015, 0.006) if rng.random() < 0.7 else rng.uniform(0.008, 0.02))
    lean = float(rng.choice([0.0, rng.uniform(0, 0.15) * height]))
    pieces = _walls(half, height, wall, lean)
    pieces.append(_floor(half, wall))
    if rng.random() < 0.5:  # a tote's flange
        top = (half[0] + lean, half[1] + lean)
        pieces += _rim(top, height, rng.uniform(0.008, 0.03), 0.004)
    placed = [fixture("bin", pieces, roughness=float(rng.uniform(0.25, 0.9)))]
    if rng.random() < 0.2:  # its empty neighbour
        beside = np.eye(4)
        gap = 2 * (wall + lean + 0.03) + rng.uniform(0.002, 0.1)
        axis = int(rng.integers(2))
        beside[axis, 3] = (2 * half[axis] + gap) * rng.choice([-1, 1])
        placed.append(Placed(placed[0].model, beside))
    if rng.random() < 0.15:  # a carton's open flaps
        for side in (-1, 1):
            flap = rng.uniform(0.3, 0.9) * half[1]
            slope = rng.uniform(-0.9, 0.5)
            piece = primitives.box((2 * half[0], flap, 0.003), (0, side * flap / 2, 0))
            turn = primitives.rotation("x", side * slope)
            offset = (0, side * (half[1] + lean + wall + 0.001), height)
            placed.append(fixture("bin", [primitives.move(piece, offset, turn)], roughness=0.9))
    return tuple(placed), height


def _floor(half: tuple[float, float], wall: float) -> Piece:
    size = (2 * (half[0] + wall), 2 * (half[1] + wall), FLOOR_M)
    return primitives.box(size, (0, 0, -FLOOR_M / 2))


def tray_rim(rng: np.random.Generator, half: tuple[float, float]) -> tuple[tuple[Placed, ...], float]:
    """Return a low tray around the inner half sizes, and its rim's height in metres."""
    height = float(rng.uniform(0.006, 0.045))
    wall = float(rng.uniform(0.002, 0.015))
    pieces = _walls(half, height, wall, float(rng.uniform(0, 1.2) * height))
    pieces.append(_floor(half, wall))
    gloss = {"material": "gloss"} if rng.random() < 0.3 else {}
    return (fixture("tray", pieces, roughness=float(rng.uniform(0.2, 0.9)), **gloss),), height


def shelf_boards(rng: np.random.Generator, half: tuple[float, float]) -> tuple[tuple[Placed, ...], float]:
    """Return a shelf with one compartment open towards -y, and the inner height in metres.

    Neighbouring compartments left, right, above and below belong to it.
    """
    x, y = half
    height = float(rng.uniform(0.2, 0.42))
    board = float(rng.uniform(0.01, 0.03))
    levels = int(rng.integers(1, 3)), int(rng.integers(0, 2))  # below, above
    pitch = height + board
    columns = [-1, 0, 1] if rng.random() < 0.5 else [0]
    width = 2 * x + board
    pieces = []
    span = len(columns) * width + board
    bottom, top = -levels[0] * pitch - board, (levels[1] + 1) * pitch
    for level in range(-levels[0], levels[1] + 2):
        pieces.append(primitives.box((span, 2 * y, board), (0, 0, level * pitch - board / 2)))
    for edge in range(len(columns) + 1):
        at = (edge - len(columns) / 2) * width
        pieces.append(primitives.box((board, 2 * y, top - bottom), (at, 0, (top + bottom) / 2)))
    placed = [fixture("shelf", pieces, roughness=float(rng.uniform(0.3, 0.9)))]
    back = primitives.box((span, 0.006, top - bottom), (0, y + 0.003, (top + bottom) / 2))
    placed.append(fixture("shelf_back", [back], roughness=float(rng.uniform(0.3, 0.9))))
    return tuple(placed), height
