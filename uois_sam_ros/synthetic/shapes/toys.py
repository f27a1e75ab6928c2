"""Toys and odd compounds that the base network never sees: for the score heads."""

from __future__ import annotations

import numpy as np

from ..model import ObjectModel, Piece, Surface
from ..primitives import (box, capsule, circle, cylinder, ellipsoid, extrude, hull, loft, move, move_all, revolve,
                          ring, rotation, rounded_rectangle, section_loops)
from .assembly import Assembly, finish
from .tools import LIE

Rng = np.random.Generator
TIP = rotation("x", np.pi / 2)  #: takes +z to -y


def robot(rng: Rng) -> ObjectModel:
    """Figure of blocks: trunk, head, arms and legs; standing or on its back."""
    s = rng.uniform(0.025, 0.085)
    trunk, head = rng.uniform((0.8, 0.5, 0.9), (1.2, 0.8, 1.4)) * s, rng.uniform((0.5, 0.5, 0.4), (0.9, 0.7, 0.8)) * s
    leg, thick, bevel = rng.uniform(0.5, 1.1) * s, rng.uniform(0.25, 0.38) * s, rng.uniform(0, 0.06) * s
    top = leg + trunk[2]
    arm = move(box((0.85 * thick, 0.85 * thick, 0.9 * trunk[2]), bevel=bevel), (0, 0, -0.42 * trunk[2]))
    arms = [move(arm, (side * (trunk[0] / 2 + 0.4 * thick), 0, 0.95 * top), rotation("x", rng.uniform(-1.2, 0.3)))
            for side in (-1, 1)]
    legs = [box(size, (side * 0.27 * trunk[0], y, z)) for side in (-1, 1) for size, y, z in
            (((thick, thick, leg), 0, leg / 2), ((1.2 * thick, 2 * thick, 0.4 * thick), -0.3 * thick, 0.2 * thick))]
    eye = cylinder(0.12 * s, 0.03 * s, sides=12)
    eyes = [move(eye, (side * 0.22 * head[0], -head[1] / 2, top + 0.65 * head[2]), TIP) for side in (-1, 1)]
    made = Assembly()
    surface = finish(rng, gloss=0.5, metal=0.2)
    made.add("trunk", surface, box(trunk, (0, 0, leg + trunk[2] / 2), bevel=bevel))
    made.add("head", surface if rng.random() < 0.4 else finish(rng, gloss=0.5),
             box(head, (0, 0, top + 0.54 * head[2]), bevel=bevel))
    made.add("arms", finish(rng, gloss=0.5), arms)
    made.add("legs", finish(rng, gloss=0.4), legs)
    made.add("eyes", finish(rng, gloss=0.7), eyes)
    return made.build("robot", 500, turn=rotation("x", -np.pi / 2) if rng.random() < 0.4 else None)


def rubber_duck(rng: Rng) -> ObjectModel:
    """Bath duck: egg of a body, round head, beak, raised tail."""
    s = rng.uniform(0.025, 0.08)
    fat, high = rng.uniform(0.65, 0.9), rng.uniform(0.75, 1.05)
    body = ellipsoid((s, fat * s, 0.65 * s))
    wedge = [(-0.5, -0.4, 0.1), (-0.5, 0.4, 0.1), (-0.6, 0, -0.2), (-1.15, 0.1, 0.5), (-1.15, -0.1, 0.5)]
    tail = hull(np.array(wedge) * s, smooth=True)
    radius = rng.uniform(0.45, 0.58) * s
    head = move(ellipsoid((radius,) * 3), (0.5 * s, 0, high * s))
    beak = move(ellipsoid((0.45 * radius, 0.5 * radius, 0.18 * radius)),
                (0.5 * s + 1.05 * radius, 0, high * s - 0.15 * radius))
    made = Assembly()
    made.add("body", finish(rng, gloss=0.7), body, tail, head)
    made.add("beak", finish(rng, gloss=0.7), beak)
    made.add("eyes", Surface("gloss", None, 0.2), [move(ellipsoid((0.13 * radius,) * 3, resolution=(5, 10)), (
        0.5 * s + 0.75 * radius, side * 0.55 * radius, high * s + 0.3 * radius)) for side in (-1, 1)])
    return made.build("rubber_duck", 200)


