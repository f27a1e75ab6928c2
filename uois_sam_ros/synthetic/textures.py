"""Choose procedural textures for every surface of a scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from ..errors import ConfigError
from . import patterns
from .labels import draw_label
from .model import ObjectModel, Scene, Surface, Texture

KINDS = ("object", "label", "table", "wall", "floor", "clutter", "tray", "metal", "glass")

_BRAND = np.array([
    (0.80, 0.07, 0.10), (0.93, 0.35, 0.05), (0.98, 0.78, 0.08), (0.10, 0.50, 0.20), (0.55, 0.75, 0.15),
    (0.05, 0.25, 0.60), (0.10, 0.55, 0.80), (0.45, 0.15, 0.50), (0.90, 0.45, 0.60), (0.35, 0.18, 0.08),
    (0.75, 0.60, 0.42), (0.05, 0.05, 0.06), (0.12, 0.13, 0.15), (0.94, 0.94, 0.92), (0.85, 0.86, 0.88),
    (0.55, 0.56, 0.58), (0.30, 0.31, 0.33), (0.90, 0.85, 0.70), (0.10, 0.45, 0.45), (0.60, 0.08, 0.12)],
    np.float32)
_WOOD = np.array([(0.80, 0.64, 0.44), (0.62, 0.42, 0.25), (0.45, 0.28, 0.16), (0.88, 0.78, 0.62),
                  (0.30, 0.18, 0.11), (0.70, 0.52, 0.36)], np.float32)
_PALE = np.array([(0.93, 0.92, 0.90), (0.86, 0.85, 0.80), (0.80, 0.83, 0.86), (0.88, 0.82, 0.72),
                  (0.70, 0.72, 0.73), (0.75, 0.82, 0.78)], np.float32)
_METAL = np.array([(0.78, 0.78, 0.80), (0.62, 0.63, 0.66), (0.85, 0.72, 0.42), (0.80, 0.55, 0.42),
                   (0.45, 0.45, 0.48)], np.float32)
_GLASS = np.array([(0.97, 0.98, 0.98), (0.90, 0.97, 0.93), (0.88, 0.94, 0.98), (0.55, 0.75, 0.55),
                   (0.70, 0.45, 0.22)], np.float32)

_OBJECT_PATTERNS = (patterns.stripes, patterns.checkers, patterns.dots, patterns.clouds, patterns.wood,
                    patterns.marble, patterns.granite, patterns.weave, patterns.gingham, patterns.blossoms)
_TABLE_PATTERNS = (patterns.wood, patterns.wood, patterns.wood, patterns.wood, patterns.planks, patterns.planks,
                   patterns.marble, patterns.granite, patterns.granite, patterns.weave, patterns.weave,
                   patterns.clouds, patterns.gingham, patterns.newsprint, patterns.blossoms, patterns.checkers,
                   patterns.stripes, patterns.dots)
_WALL_PATTERNS = (patterns.stripes, patterns.tiles, patterns.clouds, patterns.planks, patterns.blossoms)
_FLOOR_PATTERNS = (patterns.planks, patterns.tiles, patterns.weave, patterns.granite, patterns.clouds,
                   patterns.checkers)


def to_linear(srgb: np.ndarray) -> np.ndarray:
    """Convert sRGB in [0, 1] to linear light, float32."""
    srgb = np.ascontiguousarray(srgb, np.float32)
    bright = cv2.pow((srgb + np.float32(0.055)) / np.float32(1.055), 2.4).reshape(srgb.shape)
    return np.where(srgb <= 0.04045, srgb / np.float32(12.92), bright)


@dataclass(frozen=True)
class ImageTexture:
    """Pictures projected onto an object along its axes, or wrapped around its z axis.

    Attributes:
        images: linear float32[h, w, 3]; one for all sides, or three for the sides across x, y, z.
        origin: float32[3], object frame, metres: the point of the pictures' corner.
        extent: float32[3] metres, what one picture spans along each axis; it repeats beyond.
        turn: rotation of the pictures, radians.
        wrap: wrap around z (cans, bottles) instead of projecting onto six sides.
    """

    images: tuple[np.ndarray, ...]
    origin: np.ndarray
    extent: np.ndarray
    turn: float = 0.0
    wrap: bool = False
    _scaled: dict = field(default_factory=dict, repr=False, compare=False)

    def project(self, points: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return which picture int[n], and the place u (right), v (down) in picture sizes, of points.

        Arguments as for ``sample``.
        """
        local = (points - self.origin) / self.extent
        axis = np.argmax(np.abs(normals), axis=1)
        u = np.where(axis == 0, local[:, 1], local[:, 0])
        v = np.where(axis == 2, local[:, 1], 1.0 - local[:, 2])
        if self.wrap:
            centre = self.origin + 0.5 * self.extent
            round_u = np.arctan2(points[:, 1] - centre[1], points[:, 0] - centre[0]) / (2 * np.pi) + 0.5
            side = axis != 2
            u, axis = np.where(side, round_u, u), np.where(side, 0, 2)
        if self.turn:
            cos, sin = np.cos(self.turn), np.sin(self.turn)
            u, v = cos * u - sin * v, sin * u + cos * v
        return (axis if len(self.images) > 1 else np.zeros_like(axis)), u, v

    def sample(self, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """Return linear albedo float32[n, 3]; see ``Texture``."""
        if self.images[0].shape[:2] == (1, 1) and len(self.images) == 1:
            return np.repeat(self.images[0].reshape(1, 3), len(points), 0)
        chosen, u, v = self.project(points, normals)
        if len(self.images) == 1:
            return _lookup(self.images[0], u, v)
        out = np.empty((len(points), 3), np.float32)
        for index, image in enumerate(self.images):
            rows = chosen == index
            if rows.any():
                out[rows] = _lookup(image, u[rows], v[rows])
        return out

    def at_scale(self, footprint: float) -> ImageTexture:
        """Return this texture averaged for pixels that cover ``footprint`` metres of surface."""
        texel = float(np.max(self.extent)) / max(self.images[0].shape[:2])
        level = int(np.clip(np.floor(np.log2(max(footprint / texel, 1e-6)) + 0.3), 0, 6))
        if level == 0 or max(self.images[0].shape[:2]) == 1:
            return self
        if level not in self._scaled:
            images = tuple(cv2.resize(image, (max(1, image.shape[1] >> level), max(1, image.shape[0] >> level)),
                                      interpolation=cv2.INTER_AREA) for image in self.images)
            self._scaled[level] = replace(self, images=images, _scaled={})
        return self._scaled[level]


def _lookup(image: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Bilinear look-up with wrap-around; u, v in picture widths and heights."""
    height, width = image.shape[:2]
    columns = 256
    count = len(u)
    padded = -(-count // columns) * columns
    x, y = np.zeros((2, padded), np.float32)
    x[:count] = np.mod(u, 1.0) * width - 0.5
    y[:count] = np.mod(v, 1.0) * height - 0.5
    found = cv2.remap(image, x.reshape(-1, columns), y.reshape(-1, columns), cv2.INTER_LINEAR,
                      borderMode=cv2.BORDER_WRAP)
    return found.reshape(-1, 3)[:count]


def _palette(rng: np.random.Generator, source: np.ndarray, count: int = 4, spread: float = 0.06) -> np.ndarray:
    colours = source[rng.integers(0, len(source), count)]
    return np.clip(colours + rng.normal(0, spread, colours.shape), 0.02, 0.98).astype(np.float32)


def _tiled(rng: np.random.Generator, pattern, colours: np.ndarray, low: float, high: float) -> ImageTexture:
    extent = np.full(3, np.exp(rng.uniform(np.log(low), np.log(high))), np.float32)
    turn = float(rng.choice([0.0, 0.0, np.pi / 2, np.pi / 4, rng.uniform(0, np.pi)]))
    image = to_linear(pattern(rng, colours))
    return ImageTexture((image,), rng.uniform(-1, 1, 3).astype(np.float32), extent, turn)


def _plain(colour: np.ndarray) -> ImageTexture:
    image = to_linear(colour).reshape(1, 1, 3)
    return ImageTexture((image,), np.zeros(3, np.float32), np.ones(3, np.float32))


def _label(rng: np.random.Generator, bounds: tuple[np.ndarray, np.ndarray], wrap: bool) -> ImageTexture:
    low, high = (np.asarray(corner, np.float32) for corner in bounds)
    size = np.maximum(high - low, 1e-3)
    colours = _palette(rng, _BRAND, 5)
    images = []
    around = np.pi * max(size[0], size[1])
    for across, up in ((around if wrap else size[1], size[2]), (size[0], size[2]), (size[0], size[1])):
        scale = 112 / max(across, up)
        shape = max(8, int(up * scale)), max(8, int(across * scale))
        images.append(to_linear(draw_label(rng, *shape, colours)))
    return ImageTexture(tuple(images), low, size, wrap=wrap)


def random_texture(rng: np.random.Generator, kind: str, *,
                   bounds: tuple[np.ndarray, np.ndarray] | None = None, wrap: bool = False) -> Texture:
    """Draw a texture.

    Args:
        kind: one of ``KINDS``.
        bounds: lower and upper corner of the object (metres, object frame); labels fill it once.
        wrap: labels go around z.

    Raises:
        ConfigError: unknown kind.
    """
    if kind not in KINDS:
        raise ConfigError(f"texture kind: expected one of {', '.join(KINDS)}, got {kind!r}")
    draw = rng.random()
    if kind == "metal":
        colours = _palette(rng, _METAL, 2, 0.03)
        return _plain(colours[0]) if draw < 0.5 else _tiled(rng, patterns.brushed, colours, 0.05, 0.2)
    if kind == "glass":
        return _plain(_GLASS[int(rng.choice(len(_GLASS), p=[0.45, 0.2, 0.2, 0.08, 0.07]))])
    if kind == "label":
        if bounds is None:
            bounds = (np.full(3, -0.05, np.float32), np.full(3, 0.05, np.float32))
        return _label(rng, bounds, wrap)
    if kind in ("object", "clutter"):
        colours = _palette(rng, _BRAND)
        if draw < 0.55:
            return _plain(rng.uniform(0.02, 0.98, 3) if draw < 0.1 else colours[0])
        if draw < 0.65:
            return _tiled(rng, patterns.solid, colours, 0.05, 0.4)
        pattern = _OBJECT_PATTERNS[int(rng.integers(len(_OBJECT_PATTERNS)))]
        return _tiled(rng, pattern, _palette(rng, _WOOD) if pattern is patterns.wood else colours, 0.03, 0.25)
    if kind == "tray":
        colours = _palette(rng, np.concatenate([_BRAND, _WOOD, _PALE]))
        return _plain(colours[0]) if draw < 0.6 else _tiled(
            rng, patterns.wood if draw < 0.8 else patterns.solid, _palette(rng, _WOOD), 0.15, 0.6)
    source, chosen, plain, low, high = {
        "table": (np.concatenate([_PALE, _WOOD, _PALE, _BRAND[10:]]), _TABLE_PATTERNS, 0.4, 0.12, 1.0),
        "wall": (np.concatenate([_PALE, _PALE, _BRAND]), _WALL_PATTERNS, 0.55, 0.3, 1.5),
        "floor": (np.concatenate([_PALE, _WOOD, _METAL]), _FLOOR_PATTERNS, 0.2, 0.4, 1.6),
    }[kind]
    pattern = patterns.solid if draw < plain else chosen[int(rng.integers(len(chosen)))]
    wooden = pattern in (patterns.wood, patterns.planks)
    return _tiled(rng, pattern, _palette(rng, _WOOD if wooden else source), low, high)


def _kind_of(family: str) -> str:
    for kind in ("table", "wall", "floor", "tray"):
        if kind in family:
            return kind
    return "tray" if any(word in family for word in ("bin", "crate", "shelf", "basket")) else "clutter"


def _dress_model(model: ObjectModel, rng: np.random.Generator, kind: str,
                 shared: Sequence[Texture] = ()) -> ObjectModel:
    low, high = model.bounds
    size = high - low
    smooth = any(piece.smooth for piece in model.pieces)
    wrap = smooth and abs(size[0] - size[1]) < 0.3 * max(size[0], size[1])
    one = rng.random() < 0.3
    labelled = kind in ("object", "clutter") and rng.random() < (0.5 if kind == "object" else 0.3)
    surfaces: list[Surface] = []
    for index, surface in enumerate(model.surfaces):
        if surface.texture is not None:
            surfaces.append(surface)
            continue
        if surface.material in ("metal", "glass"):
            texture = random_texture(rng, surface.material)
        elif shared and rng.random() < 0.8:
            texture = shared[int(rng.integers(len(shared)))]
        elif one and surfaces and surfaces[0].material == surface.material:
            texture = surfaces[0].texture
        elif labelled and index == 0:
            texture = random_texture(rng, "label", bounds=(low, high), wrap=wrap)
        else:
            texture = random_texture(rng, kind)
        surfaces.append(replace(surface, texture=texture))
    return replace(model, surfaces=tuple(surfaces))


def dress(scene: Scene, rng: np.random.Generator) -> Scene:
    """Return the scene with a texture on every surface that has none.

    Now and then all objects share few textures, or look like the table, so that colour alone does
    not tell objects apart.
    """
    background = []
    table: list[Texture] = []
    for placed in scene.background:
        kind = _kind_of(placed.model.family)
        model = _dress_model(placed.model, rng, kind)
        if kind == "table":
            table.extend(surface.texture for surface in model.surfaces if surface.texture is not None)
        background.append(replace(placed, model=model))
    shared: tuple[Texture, ...] = ()
    draw = rng.random()
    if draw < 0.06:
        shared = tuple(random_texture(rng, "object") for _ in range(int(rng.integers(1, 3))))
    elif draw < 0.09 and table:
        shared = (table[0],)
    objects = []
    by_model: dict[int, ObjectModel] = {}
    for placed in scene.objects:
        if id(placed.model) not in by_model:
            by_model[id(placed.model)] = _dress_model(placed.model, rng, "object", shared)
        objects.append(replace(placed, model=by_model[id(placed.model)]))
    return replace(scene, objects=tuple(objects), background=tuple(background))
