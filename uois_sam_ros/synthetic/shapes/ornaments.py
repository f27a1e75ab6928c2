"""Ornaments and household things that the base network never sees: for the score heads."""

from __future__ import annotations

import numpy as np

from ..model import ObjectModel, Surface
from ..primitives import (box, capsule, circle, cylinder, ellipsoid, extrude, hull, loft, move, move_all, revolve,
                          ring, rotation, section_loops, sweep)
from .assembly import Assembly, finish
from .hollow import loop_handle, round_wall
from .tools import LIE, steel

Rng = np.random.Generator


def trophy(rng: Rng) -> ObjectModel:
    """Prize cup on a plinth: block, stem with a knot, hollow bowl, two ears."""
    s = rng.uniform(0.09, 0.3)
    wide, low = rng.uniform(0.2, 0.3) * s, rng.uniform(0.4, 0.5) * s
    plinth = rng.uniform(0.12, 0.22) * s
    stem = [(0.14, 0), (0.03, 0.08), (0.03, 0.2), (0.06, 0.22), (0.03, 0.25), (0.03, low / s - plinth / s)]
    bowl, _ = round_wall([(0.3 * wide, 0), (0.85 * wide, 0.3 * s), (wide, 0.52 * s)], 0.02 * s, 0.02 * s, sectors=10)
    ear = loop_handle((0.6 * wide, low + 0.2 * s), (0.9 * wide, low + 0.48 * s), 0.6 * wide, 0.02 * s, 6)
    made = Assembly()
    surface = Surface("metal", None, float(rng.uniform(0.1, 0.4))) if rng.random() < 0.7 else finish(rng, gloss=0.7)
    made.add("plinth", finish(rng, gloss=0.5), box((0.34 * s, 0.34 * s, plinth), (0, 0, plinth / 2), bevel=0.01 * s))
    made.add("cup", surface, revolve(circle(24), s * np.array(stem) + (0, plinth)), move_all(bowl, (0, 0, low)))
    made.add("ears", surface, ear, move_all(ear, turn=rotation("z", np.pi)))
    return made.build("trophy", 2500)


def dumbbell(rng: Rng) -> ObjectModel:
    """Dumb-bell: knurled bar between hexagonal, round or disc-stacked heads."""
    s = rng.uniform(0.06, 0.16)
    r, thick = rng.uniform(0.28, 0.5) * s, rng.uniform(0.3, 0.6) * s
    kind = rng.integers(3)
    if kind == 0:
        head = [extrude(r * circle(6), thick, 0.1 * thick)]
    elif kind == 1:
        head = [move(ellipsoid((r, r, r)), (0, 0, 0.8 * r))]
    else:
        head = [move(cylinder(k * r, 0.3 * thick, bevel=0.03 * r), (0, 0, i * 0.31 * thick))
                for i, k in enumerate((1, 0.8, 0.55))]
    made = Assembly()
    made.add("bar", steel(rng), cylinder(rng.uniform(0.1, 0.15) * s, 1.2 * s, sides=16))
    made.add("heads", finish(rng, metal=0.4, gloss=0.4), move_all(head, (0, 0, 1.1 * s)),
             move_all(head, (0, 0, 0.1 * s), rotation("x", np.pi)))
    return made.build("dumbbell", 5000, turn=LIE @ rotation("z", np.pi / 6))


def hand_bell(rng: Rng) -> ObjectModel:
    """Hand bell standing on its flared mouth, a turned grip above."""
    s = rng.uniform(0.025, 0.07)
    tall, grip = rng.uniform(1.2, 1.7), rng.uniform(1.0, 2.2)
    shell = [(1, 0), (0.97, 0.08), (0.7, 0.35), (0.55, 0.8), (0.5, tall - 0.25), (0.3, tall)]
    handle = [(0.12, tall), (0.1, tall + 0.15), (0.2, tall + 0.4 * grip), (0.12, tall + 0.8 * grip),
              (0.22, tall + 0.9 * grip), (0.12, tall + grip)]
    made = Assembly()
    made.add("bell", finish(rng, metal=0.8, gloss=0.2), revolve(circle(24), s * np.array(shell)))
    made.add("grip", finish(rng, gloss=0.5, metal=0.15), revolve(circle(16), s * np.array(handle)))
    return made.build("hand_bell", 2500, turn=rotation("y", 1.6) if rng.random() < 0.3 else None)


