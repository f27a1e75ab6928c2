"""Light at surface points: albedo, lamps with soft shadows, ambient occlusion, mirrors and glass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .model import MATERIALS, Light
from .scene_mesh import RayCaster, SceneMesh

_METAL, _GLASS = MATERIALS.index("metal"), MATERIALS.index("glass")
_OFFSET = 2e-4


@dataclass(frozen=True)
class Hits:
    """Surface points seen by rays; all arrays have one row a hit.

    Attributes:
        entry: int32[n] index into ``SceneMesh.entries``.
        point: float32[n, 3] metres, world.
        normal: float32[n, 3] unit, shading normal towards the viewer; ``flat`` the face normal.
        ray: float32[n, 3] unit, from the viewer.
        footprint: float32[n] metres of surface a pixel covers.
    """

    entry: np.ndarray
    point: np.ndarray
    normal: np.ndarray
    flat: np.ndarray
    ray: np.ndarray
    footprint: np.ndarray

    def __getitem__(self, chosen: np.ndarray) -> Hits:
        return Hits(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


def gather(mesh: SceneMesh, face: np.ndarray, distance: np.ndarray, u: np.ndarray, v: np.ndarray,
           origins: np.ndarray, rays: np.ndarray, pixel_angle: float) -> Hits:
    """Interpolate what the shading needs at hits (all rows must be hits, ``rays`` unit length)."""
    point = (origins + distance[:, None] * rays).astype(np.float32)
    corner = mesh.corner_normals[face]
    normal = corner[:, 0] * (1 - u - v)[:, None] + corner[:, 1] * u[:, None] + corner[:, 2] * v[:, None]
    normal = unit(normal)
    flat = mesh.face_normals[face]
    flat = np.where(_dot(flat, rays)[:, None] > 0, -flat, flat)
    normal = np.where(_dot(normal, flat)[:, None] < 0, -normal, normal)
    slant = np.clip(-_dot(flat, rays), 0.2, 1.0)
    return Hits(mesh.entry[face], point, normal, flat, rays, distance * pixel_angle / np.sqrt(slant))


def albedo(mesh: SceneMesh, hits: Hits) -> np.ndarray:
    """Return linear albedo float32[n, 3]."""
    out = np.full((len(hits.entry), 3), 0.5, np.float32)
    order = np.argsort(hits.entry, kind="stable")
    ordered = hits.entry[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(order) else np.zeros(0, int)
    for start, stop in zip(starts, np.r_[starts[1:], len(order)]):
        rows = order[start:stop]
        entry = mesh.entries[ordered[start]]
        texture = entry.surface.texture
        if texture is None:
            continue
        if hasattr(texture, "at_scale"):
            texture = texture.at_scale(float(np.median(hits.footprint[rows])))
        matrix = entry.to_object
        out[rows] = texture.sample(hits.point[rows] @ matrix[:3, :3].T + matrix[:3, 3],
                                   hits.flat[rows] @ matrix[:3, :3].T)
    return out


def lamp(light: Light, points: np.ndarray, jitter: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return direction to a jittered point of the lamp (unit float32[n, 3]) and its distance [n].

    ``jitter`` is float32[n, 3] in the unit ball.
    """
    vector = np.asarray(light.vector, np.float32)
    if light.kind == "sun":
        towards = vector / np.linalg.norm(vector) + jitter * np.float32(light.radius)
        reach = np.full(len(points), 50.0, np.float32)
        return unit(towards), reach
    towards = vector + jitter * np.float32(light.radius) - points
    reach = np.sqrt(_dot(towards, towards))
    return towards / np.maximum(reach, 1e-6)[:, None], reach


def lamp_strength(light: Light, points: np.ndarray) -> np.ndarray:
    """Return float32[n, 1]: 1 for the sun, inverse square (1 at one metre) for point lamps."""
    if light.kind == "sun":
        return np.ones((len(points), 1), np.float32)
    squared = ((np.asarray(light.vector, np.float32) - points) ** 2).sum(1, keepdims=True)
    return 1.0 / np.maximum(squared, 0.05)