def chess_piece(rng: Rng) -> ObjectModel:
    """Turned chess piece: broad foot, waist, collar; bishop, rook, king or knight above it."""
    s = rng.uniform(0.025, 0.1)
    waist = rng.uniform(0.14, 0.2)
    rows = [(0.42, 0), (0.42, 0.1), (0.3, 0.22), (waist, 0.45), (waist, 0.95), (0.28, 1.02), (0.28, 1.07), (0.16, 1.12)]
    made = Assembly()
    pieces = revolve(circle(20), s * np.array(rows))
    kind = rng.integers(4)
    if kind == 0:
        tops = [loft(circle(18), [(0.14, 0), (0.24, 0.18), (0.2, 0.35), (0.06, 0.6)]),
                move(ellipsoid((0.07,) * 3, resolution=(5, 10)), (0, 0, 0.63))]
    elif kind == 1:
        blocks = ring(section_loops(circle(24), [(0.2, 0.28), (0.32, 0.28), (0.32, 0.45), (0.2, 0.45)]), 3)
        tops = [cylinder(0.28, 0.28, 0.32), *blocks[::2]]
    elif kind == 2:
        tops = [cylinder(0.2, 0.35, 0.32), box((0.08, 0.08, 0.3), (0, 0, 0.45)), box((0.26, 0.08, 0.08), (0, 0, 0.48))]
    else:
        head = [(-0.15, 0), (0.2, 0), (0.22, 0.4), (0.05, 0.62), (-0.1, 0.6)]
        snout = [(0.1, 0.62), (0.05, 0.3), (-0.38, 0.3), (-0.4, 0.42), (-0.1, 0.62)]
        tops = [hull(np.array([(x, y, z) for x, z in line for y in (-w, w)]))
                for line, w in ((head, 0.13), (snout, 0.1))]
    made.add("body", finish(rng, gloss=0.6, glass=0.05, metal=0.08), pieces,
             move_all(tops, (0, 0, 1.1 * s), s * np.eye(3)))
    if rng.random() < 0.5:
        made.add("felt", Surface("matte", None, 1.0), move(cylinder(0.43 * s, 0.03 * s), (0, 0, -0.03 * s)))
    return made.build("chess_piece", 900)


def toy_plane(rng: Rng) -> ObjectModel:
    """Aeroplane: tapered fuselage, wings (one or two pairs), tail, propeller or engines."""
    s, span = rng.uniform(0.09, 0.3), rng.uniform(0.7, 1.15)
    r, chord = rng.uniform(0.055, 0.09) * s, rng.uniform(0.16, 0.26)
    body = move(loft(circle(16), [(0.25 * r, -0.55 * s), (r, -0.1 * s), (r, 0.25 * s), (0.5 * r, 0.4 * s)]), turn=LIE)
    sweep_back, thick = rng.uniform(0, 0.3), 0.02 * s

    def wing(half: float, root: float, z: float, x: float) -> Piece:
        return hull(np.array([(x + dx, y, z + dz) for y, back, width in ((-half, 1, 0.6), (0, 0, 1), (half, 1, 0.6))
                              for dx in (-back * sweep_back * half - root * width, -back * sweep_back * half)
                              for dz in (0, thick)]))

    wings = []
    for z in ((0,), (-r, 1.7 * r))[rng.integers(2)]:
        whole = wing(span * s / 2, chord * s, z, 0.2 * s).vertices
        wings += [hull(whole[side * whole[:, 1] > -1e-6]) for side in (-1, 1)]
    fin = hull(np.array([(x * s, y, z * s) for y in (-thick / 2, thick / 2)
                         for x, z in ((-0.38, 0), (-0.55, 0), (-0.58, 0.18), (-0.5, 0.18))]))
    made = Assembly()
    made.add("fuselage", finish(rng, gloss=0.6, metal=0.15), body)
    made.add("wings", finish(rng, gloss=0.6, metal=0.15), wings)
    made.add("tail", made.surface("wings"), fin, wing(0.17 * s, 0.1 * s, 0.02 * s, -0.45 * s))
    made.add("cockpit", finish(rng, glass=0.4, gloss=0.5),
             move(ellipsoid((0.1 * s, 0.6 * r, 0.6 * r)), (0.18 * s, 0, 0.9 * r)))
    if rng.random() < 0.6:
        blade = box((0.015 * s, 3.2 * r, 0.03 * s), (0.42 * s, 0, 0))
        made.add("propeller", finish(rng, metal=0.3), move(blade, turn=rotation("x", rng.uniform(0, 3))),
                 move(cylinder(0.25 * r, 0.06 * s, 0.1 * r, sides=12), (0.39 * s, 0, 0), LIE))
    else:
        engine = move(cylinder(0.45 * r, 0.16 * s, bevel=0.1 * r, sides=16), turn=LIE)
        made.add("engines", finish(rng, metal=0.4),
                 [move(engine, (0.05 * s, y * span * s, -0.4 * r)) for y in (-0.2, 0.2)])
    return made.build("toy_plane", 500)


