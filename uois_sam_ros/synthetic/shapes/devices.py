"""Appliances, desk and household devices that the base network never sees: for the score heads."""

from __future__ import annotations

import numpy as np

from ..model import ObjectModel, Surface
from ..primitives import (box, capsule, circle, cylinder, ellipsoid, extrude, hull, loft, move, move_all, revolve, ring,
                          rotation, rounded_rectangle, section_loops, sweep)
from .assembly import Assembly, finish
from .tools import LIE, steel

Rng = np.random.Generator
TIP = rotation("x", np.pi / 2)  #: takes +z to -y


def stapler(rng: Rng) -> ObjectModel:
    """Stapler: sole, magazine and a rounded arm, closed or gaping at the front."""
    s, wide = rng.uniform(0.07, 0.19), rng.uniform(0.09, 0.14)
    gape = rotation("y", -rng.uniform(0.0, 0.28))
    arm = loft(rounded_rectangle(0.47 * s, wide * s, 0.9 * wide * s), [(1, 0.09 * s), (1, 0.13 * s), (0.8, 0.2 * s)])
    magazine = box((0.92 * s, 1.1 * wide * s, 0.06 * s), (0.01 * s, 0, 0.06 * s))
    made = Assembly()
    made.add("sole", finish(rng, gloss=0.4), extrude(rounded_rectangle(0.5 * s, wide * s, 0.6 * wide * s), 0.04 * s),
             box((0.12 * s, wide * s, 0.14 * s), (-0.4 * s, 0, 0.1 * s)))
    hinge = np.array([-0.4 * s, 0, 0.03 * s])
    made.add("magazine", steel(rng), move(magazine, hinge - gape @ [-0.4 * s, 0, 0.01 * s], gape))
    made.add("arm", finish(rng, gloss=0.6, metal=0.1), move(arm, hinge - gape @ [-0.4 * s, 0, 0.01 * s], gape))
    return made.build("stapler", 1500)


def flashlight(rng: Rng) -> ObjectModel:
    """Torch lying down: ribbed tube, flared head with a pane, push button."""
    r, length = rng.uniform(0.008, 0.022), rng.uniform(5, 10)
    wide = rng.uniform(1.2, 2.1)
    head = [(1, length), (wide, length + 1.2), (wide, length + rng.uniform(1.5, 3))]
    ribs = [move(cylinder(1.08 * r, 0.25 * r), (0, 0, x * r)) for x in np.linspace(0.6, 0.5 * length, 5)]
    made = Assembly()
    made.add("tube", finish(rng, metal=0.4, gloss=0.4), cylinder(r, length * r, bevel=0.1 * r), ribs)
    made.add("head", finish(rng, metal=0.4, gloss=0.4), revolve(circle(24), r * np.array(head)))
    made.add("pane", finish(rng, glass=0.8, gloss=0.2),
             move(cylinder(0.86 * wide * r, 0.1 * r), (0, 0, head[-1][1] * r)))
    made.add("button", finish(rng, gloss=0.3),
             box((0.3 * r, 0.7 * r, 1.2 * r), (-r, 0, 0.78 * length * r), bevel=0.1 * r))
    return made.build("flashlight", 1500, turn=LIE)


