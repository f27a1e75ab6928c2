"""Small household and desk things: pens, cutlery, brushes, pegs and mice."""

from __future__ import annotations

import numpy as np

from ..model import ObjectModel, Surface
from ..primitives import (box, circle, cylinder, ellipsoid, hull, loft, move, move_all, ring, rotation,
                          rounded_rectangle, section_loops, sweep)
from .assembly import Assembly, finish
from .tools import LIE, steel

Rng = np.random.Generator


def pen(rng: Rng) -> ObjectModel:
    """Pencil, marker or ball pen lying down."""
    radius, length = rng.uniform(0.003, 0.009), rng.uniform(0.09, 0.18)
    sides = 6 if rng.random() < 0.35 else 16
    made = Assembly()
    body = loft(circle(sides), [(radius, 0), (radius, 0.88 * length)], smooth=sides > 6)
    made.add("body", finish(rng, gloss=0.6, metal=0.08), body)
    end = [(radius, 0.88 * length), (0.15 * radius, length)]
    made.add("tip", finish(rng, metal=0.3, gloss=0.3), loft(circle(sides), end, smooth=sides > 6))
    if rng.random() < 0.6:
        made.add("cap", finish(rng, gloss=0.6, metal=0.2),
                 move(cylinder(1.15 * radius, rng.uniform(0.06, 0.3) * length, sides=16), (0, 0, -0.01 * length)))
    return made.build("pen", 700, turn=LIE)


def _stem(rng: Rng, length: float, thick: float) -> list:
    """Cutlery handle along -x from the neck at the origin, slightly arched."""
    arch = rng.uniform(0.02, 0.06) * length
    t = np.linspace(0, 1, 5)
    path = np.column_stack([-length * t, np.zeros(5), 0.4 * arch + arch * np.sin(np.pi * t)])
    return sweep(path, thick * np.array([(1, 0.3), (-1, 0.3), (-1, -0.3), (1, -0.3)]),
                 0.6 + 0.9 * t ** 1.5, round_ends=True)


def _cutlery_surfaces(rng: Rng) -> tuple[Surface, Surface]:
    """One steel surface, or a steel or wooden head with a plastic handle."""
    metal = steel(rng)
    draw = rng.random()
    if draw < 0.6:
        return metal, metal
    other = finish(rng, gloss=0.5)
    return (metal, other) if draw < 0.8 else (other, other)


def spoon(rng: Rng) -> ObjectModel:
    """Spoon or ladle-like scoop: an oval hollow at the end of a handle."""
    length = rng.uniform(0.07, 0.16)
    half = length * rng.uniform(0.2, 0.32)
    polygon = circle(24, rng.uniform(0.6, 0.85))
    depth, wall = half * rng.uniform(0.25, 0.45), 0.0016
    section = [(half, depth), (half - wall, depth), (0.55 * half, 0.0), (0.55 * half - wall, wall)]
    cup = ring(section_loops(polygon, section))
    floor = hull(section_loops(polygon, [(0.55 * half, 0), (0.55 * half, wall)]).reshape(-1, 3))
    head, handle = _cutlery_surfaces(rng)
    made = Assembly()
    made.add("bowl", head, cup, floor)
    made.add("handle", handle, move_all(_stem(rng, length, 0.0045), (-0.97 * half, 0, 0.75 * depth)))
    return made.build("spoon", 4000)


def fork(rng: Rng) -> ObjectModel:
    """Fork: a palm with three or four free tines."""
    length, width = rng.uniform(0.08, 0.14), rng.uniform(0.018, 0.027)
    reach, count = rng.uniform(0.035, 0.055), int(rng.integers(3, 5))
    palm = hull(np.array([(x, s * w, z) for x, w in ((-0.004, 0.003), (0.014, width / 2), (0.022, width / 2))
                          for s in (-1, 1) for z in (0.0, 0.002)]))
    thin = 0.55 * width / (2 * count - 1)
    tines = []
    for y in np.linspace(-1, 1, count) * (width / 2 - thin):
        path = np.array([(0.021, y, 0.001), (0.021 + 0.6 * reach, y, 0.001), (0.021 + reach, y, 0.005)])
        tines += sweep(path, thin * np.array([(1, 0.6), (-1, 0.6), (-1, -0.6), (1, -0.6)]), (1, 1, 0.5))
    head, handle = _cutlery_surfaces(rng)
    made = Assembly()
    made.add("head", head, palm, tines)
    made.add("handle", handle, _stem(rng, length, 0.0045))
    return made.build("fork", 4000)


def knife(rng: Rng) -> ObjectModel:
    """Table or kitchen knife, blade flat on the table or slightly raised."""
    blade, width = rng.uniform(0.07, 0.18), rng.uniform(0.014, 0.04)
    outline = [(0, -0.5), (0, 0.45), (0.7, 0.5), (0.9, 0.25), (1.0, -0.3), (0.97, -0.5)]
    top = 0.004 + rng.uniform(0.001, 0.002)
    sheet = hull(np.array([(x * blade, y * width, z) for x, y in outline for z in (0.004, top)]))
    grip = rng.uniform(0.07, 0.12)
    shape = rounded_rectangle(rng.uniform(0.0045, 0.008), rng.uniform(0.3, 0.45) * width, 0.004)
    handle = move(loft(shape, [(0.8, 0), (1, 0.1 * grip), (1, 0.9 * grip), (0.85, grip)]),
                  (0.006, 0, 0.0045), rotation("y", -np.pi / 2))
    made = Assembly()
    made.add("blade", steel(rng), sheet)
    made.add("handle", finish(rng, gloss=0.4, metal=0.3), handle)
    return made.build("knife", 2500)


