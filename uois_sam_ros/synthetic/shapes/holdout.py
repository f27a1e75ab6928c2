"""Families kept for testing: no training scene ever holds one of these shapes."""

from __future__ import annotations

import numpy as np

from ..model import ObjectModel
from ..primitives import (box, circle, cylinder, ellipsoid, hull, loft, move, move_all, revolve, rotation,
                          sweep)
from .assembly import Assembly, finish
from .hollow import loop_handle, round_wall
from .tools import steel

Rng = np.random.Generator


def pitcher(rng: Rng) -> ObjectModel:
    """Hollow jug with a bellied wall, a spout and a tall handle."""
    height = rng.uniform(0.12, 0.23)
    belly = height * rng.uniform(0.26, 0.34)
    mouth = belly * rng.uniform(0.7, 0.95)
    body, cavity = round_wall([(0.8 * belly, 0), (belly, 0.35 * height), (mouth, height)], 0.0035, 0.006)
    ends = [(np.interp(z, (0, 0.35, 1), (0.8 * belly, belly, mouth)) - 0.002, z * height) for z in (0.3, 0.9)]
    handle = loop_handle(*ends, 0.3 * height, 0.028 * height, 8)
    reach = 0.4 * mouth
    spout = []
    for side in (-1, 1):
        root = (-0.82 * mouth, side * 0.55 * mouth, height)
        low = (-0.99 * mouth, 0, 0.75 * height)
        tip = (-mouth - reach, 0, 1.02 * height)
        corners = np.array([root, low, tip])
        normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
        shift = 0.003 * normal / np.linalg.norm(normal)
        spout.append(hull(np.concatenate([corners, corners + shift])))
    made = Assembly()
    surface = finish(rng, gloss=0.6, metal=0.1, glass=0.2)
    made.add("body", surface, body, spout)
    made.add("handle", surface, handle)
    return made.build("pitcher", 1200, cavity=cavity)


def spray_bottle(rng: Rng) -> ObjectModel:
    """Cleaner bottle with a trigger head."""
    height, radius = rng.uniform(0.12, 0.19), rng.uniform(0.03, 0.042)
    flat = rng.uniform(0.55, 0.9)
    body = revolve(
        circle(24, flat),
        [
            (0.95 * radius, 0),
            (radius, 0.04 * height),
            (radius, 0.55 * height),
            (0.6 * radius, 0.78 * height),
            (0.42 * radius, 0.9 * height),
            (0.4 * radius, height),
        ],
    )
    s = radius
    collar = move(cylinder(0.48 * s, 0.4 * s, bevel=0.002), (0, 0, height - 0.1 * s))
    head = hull(np.array([(x * s, y * s, height + z * s) for x, w, z in
                          ((-0.5, 0.35, 0.3), (0.45, 0.35, 0.3), (1.3, 0.25, 0.75), (1.3, 0.25, 1.1), (-0.9, 0.3, 1.15),
                           (-0.9, 0.3, 0.9)) for y in (-w, w)]))
    nozzle = move(cylinder(0.25 * s, 0.35 * s, sides=14), (1.25 * s, 0, height + 0.92 * s), rotation("y", np.pi / 2))
    trigger = sweep(np.array([(0.9, 0, 0.65), (1.0, 0, 0.2), (0.85, 0, -0.25), (0.95, 0, -0.6)]) * s + (0, 0, height),
                    np.array([(0.18, 0.1), (-0.18, 0.1), (-0.18, -0.1), (0.18, -0.1)]) * s, up=(1, 0, 0))
    made = Assembly()
    made.add("body", finish(rng, gloss=0.7, glass=0.1), body)
    made.add("head", finish(rng, gloss=0.6), collar, head, nozzle)
    made.add("trigger", finish(rng, gloss=0.6), trigger)
    return made.build("spray_bottle", 700)


def wrench(rng: Rng) -> ObjectModel:
    """Combination spanner: open jaw at one end, a ring at the other."""
    length, thick = rng.uniform(0.09, 0.24), rng.uniform(0.004, 0.009)
    size = rng.uniform(0.08, 0.11) * length
    shaft = box((0.78 * length, 0.75 * size, 0.7 * thick), (0, 0, thick / 2), bevel=0.1 * thick)

    def arc(start: float, stop: float, inner: float, outer: float, count: int) -> list:
        angle = np.linspace(start, stop, count + 1)
        rim = np.stack([np.cos(angle), np.sin(angle)], 1)
        return [hull(np.array([(r * x, r * y, z) for r in (inner, outer) for x, y in rim[i:i + 2] for z in (0, thick)]))
                for i in range(count)]

    eye = move_all(arc(0, 2 * np.pi, 0.62 * size, 1.05 * size, 12), (-0.39 * length - 0.7 * size, 0, 0))
    tilt = rotation("z", rng.choice([0.0, 0.26]))
    jaw = arc(0.75, 2 * np.pi - 0.75, 0.6 * size, 1.25 * size, 9)
    tips = [
        hull(
            np.array(
                [
                    (x * size, s * y * size, z)
                    for x, y in ((0.3, 0.58), (1.35, 0.62), (1.25, 1.0), (0.75, 1.12))
                    for z in (0, thick)
                ]
            )
        )
        for s in (-1, 1)
    ]
    made = Assembly()
    made.add("body", steel(rng), shaft, eye, move_all(jaw + tips, (0.39 * length + 0.9 * size, 0, 0), tilt))
    return made.build("wrench", 7000)