def hair_dryer(rng: Rng) -> ObjectModel:
    """Hair dryer on its side: fat barrel, flat nozzle, slightly bent grip."""
    s = rng.uniform(0.7, 1.25) * 0.1
    fat, lean = rng.uniform(0.36, 0.5) * s, rng.uniform(0, 0.35)
    rows = [(0.8 * fat, -0.7 * s), (fat, -0.5 * s), (fat, 0.1 * s), (0.65 * fat, 0.8 * s)]
    barrel = move(loft(circle(22), rows), turn=LIE)
    vent = move(cylinder(0.7 * fat, 0.06 * s), (-0.74 * s, 0, 0), LIE)
    flat = rounded_rectangle(0.42 * fat, rng.uniform(0.6, 1.0) * fat, 0.3 * fat)
    nozzle = move(loft(flat, [(0.95, 0), (1.05, 0.35 * s)]), (0.78 * s, 0, 0), LIE)
    path = np.array([(-0.15, 0, -0.2), (-0.15 - 0.4 * lean, 0, -0.8), (-0.15 - 0.3 * lean, 0, -1.35)]) * s
    made = Assembly()
    made.add("barrel", finish(rng, gloss=0.6, metal=0.1), barrel)
    made.add("vent", finish(rng, gloss=0.2), vent)
    made.add("nozzle", finish(rng, gloss=0.4), nozzle)
    made.add("grip", finish(rng, gloss=0.4), sweep(path, circle(12, 1.3) * 0.15 * s, up=(1, 0, 0), round_ends=True))
    return made.build("hair_dryer", 500, turn=TIP)


def padlock(rng: Rng) -> ObjectModel:
    """Padlock lying flat: a thick block, a bent bow and the face of the barrel."""
    s = rng.uniform(0.025, 0.07)
    tall, thick = rng.uniform(0.8, 1.2) * s, rng.uniform(0.3, 0.45) * s
    shape = rounded_rectangle(0.5 * s, 0.5 * tall, rng.uniform(0.05, 0.45) * s)
    angle = np.linspace(0, np.pi, 9)
    arch = np.column_stack([0.32 * s * np.cos(angle), 0.8 * tall + 0.32 * s * np.sin(angle), np.full(9, thick / 2)])
    path = np.concatenate([[(0.32 * s, 0.4 * tall, thick / 2)], arch, [(-0.32 * s, 0.4 * tall, thick / 2)]])
    made = Assembly()
    made.add("block", finish(rng, metal=0.6, gloss=0.4), extrude(shape, thick, 0.1 * thick))
    made.add("bow", steel(rng), sweep(path, circle(8) * rng.uniform(0.06, 0.1) * s))
    made.add("barrel", steel(rng), move(cylinder(0.14 * s, 0.04 * s), (0, -0.1 * tall, thick - 0.01 * s)))
    return made.build("padlock", 4000)


def binder_clip(rng: Rng) -> ObjectModel:
    """Binder clip: a sprung wedge and two wire levers, folded out or standing."""
    s, wide = rng.uniform(0.025, 0.06), rng.uniform(0.8, 1.3)
    wedge = hull(np.array([(x, y * wide * s / 2, z) for y in (-1, 1)
                           for x, z in ((0, 0), (0, 0.55 * s), (0.05 * s, 0.57 * s), (0.05 * s, -0.02 * s),
                                        (0.62 * s, 0.26 * s), (0.62 * s, 0.3 * s))]))
    wire = np.array([(0.6, 0.32, 0.0), (0.85, 0.25, 0.02), (1.35, 0.16, 0.05), (1.5, 0, 0.06), (1.35, -0.16, 0.05),
                     (0.85, -0.25, 0.02), (0.6, -0.32, 0.0)]) * s
    levers = []
    for side in (-1, 1):
        lever = sweep(wire * (1, wide, side) - (0.6 * s, 0, 0), circle(8) * 0.03 * s)
        levers += move_all(lever, (0.6 * s, 0, 0.28 * s + side * 0.02 * s), rotation("y", -side * rng.uniform(0, 1.4)))
    made = Assembly()
    made.add("wedge", finish(rng, gloss=0.7, metal=0.2), wedge)
    made.add("levers", steel(rng), levers)
    return made.build("binder_clip", 3000, turn=TIP if rng.random() < 0.4 else None)


