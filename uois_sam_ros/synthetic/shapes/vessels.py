"""Closed vessels: cans, jars, bottles, tubes and dispensers."""

from __future__ import annotations

import numpy as np

from ..model import ObjectModel, Surface
from ..primitives import capsule, circle, cylinder, hull, loft, move, revolve, rounded_rectangle, sweep
from .assembly import Assembly, finish

Rng = np.random.Generator


def can(rng: Rng) -> ObjectModel:
    """Food or drink can with a rim at both ends, or a necked drink can."""
    radius, height = rng.uniform(0.022, 0.055), rng.uniform(0.03, 0.15)
    rim = min(rng.uniform(0.0008, 0.002), 0.012 * height)
    if rng.random() < 0.4:
        neck = 0.82 * radius
        rows = [(neck, 0), (radius, 0.06 * height), (radius, 0.9 * height), (neck, 0.97 * height),
                (neck, height - 2 * rim), (neck + rim, height - 2 * rim), (neck + rim, height)]
    else:
        rows = [(radius + rim, 0), (radius + rim, 2 * rim), (radius, 2 * rim), (radius, height - 2 * rim),
                (radius + rim, height - 2 * rim), (radius + rim, height)]
    made = Assembly()
    made.add("body", finish(rng, metal=0.6, gloss=0.3), revolve(circle(28), rows))
    return made.build("can", 500, stackable=True)


def tall_tin(rng: Rng) -> ObjectModel:
    """Tall crisps tube or spray-free canister with a plastic lid."""
    radius, height = rng.uniform(0.03, 0.05), rng.uniform(0.13, 0.28)
    lid = rng.uniform(0.006, 0.02)
    made = Assembly()
    made.add("body", finish(rng, gloss=0.6, metal=0.25),
             revolve(circle(28), [(radius + 0.001, 0), (radius + 0.001, 0.004), (radius, 0.004), (radius, height)]))
    made.add("lid", finish(rng, gloss=0.6), move(cylinder(radius + 0.0015, lid, bevel=0.001, sides=28),
                                                 (0, 0, height - 0.3 * lid)))
    return made.build("tall_tin", 250)


def jar(rng: Rng) -> ObjectModel:
    """Jam jar or cream pot: body with a shoulder and a screw lid."""
    radius, height = rng.uniform(0.02, 0.05), rng.uniform(0.03, 0.13)
    mouth = radius * rng.uniform(0.75, 0.97)
    shoulder = rng.uniform(0.75, 0.9) * height
    rows = [(0.9 * radius, 0), (radius, 0.04 * height), (radius, shoulder),
            (0.5 * (radius + mouth) + 0.15 * (radius - mouth), 0.5 * (shoulder + height)), (mouth, height)]
    polygon = circle(28) if rng.random() < 0.7 else _squarish(1.0, 1.0, 0.45)
    made = Assembly()
    made.add("body", finish(rng, glass=0.35, gloss=0.45), revolve(polygon, rows))
    lid = rng.uniform(0.008, 0.02)
    made.add("lid", finish(rng, metal=0.45, gloss=0.4),
             move(cylinder(mouth * rng.uniform(1.0, 1.08), lid, bevel=0.0012, sides=28), (0, 0, height)))
    return made.build("jar", 900, stackable=True)


