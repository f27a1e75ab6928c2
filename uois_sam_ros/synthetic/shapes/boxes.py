"""Flat-sided things: cartons, cards, books, bricks and slabs with buttons."""

from __future__ import annotations

import numpy as np

from ..model import ObjectModel, Surface
from ..primitives import box, circle, cylinder, extrude, hull, loft, move, ring, rounded_rectangle, section_loops
from .assembly import Assembly, finish

Rng = np.random.Generator


def carton(rng: Rng) -> ObjectModel:
    """Cereal, tea or any other packet; edges sharp to well rounded, standing or lying."""
    kind = rng.integers(4)
    if kind == 0:
        size = rng.uniform((0.13, 0.04, 0.18), (0.22, 0.08, 0.32))
    elif kind == 1:
        size = rng.uniform((0.07, 0.04, 0.05), (0.16, 0.09, 0.12))
    elif kind == 2:
        size = rng.uniform(0.018, 0.06, 3)
    else:
        size = np.exp(rng.uniform(np.log(0.02), np.log(0.2), 3))
    if rng.random() < 0.5:
        size = rng.permutation(size)
    bevel = float(rng.choice([0.0, 0.012, 0.05, 0.15], p=[0.3, 0.4, 0.2, 0.1])) * float(size.min())
    made = Assembly()
    made.add("body", finish(rng, gloss=0.45, metal=0.04), box(size, bevel=bevel))
    return made.build("box", rng.uniform(150, 500), stackable=True)


def gable_carton(rng: Rng) -> ObjectModel:
    """Milk or juice carton with a roof, a folded ridge and sometimes a screw cap."""
    width, depth = rng.uniform(0.055, 0.1), rng.uniform(0.055, 0.1)
    height, roof = rng.uniform(0.1, 0.2), rng.uniform(0.025, 0.045)
    x, y = width / 2, depth / 2
    body = box((width, depth, height), (0, 0, height / 2), bevel=0.001)
    base = [(sx * x, sy * y, height) for sx in (-1, 1) for sy in (-1, 1)]
    slopes = hull(np.array([*base, (-x, 0.001, height + roof), (x, 0.001, height + roof),
                            (-x, -0.001, height + roof), (x, -0.001, height + roof)]))
    ridge = box((width, 0.003, 0.018), (0, 0, height + roof + 0.008))
    made = Assembly()
    made.add("body", finish(rng, gloss=0.6), body, slopes, ridge)
    if rng.random() < 0.5:
        normal = np.array([0.0, -roof, y])
        angle = np.arctan2(roof, y)
        turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
        seat = np.array([0.0, -y / 2, height + roof / 2]) - 0.002 * normal / np.linalg.norm(normal)
        made.add("cap", finish(rng, gloss=0.7),
                 move(cylinder(rng.uniform(0.011, 0.015), 0.015, sides=20), seat, turn))
    return made.build("gable_carton", 600)


def thin_card(rng: Rng) -> ObjectModel:
    """Cards, coasters, coins, plates of plastic: 1 to 8 mm high."""
    height = rng.uniform(0.001, 0.008)
    if rng.random() < 0.7:
        half = np.exp(rng.uniform(np.log(0.012), np.log(0.09), 2))
        outline = rounded_rectangle(*half, rng.uniform(0.01, 0.5) * half.min())
    else:
        outline = rng.uniform(0.01, 0.055) * circle(28)
    made = Assembly()
    made.add("body", finish(rng, gloss=0.4, metal=0.12), extrude(outline, height))
    return made.build("thin_card", 900, stackable=True)


def book(rng: Rng) -> ObjectModel:
    """A closed book lying flat: cover boards with a spine, and the paper between them."""
    length, width, height = rng.uniform((0.12, 0.09, 0.008), (0.28, 0.2, 0.05))
    board = rng.uniform(0.0008, 0.003)
    boards = [box((width, length, board), (0, 0, z)) for z in (board / 2, height - board / 2)]
    spine = box((board, length, height), (-width / 2 + board / 2, 0, height / 2))
    inset = rng.uniform(0.001, 0.005)
    paper = box((width - inset - board, length - 2 * inset, height - 2 * board),
                (board / 2 - inset / 2, 0, height / 2))
    made = Assembly()
    made.add("cover", finish(rng, gloss=0.5), boards, spine)
    made.add("pages", Surface("matte", None, 0.9), paper)
    return made.build("book", 700, stackable=True)


def sponge(rng: Rng) -> ObjectModel:
    """Kitchen sponge, often with a thin scouring layer."""
    size = rng.uniform((0.07, 0.045, 0.02), (0.13, 0.08, 0.045))
    outline = rounded_rectangle(size[0] / 2, size[1] / 2, rng.uniform(0.002, 0.012))
    made = Assembly()
    made.add("body", Surface("matte", None, 1.0), extrude(outline, size[2], rng.uniform(0, 0.003)))
    if rng.random() < 0.6:
        pad = rng.uniform(0.004, 0.009)
        made.add("pad", Surface("matte", None, 1.0), move(extrude(outline, pad), (0, 0, size[2])))
    return made.build("sponge", 120, stackable=True)


