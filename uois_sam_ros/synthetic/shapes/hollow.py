"""Open containers: walls are rings of convex blocks, so other things can lie inside."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..model import Cavity, ObjectModel, Piece
from ..primitives import box, circle, hull, move, revolve, ring, rotation, rounded_rectangle, section_loops, sweep
from .assembly import Assembly, finish

Rng = np.random.Generator
SECTORS = 16


def round_wall(outer: Sequence[Sequence[float]], wall: float, floor: float, *, sectors: int = SECTORS,
               ) -> tuple[list[Piece], Cavity]:
    """Build a round vessel from its outer profile.

    Args:
        outer: (radius, z) rows from z = 0 upwards, two or more; each band is one ring of blocks.
        wall: thickness of the wall; ``floor``: of the bottom. Metres.

    Returns:
        The pieces and the free room: a cylinder, its radius the narrowest above the floor.
    """
    rows = np.asarray(outer, np.float64)
    polygon = circle(2 * sectors)
    inner = np.maximum(rows[:, 0] - wall, 0.3 * rows[:, 0])
    pieces: list[Piece] = []
    for low, high in zip(range(len(rows) - 1), range(1, len(rows))):
        section = [(rows[low, 0], rows[low, 1]), (inner[low], rows[low, 1]),
                   (rows[high, 0], rows[high, 1]), (inner[high], rows[high, 1])]
        pieces += ring(section_loops(polygon, section))
    height = rows[-1, 1]
    edge = float(np.interp(floor, rows[:, 1], inner)) + 0.3 * wall
    pieces.append(hull(section_loops(polygon, [(inner[0] + 0.3 * wall, 0), (edge, floor)]).reshape(-1, 3)))
    free = min(float(np.interp(floor, rows[:, 1], inner)), float(inner[rows[:, 1] > floor].min()))
    half = free * float(np.cos(np.pi / sectors)) * 0.98
    return pieces, Cavity(np.array([0, 0, floor], np.float32), (half, half), float(height - floor))


def box_wall(half: Sequence[float], flare: float, corner: float, wall: float, floor: float,
             height: float) -> tuple[list[Piece], Cavity]:
    """Build a rectangular vessel: ``half`` sizes at the floor, ``flare`` metres wider at the rim."""
    def outline(grow: float, z: float) -> np.ndarray:
        flat = rounded_rectangle(half[0] + grow, half[1] + grow, max(corner + grow, 2e-4), 3)
        return np.column_stack([flat, np.full(len(flat), z)])

    loops = np.stack([outline(0, 0), outline(-wall, 0), outline(flare, height), outline(flare - wall, height)])
    lift = flare * floor / height
    bottom = hull(np.concatenate([outline(-0.7 * wall, 0), outline(lift - 0.7 * wall, floor)]))
    free = (float(half[0] + lift - wall) * 0.99, float(half[1] + lift - wall) * 0.99)
    cavity = Cavity(np.array([0, 0, floor], np.float32), free, float(height - floor))
    return [*ring(loops, edges_per_piece=1), bottom], cavity


def loop_handle(low: Sequence[float], high: Sequence[float], reach: float, thick: float,
                segments: int = 7) -> list[Piece]:
    """Return a handle towards +x whose hole is real: an arc between two (x, z) points on the wall."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, segments + 1)
    share = (1 + np.sin(angle)) / 2
    root = np.interp(share, (0, 1), (low[0], high[0]))
    path = np.column_stack([root + reach * np.maximum(np.cos(angle), 0) ** 0.7, np.zeros(len(angle)),
                            np.interp(share, (0, 1), (low[1], high[1]))])
    return sweep(path, thick * circle(8, 0.7), up=(0, 1, 0))


def mug(rng: Rng) -> ObjectModel:
    """Hollow mug with an open handle."""
    radius, height = rng.uniform(0.03, 0.048), rng.uniform(0.06, 0.12)
    flare, wall = rng.uniform(0.85, 1.1), rng.uniform(0.0025, 0.005)
    body, cavity = round_wall([(radius * flare, 0), (radius, height)], wall, 0.006)
    thick = rng.uniform(0.004, 0.0065)
    ends = [(np.interp(z, (0, 1), (radius * flare, radius)) - 0.6 * wall, z * height)
            for z in (rng.uniform(0.15, 0.3), rng.uniform(0.75, 0.9))]
    handle = loop_handle(*ends, rng.uniform(0.02, 0.034), thick)
    made = Assembly()
    surface = finish(rng, gloss=0.7, metal=0.1)
    made.add("body", surface, body)
    made.add("handle", surface, handle)
    return made.build("mug", 1500, cavity=cavity)


