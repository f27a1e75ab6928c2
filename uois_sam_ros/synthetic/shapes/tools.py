"""Tools and hardware, lying as they would on a bench."""

from __future__ import annotations

import numpy as np

from ..model import ObjectModel, Surface
from ..primitives import (box, capsule, circle, cylinder, extrude, hull, loft, move, move_all, revolve, ring, rotation,
                          rounded_rectangle, section_loops, sweep)
from .assembly import Assembly, finish

Rng = np.random.Generator
LIE = rotation("y", np.pi / 2)  #: takes +z to +x


def steel(rng: Rng) -> Surface:
    """Draw a metal surface, polished to blasted."""
    return Surface("metal", None, float(rng.uniform(0.15, 0.5)))


def bar(points: list[tuple[float, float]], width: float, height: float, z: float = 0.0) -> list:
    """Return a flat bent strip through (x, y) points, from z to z + height."""
    path = np.array([(x, y, z + height / 2) for x, y in points])
    return sweep(path, rounded_rectangle(width / 2, height / 2, 0.2 * min(width, height), 2))


def screwdriver(rng: Rng) -> ObjectModel:
    """Handle with a grip profile and a steel shaft."""
    grip, radius = rng.uniform(0.06, 0.11), rng.uniform(0.009, 0.017)
    shaft, thin = rng.uniform(0.05, 0.15), rng.uniform(0.0018, 0.004)
    handle = revolve(circle(12), [(0.6 * radius, 0), (radius, 0.1 * grip), (radius, 0.6 * grip),
                                  (0.7 * radius, 0.78 * grip), (0.85 * radius, 0.92 * grip), (0.5 * radius, grip)])
    blade = [
        move(cylinder(thin, shaft, sides=10), (0, 0, grip)),
        hull(
            np.array(
                [
                    (x, y, z)
                    for z, w, t in ((grip + shaft, thin, thin), (grip + 1.08 * shaft, 1.3 * thin, 0.3 * thin))
                    for x in (-w, w)
                    for y in (-t, t)
                ]
            )
        ),
    ]
    made = Assembly()
    made.add("handle", finish(rng, gloss=0.6), handle)
    made.add("blade", steel(rng), blade)
    return made.build("screwdriver", 1200, turn=LIE)


def hammer(rng: Rng) -> ObjectModel:
    """Handle and a head with a face and a wedge-shaped peen."""
    length, head = rng.uniform(0.16, 0.32), rng.uniform(0.05, 0.11)
    size = 0.22 * head
    handle = move(loft(rounded_rectangle(0.6 * size, 0.42 * size, 0.35 * size),
                       [(0.95, 0), (1.2, 0.05 * length), (0.85, length)]))
    z = length - 0.5 * size
    block = box((0.5 * head, 1.7 * size, 1.7 * size), (0, 0, z), bevel=0.15 * size)
    face = move(cylinder(0.95 * size, 0.32 * head, bevel=0.08 * size, sides=18), (0.2 * head, 0, z), LIE)
    peen = hull(
        np.array(
            [
                (x, y, z + h)
                for x, w, t in ((-0.2 * head, 0.8 * size, 0.8 * size), (-0.6 * head, 0.8 * size, 0.12 * size))
                for y in (-w, w)
                for h in (-t, t)
            ]
        )
    )
    made = Assembly()
    made.add("handle", finish(rng, gloss=0.3), handle)
    made.add("head", steel(rng), block, face, peen)
    return made.build("hammer", 2500, turn=rotation("x", np.pi / 2))


def power_drill(rng: Rng) -> ObjectModel:
    """Cordless drill lying on its side: body, grip, battery, chuck and bit."""
    s = rng.uniform(0.65, 1.05)
    body = [move(loft(circle(20), [(0.018, 0), (0.026, 0.012), (0.026, 0.11), (0.02, 0.13)]), turn=LIE)]
    chuck = [move(loft(circle(16), [(0.019, 0), (0.019, 0.02), (0.009, 0.04)]), (0.128, 0, 0), LIE)]
    lean = rng.uniform(-0.03, 0.01)
    grip = sweep(
        np.array([(0.045, 0, -0.01), (0.045 + 0.5 * lean, 0, -0.06), (0.045 + lean, 0, -0.105)]),
        np.array([(1, 0.3), (0.3, 1), (-0.3, 1), (-1, 0.3), (-1, -0.3), (-0.3, -1), (0.3, -1), (1, -0.3)])
        * (0.015, 0.019),
        up=(1, 0, 0),
    )
    pack = box((rng.uniform(0.065, 0.1), 0.05, rng.uniform(0.025, 0.045)), (0.05 + lean, 0, -0.12), bevel=0.004)
    made = Assembly()
    groups = {"body": body, "grip": grip, "battery": [pack], "chuck": chuck,
              "bit": [move(cylinder(0.003, rng.uniform(0.02, 0.07), sides=8), (0.165, 0, 0), LIE)]}
    for part, pieces in groups.items():
        surface = steel(rng) if part in ("chuck", "bit") else finish(rng, gloss=0.4)
        made.add(part, surface, [_scaled(piece, s) for piece in pieces])
    return made.build("power_drill", 900, turn=rotation("x", np.pi / 2))