def toy_block(rng: Rng) -> ObjectModel:
    """Wooden or foam building block: brick, roof, column, half disc or bridge."""
    unit = rng.uniform(0.018, 0.06)
    kind = rng.integers(5)
    bevel = 0.04 * unit * rng.integers(2)
    if kind == 0:
        pieces = [box(unit * rng.choice([0.5, 1, 2, 3], 3), bevel=bevel)]
    elif kind == 1:
        half, height, depth = unit * rng.uniform((0.6, 0.6, 0.4), (1.3, 1.4, 1.2))
        ridge = rng.choice([0.0, 0.0, -half])
        pieces = [hull(np.array([(x, y, z) for y in (-depth, depth)
                                 for x, z in ((-half, 0), (half, 0), (ridge, height))]))]
    elif kind == 2:
        pieces = [cylinder(0.5 * unit, unit * rng.uniform(0.4, 3), bevel=bevel)]
    elif kind == 3:
        angle = np.linspace(0, np.pi, 14)
        depth = unit * rng.uniform(0.3, 1)
        pieces = [hull(np.array([(unit * np.cos(a), y, unit * np.sin(a))
                                 for a in angle for y in (-depth, depth)]), smooth=True)]
    else:
        half, thick = unit * rng.uniform(0.9, 1.5), unit * rng.uniform(0.4, 0.7)
        legs = [box((thick, unit, unit), (s * (half - thick / 2), 0, unit / 2)) for s in (-1, 1)]
        pieces = [*legs, box((2 * half, unit, thick), (0, 0, unit + thick / 2))]
    made = Assembly()
    made.add("body", finish(rng, gloss=0.3), pieces)
    return made.build("toy_block", 550, stackable=kind in (0, 2))


def lego(rng: Rng) -> ObjectModel:
    """Studded plastic brick at toy or toddler scale."""
    pitch = rng.choice([0.008, 0.016, 0.024])
    columns, rows = int(rng.integers(1, 5)), int(rng.integers(1, 3))
    height = pitch * rng.choice([0.4, 1.2])
    body = box((columns * pitch, rows * pitch, height), (0, 0, height / 2), bevel=0.015 * pitch)
    stud = cylinder(0.3 * pitch, 0.22 * pitch, sides=14)
    studs = [move(stud, ((i - (columns - 1) / 2) * pitch, (j - (rows - 1) / 2) * pitch, height))
             for i in range(columns) for j in range(rows)]
    made = Assembly()
    made.add("body", Surface("gloss", None, float(rng.uniform(0.15, 0.4))), body, studs)
    return made.build("lego", 600, stackable=True)


def remote(rng: Rng) -> ObjectModel:
    """Remote control, pocket calculator or telephone: a slab with a screen or buttons."""
    width, length, height = rng.uniform((0.035, 0.1, 0.008), (0.08, 0.21, 0.022))
    outline = rounded_rectangle(width / 2, length / 2, rng.uniform(0.1, 0.45) * width)
    made = Assembly()
    made.add("body", finish(rng, gloss=0.5, metal=0.1), extrude(outline, height, 0.15 * height, True))
    if rng.random() < 0.4:
        screen = rounded_rectangle(0.46 * width, rng.uniform(0.25, 0.46) * length, 0.05 * width)
        made.add("screen", Surface("gloss", None, 0.1), move(extrude(screen, 0.0006), (0, 0, height)))
    else:
        columns, rows = int(rng.integers(2, 4)), int(rng.integers(3, 6))
        size = 0.6 * width / columns
        button = box((size, 0.7 * size, 0.0015)) if rng.random() < 0.5 else cylinder(size / 2, 0.0015, sides=12)
        spots = [((i - (columns - 1) / 2) * 0.85 * width / columns, (j - (rows - 1) / 2) * 0.7 * length / rows,
                  height + 0.0002) for i in range(columns) for j in range(rows)]
        made.add("buttons", finish(rng, gloss=0.3), [move(button, spot) for spot in spots])
    return made.build("remote", 700)


def tape_roll(rng: Rng) -> ObjectModel:
    """Roll of sticky tape or bracelet-like ring with a real hole."""
    outer, height = rng.uniform(0.025, 0.06), rng.uniform(0.008, 0.05)
    inner, core = outer * rng.uniform(0.55, 0.85), 0.003
    polygon = circle(32)
    made = Assembly()
    made.add("tape", finish(rng, gloss=0.6, metal=0.05),
             ring(section_loops(polygon, [(inner, 0), (outer, 0), (outer, height), (inner, height)])))
    made.add("core", Surface("matte", None, 0.9),
             ring(section_loops(polygon, [(inner - core, 0), (inner, 0), (inner, height), (inner - core, height)])))
    return made.build("tape_roll", 500, stackable=True)


def soap_bar(rng: Rng) -> ObjectModel:
    """Pillow-shaped bar, eraser or pebble-like slab."""
    half = rng.uniform((0.02, 0.012, 0.006), (0.05, 0.035, 0.018))
    power = rng.uniform(0.3, 0.9)
    angle = 2 * np.pi * np.arange(28) / 28
    outline = np.stack([np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** power * half[0],
                        np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** power * half[1]], 1)
    rise = np.linspace(-1, 1, 7)
    rows = [(1 - 0.35 * abs(t) ** 2.5, half[2] * (1 + t)) for t in rise]
    made = Assembly()
    made.add("body", finish(rng, gloss=0.4), loft(outline, rows))
    return made.build("soap_bar", 900)


FAMILIES = {"box": carton, "gable_carton": gable_carton, "thin_card": thin_card, "book": book,
            "sponge": sponge, "toy_block": toy_block, "lego": lego, "remote": remote,
            "tape_roll": tape_roll, "soap_bar": soap_bar}