def toy_train(rng: Rng) -> ObjectModel:
    """Locomotive: frame, boiler, cab with a roof, chimney, dome and wheels."""
    s = rng.uniform(0.08, 0.24)
    wide, wheel = rng.uniform(0.26, 0.34) * s, rng.uniform(0.07, 0.1) * s
    r, deck = 0.42 * wide, 1.5 * wheel
    disc = move(cylinder(wheel, 0.05 * s, sides=18), turn=TIP)
    wheels = [move(disc, (x * s, side * wide / 2 + 0.025 * s, wheel)) for x in (-0.32, 0.0, 0.3) for side in (-1, 1)]
    chimney = revolve(circle(16), np.array([(0.05, 0), (0.05, 0.12), (rng.uniform(0.05, 0.09), 0.2)]) * s)
    dome = loft(circle(16), np.array([(0.06, 0), (0.06, 0.06), (0.03, 0.09)]) * s)
    made = Assembly()
    made.add("frame", finish(rng, gloss=0.4), box((s, 0.9 * wide, 0.05 * s), (0, 0, deck), bevel=0.01 * s))
    made.add("boiler", finish(rng, gloss=0.6, metal=0.2),
             move(cylinder(r, 0.6 * s, bevel=0.02 * s), (-0.12 * s, 0, deck + r), LIE))
    made.add("cab", finish(rng, gloss=0.5), box((0.3 * s, wide, 0.38 * s), (-0.33 * s, 0, deck + 0.19 * s)))
    made.add("roof", finish(rng, gloss=0.5),
             box((0.38 * s, 1.15 * wide, 0.03 * s), (-0.33 * s, 0, deck + 0.395 * s), bevel=0.01 * s))
    made.add("chimney", finish(rng, gloss=0.5, metal=0.2), move_all(chimney, (0.37 * s, 0, deck + 1.9 * r)),
             move(dome, (0.12 * s, 0, deck + 1.9 * r)))
    made.add("wheels", finish(rng, gloss=0.4), wheels)
    return made.build("toy_train", 600)


def ring_pyramid(rng: Rng) -> ObjectModel:
    """Stacking toy as one thing: foot, rings that grow narrower, a ball on the peg."""
    r, count = rng.uniform(0.03, 0.075), int(rng.integers(3, 7))
    thick = rng.uniform(0.3, 0.45) * r
    radii = r * np.linspace(1, rng.uniform(0.4, 0.6), count)
    made = Assembly()
    made.add("foot", finish(rng, gloss=0.4), cylinder(1.05 * r, 0.2 * r, bevel=0.03 * r, sides=28))
    for index, radius in enumerate(radii):
        slim = radius - 0.35 * thick
        rows = [(slim, 0), (radius, 0.3 * thick), (radius, 0.7 * thick), (slim, thick)]
        made.add(f"ring{index}", finish(rng, gloss=0.6), move(loft(circle(26), rows), (0, 0, 0.2 * r + index * thick)))
    ball = radii[-1] * rng.uniform(0.6, 0.8)
    made.add("ball", finish(rng, gloss=0.6),
             move(ellipsoid((ball,) * 3), (0, 0, 0.2 * r + count * thick + 0.85 * ball)))
    return made.build("ring_pyramid", 500)


