"""Round and irregular things: fruit, balls, superquadrics, rocks, cables and toys."""

from __future__ import annotations

import numpy as np

from ..model import ObjectModel, Surface
from ..primitives import (box, capsule, circle, cylinder, ellipsoid, hull, loft, move, revolve, ring, rotation,
                          section_loops, sweep)
from .assembly import Assembly, finish

Rng = np.random.Generator


def ball(rng: Rng) -> ObjectModel:
    """Marble to children's ball."""
    radius = np.exp(rng.uniform(np.log(0.008), np.log(0.07)))
    made = Assembly()
    made.add("body", finish(rng, gloss=0.5, metal=0.06, glass=0.04), ellipsoid((radius,) * 3, resolution=(11, 20)))
    return made.build("ball", 300)


def superquadric(rng: Rng) -> ObjectModel:
    """Any shape between ellipsoid, pillow, drum and double cone."""
    radii = np.exp(rng.uniform(np.log(0.012), np.log(0.08), 3))
    made = Assembly()
    made.add("body", finish(rng, gloss=0.5, metal=0.06),
             ellipsoid(radii, tuple(rng.uniform(0.2, 1.7, 2)), (11, 20)))
    return made.build("superquadric", 500)


def apple(rng: Rng) -> ObjectModel:
    """Apple or tomato with a stem in a shallow dip."""
    radius = rng.uniform(0.025, 0.045)
    squash = rng.uniform(0.8, 1.0)
    angle = np.linspace(-np.pi / 2, np.pi / 2, 12)
    rows = [(radius * np.cos(a) ** 0.8 * (1 + 0.08 * np.sin(a)), radius * squash * np.sin(a)) for a in angle[1:-1]]
    body = revolve(circle(22), rows)
    top = rows[-1][1]
    stem = capsule((0, 0, top - 0.002), (0.004 * rng.uniform(-1, 1), 0.003, top + rng.uniform(0.006, 0.016)), 0.0013, 6)
    made = Assembly()
    made.add("body", finish(rng, gloss=0.6), body)
    made.add("stem", Surface("matte", None, 0.9), stem)
    return made.build("apple", 800)


def citrus(rng: Rng) -> ObjectModel:
    """Orange, lime or lemon: a sphere drawn out to a tip at one or both ends."""
    radius, tip = rng.uniform(0.02, 0.045), rng.uniform(0, 0.35) * rng.integers(2)
    angle = np.linspace(-np.pi / 2, np.pi / 2, 11)[1:-1]
    rows = [(radius * np.cos(a), radius * np.sin(a) * (1.3 if tip > 0 else 1.0)) for a in angle]
    end = rows[-1][1]
    bumps = []
    if tip > 0:
        for base, side, turn in ((0.42, 1, None), (0.36, -1, rotation("x", np.pi))):
            cone = cylinder(base * radius, tip * radius, 0.12 * radius, sides=16)
            bumps.append(move(cone, (0, 0, side * (end - 0.09 * radius)), turn))
    made = Assembly()
    made.add("body", finish(rng, gloss=0.4), loft(circle(22), rows), bumps)
    return made.build("citrus", 800, turn=rotation("y", np.pi / 2))


def pear(rng: Rng) -> ObjectModel:
    """Pear, avocado or egg-plant shape with a stem, lying on its side or standing."""
    radius = rng.uniform(0.025, 0.04)
    length, slim = radius * rng.uniform(2.3, 3.4), rng.uniform(0.3, 0.6)
    t = np.linspace(0.02, 1, 13)
    width = np.sqrt(np.clip(1 - (2 * t - 1) ** 2, 0, 1)) * (1 - (1 - slim) * t ** 1.5) * 1.25
    rows = [(radius * max(w, 0.12 * slim), length * s) for w, s in zip(width, t)]
    made = Assembly()
    made.add("body", finish(rng, gloss=0.4), revolve(circle(20), rows))
    made.add("stem", Surface("matte", None, 0.9),
             capsule((0, 0, 0.98 * length), (0.003, 0, 1.1 * length), 0.0016, 6))
    turn = rotation("y", 1.35) if rng.random() < 0.5 else None
    return made.build("pear", 800, turn=turn)


def banana(rng: Rng) -> ObjectModel:
    """Banana, croissant or chilli: a bent, tapered chain lying on its side."""
    radius, arc = rng.uniform(0.008, 0.02), rng.uniform(0.8, 2.4)
    length = radius * rng.uniform(7, 11)
    angle = np.linspace(-arc / 2, arc / 2, 10)
    bend = length / arc
    path = np.column_stack([bend * np.sin(angle), bend * np.cos(angle), np.zeros(10)])
    scales = np.clip(1.02 - np.abs(np.linspace(-1, 1, 10)) ** 3 * rng.uniform(0.5, 0.75), 0.2, 1)
    stub = path[-1] + (path[-1] - path[-2]) * rng.uniform(0.4, 1.0)
    made = Assembly()
    made.add("body", finish(rng, gloss=0.35), sweep(path, radius * circle(8), scales, round_ends=True))
    made.add("stem", Surface("matte", None, 0.9), capsule(path[-1], stub, 0.3 * radius, 8))
    return made.build("banana", 800)