def bottle(rng: Rng) -> ObjectModel:
    """Water, wine, beer or medicine bottle: body, shoulder and neck, cap on top."""
    height = np.exp(rng.uniform(np.log(0.08), np.log(0.31)))
    radius = height * rng.uniform(0.11, 0.2) if height > 0.14 else height * rng.uniform(0.18, 0.28)
    neck = radius * rng.uniform(0.28, 0.5)
    shoulder, throat = rng.uniform(0.5, 0.68), rng.uniform(0.74, 0.86)
    bend = np.linspace(0, np.pi / 2, 5)[1:]
    top = [(neck + (radius - neck) * np.cos(a), height * (shoulder + (throat - shoulder) * np.sin(a)))
           for a in bend]
    rows = [(0.92 * radius, 0), (radius, 0.03 * height), (radius, shoulder * height), *top, (neck, 0.97 * height)]
    surface = finish(rng, glass=0.27, gloss=0.6)
    polygon = circle(24) if rng.random() < 0.75 else _squarish(1.0, rng.uniform(0.6, 1.0), 0.35)
    body = revolve(polygon, rows[:-2]) + revolve(circle(24) * min(1.0, polygon[:, 1].max()), rows[-2:])
    made = Assembly()
    made.add("body", surface, body)
    cap = rng.uniform(0.045, 0.09) * height
    made.add("cap", finish(rng, metal=0.25, gloss=0.5),
             move(cylinder(1.1 * neck, cap, bevel=0.05 * cap, sides=24), (0, 0, 0.97 * height - 0.4 * cap)))
    return made.build("bottle", 700)


def squeeze_bottle(rng: Rng) -> ObjectModel:
    """Mustard or ketchup bottle: flat oval body and a pointed cap."""
    radius, height = rng.uniform(0.025, 0.042), rng.uniform(0.1, 0.19)
    polygon = circle(24, rng.uniform(0.5, 0.8))
    waist = rng.uniform(0.88, 1.0)
    body = revolve(polygon, [(0.9 * radius, 0), (radius, 0.06 * height), (waist * radius, 0.55 * height),
                             (waist * radius, 0.75 * height), (0.75 * radius, 0.92 * height), (0.4 * radius, height)])
    base, tip = 0.45 * radius, rng.uniform(0.1, 0.2) * radius
    cone = revolve(circle(20), [(base, 0), (base, 0.35 * base), (0.6 * base, 0.5 * base), (tip, 1.9 * base)])
    made = Assembly()
    made.add("body", finish(rng, gloss=0.75), body)
    made.add("cap", finish(rng, gloss=0.6), [move(piece, (0, 0, height)) for piece in cone])
    return made.build("squeeze_bottle", 800)


def soap_pump(rng: Rng) -> ObjectModel:
    """Dispenser bottle with collar, stem and a pump nozzle that points sideways."""
    radius, height = rng.uniform(0.025, 0.042), rng.uniform(0.08, 0.16)
    polygon = circle(24) if rng.random() < 0.5 else _squarish(1.0, rng.uniform(0.6, 1.0), 0.4)
    neck = 0.35 * radius
    body = revolve(polygon, [(0.95 * radius, 0), (radius, 0.03 * height), (radius, 0.78 * height),
                             (0.85 * radius, 0.88 * height), (0.4 * radius, 0.95 * height)])
    collar = move(cylinder(1.3 * neck, 0.12 * height, bevel=0.001), (0, 0, 0.94 * height))
    stem = move(cylinder(0.35 * neck, 0.2 * height, sides=12), (0, 0, 1.05 * height))
    top = 1.24 * height
    head = move(cylinder(0.9 * neck, 0.07 * height, 0.8 * neck, bevel=0.001), (0, 0, top))
    reach = rng.uniform(1.0, 1.5) * radius
    nozzle = sweep(np.array([(0, 0, top + 0.04 * height), (0.8 * reach, 0, top + 0.04 * height),
                             (reach, 0, top + 0.02 * height)]), 0.35 * neck * circle(10))
    made = Assembly()
    made.add("body", finish(rng, gloss=0.5, glass=0.15), body)
    made.add("pump", finish(rng, gloss=0.6, metal=0.15), collar, stem, head, nozzle)
    return made.build("soap_pump", 800)