def game_controller(rng: Rng) -> ObjectModel:
    """Game pad: a waist between two grips, sticks, a cross and round buttons."""
    s = rng.uniform(0.035, 0.055)
    thick, spread = rng.uniform(0.45, 0.6) * s, rng.uniform(1.0, 1.35) * s
    grips = [move(ellipsoid((0.55 * s, 1.05 * s, 0.75 * thick), (0.8, 0.9)), (side * spread, -0.35 * s, 0.55 * thick),
                  rotation("z", side * rng.uniform(0.15, 0.5))) for side in (-1, 1)]
    outline = rounded_rectangle(spread, 0.55 * s, 0.3 * s)
    waist = move(extrude(outline, 1.1 * thick, 0.2 * thick, True), (0, 0.05 * s, 0))
    stick = [cylinder(0.12 * s, 0.3 * s), move(cylinder(0.22 * s, 0.12 * s, bevel=0.03 * s), (0, 0, 0.25 * s))]
    spots = spread * np.array([(-0.4, -0.3), (0.4, -0.3)])
    sticks = [move(piece, (x, y, 1.0 * thick)) for x, y in spots for piece in stick]
    button, right = cylinder(0.1 * s, 0.15 * s, sides=12), np.array([0.85 * spread, 0.2 * s, 1.12 * thick])
    buttons = [move(button, right + 0.24 * s * np.array([np.cos(a), np.sin(a), 0])) for a in np.pi / 2 * np.arange(4)]
    bars = np.array([(0.55, 0.18, 0.2), (0.18, 0.55, 0.2)]) * s
    pad = [box(size, (-0.85 * spread, 0.2 * s, 1.2 * thick)) for size in bars]
    made = Assembly()
    made.add("body", finish(rng, gloss=0.3), waist, grips)
    made.add("sticks", finish(rng, gloss=0.1), sticks)
    made.add("buttons", finish(rng, gloss=0.6), buttons, pad)
    return made.build("game_controller", 500)


def handset(rng: Rng) -> ObjectModel:
    """Telephone receiver, cups downwards or on its side, with the start of its cord or without."""
    s = rng.uniform(0.8, 1.15) * 0.1
    bow, thick = rng.uniform(0.25, 0.5) * s, rng.uniform(0.11, 0.17) * s
    t = np.linspace(-0.85, 0.85, 7)
    path = np.column_stack([t * s, np.zeros(7), 0.35 * s + bow * (1 - t ** 2)])
    made = Assembly()
    surface = finish(rng, gloss=0.7)
    made.add("grip", surface, sweep(path, rounded_rectangle(1.3 * thick, thick, 0.6 * thick, 3), round_ends=True))
    cups = [move(loft(circle(20), [(0.26 * s, 0), (0.3 * s, 0.05 * s), (0.28 * s, 0.25 * s), (0.15 * s, 0.4 * s)]),
                 (side * 0.85 * s, 0, 0.05 * s), rotation("y", side * 0.2)) for side in (-1, 1)]
    made.add("cups", surface if rng.random() < 0.5 else finish(rng, gloss=0.5), cups)
    if rng.random() < 0.4:
        end = (1.35 * s, rng.uniform(-0.2, 0.2) * s, 0.15 * s)
        made.add("cord", finish(rng), capsule((0.95 * s, 0, 0.25 * s), end, 0.04 * s))
    return made.build("handset", 500, turn=TIP if rng.random() < 0.5 else None)


def camera(rng: Rng) -> ObjectModel:
    """Photo camera: body with a leather band, stepped lens, finder hump, shutter and dial."""
    s = rng.uniform(0.08, 0.15)
    tall, deep = rng.uniform(0.55, 0.72) * s, rng.uniform(0.28, 0.42) * s
    reach, wide = rng.uniform(0.15, 0.6) * s, rng.uniform(0.2, 0.27) * s
    steps = [(wide, 0), (wide, 0.5 * reach), (0.88 * wide, 0.5 * reach + 1e-4), (0.88 * wide, reach)]
    lens = move_all(revolve(circle(24), steps), (rng.uniform(-0.1, 0.1) * s, -deep / 2, 0.45 * tall), TIP)
    made = Assembly()
    made.add("body", finish(rng, metal=0.3, gloss=0.3), box((s, deep, tall), (0, 0, tall / 2), bevel=0.04 * s),
             hull(np.array([(x * s, y * deep, z * tall) for y in (-0.45, 0.35)
                            for x, z in ((-0.22, 0.95), (0.22, 0.95), (-0.13, 1.22), (0.13, 1.22))])))
    made.add("band", Surface("matte", None, 0.9), box((1.01 * s, 1.02 * deep, 0.5 * tall), (0, 0, 0.45 * tall)))
    made.add("lens", finish(rng, gloss=0.4, metal=0.2), lens)
    centre = (lens[0].vertices[:, 0].min() + lens[0].vertices[:, 0].max()) / 2
    made.add("glass", Surface("glass", None, 0.05),
             move(cylinder(0.7 * wide, 0.02 * s), (centre, -deep / 2 - reach, 0.45 * tall), TIP))
    made.add("dials", steel(rng), [move(cylinder(r * s, 0.07 * s, sides=16), (x * s, 0, tall - 0.01 * s))
                                   for r, x in ((0.05, 0.38), (0.08, -0.36))])
    return made.build("camera", 800)