def hourglass(rng: Rng) -> ObjectModel:
    """Sand glass: two plates, three posts, two glass bulbs meeting at a neck."""
    s = rng.uniform(0.04, 0.13)
    r, plate = rng.uniform(0.32, 0.45) * s, 0.08 * s
    half = np.array([(0.72, 0.0), (0.75, 0.3), (0.55, 0.7), (0.1, 1.0)]) * (r, 0.92 * s)
    rows = np.concatenate([half, half[:-1][::-1] * (1, -1) + (0, 2 * 0.92 * s)])
    posts = [capsule((x, y, 0), (x, y, 1.84 * s), 0.07 * r, 8) for x, y in 0.85 * r * circle(3)]
    polygon = circle(24) if rng.random() < 0.6 else circle(6)
    made = Assembly()
    frame = finish(rng, gloss=0.5, metal=0.2)
    made.add("frame", frame, posts, [move(extrude(r * polygon, plate, 0.1 * plate, len(polygon) > 6), (0, 0, z))
                                     for z in (-plate, 1.84 * s)])
    made.add("bulbs", finish(rng, glass=0.75, gloss=0.25), revolve(circle(20), rows))
    return made.build("hourglass", 900, turn=LIE if rng.random() < 0.3 else None)


def candle(rng: Rng) -> ObjectModel:
    """Candle in a dish with a finger ring, or in a turned stick."""
    r, tall = rng.uniform(0.009, 0.022), rng.uniform(0.04, 0.16)
    made = Assembly()
    surface = finish(rng, metal=0.5, gloss=0.3, glass=0.1)
    if rng.random() < 0.5:
        foot, wide = 0.012, rng.uniform(2.2, 3.2) * r
        dish = revolve(circle(24), [(0.8 * wide, 0), (wide, foot), (wide, 1.3 * foot)])
        socket = move(cylinder(1.25 * r, 0.02), (0, 0, 0.9 * foot))
        eye = loop_handle((0.98 * wide, 0.0), (0.98 * wide, 1.3 * foot), 1.2 * r, 0.003, 5)
        made.add("holder", surface, dish, socket, eye)
        top = 0.9 * foot + 0.01
    else:
        top = rng.uniform(0.06, 0.16)
        rows = [(2.4, 0), (2.4, 0.05), (0.8, 0.2), (0.6, 0.45), (1.1, 0.52), (0.6, 0.6), (0.6, 0.8), (1.5, 0.95),
                (1.5, 1)]
        made.add("holder", surface, revolve(circle(20), np.array(rows) * (r, top)))
    made.add("wax", finish(rng, gloss=0.4),
             move(loft(circle(20), [(r, 0), (0.95 * r, 0.97 * tall), (0.7 * r, tall)]), (0, 0, top)))
    made.add("wick", Surface("matte", None, 1.0),
             capsule((0, 0, top + 0.98 * tall), (0.001, 0, top + tall + 0.012), 0.0013, 6))
    return made.build("candle", 900)


def spool(rng: Rng) -> ObjectModel:
    """Reel of thread, wire or ribbon: two flanges, windings between them, an end of thread."""
    r = np.exp(rng.uniform(np.log(0.012), np.log(0.06)))
    tall, fill = rng.uniform(0.6, 2.6) * r, rng.uniform(0.6, 0.97) * r
    flange = 0.12 * r
    made = Assembly()
    made.add("flanges", finish(rng, gloss=0.4), [move(cylinder(r, flange, bevel=0.02 * r, sides=28), (0, 0, z))
                                                 for z in (0, flange + tall)])
    winding = [(0.94 * fill, flange), (fill, flange + 0.15 * tall), (fill, flange + 0.85 * tall),
               (0.94 * fill, flange + tall)]
    made.add("thread", finish(rng, gloss=0.3, metal=0.2), loft(circle(28), winding))
    made.add("core", Surface("matte", None, 0.9), move(cylinder(0.3 * r, 0.02 * r), (0, 0, 2 * flange + tall)))
    return made.build("spool", 600, stackable=True, turn=LIE if rng.random() < 0.3 else None)