def compound(rng: Rng) -> ObjectModel:
    """Two to five random convex lumps grown together in one colour: any odd solid, small to large."""
    scale = np.exp(rng.uniform(np.log(0.015), np.log(0.085)))
    surface = finish(rng, gloss=0.45, metal=0.1)
    pieces, centre = [], np.zeros(3)
    for _ in range(int(rng.integers(2, 6))):
        size = scale * rng.uniform(0.35, 1.2, 3)
        kind = rng.integers(5)
        if kind == 0:
            points = rng.normal(size=(int(rng.integers(7, 24)), 3))
            piece = hull(points / np.linalg.norm(points, axis=1, keepdims=True) * size, smooth=bool(rng.integers(2)))
        elif kind == 1:
            piece = move(extrude(size[:2] * circle(int(rng.integers(3, 9))), 2 * size[2]), (0, 0, -size[2]))
        elif kind == 2:
            piece = move(loft(rounded_rectangle(size[0], size[1], rng.uniform(0, 0.9) * size[:2].min()),
                              [(1, 0), (rng.uniform(0.2, 1), 2 * size[2])]), (0, 0, -size[2]))
        elif kind == 3:
            piece = ellipsoid(size, tuple(rng.uniform(0.3, 1.6, 2)))
        else:
            piece = capsule((0, 0, -1.2 * size[2]), (0, 0, 1.2 * size[2]), 0.5 * size[0])
        turn = rotation("z", rng.uniform(0, 6.28)) @ rotation("x", rng.choice([0, np.pi / 2, rng.uniform(0, 3)]))
        pieces.append(move(piece, centre, turn))
        direction = rng.normal(size=3) * (1, 1, 0.6)
        centre = centre + 0.7 * size.mean() * direction / np.linalg.norm(direction)
    made = Assembly()
    cut = len(pieces) - 1 if rng.random() < 0.3 else len(pieces)
    made.add("body", surface, pieces[:cut])
    if cut < len(pieces):
        made.add("knob", finish(rng, gloss=0.5, metal=0.2), pieces[cut:])
    return made.build("compound", 500)


def toy_animal(rng: Rng) -> ObjectModel:
    """Four-legged toy of wood or plastic: trunk, neck and head, ears, legs, tail."""
    s = rng.uniform(0.03, 0.11)
    fat, leg, thick = rng.uniform(0.4, 0.65) * s, rng.uniform(0.5, 1.3) * s, rng.uniform(0.13, 0.24) * s
    trunk = ellipsoid((s, fat, fat), tuple(rng.uniform(0.5, 1.0, 2)))
    rise = rng.uniform(0.2, 1.3) * s
    neck = capsule((0.75 * s, 0, 0.1 * s), (1.05 * s, 0, rise), 0.5 * fat)
    skull = move(ellipsoid((0.5 * s, 0.55 * fat, 0.55 * fat)), (1.25 * s, 0, rise))
    ears = [move(ellipsoid((0.1 * s, 0.12 * s, rng.uniform(0.15, 0.4) * s), resolution=(5, 10)),
                 (1.0 * s, side * 0.4 * fat, rise + 0.6 * fat)) for side in (-1, 1)]
    legs = [capsule((x * s, side * 0.5 * fat, -0.3 * fat), (x * s, side * 0.6 * fat, -0.5 * fat - leg), thick, 10)
            for x in (-0.65, 0.65) for side in (-1, 1)]
    made = Assembly()
    made.add("trunk", finish(rng, gloss=0.4), trunk, neck)
    made.add("head", made.surface("trunk"), skull)
    made.add("ears", finish(rng, gloss=0.3), ears)
    made.add("legs", made.surface("trunk") if rng.random() < 0.5 else finish(rng, gloss=0.3), legs)
    made.add("tail", made.surface("ears"),
             capsule((-0.95 * s, 0, 0.2 * fat), (-1.5 * s, 0, rng.uniform(-0.5, 1.2) * fat), 0.08 * s, 8))
    return made.build("toy_animal", 500)