def glass(rng: Rng) -> ObjectModel:
    """Tumbler, shot glass or paper cup: hollow and tapered."""
    height = rng.uniform(0.055, 0.16)
    top = height * rng.uniform(0.25, 0.42)
    base = top * rng.uniform(0.65, 1.0)
    body, cavity = round_wall([(base, 0), (top, height)], rng.uniform(0.0015, 0.003), rng.uniform(0.003, 0.01))
    made = Assembly()
    made.add("body", finish(rng, glass=0.6, gloss=0.2), body)
    return made.build("glass", 900, cavity=cavity, stackable=base < 0.9 * top)


def goblet(rng: Rng) -> ObjectModel:
    """Wine glass: foot, thin stem and a hollow bowl."""
    height = rng.uniform(0.12, 0.22)
    bowl, foot, stem = height * rng.uniform(0.17, 0.24), height * rng.uniform(0.15, 0.2), rng.uniform(0.003, 0.006)
    start = rng.uniform(0.4, 0.52) * height
    depth = height - start
    rows = [(0.4 * bowl, 0), (0.85 * bowl, 0.22 * depth), (bowl, 0.5 * depth), (bowl * rng.uniform(0.75, 0.95), depth)]
    cup, cavity = round_wall(rows, 0.002, 0.004, sectors=12)
    base = revolve(circle(24), [(foot, 0), (foot, 0.002), (2 * stem, 0.008), (stem, 0.016), (stem, 0.9 * start),
                                (0.38 * bowl, start + 0.0005)])
    made = Assembly()
    surface = finish(rng, glass=0.7, gloss=0.1, metal=0.1)
    made.add("bowl", surface, [move(piece, (0, 0, start)) for piece in cup])
    made.add("stem", surface, base)
    cavity = Cavity(cavity.floor + np.float32([0, 0, start]), cavity.half_extent, cavity.depth)
    return made.build("goblet", 1500, cavity=cavity)


def bowl(rng: Rng) -> ObjectModel:
    """Cereal, salad or dipping bowl with a round, conical or steep profile."""
    radius = rng.uniform(0.045, 0.13)
    height, base = radius * rng.uniform(0.4, 0.85), radius * rng.uniform(0.4, 0.65)
    bulge = rng.choice([0.5, 0.72, 0.85])
    rows = [(base, 0), (base + bulge * (radius - base), 0.4 * height), (radius, height)]
    if bulge == 0.5:
        rows = [(base, 0), (radius, height)]
    body, cavity = round_wall(rows, max(0.0025, 0.035 * radius), 0.005)
    made = Assembly()
    made.add("body", finish(rng, gloss=0.6, metal=0.12, glass=0.08), body)
    return made.build("bowl", 1200, cavity=cavity, stackable=True)


def plate(rng: Rng) -> ObjectModel:
    """Dinner plate or saucer: flat middle and a raised rim."""
    radius, height = rng.uniform(0.06, 0.14), rng.uniform(0.01, 0.024)
    thick = rng.uniform(0.003, 0.005)
    middle = radius * rng.uniform(0.55, 0.75)
    polygon = circle(40)
    rim = [(middle - 0.001, 0), (middle - 0.001, thick), (radius, height - 0.7 * thick), (radius, height)]
    floor = hull(section_loops(polygon, [(middle, 0), (middle, thick)]).reshape(-1, 3))
    made = Assembly()
    made.add("body", finish(rng, gloss=0.7), floor, ring(section_loops(polygon, rim)))
    half = 0.65 * middle
    cavity = Cavity(np.array([0, 0, thick], np.float32), (half, half), height - thick)
    return made.build("plate", 1500, cavity=cavity, stackable=True)


def tray(rng: Rng) -> ObjectModel:
    """Serving tray, baking tin or shallow oven dish."""
    half = rng.uniform((0.06, 0.045), (0.16, 0.11))
    height, wall = rng.uniform(0.012, 0.05), rng.uniform(0.0025, 0.005)
    body, cavity = box_wall(half, height * rng.uniform(0.1, 0.6), rng.uniform(0.1, 0.6) * half.min(), wall,
                            wall, height)
    made = Assembly()
    made.add("body", finish(rng, gloss=0.4, metal=0.25, glass=0.06), body)
    return made.build("tray", 700, cavity=cavity, stackable=True)