def whisk(rng: Rng) -> ObjectModel:
    """Whisk lying down: grip and a cage of bent wires."""
    s, fat = rng.uniform(0.06, 0.12), rng.uniform(0.22, 0.32)
    side = [(0.04, 0.0), (0.5, 0.3), (0.95, 0.62), (0.75, 0.9)]
    loop = np.array([*side, (0, 1.0), *[(-x, z) for x, z in reversed(side)]]) * (fat * s, s)
    path = np.column_stack([loop[:, 0], np.zeros(9), loop[:, 1]])
    wires = [piece for a in np.pi * np.arange(4) / 4
             for piece in move_all(sweep(path, circle(6) * 0.012 * s, up=(0, 1, 0)), turn=rotation("z", a))]
    grip = rng.uniform(0.8, 1.3) * s
    made = Assembly()
    made.add("wires", steel(rng), wires)
    made.add("grip", finish(rng, gloss=0.5, metal=0.4),
             loft(circle(14) * 0.1 * s, [(0.6, -grip), (1.1, -0.8 * grip), (0.8, 0.05 * s)]))
    return made.build("whisk", 2000, turn=LIE)


def funnel(rng: Rng) -> ObjectModel:
    """Funnel standing on its rim: hollow cone, spout above, a tab to hang it."""
    r, slope = rng.uniform(0.03, 0.085), rng.uniform(0.7, 1.2)
    neck, spout = rng.uniform(0.12, 0.22) * r, rng.uniform(0.5, 1.1) * r
    section = [(r, 0), (0.95 * r, 0), (neck, slope * r), (0.6 * neck, slope * r)]
    made = Assembly()
    surface = finish(rng, gloss=0.5, metal=0.25, glass=0.1)
    made.add("cone", surface, ring(section_loops(circle(32), section)))
    made.add("spout", surface, move(cylinder(neck, spout, 0.7 * neck), (0, 0, 0.95 * slope * r)))
    made.add("tab", surface, box((0.35 * r, 0.25 * r, 0.06 * r), (1.1 * r, 0, 0.03 * r), bevel=0.01 * r))
    return made.build("funnel", 600)


def vase(rng: Rng) -> ObjectModel:
    """Vase with a free throat and a relief of knobs or ribs round its belly."""
    s = rng.uniform(0.08, 0.26)
    belly, throat = rng.uniform(0.2, 0.36) * s, rng.uniform(0.1, 0.2) * s
    middle = rng.uniform(0.3, 0.6)
    body, cavity = round_wall([(0.6 * belly, 0), (belly, middle * s), (throat, s)], 0.004, 0.008, sectors=12)
    count = int(rng.integers(6, 13))
    at = rng.uniform(0.65, 1.0) * middle
    radius = np.interp(at, (0, middle), (0.6 * belly, belly))
    size = (0.03 * s, rng.uniform(0.03, 0.06) * s, rng.choice([0.04, 0.16]) * s)
    relief = [move(move(ellipsoid(size, resolution=(5, 8)), (radius, 0, at * s)), turn=rotation("z", a))
              for a in 2 * np.pi * np.arange(count) / count]
    made = Assembly()
    surface = finish(rng, gloss=0.6, glass=0.2)
    made.add("body", surface, body)
    made.add("relief", surface if rng.random() < 0.5 else finish(rng, gloss=0.6, metal=0.2), relief)
    return made.build("vase", 1400, cavity=cavity)


def cactus(rng: Rng) -> ObjectModel:
    """Ribbed cactus with arms in a filled pot: pot, soil and plant are one thing."""
    s = rng.uniform(0.03, 0.09)
    pot = revolve(circle(24), np.array([(0.65, 0), (0.9, 0.9), (1.0, 0.9), (1.0, 1.15)]) * s)
    tall, r = rng.uniform(0.8, 2.6) * s, rng.uniform(0.35, 0.7) * s
    star = [circle(4) @ rotation("z", a)[:2, :2] for a in np.pi / 2 * np.arange(3) / 3]
    rows = np.array([(0.8, 0), (1.0, 0.4), (0.9, 0.85), (0.4, 1.0)]) * (r, tall) + (0, 1.1 * s)
    arms = []
    for side in (-1, 1)[:int(rng.integers(0, 3))]:
        z = 1.1 * s + rng.uniform(0.3, 0.6) * tall
        bend = np.array([(side * 0.5 * r, 0, z), (side * 1.6 * r, 0, z + 0.1 * r), (side * 1.9 * r, 0, z + 0.5 * r),
                         (side * 1.9 * r, 0, z + 1.3 * r)])
        arms += sweep(bend, circle(8) * 0.32 * r, up=(0, 1, 0), round_ends=True)
    made = Assembly()
    made.add("pot", finish(rng, gloss=0.4), pot)
    made.add("soil", Surface("matte", None, 1.0), move(cylinder(0.9 * s, 0.02 * s), (0, 0, 1.15 * s)))
    made.add("plant", Surface("matte", None, 0.9), [loft(polygon, rows) for polygon in star], arms)
    return made.build("cactus", 900)