def plug(rng: Rng) -> ObjectModel:
    """Mains plug or charger: a block, pins at its front, a bend guard and a stub of cord."""
    s, pins = rng.uniform(0.03, 0.065), int(rng.integers(2, 4))
    half = rng.uniform((0.3, 0.25), (0.5, 0.45)) * s
    body = loft(rounded_rectangle(*half, 0.6 * half.min()), [(0.6, -0.7 * s), (1, -0.25 * s), (1, 0)])
    spots = [(-0.45, 0), (0.45, 0), (0, 0.5)][:pins]
    shape = 0.08 * s * circle(12) if rng.random() < 0.5 else rounded_rectangle(0.06 * s, 0.14 * s, 0.01 * s)
    made = Assembly()
    made.add("body", finish(rng, gloss=0.5), body)
    made.add("pins", steel(rng),
             [move(extrude(shape, 0.55 * s), (x * half[0], y * half[1], -0.05 * s)) for x, y in spots])
    cord = np.array([(0, 0, -0.95), (0.02, 0.05, -1.5), (0.2, 0.1, -2.0), (0.6, 0.1, -2.3)]) * s
    made.add("cord", finish(rng, gloss=0.3), move(cylinder(0.13 * s, 0.4 * s, 0.2 * s), (0, 0, -1.0 * s)),
             sweep(cord, circle(8) * 0.08 * s, up=(0, 1, 0), round_ends=True))
    return made.build("plug", 900, turn=LIE)


def egg_carton(rng: Rng) -> ObjectModel:
    """Closed egg carton: cups below, a ridged lid with a flap above."""
    pitch, rows, columns = rng.uniform(0.036, 0.048), 2, int(rng.integers(2, 7))
    spots = [((i - (columns - 1) / 2) * pitch, (j - (rows - 1) / 2) * pitch)
             for i in range(columns) for j in range(rows)]
    cup = loft(circle(12), [(0.3 * pitch, 0), (0.46 * pitch, 0.7 * pitch)])
    ridge = hull(np.array([(x * (columns - 0.5 * k) * pitch / 2, y * k * pitch, z * pitch)
                           for x in (-1, 1) for y in (-1, 1) for k, z in ((0.42, 0), (0.3, 0.3))]))
    rim = rounded_rectangle(columns * pitch / 2 + 0.006, rows * pitch / 2 + 0.006, 0.25 * pitch)
    made = Assembly()
    surface = Surface("matte", None, 1.0) if rng.random() < 0.7 else finish(rng, gloss=0.5, glass=0.3)
    made.add("cups", surface, [move(cup, (x, y, 0)) for x, y in spots],
             move(extrude(rim, 0.15 * pitch), (0, 0, 0.6 * pitch)))
    made.add("lid", surface, move(loft(rim, [(1, 0), (0.94, 0.55 * pitch), (0.9, 0.6 * pitch)]), (0, 0, 0.77 * pitch)),
             [move(ridge, (0, side * pitch / 2, 1.35 * pitch)) for side in (-1, 1)],
             box((0.5 * pitch, 0.01, 0.4 * pitch), (0, -rows * pitch / 2 - 0.006, 0.85 * pitch)))
    return made.build("egg_carton", 200)


