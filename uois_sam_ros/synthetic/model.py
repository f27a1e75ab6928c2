"""The types that pass between shape making, physics, rendering and the depth sensor.

World frame: metres, z up, the support surface at z = 0 below the objects.
Camera frame: optical (x right, y down, z forward), as everywhere in this package.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

MATERIALS = ("matte", "gloss", "metal", "glass")


class Texture(Protocol):
    """A procedural albedo, evaluated at surface points."""

    def sample(self, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """Return linear-light albedo float32[n, 3] in [0, 1].

        Args:
            points: float32[n, 3], metres, object frame.
            normals: float32[n, 3], unit, object frame.
        """
        ...


@dataclass(frozen=True)
class Surface:
    """How one part of an object looks.

    Attributes:
        material: one of ``MATERIALS``; glass and metal also break depth sensors.
        texture: albedo; ``None`` lets the scene builder choose one.
        roughness: 0 (mirror) to 1 (fully matte).
    """

    material: str = "matte"
    texture: Texture | None = None
    roughness: float = 0.6


@dataclass(frozen=True)
class Piece:
    """One convex piece of an object; physics collides pieces, the renderer draws them.

    Attributes:
        vertices: float32[V, 3], metres, object frame.
        faces: int32[F, 3], outward counter-clockwise triangles.
        part: index of the part the piece belongs to.
        smooth: shade with interpolated normals (round things) instead of flat ones.
    """

    vertices: np.ndarray
    faces: np.ndarray
    part: int = 0
    smooth: bool = False


@dataclass(frozen=True)
class Cavity:
    """Free room inside a container: a cylinder or box, open towards +z of the object frame.

    Attributes:
        floor: float32[3], centre of the inner floor, object frame, metres.
        half_extent: (x, y) half sizes of the opening, metres.
        depth: metres from floor to rim.
    """

    floor: np.ndarray
    half_extent: tuple[float, float]
    depth: float


@dataclass(frozen=True)
class ObjectModel:
    """One object: convex pieces, named parts and their surfaces.

    Attributes:
        family: key of ``shapes.FAMILIES``.
        pieces: at least one.
        parts: part names, e.g. ("body", "cap"); piece.part indexes it.
        surfaces: one a part.
        density: kg / m^3 for physics.
        cavity: set when other things can lie inside.
        stackable: rests flat on others of its kind (boxes, cans, books, cups).
    """

    family: str
    pieces: tuple[Piece, ...]
    parts: tuple[str, ...] = ("body",)
    surfaces: tuple[Surface, ...] = (Surface(),)
    density: float = 400.0
    cavity: Cavity | None = None
    stackable: bool = False

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper corner of the axis-aligned box, object frame, metres."""
        points = np.concatenate([piece.vertices for piece in self.pieces])
        return points.min(0), points.max(0)


@dataclass(frozen=True)
class Placed:
    """An object at its place.

    Attributes:
        pose: float64[4, 4], object to world.
        group: objects with the same non-negative value form one group (a stack, a container with
            its contents); -1 for none.
    """

    model: ObjectModel
    pose: np.ndarray
    group: int = -1


@dataclass(frozen=True)
class Light:
    """A light in the world: ``kind`` 'sun' (direction) or 'point' (position).

    Attributes:
        vector: float64[3]; towards the sun, or the position in metres.
        colour: float32[3], linear, intensity included.
        radius: metres (point) or radians (sun) of the emitter; larger is a softer shadow.
    """

    kind: str
    vector: np.ndarray
    colour: np.ndarray
    radius: float = 0.0


@dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Attributes:
        intrinsics: fx, fy, cx, cy in pixels (pixel centres at integers).
        pose: float64[4, 4], camera (optical) to world.
    """

    width: int
    height: int
    intrinsics: tuple[float, float, float, float]
    pose: np.ndarray


@dataclass(frozen=True)
class Scene:
    """Everything a renderer needs but the camera.

    Attributes:
        objects: the labelled instances, in id order (id = index + 1).
        background: table, walls, floor, room clutter, fixtures: seen, never labelled.
        ambient: float32[3], linear light from everywhere.
        layout: which layout made it (pile, tower, container, ...).
    """

    objects: tuple[Placed, ...]
    background: tuple[Placed, ...]
    lights: tuple[Light, ...]
    ambient: np.ndarray
    layout: str = "pile"


@dataclass(frozen=True)
class Render:
    """A noise-free view.

    Attributes:
        color: uint8[H, W, 3] sRGB, RGB order.
        depth: float32[H, W] metres along the optical axis, 0 where nothing was hit.
        label: uint16[H, W], 0 = background, 1..N = visible object.
        part: uint16[H, W], 0 = background, else 1 + running index over (object, part).
        normal: float32[H, W, 3] camera frame, unit, 0 where nothing was hit.
        material: uint8[H, W], index into ``MATERIALS``.
        amodal: bool[N, H, W], each object as if nothing stood before it.
    """

    color: np.ndarray
    depth: np.ndarray
    label: np.ndarray
    part: np.ndarray
    normal: np.ndarray
    material: np.ndarray
    amodal: np.ndarray = field(repr=False)