def open_carton(rng: Rng) -> ObjectModel:
    """Open cardboard or plastic box, sometimes with its flaps folded outwards."""
    half = rng.uniform((0.06, 0.05), (0.13, 0.1))
    height, wall = rng.uniform(0.05, 0.14), rng.uniform(0.003, 0.006)
    body, cavity = box_wall(half, rng.uniform(0, 0.015), 0.001, wall, wall, height)
    made = Assembly()
    made.add("body", finish(rng, gloss=0.2), body)
    if rng.random() < 0.4:
        reach, tilt = 0.45 * half.min(), rng.uniform(-0.9, 0.3, 4)
        flaps = []
        for side, angle in enumerate(tilt):
            across, out = (half[1], half[0]) if side % 2 == 0 else (half[0], half[1])
            flap = box((reach, 1.9 * across, 0.5 * wall), (reach / 2, 0, 0))
            flap = move(flap, (out, 0, height - 0.3 * wall), rotation("y", -angle))
            flaps.append(move(flap, turn=rotation("z", side * np.pi / 2)))
        made.add("flaps", made.surface("body"), flaps)
    return made.build("open_carton", 250, cavity=cavity)


def pot(rng: Rng) -> ObjectModel:
    """Cooking pot with two side grips."""
    radius, height = rng.uniform(0.06, 0.11), rng.uniform(0.05, 0.13)
    body, cavity = round_wall([(radius, 0), (radius * rng.uniform(1, 1.06), height)], 0.0035, 0.005)
    grip = loop_handle((-0.05 * radius, -0.3 * radius), (-0.05 * radius, 0.3 * radius), 0.27 * radius, 0.05 * radius, 5)
    lying = [move(piece, turn=rotation("x", np.pi / 2)) for piece in grip]
    grips = [move(move(piece, (radius, 0, 0.8 * height)), turn=rotation("z", angle))
             for angle in (0, np.pi) for piece in lying]
    made = Assembly()
    made.add("body", finish(rng, metal=0.6, gloss=0.3), body)
    made.add("grips", finish(rng, gloss=0.4, metal=0.3), grips)
    return made.build("pot", 1500, cavity=cavity)


def pan(rng: Rng) -> ObjectModel:
    """Frying pan or saucepan with a long handle."""
    radius, height = rng.uniform(0.05, 0.11), rng.uniform(0.025, 0.07)
    body, cavity = round_wall([(radius * rng.uniform(0.75, 1), 0), (radius, height)], 0.003, 0.004)
    length, lift = radius * rng.uniform(1.1, 1.7), rng.uniform(0.0, 0.03)
    path = np.array([(radius - 0.002, 0, 0.8 * height), (radius + 0.3 * length, 0, 0.8 * height + 0.6 * lift),
                     (radius + length, 0, 0.8 * height + lift)])
    made = Assembly()
    made.add("body", finish(rng, metal=0.6, gloss=0.25), body)
    made.add("handle", finish(rng, gloss=0.4, metal=0.2),
             sweep(path, rng.uniform(0.007, 0.011) * circle(12, 0.6), (0.8, 1, 1.1), round_ends=True))
    return made.build("pan", 1500, cavity=cavity)


def flower_pot(rng: Rng) -> ObjectModel:
    """Tapered plant pot with a thicker rim."""
    radius, height = rng.uniform(0.035, 0.085), rng.uniform(0.05, 0.14)
    body, cavity = round_wall([(radius * rng.uniform(0.6, 0.8), 0), (0.97 * radius, height)], 0.004, 0.006, sectors=14)
    low, out = 0.8 * height, radius + 0.003
    rim = ring(section_loops(circle(28), [(0.965 * radius - 0.003, low), (out, low), (out, height),
                                          (0.97 * radius - 0.002, height)]))
    made = Assembly()
    made.add("body", finish(rng, gloss=0.3), body, rim)
    return made.build("flower_pot", 1200, cavity=cavity, stackable=True)


def basket(rng: Rng) -> ObjectModel:
    """Round bucket or basket with a bail handle standing above the opening."""
    radius, height = rng.uniform(0.045, 0.09), rng.uniform(0.06, 0.13)
    body, cavity = round_wall([(0.8 * radius, 0), (radius, height)], 0.003, 0.004)
    angle = np.linspace(0, np.pi, 9)
    tall = rng.uniform(0.7, 1.1) * radius
    arch = np.column_stack([0.98 * radius * np.cos(angle), np.zeros(9), 0.93 * height + tall * np.sin(angle)])
    made = Assembly()
    made.add("body", finish(rng, gloss=0.5, metal=0.2), body)
    made.add("handle", finish(rng, metal=0.4), sweep(arch, 0.0028 * circle(8), up=(0, 1, 0)))
    return made.build("basket", 500, cavity=cavity)


FAMILIES = {"mug": mug, "glass": glass, "goblet": goblet, "bowl": bowl, "plate": plate, "tray": tray,
            "open_carton": open_carton, "pot": pot, "pan": pan, "flower_pot": flower_pot, "basket": basket}