def pliers(rng: Rng) -> ObjectModel:
    """Pliers: two crossing arms with sleeves, jaws at the front."""
    length, width, height = rng.uniform(0.1, 0.19), rng.uniform(0.01, 0.016), rng.uniform(0.007, 0.011)
    opening = rng.uniform(0.1, 0.35)
    arms, sleeves = [], []
    for side in (-1, 1):
        arms += bar([(0, 0), (0.12 * length, side * 0.05 * length), (0.38 * length, side * opening * 0.12 * length)],
                    0.9 * width, height)
        path = np.array([(-0.02 * length, 0, 0), (-0.2 * length, -side * (0.07 + 0.08 * opening) * length, 0),
                         (-0.4 * length, -side * (0.09 + 0.2 * opening) * length, 0),
                         (-0.62 * length, -side * (0.07 + 0.3 * opening) * length, 0)]) + (0, 0, height / 2)
        sleeves += sweep(path, circle(8, 0.8) * 0.55 * width, round_ends=True)
    pivot = cylinder(0.7 * width, 1.25 * height, bevel=0.001, sides=18)
    made = Assembly()
    made.add("jaws", steel(rng), arms, move(pivot, (0, 0, -0.12 * height)))
    made.add("sleeves", finish(rng, gloss=0.6), sleeves)
    return made.build("pliers", 3000)


def scissors(rng: Rng) -> ObjectModel:
    """Scissors, slightly open, with real finger holes."""
    length, thick = rng.uniform(0.1, 0.2), rng.uniform(0.002, 0.004)
    opening = rng.uniform(0.03, 0.35)
    eye, tube = 0.13 * length, 0.032 * length
    angle = 2 * np.pi * np.arange(6) / 6
    section = np.column_stack([eye + tube * np.cos(angle), tube * np.sin(angle)])
    blades, rings = [], []
    for side in (-1, 1):
        turn = rotation("z", side * opening / 2)
        z = thick / 2 * side
        blade = hull(np.array([(x, y, h) for h in (z - thick / 2, z + thick / 2)
                               for x, y in ((-0.15 * length, -0.03 * length), (-0.15 * length, 0.03 * length),
                                            (0, -0.04 * length), (0.1 * length, 0.04 * length), (0.5 * length, 0.0),
                                            (0.5 * length, 0.008 * length * side))]))
        blades.append(move(blade, turn=turn))
        centre = np.array([-0.36 * length, side * -0.12 * length, 0])
        neck = capsule((-0.12 * length, 0, 0), centre + (0.1 * length, side * 0.06 * length, 0), tube, 8)
        loop = ring(section_loops(circle(24, 0.75), section))
        rings += move_all([neck, *(move(piece, centre) for piece in loop)], turn=turn)
    made = Assembly()
    made.add("blades", steel(rng), blades, move(cylinder(0.03 * length, 3 * thick, sides=14), (0, 0, -1.5 * thick)))
    made.add("rings", finish(rng, gloss=0.6), rings)
    return made.build("scissors", 2000)


def bolt(rng: Rng) -> ObjectModel:
    """Hexagon or round-headed bolt lying on its side."""
    radius = np.exp(rng.uniform(np.log(0.002), np.log(0.009)))
    length = radius * rng.uniform(4, 12)
    shaft = revolve(circle(16), [(radius, 0), (radius, 0.93 * length), (0.7 * radius, length)])
    head = 1.8 * radius
    kind = rng.integers(3)
    top = extrude(head * circle(6), 1.3 * radius, 0.1 * radius) if kind == 0 else \
        cylinder(head, 1.6 * radius, bevel=0.2 * radius, sides=20) if kind == 1 else \
        loft(circle(20), [(head, 0), (0.9 * head, 0.5 * radius), (0.6 * head, 0.9 * radius), (0, 1.1 * radius)])
    made = Assembly()
    made.add("body", steel(rng), shaft, move(top, turn=rotation("x", np.pi)))
    return made.build("bolt", 7800, turn=LIE)


def nut(rng: Rng) -> ObjectModel:
    """Hexagon nut or washer with an open hole."""
    outer = np.exp(rng.uniform(np.log(0.005), np.log(0.025)))
    hexagonal = rng.random() < 0.65
    inner = outer * rng.uniform(0.45, 0.62)
    height = max(0.001, outer * (rng.uniform(0.6, 1.0) if hexagonal else rng.uniform(0.1, 0.3)))
    angle = 2 * np.pi * np.arange(24) / 24
    flat = np.cos(np.pi / 6) / np.cos((angle + np.pi / 6) % (np.pi / 3) - np.pi / 6) if hexagonal else np.ones(24)
    rim = outer * flat[:, None] * circle(24)
    hole = inner * circle(24)
    loops = np.stack([np.column_stack([line, np.full(24, z)]) for line in (rim, hole) for z in (0, height)])
    made = Assembly()
    made.add("body", steel(rng), ring(loops))
    return made.build("nut", 7800, stackable=True)