def toaster(rng: Rng) -> ObjectModel:
    """Toaster: rounded housing, slot rails on top, lever and dial at one end, feet."""
    length, wide, tall = rng.uniform((0.2, 0.12, 0.14), (0.33, 0.2, 0.22))
    outline = rounded_rectangle(wide / 2, tall / 2, rng.uniform(0.1, 0.45) * wide, 5)
    lying = LIE @ rotation("z", np.pi / 2)
    housing = move(extrude(outline, length, 0.012, True), (-length / 2, 0, 0.01 + tall / 2), lying)
    slots = int(rng.integers(1, 3))
    rails = [box((0.68 * length, 0.2 * wide, 0.004), (0, y * wide, tall + 0.01))
             for y in np.linspace(-0.16, 0.16, slots)]
    end = length / 2
    made = Assembly()
    made.add("housing", finish(rng, metal=0.45, gloss=0.45), housing)
    made.add("slots", Surface("matte", None, 0.9), rails)
    made.add("lever", finish(rng, gloss=0.5),
             box((0.03, 0.3 * wide, 0.012), (end + 0.01, 0, rng.uniform(0.4, 0.85) * tall), bevel=0.003))
    made.add("dial", finish(rng, gloss=0.5, metal=0.3),
             move(cylinder(0.013, 0.012, bevel=0.002), (end - 0.002, 0.2 * wide, 0.25 * tall), LIE))
    made.add("feet", finish(rng), [box((0.03, 0.02, 0.02), (x * length, y * wide, 0.01)) for x in (-0.35, 0.35)
                                   for y in (-0.3, 0.3)])
    return made.build("toaster", 500)


def flat_iron(rng: Rng) -> ObjectModel:
    """Clothes iron on its sole or on its heel: pointed plate, tank, bow grip, dial."""
    s = rng.uniform(0.16, 0.29)
    half = [(0.5, 0), (0.42, 0.07), (0.25, 0.15), (0.0, 0.2), (-0.3, 0.22), (-0.45, 0.2)]
    outline = s * np.array([*half, *[(x, -y) for x, y in reversed(half[1:])]])
    arch = np.array([(-0.38, 0, 0.2), (-0.4, 0, 0.4), (-0.28, 0, 0.5), (0.0, 0, 0.51), (0.16, 0, 0.44),
                     (0.22, 0, 0.28)])
    made = Assembly()
    made.add("sole", steel(rng), extrude(outline, 0.05 * s))
    made.add("tank", finish(rng, gloss=0.7), loft(0.97 * outline, [(1, 0.05 * s), (0.95, 0.15 * s), (0.7, 0.28 * s)]))
    made.add("grip", finish(rng, gloss=0.5),
             sweep(arch * s, circle(10, 0.8) * 0.055 * s, up=(0, 1, 0), round_ends=True))
    made.add("dial", finish(rng, gloss=0.4), move(cylinder(0.08 * s, 0.04 * s, bevel=0.005), (0, 0, 0.27 * s)))
    heel = rotation("y", -np.pi / 2) if rng.random() < 0.4 else None
    return made.build("flat_iron", 900, turn=heel)


def tissue_box(rng: Rng) -> ObjectModel:
    """Tissue box: cube or slab, an oval opening and a crumpled tissue standing out of it."""
    x, y, z = rng.uniform((0.1, 0.1, 0.05), (0.26, 0.14, 0.14))
    oval = circle(20, 0.5) * min(0.3 * x, 0.8 * y)
    tall, reach = rng.uniform(0.03, 0.08), oval[:, 0].max()
    folds = []
    for _ in range(4):
        root = rng.uniform((-0.6 * reach, -0.012, z - 0.002), (0.6 * reach, 0.012, z), (6, 3))
        tips = [(rng.uniform(-0.5, 0.5) * reach, rng.uniform(-0.03, 0.03), z + tall * rng.uniform(0.6, 1))
                for _ in range(3)]
        folds.append(hull(np.concatenate([root, tips])))
    made = Assembly()
    made.add("box", finish(rng, gloss=0.3), box((x, y, z), (0, 0, z / 2), bevel=0.001))
    made.add("opening", Surface("matte", None, 0.8), move(extrude(oval, 0.0008), (0, 0, z)))
    made.add("tissue", Surface("matte", None, 1.0), folds)
    return made.build("tissue_box", 200)