def mushroom_toy(rng: Rng) -> ObjectModel:
    """Mushroom: thick stalk under a domed cap with an overhang, with dots or without."""
    radius = rng.uniform(0.02, 0.055)
    stalk, slim = radius * rng.uniform(0.7, 1.5), rng.uniform(0.35, 0.6)
    dome = radius * rng.uniform(0.6, 1.0)
    angle = np.linspace(0, np.pi / 2, 7)
    rows = [(0.8 * radius, -0.12 * radius), *[(radius * np.cos(a), dome * np.sin(a)) for a in angle]]
    made = Assembly()
    made.add(
        "stalk",
        finish(rng, gloss=0.3),
        revolve(circle(20), [(1.15 * slim * radius, 0), (slim * radius, 0.4 * stalk), (slim * radius, stalk)]),
    )
    made.add("cap", finish(rng, gloss=0.6), move(loft(circle(24), rows), (0, 0, stalk + 0.1 * radius)))
    if rng.random() < 0.6:
        dots = []
        for turn in 2 * np.pi * np.arange(5) / 5 + rng.uniform(0, 1):
            lift = rng.uniform(0.4, 1.1)
            spot = np.array(
                [radius * np.cos(lift) * np.cos(turn), radius * np.cos(lift) * np.sin(turn), dome * np.sin(lift)]
            )
            dots.append(
                move(ellipsoid((0.16 * radius,) * 3, resolution=(5, 10)), spot * 0.95 + (0, 0, stalk + 0.1 * radius))
            )
        made.add("dots", finish(rng, gloss=0.4), dots)
    return made.build("mushroom_toy", 500)


def shoe(rng: Rng) -> ObjectModel:
    """Slipper- or trainer-like shoe: sole, toe box, heel and an open ankle."""
    s = rng.uniform(0.11, 0.26)
    outline = s * np.array(
        [
            (0.5, 0.0),
            (0.46, 0.1),
            (0.34, 0.17),
            (0.1, 0.16),
            (-0.2, 0.12),
            (-0.42, 0.12),
            (-0.49, 0.06),
            (-0.49, -0.06),
            (-0.42, -0.12),
            (-0.2, -0.12),
            (0.1, -0.15),
            (0.34, -0.16),
            (0.46, -0.1),
        ]
    )
    base, rim = 0.07 * s, rng.uniform(0.24, 0.34) * s

    def level(shape: np.ndarray, z: float) -> np.ndarray:
        return np.column_stack([shape, np.full(len(shape), z)])

    front = outline[outline[:, 0] > 0.05 * s] * 0.95
    toe = hull(np.concatenate([level(front, base), level(front * (0.8, 0.8), 0.16 * s),
                               level(np.array([(0.08, 0.08), (0.08, -0.08)]) * s, 0.22 * s),
                               level(np.array([(0.3, 0.07), (0.3, -0.07)]) * s, 0.19 * s)]), smooth=True)
    tongue = hull(
        np.concatenate(
            [
                level(np.array([(0.1, 0.1), (0.1, -0.1), (0.0, 0.08), (0.0, -0.08)]) * s, 0.1 * s),
                level(np.array([(0.09, 0.08), (0.09, -0.08), (0.0, 0.08), (0.0, -0.08)]) * s, 0.22 * s),
                level(np.array([(-0.03, 0.06), (-0.03, -0.06), (-0.05, 0.06), (-0.05, -0.06)]) * s, rim),
            ]
        )
    )
    back = (
        0.93
        * s
        * np.array(
            [
                (0.12, -0.16),
                (-0.2, -0.13),
                (-0.42, -0.125),
                (-0.5, -0.06),
                (-0.5, 0.06),
                (-0.42, 0.125),
                (-0.2, 0.13),
                (0.12, 0.165),
            ]
        )
    )
    inner = back * (0.93, 0.84)
    walls = [
        hull(
            np.concatenate(
                [level(line[i : i + 2] * k, z) for line in (back, inner) for k, z in ((1, base), (0.86, rim))]
            )
        )
        for i in range(len(back) - 1)
    ]
    made = Assembly()
    sole = hull(np.concatenate([level(outline * k, z * s) for k, z in ((0.97, 0), (1, 0.02), (1, 0.06), (0.96, 0.08))]),
                smooth=True)
    made.add("sole", finish(rng, gloss=0.2), sole)
    made.add("upper", finish(rng, gloss=0.3), toe, walls)
    made.add("tongue", finish(rng, gloss=0.2), tongue)
    return made.build("shoe", 400)


def light_bulb(rng: Rng) -> ObjectModel:
    """Round bulb that narrows into a screw base, lying on its side."""
    radius = rng.uniform(0.018, 0.04)
    angle = np.linspace(-0.9, np.pi / 2, 10)
    rows = [(radius * np.cos(a), radius * np.sin(a)) for a in angle]
    neck, end = 0.45 * radius, -1.45 * radius
    made = Assembly()
    made.add("bulb", finish(rng, glass=0.4, gloss=0.4), revolve(circle(22), [(neck, end), *rows]))
    thread = [row for i in range(3) for row in ((0.4 * radius, end + (0.3 * i - 0.9) * radius),
                                                (0.45 * radius, end + (0.3 * i - 0.75) * radius))]
    made.add(
        "base", steel(rng), revolve(circle(16), [(0.2 * radius, end - 1.1 * radius), *thread, (0.4 * radius, end)])
    )
    return made.build("light_bulb", 400, turn=rotation("y", 1.75))


FAMILIES = {"pitcher": pitcher, "spray_bottle": spray_bottle, "wrench": wrench, "mushroom_toy": mushroom_toy,
            "shoe": shoe, "light_bulb": light_bulb}