class Sky:
    """What mirrors see where no ray hits: a gradient with a few bright windows."""

    def __init__(self, rng: np.random.Generator, ambient: np.ndarray) -> None:
        level = np.asarray(ambient, np.float32)
        self._low, self._high = level * rng.uniform(0.3, 0.8), level * rng.uniform(0.9, 1.8)
        count = int(rng.integers(1, 5))
        angles, height = rng.uniform(0, 2 * np.pi, count), rng.uniform(0.1, 0.95, count)
        flat = np.sqrt(1 - height ** 2)
        self._windows = np.stack([flat * np.cos(angles), flat * np.sin(angles), height], 1).astype(np.float32)
        self._sizes = rng.uniform(0.1, 0.4, count).astype(np.float32)
        self._glow = level * rng.uniform(2.0, 8.0, (count, 1)).astype(np.float32)

    def __call__(self, rays: np.ndarray) -> np.ndarray:
        """Return linear light float32[n, 3] from directions float32[n, 3]."""
        t = np.clip(0.5 + 0.5 * rays[:, 2:3], 0, 1)
        light = self._low * (1 - t) + self._high * t
        for window, size, glow in zip(self._windows, self._sizes, self._glow):
            edge = np.clip((rays @ window - np.cos(size)) / (0.3 * (1 - np.cos(size))), 0, 1)
            light = light + edge[:, None] * glow
        return light.astype(np.float32)


def shadow_factors(caster: RayCaster, lights: tuple[Light, ...], hits: Hits, jitter: np.ndarray,
                   rng: np.random.Generator, occlusion_reach: float = 0.18) -> np.ndarray:
    """Return float32[n, lights + 1] in [0, 1]: one noisy visibility a lamp, the last for ambient.

    ``jitter`` is float32[n, 3]: a cosine-weighted unit-ball sample a row.
    """
    count = len(hits.entry)
    out = np.ones((count, len(lights) + 1), np.float32)
    start = hits.point + hits.flat * _OFFSET
    for index, light in enumerate(lights):
        towards, reach = lamp(light, start, jitter[:, [index % 3, (index + 1) % 3, (index + 2) % 3]])
        lit = np.flatnonzero(_dot(hits.flat, towards) > 0)
        out[:, index] = 0
        out[lit, index] = ~caster.blocked(start[lit], towards[lit], reach[lit])
    direction = unit(hits.flat * np.float32(1.02) + unit(jitter))
    reach = (occlusion_reach * rng.uniform(0.4, 1.0, count)).astype(np.float32)
    out[:, -1] = ~caster.blocked(start, direction, reach)
    return out


def illuminate(mesh: SceneMesh, hits: Hits, colour: np.ndarray, factors: np.ndarray | None,
               lights: tuple[Light, ...], ambient: np.ndarray) -> np.ndarray:
    """Return the diffuse light plus lamp highlights, linear float32[n, 3]; metals reflect no diffuse."""
    count = len(hits.entry)
    if factors is None:
        factors = np.ones((count, len(lights) + 1), np.float32)
    rough = np.array([e.surface.roughness for e in mesh.entries], np.float32)[hits.entry]
    metal = mesh.material[hits.entry] == _METAL
    up = 0.75 + 0.25 * hits.normal[:, 2:3]
    open_sky = (0.25 + 0.75 * factors[:, -1:]) * up
    diffuse = np.asarray(ambient, np.float32) * open_sky
    shine = np.zeros((count, 3), np.float32)
    exponent = np.clip(2.0 / np.maximum(rough, 0.05) ** 4 - 2.0, 1.0, 1500.0)
    none = np.zeros((count, 3), np.float32)
    shiny = rough < 0.75
    for index, light in enumerate(lights):
        towards, _ = lamp(light, hits.point, none)
        level = np.asarray(light.colour, np.float32) * lamp_strength(light, hits.point) * factors[:, index:index + 1]
        diffuse = diffuse + level * np.clip(_dot(hits.normal, towards), 0, 1)[:, None]
        half = unit(towards[shiny] - hits.ray[shiny])
        power = exponent[shiny]
        lobe = np.clip(_dot(half, hits.normal[shiny]), 1e-4, 1) ** power * (power + 8) / 25.0
        shine[shiny] += level[shiny] * lobe[:, None] * np.clip(_dot(hits.normal, towards), 0, 1)[shiny, None]
    tint = np.where(metal[:, None], colour, 0.04)
    return colour * diffuse * np.where(metal, 0.12, 1.0)[:, None] + shine * tint


def fresnel(hits: Hits, base: float = 0.04) -> np.ndarray:
    """Return Schlick's reflectance float32[n, 1]."""
    return (base + (1 - base) * (1 - np.clip(-_dot(hits.normal, hits.ray), 0, 1)) ** 5)[:, None]


def mirror(hits: Hits) -> np.ndarray:
    """Return the mirrored ray directions float32[n, 3]."""
    return hits.ray - 2 * _dot(hits.ray, hits.normal)[:, None] * hits.normal


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return float[n, 3] vectors scaled to length 1."""
    return vectors / np.sqrt(np.maximum(_dot(vectors, vectors), 1e-24))[:, None]


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", a, b)
