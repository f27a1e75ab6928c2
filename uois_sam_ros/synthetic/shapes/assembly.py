"""Collect the pieces of one object part by part, then put it into its resting frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from ..model import Cavity, ObjectModel, Piece, Surface
from ..primitives import move_all

#: Roughness range a material, from mirror-like to dull.
ROUGHNESS = {"matte": (0.55, 1.0), "gloss": (0.12, 0.45), "metal": (0.15, 0.5), "glass": (0.02, 0.1)}


def finish(rng: np.random.Generator, *, gloss: float = 0.4, metal: float = 0.0,
           glass: float = 0.0) -> Surface:
    """Draw a surface; the rest of the probability is matte."""
    draw = rng.random()
    material = "matte"
    for name, share in (("gloss", gloss), ("metal", metal), ("glass", glass)):
        if draw < share:
            material = name
            break
        draw -= share
    return Surface(material, None, float(rng.uniform(*ROUGHNESS[material])))


class Assembly:
    """Parts of an object under construction, in any convenient frame with z up."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []
        self._parts: list[str] = []
        self._surfaces: list[Surface] = []

    def add(self, part: str, surface: Surface, *pieces: Piece | Iterable[Piece]) -> None:
        """Add pieces (or lists of pieces) as one part; a part name comes once."""
        index = len(self._parts)
        self._parts.append(part)
        self._surfaces.append(surface)
        for item in pieces:
            items = [item] if isinstance(item, Piece) else item
            self._pieces.extend(replace(piece, part=index) for piece in items)

    def surface(self, part: str) -> Surface:
        """Return the surface of a part added before."""
        return self._surfaces[self._parts.index(part)]

    def build(self, family: str, density: float, *, turn: np.ndarray | None = None,
              cavity: Cavity | None = None, stackable: bool = False) -> ObjectModel:
        """Turn the whole (3 x 3) into its resting pose and move the origin below it.

        The origin lies at the lowest z, under the middle of the cavity if there is one and of the
        bounding box otherwise. ``cavity`` is given in the frame of the pieces.
        """
        pieces = move_all(self._pieces, turn=turn)
        points = np.concatenate([piece.vertices for piece in pieces])
        low, high = points.min(0), points.max(0)
        origin = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]], np.float64)
        if cavity is not None:
            origin[:2] = cavity.floor[:2]
            cavity = replace(cavity, floor=(cavity.floor - origin).astype(np.float32))
        return ObjectModel(family, tuple(move_all(pieces, -origin)), tuple(self._parts),
                           tuple(self._surfaces), float(density), cavity, stackable)