def helmet(rng: Rng) -> ObjectModel:
    """Hard hat or cycling helmet, open below: a shell of bands, ribs along it, a peak in front."""
    s, stretch, tall = rng.uniform(0.09, 0.14), rng.uniform(0.75, 0.95), rng.uniform(0.75, 1.0)
    wall, polygon = 0.06, circle(20, stretch)
    angle = np.array([0.0, 0.55, 1.05])
    bands = []
    for low, high in zip(angle[:-1], angle[1:]):
        rows = [(k * np.cos(a), k * tall * np.sin(a)) for a in (low, high) for k in (1, 1 - wall)]
        bands += ring(section_loops(polygon, s * np.array(rows)))
    cap = loft(polygon, s * np.array([(np.cos(a), tall * np.sin(a)) for a in (1.05, 1.25, 1.42)]))
    turn = np.linspace(0.25, np.pi - 0.25, 7)
    ribs = []
    for y in np.array([[0.0], [-0.28, 0.28], [-0.35, 0.0, 0.35]][rng.integers(3)]):
        k = np.sqrt(1 - (y / stretch) ** 2)
        ribs += sweep(s * np.column_stack([k * np.cos(turn), np.full(7, y), 0.99 * tall * k * np.sin(turn)]),
                      rounded_rectangle(0.09, 0.06, 0.03, 2) * s, up=(0, 1, 0) if y == 0 else (0, 0.9, 0.1))
    front = np.linspace(-0.8, 0.8, 7)
    rim = [(k * np.cos(a), k * stretch * np.sin(a)) for k in (0.95, rng.uniform(1.15, 1.3)) for a in front]
    made = Assembly()
    made.add("shell", finish(rng, gloss=0.7), bands, cap)
    made.add("ribs", made.surface("shell") if rng.random() < 0.6 else finish(rng, gloss=0.5), ribs)
    made.add("peak", finish(rng, gloss=0.5), hull(s * np.array([(x, y, z) for x, y in rim for z in (0.0, 0.04)])))
    return made.build("helmet", 400)


def casserole(rng: Rng) -> ObjectModel:
    """Closed cooking pot: belly, overlapping lid with a knob, a lug on either side."""
    r = rng.uniform(0.06, 0.13)
    tall, dome = rng.uniform(0.5, 1.1) * r, rng.uniform(0.12, 0.4) * r
    polygon = circle(28, rng.choice([1.0, 0.75]))
    knob = rng.uniform(0.12, 0.2) * r
    lug = box((0.3 * r, 0.55 * r, 0.08 * r), (1.05 * r, 0, 0.8 * tall), bevel=0.03 * r)
    made = Assembly()
    surface = finish(rng, metal=0.4, gloss=0.5)
    made.add("body", surface, loft(polygon, [(0.85 * r, 0), (r, 0.25 * tall), (r, tall)]))
    made.add("lugs", surface, lug, move(lug, turn=rotation("z", np.pi)))
    lid = [(1.04 * r, tall), (1.04 * r, tall + 0.06 * r), (0.6 * r, tall + 0.8 * dome), (0.15 * r, tall + dome)]
    made.add("lid", surface if rng.random() < 0.5 else finish(rng, glass=0.4, metal=0.3, gloss=0.3), loft(polygon, lid))
    made.add("knob", finish(rng, gloss=0.5, metal=0.2), revolve(circle(18), np.array(
        [(0.5 * knob, 0), (0.45 * knob, 0.5 * knob), (knob, knob), (knob, 1.3 * knob), (0.6 * knob, 1.6 * knob)])
        + (0, tall + 0.96 * dome)))
    return made.build("casserole", 900)