def brush(rng: Rng) -> ObjectModel:
    """Tooth-, dish- or paint brush: long handle, block and bristles."""
    length, thick = rng.uniform(0.1, 0.2), rng.uniform(0.004, 0.011)
    head, width = rng.uniform(0.02, 0.06), rng.uniform(0.01, 0.035)
    t = np.linspace(0, 1, 4)
    path = np.column_stack([-length * t, np.zeros(4), 0.01 * np.sin(np.pi * t) + thick / 2])
    handle = sweep(path, thick * circle(10, 0.6), (0.6, 1, 1.1, 0.9), round_ends=True)
    block = box((head, width, thick), (head / 2 - 0.002, 0, thick / 2), bevel=0.15 * thick)
    tall = rng.uniform(0.01, 0.025)
    made = Assembly()
    made.add("handle", finish(rng, gloss=0.5), handle, block)
    bristles = hull(np.concatenate([np.column_stack([rounded_rectangle(0.45 * head * k, 0.44 * width * k, 0.002, 2),
                                                     np.full(8, z)]) for k, z in ((0.95, thick), (1.05, thick + tall))])
                    + (head / 2 - 0.002, 0, 0))
    made.add("bristles", Surface("matte", None, 1.0), bristles)
    return made.build("brush", 700)


def computer_mouse(rng: Rng) -> ObjectModel:
    """Low dome with a wheel: computer mouse, also stapler-sized humps."""
    half = rng.uniform((0.04, 0.024, 0.026), (0.06, 0.034, 0.04))
    dome = ellipsoid((half[0], half[1], half[2]), (rng.uniform(0.6, 1), rng.uniform(0.6, 0.95)), (10, 20))
    upper = dome.vertices[dome.vertices[:, 2] > 0.05 * half[2]].astype(np.float64)
    foot = upper * (0.97, 0.97, 0)
    wheel = move(
        cylinder(0.3 * half[2], 0.008, sides=16), (0.55 * half[0], 0.004, 0.72 * half[2]), rotation("x", np.pi / 2)
    )
    made = Assembly()
    made.add("body", finish(rng, gloss=0.5), hull(np.concatenate([upper, foot]), smooth=True))
    made.add("wheel", finish(rng, gloss=0.3), wheel)
    return made.build("computer_mouse", 500)


def clothes_peg(rng: Rng) -> ObjectModel:
    """Two slanted arms and a spring: peg, clip or stapler jaw."""
    length, width = rng.uniform(0.05, 0.11), rng.uniform(0.008, 0.018)
    thick = 0.09 * length
    arms = [move(box((length, width, thick), bevel=0.1 * thick), (0, 0, s * 0.8 * thick), rotation("y", s * 0.1))
            for s in (-1, 1)]
    spring = move(
        cylinder(0.11 * length, width * 1.15, sides=16), (0.05 * length, 0.575 * width, 0), rotation("x", np.pi / 2)
    )
    made = Assembly()
    made.add("arms", finish(rng, gloss=0.4), arms)
    made.add("spring", steel(rng), spring)
    turn = rotation("x", np.pi / 2) if rng.random() < 0.5 else None
    return made.build("clothes_peg", 600, turn=turn)


def key(rng: Rng) -> ObjectModel:
    """Door key with an eye in its bow and teeth on its blade."""
    length, thick = rng.uniform(0.045, 0.075), rng.uniform(0.002, 0.003)
    bow = rng.uniform(0.16, 0.22) * length
    wall = [(0.4 * bow, 0), (bow, 0), (bow, thick), (0.4 * bow, thick)]
    eye = ring(section_loops(circle(24, rng.uniform(0.8, 1.1)), wall))
    blade = [box((0.68 * length, 0.09 * length, thick), (bow + 0.3 * length, 0, thick / 2))]
    teeth = [box((0.06 * length, rng.uniform(0.04, 0.09) * length, thick),
                 (bow + x * length, -0.07 * length, thick / 2)) for x in (0.3, 0.4, 0.5, 0.6)]
    made = Assembly()
    made.add("body", steel(rng), eye, blade, teeth)
    return made.build("key", 6000)


def toy_car(rng: Rng) -> ObjectModel:
    """Small car: body, cabin and four wheels."""
    length = rng.uniform(0.05, 0.14)
    width, height = length * rng.uniform(0.38, 0.5), length * rng.uniform(0.14, 0.2)
    wheel = length * rng.uniform(0.09, 0.13)
    body = box((length, width, height), (0, 0, wheel + 0.3 * height), bevel=0.2 * height)
    top, z = rng.uniform(0.35, 0.75), wheel + 0.8 * height
    cabin = hull(
        np.array(
            [
                (x * length, s * w * width, h)
                for h, x0, x1, w in ((z, -0.4, 0.25, 0.46), (z + height, -0.4 * top, 0.2 * top, 0.4))
                for x in (x0, x1)
                for s in (-1, 1)
            ]
        )
    )
    disc = cylinder(wheel, 0.14 * width, bevel=0.01 * length, sides=16)
    wheels = [move(disc, (x * length, y * width + 0.07 * width, wheel), rotation("x", np.pi / 2))
              for x in (-0.3, 0.3) for y in (-0.48, 0.48)]
    made = Assembly()
    made.add("body", finish(rng, gloss=0.7, metal=0.1), body)
    made.add("cabin", finish(rng, gloss=0.7), cabin)
    made.add("wheels", Surface("matte", None, 0.8), wheels)
    return made.build("toy_car", 700)


FAMILIES = {"pen": pen, "spoon": spoon, "fork": fork, "knife": knife, "brush": brush, "key": key,
            "computer_mouse": computer_mouse, "clothes_peg": clothes_peg, "toy_car": toy_car}