def carrot(rng: Rng) -> ObjectModel:
    """Carrot, cucumber or radish with a tuft of leaves, lying down."""
    radius, length = rng.uniform(0.01, 0.022), rng.uniform(0.07, 0.18)
    tip = rng.uniform(0.1, 0.8) * radius
    rows = [(0.5 * tip, 0), (tip, 0.03 * length), (radius, 0.93 * length), (0.6 * radius, length)]
    made = Assembly()
    made.add("body", finish(rng, gloss=0.3), revolve(circle(18), rows))
    spread = rng.uniform(0.2, 0.5)
    leaves = [capsule((0, 0, 0.99 * length), np.array([spread * np.cos(a), spread * np.sin(a), 1]) * 0.3 * length
                      + (0, 0, length), 0.09 * radius + 0.001, 6) for a in rng.uniform(0, 6.28, 4)]
    made.add("leaves", Surface("matte", None, 0.9), leaves)
    return made.build("carrot", 800, turn=rotation("y", np.pi / 2))


def rock(rng: Rng) -> ObjectModel:
    """Stone, potato or crumpled lump: the hull of random points on an ellipsoid."""
    radii = rng.uniform(0.012, 0.05) * rng.uniform(0.6, 1.3, 3)
    points = rng.normal(size=(int(rng.integers(14, 70)), 3))
    points *= rng.uniform(0.9, 1.05, (len(points), 1)) / np.linalg.norm(points, axis=1, keepdims=True)
    made = Assembly()
    made.add("body", finish(rng, gloss=0.15), hull(points * radii, smooth=bool(rng.integers(2))))
    return made.build("rock", 1500)


def cable(rng: Rng) -> ObjectModel:
    """A stiff cable, rope or hose lying on the table in wide bends, with or without plugs."""
    radius = rng.uniform(0.0018, 0.006)
    count = int(rng.integers(16, 30))
    step = rng.uniform(0.008, 0.014) + radius
    heading = np.cumsum(np.cumsum(rng.normal(0, 0.1, count)) + rng.uniform(-0.12, 0.12))
    path = np.zeros((count + 1, 3))
    path[1:, :2] = np.cumsum(step * np.stack([np.cos(heading), np.sin(heading)], 1), 0)
    stop = next((i for i in range(8, count + 1)  # end before it would cross itself or grow too long
                 if np.linalg.norm(path[:i - 4] - path[i], axis=1).min() < 9 * radius + step + 0.01
                 or np.ptp(path[:i + 1], axis=0).max() > 0.3), count + 1)
    path = path[:stop] + (0, 0, radius)
    made = Assembly()
    made.add("wire", finish(rng, gloss=0.4), sweep(path, radius * circle(8), round_ends=True))
    if rng.random() < 0.7:
        size = (5 * radius + 0.006, 3.5 * radius + 0.002, 3 * radius + 0.001)
        plugs = []
        for end, before in ((path[0], path[1]), (path[-1], path[-2])):
            way = (end - before) / np.linalg.norm(end - before)
            plug = box(size, bevel=0.3 * radius)
            plugs.append(move(plug, end + 0.4 * size[0] * way, rotation("z", np.arctan2(way[1], way[0]))))
        made.add("plugs", finish(rng, gloss=0.5), plugs)
    return made.build("cable", 900)


def toy_union(rng: Rng) -> ObjectModel:
    """Two to four random primitives grown together, each a part of its own."""
    made = Assembly()
    centre = np.zeros(3)
    scale = np.exp(rng.uniform(np.log(0.015), np.log(0.045)))
    for index in range(int(rng.integers(2, 5))):
        size = scale * rng.uniform(0.5, 1.5, 3)
        kind = rng.integers(4)
        if kind == 0:
            piece = box(2 * size, bevel=0.1 * scale * rng.random())
        elif kind == 1:
            piece = ellipsoid(size, tuple(rng.uniform(0.4, 1.3, 2)))
        elif kind == 2:
            piece = move(cylinder(size[0], 2 * size[2], size[0] * rng.uniform(0.3, 1)), (0, 0, -size[2]))
        else:
            piece = capsule((0, 0, -size[2]), (0, 0, size[2]), 0.6 * size[0])
        lean = rng.choice([0, np.pi / 2, rng.uniform(0, 3)])
        turn = rotation("z", rng.uniform(0, 6.28)) @ rotation("xy"[rng.integers(2)], lean)
        made.add(f"piece{index}", finish(rng, gloss=0.5, metal=0.08), move(piece, centre, turn))
        direction = rng.normal(size=3) * (1, 1, 0.7)
        centre = centre + direction / np.linalg.norm(direction) * scale * rng.uniform(0.5, 0.85)
    return made.build("toy_union", 500)


def doughnut(rng: Rng) -> ObjectModel:
    """Doughnut, pool ring or toy tyre: a torus with an open hole, sometimes iced."""
    big, small = rng.uniform(0.02, 0.05), rng.uniform(0.35, 0.6)
    thick = small * big
    flat = rng.uniform(0.6, 1.0)
    angle = 2 * np.pi * np.arange(10) / 10
    section = np.column_stack([big + thick * np.cos(angle), flat * thick * np.sin(angle)])
    made = Assembly()
    made.add("body", finish(rng, gloss=0.4), ring(section_loops(circle(32), section)))
    if rng.random() < 0.5:
        upper = np.linspace(0.35, np.pi - 0.35, 6)
        icing = np.column_stack([big + 1.04 * thick * np.cos(upper), 1.06 * flat * thick * np.sin(upper)])
        made.add("icing", Surface("gloss", None, 0.25), ring(section_loops(circle(32), icing)))
    return made.build("doughnut", 400)


FAMILIES = {"ball": ball, "superquadric": superquadric, "apple": apple, "citrus": citrus, "pear": pear,
            "banana": banana, "carrot": carrot, "rock": rock, "cable": cable, "toy_union": toy_union,
            "doughnut": doughnut}