def paper_roll(rng: Rng) -> ObjectModel:
    """Kitchen roll on a stand: foot plate, roll round a rod, a knob on top."""
    r, tall = rng.uniform(0.04, 0.065), rng.uniform(0.16, 0.25)
    foot, over = 0.012, rng.uniform(0.01, 0.05)
    knob = rng.uniform(0.01, 0.018)
    made = Assembly()
    surface = finish(rng, metal=0.5, gloss=0.3)
    made.add("stand", surface, cylinder(rng.uniform(1.05, 1.4) * r, foot, bevel=0.003, sides=28),
             move(cylinder(0.005, tall + over, sides=12), (0, 0, foot)),
             move(ellipsoid((knob,) * 3), (0, 0, foot + tall + over + 0.6 * knob)))
    made.add("roll", Surface("matte", None, 1.0), ring(section_loops(
        circle(32), [(0.02, foot), (r, foot), (r, foot + tall), (0.02, foot + tall)])))
    return made.build("paper_roll", 250)


def alarm_clock(rng: Rng) -> ObjectModel:
    """Round clock on two feet: drum, dial under a pane, two bells and a carrying bow."""
    r = rng.uniform(0.03, 0.065)
    deep = rng.uniform(0.5, 0.9) * r
    feet = [capsule((s * 0.4 * r, 0, -0.7 * r), (s * 0.75 * r, 0, -1.15 * r), 0.1 * r, 8) for s in (-1, 1)]
    bell = loft(circle(16), [(0.38 * r, 0), (0.3 * r, 0.2 * r), (0.1 * r, 0.3 * r)])
    bells = [move(bell, (s * 0.55 * r, 0, 0.86 * r), rotation("y", s * 0.55)) for s in (-1, 1)]
    t = np.linspace(0.4, np.pi - 0.4, 6)
    bow = np.column_stack([0.55 * r * np.cos(t), np.zeros(6), 0.9 * r + 0.55 * r * np.sin(t)])
    made = Assembly()
    made.add("drum", finish(rng, gloss=0.6, metal=0.3),
             move(cylinder(r, deep, bevel=0.04 * r, sides=28), (0, deep / 2, 0), TIP))
    made.add("dial", finish(rng, gloss=0.5), move(cylinder(0.86 * r, 0.03 * r, sides=28), (0, -deep / 2, 0), TIP))
    hands = [move(box((0.06 * r, 0.02 * r, k * r), (0, 0, k * r / 2)), (0, -deep / 2 - 0.04 * r, 0),
                  rotation("y", rng.uniform(0, 6.28))) for k in (0.45, 0.65)]
    made.add("hands", finish(rng), hands)
    made.add("bells", steel(rng), bells, sweep(bow, circle(8) * 0.05 * r, up=(0, 1, 0)))
    made.add("feet", made.surface("bells"), feet, move(feet[0], (0.57 * r, 0.4 * deep, 0.0), rotation("z", np.pi / 2)))
    return made.build("alarm_clock", 900, turn=rotation("x", -0.12))


def headphones(rng: Rng) -> ObjectModel:
    """Headphones lying down: a bent band, padded cups at its ends."""
    r, wide = rng.uniform(0.065, 0.085), rng.uniform(0.012, 0.03)
    t = np.linspace(-0.15, np.pi + 0.15, 12)
    path = np.column_stack([r * np.cos(t), 1.1 * r * np.sin(t), np.full(12, wide / 2)])
    cup = rng.uniform(0.4, 0.55) * r
    shell = loft(circle(20, rng.uniform(0.8, 1)), [(0.6 * cup, 0), (cup, 0.25 * cup), (cup, 0.45 * cup)])
    pad = loft(circle(20), [(cup, 0.45 * cup), (cup, 0.75 * cup), (0.8 * cup, 0.85 * cup)])
    made = Assembly()
    made.add("band", finish(rng, gloss=0.5, metal=0.2), sweep(path, rounded_rectangle(0.003, wide / 2, 0.002, 2)))
    for part, piece, gloss in (("shells", shell, 0.6), ("pads", pad, 0.1)):
        made.add(part, finish(rng, gloss=gloss),
                 [move(piece, (s * 1.05 * r, -0.2 * r, wide / 2), rotation("y", -s * np.pi / 2)) for s in (-1, 1)])
    return made.build("headphones", 400)