def gear(rng: Rng) -> ObjectModel:
    """Toothed wheel with a bore and sometimes a hub."""
    radius, height = rng.uniform(0.012, 0.045), rng.uniform(0.004, 0.015)
    teeth = int(rng.integers(9, 17))
    bore = radius * rng.uniform(0.2, 0.45)
    polygon = circle(32)
    body = ring(section_loops(polygon, [(bore, 0), (radius, 0), (radius, height), (bore, height)]), 4)
    tall = 2.2 * radius / teeth
    wide, narrow = 0.5 * tall * 1.5, 0.5 * tall * 0.8
    tooth = hull(np.array([(x, s * w, z) for x, w in ((0.9 * radius, wide), (radius + tall, narrow))
                           for s in (-1, 1) for z in (0.0, height)]))
    spokes = [move(tooth, turn=rotation("z", 2 * np.pi * i / teeth)) for i in range(teeth)]
    made = Assembly()
    surface = finish(rng, metal=0.5, gloss=0.3)
    made.add("body", surface, body, spokes)
    if rng.random() < 0.5:
        hub = ring(section_loops(polygon, [(bore, 0), (1.5 * bore, 0), (1.5 * bore, height), (bore, height)]), 4)
        made.add("hub", surface, move_all(hub, (0, 0, height)))
    return made.build("gear", 3000, stackable=True)


def bracket(rng: Rng) -> ObjectModel:
    """Angle, T, U or Z profile from flat bars."""
    a, b = rng.uniform(0.025, 0.1, 2)
    depth, thick = rng.uniform(0.012, 0.06), rng.uniform(0.002, 0.012)
    floor = box((a, depth, thick), (a / 2, 0, thick / 2))
    wall = box((thick, depth, b), (thick / 2, 0, b / 2))
    kind = rng.integers(4)
    if kind == 0:
        pieces = [floor, wall]
    elif kind == 1:
        pieces = [floor, move(wall, (a / 2 - thick / 2, 0, 0))]
    elif kind == 2:
        pieces = [floor, wall, move(wall, (a - thick, 0, 0))]
    else:
        pieces = [floor, wall, move(floor, (thick - a, 0, b - thick))]
    made = Assembly()
    made.add("body", finish(rng, metal=0.5, gloss=0.25), pieces)
    return made.build("bracket", 1800)


def pipe(rng: Rng) -> ObjectModel:
    """Open tube lying down, or a bent solid hose piece."""
    radius, length = rng.uniform(0.007, 0.035), rng.uniform(0.04, 0.22)
    inner = radius * rng.uniform(0.6, 0.88)
    made = Assembly()
    surface = finish(rng, metal=0.4, gloss=0.3)
    wall = [(inner, 0), (radius, 0), (radius, length), (inner, length)]
    made.add("body", surface, ring(section_loops(circle(28), wall)))
    if rng.random() < 0.4:
        collar = [(radius, 0), (1.2 * radius, 0), (1.2 * radius, 0.4 * radius), (radius, 0.4 * radius)]
        made.add("collar", surface, ring(section_loops(circle(28), collar)))
    turn = LIE if rng.random() < 0.7 else None
    return made.build("pipe", 900, turn=turn)


def clamp(rng: Rng) -> ObjectModel:
    """C-clamp lying flat: frame, spindle and a cross handle."""
    size, thick = rng.uniform(0.05, 0.11), rng.uniform(0.007, 0.012)
    frame = bar([(0, 0.0), (0, size), (0.75 * size, size), (0.75 * size, 0.75 * size)], thick, thick) \
        + bar([(0, 0), (0.9 * size, 0.0)], 1.3 * thick, thick)
    x, z = 0.75 * size, thick / 2
    spindle = [capsule((x, rng.uniform(0.2, 0.45) * size, z), (x, -0.55 * size, z), 0.35 * thick, 10),
               capsule((x - 0.2 * size, -0.5 * size, z), (x + 0.2 * size, -0.5 * size, z), 0.2 * thick, 8)]
    made = Assembly()
    made.add("frame", finish(rng, metal=0.4, gloss=0.4), frame)
    made.add("spindle", steel(rng), spindle)
    return made.build("clamp", 3500)


def _scaled(piece, factor: float):
    """Return the piece grown about the origin."""
    return move(piece, turn=factor * np.eye(3))


FAMILIES = {"screwdriver": screwdriver, "hammer": hammer, "power_drill": power_drill, "pliers": pliers,
            "scissors": scissors, "bolt": bolt, "nut": nut, "gear": gear, "bracket": bracket, "pipe": pipe,
            "clamp": clamp}