def gift_box(rng: Rng) -> ObjectModel:
    """Wrapped present: box with an overlapping lid, ribbons crossing and a bow."""
    x, y, z = rng.uniform((0.05, 0.05, 0.03), (0.24, 0.2, 0.2))
    lid, over, band = rng.uniform(0.15, 0.35) * z, 0.002, rng.uniform(0.06, 0.14) * min(x, y) + 0.003
    bands = [box((band, y + 3 * over, z + 1.5 * over), (0, 0, z / 2 + over / 2)),
             box((x + 3 * over, band, z + 1.5 * over), (0, 0, z / 2 + over / 2))]
    loop, size = [], min(0.3 * min(x, y), 0.045)
    for a in (0.4, 2.0, 3.6, 5.2):
        tear = hull(size * np.array([(0, 0, 0), (0.5, 0.25, 0.5), (0.5, -0.25, 0.5), (1, 0.3, 0.35), (1, -0.3, 0.35),
                                     (0.7, 0.2, 0.0), (0.7, -0.2, 0.0)]), smooth=True)
        loop.append(move(tear, (0, 0, z), rotation("z", a)))
    made = Assembly()
    made.add("box", finish(rng, gloss=0.4), box((x, y, z), (0, 0, z / 2)))
    made.add("lid", made.surface("box") if rng.random() < 0.5 else finish(rng, gloss=0.4),
             box((x + 2 * over, y + 2 * over, lid), (0, 0, z - lid / 2 + over / 2)))
    made.add("ribbon", finish(rng, gloss=0.8), bands, loop)
    return made.build("gift_box", 300)


def pineapple(rng: Rng) -> ObjectModel:
    """Pineapple or artichoke-like fruit: barrel with a crown of pointed leaves."""
    s = rng.uniform(0.03, 0.075)
    tall, crown = rng.uniform(1.2, 1.8) * s, rng.uniform(0.7, 1.6) * s
    body = ellipsoid((s, s, tall), (0.8, 1.0), (10, 16))
    z = 0.9 * tall
    root = [(x * s, y * s, z) for x in (0.05, 0.3) for y in (-0.18, 0.18)]
    leaves = [hull(np.array([*root, (0.5 * lean * crown, 0.1 * s, z + 0.6 * crown), (lean * crown, 0, z + crown)]))
              for lean in (0.7, 0.3)]
    made = Assembly()
    made.add("fruit", Surface("matte", None, 0.8), body)
    made.add("crown", Surface("matte", None, 0.8),
             [move(leaves[int(i > 5)], turn=rotation("z", 2.4 * i + 0.5 * (i > 5))) for i in range(10)])
    return made.build("pineapple", 800, turn=rotation("y", 1.5) if rng.random() < 0.5 else None)


def grapes(rng: Rng) -> ObjectModel:
    """Bunch of grapes or beads: many small balls that are one thing, on a stalk."""
    r, count = rng.uniform(0.006, 0.013), int(rng.integers(12, 24))
    long = rng.uniform(1.0, 1.4)
    t = np.sort(rng.uniform(0, 1, count))
    angle = 2.4 * np.arange(count)
    spread = (1 - t) * 0.55 * np.sqrt(count) * r + 0.3 * r
    centres = np.column_stack([t * 1.4 * np.sqrt(count) * r, spread * np.cos(angle),
                               r + 0.8 * spread * (1 + np.sin(angle))])
    berry = ellipsoid((long * r, r, r), resolution=(5, 9))
    made = Assembly()
    made.add("berries", finish(rng, gloss=0.6, glass=0.1), [move(berry, centre) for centre in centres])
    start = np.array([0.3 * r, 0, 1.5 * r + 0.44 * np.sqrt(count) * r])
    stub = start + (-3.5 * r, rng.uniform(-1, 1) * r, 0.8 * r)
    made.add("stalk", Surface("matte", None, 0.9), capsule(start, stub, 0.2 * r, 6),
             capsule(start, centres[-1], 0.2 * r, 6))
    return made.build("grapes", 900)


FAMILIES = {"trophy": trophy, "dumbbell": dumbbell, "hand_bell": hand_bell, "hourglass": hourglass, "candle": candle,
            "spool": spool, "whisk": whisk, "funnel": funnel, "vase": vase, "cactus": cactus, "gift_box": gift_box,
            "pineapple": pineapple, "grapes": grapes}