def loudspeaker(rng: Rng) -> ObjectModel:
    """Speaker box: cabinet with one or two drivers behind rings on its front."""
    wide, deep, tall = rng.uniform((0.06, 0.05, 0.08), (0.18, 0.16, 0.32))
    if tall > 2 * wide:
        discs = [(0.4 * wide, 0.3 * tall), (0.25 * wide, 0.75 * tall)]
    else:
        discs = [(0.42 * min(wide, tall), 0.5 * tall)]
    front = -deep / 2
    made = Assembly()
    made.add("cabinet", finish(rng, gloss=0.4),
             box((wide, deep, tall), (0, 0, tall / 2), bevel=rng.choice([0.001, 0.012])))
    made.add("rings", finish(rng, metal=0.5, gloss=0.3), [move(piece, (0, front + 0.001, z), TIP) for r, z in discs
             for piece in ring(section_loops(circle(24), [(0.8 * r, 0), (r, 0), (r, 0.006), (0.8 * r, 0.006)]))])
    made.add("cones", Surface("matte", None, 0.8), [move(piece, (0, front, z), TIP) for r, z in discs
             for piece in (cylinder(0.79 * r, 0.002), move(ellipsoid((0.3 * r, 0.3 * r, 0.2 * r)), (0, 0, 0.002)))])
    return made.build("loudspeaker", 500, stackable=True)


def umbrella(rng: Rng) -> ObjectModel:
    """Folded umbrella lying down: wrapped cloth, strap, ferrule and a hooked or straight grip."""
    s = rng.uniform(0.2, 0.33)
    r = rng.uniform(0.07, 0.1) * s
    made = Assembly()
    made.add("cloth", finish(rng, gloss=0.2),
             loft(circle(8), [(0.6 * r, 0), (r, 0.08 * s), (0.3 * r, 0.7 * s)], smooth=False))
    made.add("strap", finish(rng, gloss=0.2), move(cylinder(0.9 * r, 0.03 * s, 0.88 * r, sides=16), (0, 0, 0.22 * s)))
    made.add("ferrule", steel(rng), move(cylinder(0.15 * r, 0.1 * s, sides=10), (0, 0, 0.68 * s)))
    t = np.linspace(0, np.pi, 7)
    hook = np.column_stack([0.08 * s * (1 - np.cos(t)), np.zeros(7), -0.16 * s - 0.08 * s * np.sin(t)])
    start, straight = (0, 0, 0.02 * s), (0, 0, -0.2 * s)
    path = np.array([start, *hook] if rng.random() < 0.6 else [start, straight])
    made.add("grip", finish(rng, gloss=0.6), sweep(path, circle(8) * 0.3 * r, up=(0, 1, 0), round_ends=True))
    return made.build("umbrella", 400, turn=LIE @ rotation("z", np.pi / 2))


FAMILIES = {"stapler": stapler, "flashlight": flashlight, "hair_dryer": hair_dryer, "padlock": padlock,
            "binder_clip": binder_clip, "game_controller": game_controller, "handset": handset, "camera": camera,
            "plug": plug, "egg_carton": egg_carton, "toaster": toaster, "flat_iron": flat_iron,
            "tissue_box": tissue_box, "helmet": helmet, "casserole": casserole, "paper_roll": paper_roll,
            "alarm_clock": alarm_clock, "headphones": headphones, "loudspeaker": loudspeaker, "umbrella": umbrella}