def plush_bear(rng: Rng) -> ObjectModel:
    """Sitting soft toy: belly, head with muzzle and ears, stubby limbs."""
    s, head = rng.uniform(0.04, 0.1), rng.uniform(0.65, 0.9)
    limb = rng.uniform(0.28, 0.4)
    high = 0.85 + 0.75 * head
    arms = [move(ellipsoid((limb * s, limb * s, 0.7 * s), resolution=(7, 12)), (side * 0.85 * s, -0.3 * s, 0.2 * s),
                 rotation("x", -0.6) @ rotation("y", -side * 0.5)) for side in (-1, 1)]
    legs = [move(ellipsoid((1.1 * limb * s, 0.85 * s, 1.1 * limb * s), resolution=(7, 12)),
                 (side * 0.6 * s, -0.85 * s, -0.6 * s), rotation("z", side * 0.3)) for side in (-1, 1)]
    ears = [move(ellipsoid((0.3 * s, 0.13 * s, 0.3 * s), resolution=(6, 12)),
                 (side * 0.68 * head * s, 0, (high + 0.65 * head) * s)) for side in (-1, 1)]
    made = Assembly()
    fur = Surface("matte", None, 1.0)
    made.add("body", fur, ellipsoid((0.85 * s, 0.75 * s, s)))
    made.add("head", fur, move(ellipsoid((head * s,) * 3), (0, 0, high * s)), ears)
    made.add("limbs", fur if rng.random() < 0.7 else finish(rng), arms, legs)
    made.add("muzzle", Surface("matte", None, 1.0),
             move(ellipsoid((0.35 * s, 0.25 * s, 0.28 * s)), (0, -0.9 * head * s, (high - 0.15) * s)))
    return made.build("plush_bear", 150)


def toy_guitar(rng: Rng) -> ObjectModel:
    """Small guitar or fiddle lying on its back: waisted body, hole, neck, head with pegs."""
    s = rng.uniform(0.16, 0.35)
    thick, low, high = rng.uniform(0.07, 0.11) * s, rng.uniform(0.17, 0.21) * s, rng.uniform(0.12, 0.16) * s
    bouts = [move(extrude(low * circle(28), thick, 0.1 * thick), (-0.28 * s, 0, 0)),
             move(extrude(high * circle(28), thick, 0.1 * thick), (-0.02 * s, 0, 0)),
             box((0.26 * s, 1.6 * high, thick), (-0.15 * s, 0, thick / 2))]
    neck = box((0.45 * s, 0.06 * s, 0.035 * s), (0.26 * s, 0, thick))
    head = hull(np.array([(x * s, side * y * s, thick + z * s) for x, y in ((0.47, 0.035), (0.6, 0.05))
                          for side in (1, -1) for z in (-0.02, 0.015)]))
    peg = cylinder(0.012 * s, 0.03 * s, sides=8)
    pegs = [move(peg, (x * s, side * 0.045 * s, thick), rotation("x", -side * np.pi / 2))
            for x in (0.5, 0.57) for side in (-1, 1)]
    made = Assembly()
    made.add("body", finish(rng, gloss=0.7), bouts)
    made.add("hole", Surface("matte", None, 0.9), move(cylinder(0.065 * s, 0.002), (-0.08 * s, 0, thick)))
    made.add("bridge", finish(rng, gloss=0.3), box((0.03 * s, 0.14 * s, 0.03 * s), (-0.3 * s, 0, thick)))
    made.add("neck", finish(rng, gloss=0.4), neck, head)
    made.add("pegs", finish(rng, metal=0.5, gloss=0.3), pegs)
    return made.build("toy_guitar", 400)


FAMILIES = {"robot": robot, "rubber_duck": rubber_duck, "chess_piece": chess_piece, "toy_plane": toy_plane,
            "toy_train": toy_train, "ring_pyramid": ring_pyramid, "compound": compound, "toy_animal": toy_animal,
            "plush_bear": plush_bear, "toy_guitar": toy_guitar}