def paste_tube(rng: Rng) -> ObjectModel:
    """Toothpaste or cream tube lying down: round at the cap, flat at the fold."""
    radius, length = rng.uniform(0.012, 0.025), rng.uniform(0.08, 0.17)
    ends = [np.column_stack([np.zeros(20), radius * circle(20)]),
            np.column_stack([np.full(20, length), circle(20) * (1.45 * radius, 0.0015)])]
    shoulder = np.column_stack([np.full(20, -0.25 * radius), 0.5 * radius * circle(20)])
    made = Assembly()
    made.add("body", finish(rng, gloss=0.7, metal=0.1), hull(np.concatenate([*ends, shoulder]), smooth=True))
    cap_length, width = rng.uniform(0.012, 0.025), rng.uniform(0.5, 0.95) * radius
    cap = cylinder(width, cap_length, 0.85 * width, bevel=0.001, sides=20)
    turn = np.array([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]])
    made.add("cap", finish(rng, gloss=0.6), move(cap, (-0.2 * radius, 0, 0), turn))
    return made.build("paste_tube", 800)


def battery(rng: Rng) -> ObjectModel:
    """Round cell with a contact knob; also lighter-sized sticks."""
    radius, height = rng.uniform(0.005, 0.017), rng.uniform(0.035, 0.065)
    made = Assembly()
    made.add("body", finish(rng, gloss=0.6, metal=0.3), cylinder(radius, height, bevel=0.0005, sides=20))
    made.add("contact", Surface("metal", None, 0.3),
             move(cylinder(0.4 * radius, 0.06 * height, sides=14), (0, 0, height)))
    return made.build("battery", 1800)


def aerosol(rng: Rng) -> ObjectModel:
    """Deodorant or paint can: cylinder, domed shoulder, wide protective cap."""
    radius, height = rng.uniform(0.02, 0.033), rng.uniform(0.1, 0.18)
    dome = revolve(circle(24), [(radius, 0), (radius, height), (0.85 * radius, height + 0.25 * radius)])
    made = Assembly()
    made.add("body", finish(rng, metal=0.4, gloss=0.5), dome)
    cap = rng.uniform(0.5, 1.3) * radius
    made.add("cap", finish(rng, gloss=0.6), move(cylinder(0.9 * radius, cap, rng.uniform(0.6, 0.88) * radius,
                                                          bevel=0.003), (0, 0, height + 0.25 * radius)))
    return made.build("aerosol", 700)


def canister(rng: Rng) -> ObjectModel:
    """Rectangular fuel or oil container with a grip on top and an offset spout."""
    width, depth, height = rng.uniform((0.07, 0.035, 0.1), (0.14, 0.07, 0.2))
    body = loft(rounded_rectangle(width / 2, depth / 2, 0.2 * depth),
                [(0.95, 0), (1, 0.03 * height), (1, 0.95 * height), (0.93, height)])
    rise, left = 0.16 * height, -0.35 * width
    grip = [capsule((left, 0, 0.98 * height), (left, 0, height + rise), 0.09 * depth),
            capsule((left, 0, height + rise), (0.1 * width, 0, height + rise), 0.09 * depth),
            capsule((0.1 * width, 0, height + rise), (0.1 * width, 0, 0.98 * height), 0.09 * depth)]
    made = Assembly()
    made.add("body", finish(rng, gloss=0.6, metal=0.1), body)
    made.add("grip", finish(rng, gloss=0.5), grip)
    made.add("cap", finish(rng, gloss=0.6), move(cylinder(0.25 * depth, 0.12 * height, bevel=0.001, sides=18),
                                                 (0.32 * width, 0, 0.99 * height)))
    return made.build("canister", 800)


def _squarish(half_x: float, half_y: float, roundness: float) -> np.ndarray:
    """A rounded rectangle of half sizes about 1, as the outline of non-round vessels."""
    return rounded_rectangle(half_x, half_y, roundness * min(half_x, half_y), per_corner=6)


FAMILIES = {"can": can, "tall_tin": tall_tin, "jar": jar, "bottle": bottle, "squeeze_bottle": squeeze_bottle,
            "soap_pump": soap_pump, "paste_tube": paste_tube, "battery": battery, "aerosol": aerosol,
            "canister": canister}
