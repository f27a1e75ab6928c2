"""Render a scene by ray casting: colour, depth, ids and amodal masks."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from .model import MATERIALS, Camera, Light, Render, Scene
from .photo import Exposure, photograph
from .scene_mesh import RayCaster, SceneMesh, world_vertices
from .shading import Hits, Sky, albedo, fresnel, gather, illuminate, mirror, shadow_factors, unit

_METAL, _GLASS = MATERIALS.index("metal"), MATERIALS.index("glass")


@dataclass(frozen=True)
class GlassRender(Render):
    """A render that also knows what lies behind glass.

    Attributes:
        behind: float32[H, W] metres, depth of the nearest surface that is not glass, 0 for none.
    """

    behind: np.ndarray = field(default=None, repr=False)


@dataclass(frozen=True)
class _Cast:
    """Primary rays of a camera and what they hit; ``seen`` indexes the rays that did, in ``hits`` order."""

    origins: np.ndarray
    rays: np.ndarray
    along: np.ndarray
    seen: np.ndarray
    distance: np.ndarray
    hits: Hits


class Renderer:
    """Renders views of one scene.

    Args:
        scene: with a texture on every surface (see ``textures.dress``).
        seed: of everything random in the pictures (sky, shadow jitter, camera noise).
    """

    def __init__(self, scene: Scene, seed: int = 0) -> None:
        self.scene = scene
        self.mesh = SceneMesh(scene)
        self._seed = seed
        self._caster = RayCaster(self.mesh)
        clear = self.mesh.material[self.mesh.entry] != _GLASS
        self._has_glass = not clear.all()
        self._opaque = RayCaster(self.mesh, clear) if self._has_glass else self._caster
        # Lamps hang inside the room, so walls throw no shadow even where a lamp's place is beyond one.
        inside = np.array(["wall" not in entry.family for entry in self.mesh.entries])
        self._shading = RayCaster(self.mesh, clear & inside[self.mesh.entry])

    def redressed(self, scene: Scene, seed: int) -> Renderer:
        """Return a renderer of the same scene in other textures; shares the ray casting structures."""
        other = copy.copy(self)
        other.scene, other._seed = scene, seed
        other.mesh = self.mesh.redressed(scene)
        return other

    def view(self, camera: Camera, *, amodal: bool = True, supersample: int = 1, index: int = 0,
             lights: tuple[Light, ...] | None = None, ambient: np.ndarray | None = None,
             radiance: Callable[[Camera], np.ndarray] | None = None) -> GlassRender:
        """Render one view.

        Args:
            amodal: compute amodal masks; otherwise ``Render.amodal`` is empty, bool[0, H, W].
            supersample: colour samples per pixel side.
            index: number of the view, for its own random stream.
            lights, ambient: replace those of the scene.
            radiance: another renderer's linear light, camera -> float32[H, W, 3]; ids and depth
                are still those of the ray caster.
        """
        rng = np.random.default_rng((self._seed, index, 7))
        lights = self.scene.lights if lights is None else lights
        ambient = self.scene.ambient if ambient is None else ambient
        cast = self._cast(camera)
        depth, behind, entry, normal = self._geometry(camera, cast)
        fine = camera if supersample == 1 or radiance else _finer(camera, supersample)
        linear = radiance(camera) if radiance else self._radiance(
            fine, cast if fine is camera else self._cast(fine), lights, np.asarray(ambient, np.float32), rng)
        if fine is not camera:
            # Clipping first keeps a lone highlight sample from brightening its whole pixel.
            linear = cv2.resize(np.minimum(linear, 4 * np.percentile(linear, 99)),
                                (camera.width, camera.height), interpolation=cv2.INTER_AREA)
        hit = entry >= 0
        table = self.mesh
        return GlassRender(
            color=photograph(linear, rng, Exposure.draw(rng)),
            depth=depth,
            label=np.where(hit, table.label[entry], 0).astype(np.uint16),
            part=np.where(hit, table.part[entry], 0).astype(np.uint16),
            normal=normal,
            material=np.where(hit, table.material[entry], 0).astype(np.uint8),
            amodal=self._amodal(camera, np.where(hit, table.label[entry], 0)) if amodal
            else np.zeros((0, camera.height, camera.width), bool),
            behind=behind,
        )

    def _cast(self, camera: Camera) -> _Cast:
        origins, rays, along = camera_rays(camera)
        face, distance, u, v = self._caster.nearest(origins, rays)
        seen = np.flatnonzero(face >= 0)
        hits = gather(self.mesh, face[seen], distance[seen], u[seen], v[seen], origins[seen], rays[seen],
                      1.0 / camera.intrinsics[0])
        return _Cast(origins, rays, along, seen, distance, hits)

    def _geometry(self, camera: Camera, cast: _Cast) -> tuple[np.ndarray, ...]:
        shape = camera.height, camera.width
        count = len(cast.rays)
        depth, entry = np.zeros(count, np.float32), np.full(count, -1, np.int32)
        normal = np.zeros((count, 3), np.float32)
        depth[cast.seen] = (cast.distance * cast.along)[cast.seen]
        entry[cast.seen] = cast.hits.entry
        normal[cast.seen] = cast.hits.normal @ camera.pose[:3, :3].astype(np.float32)
        behind = depth.copy()
        glass = cast.seen[self.mesh.material[cast.hits.entry] == _GLASS]
        if len(glass):
            face, distance, _, _ = self._opaque.nearest(cast.origins[glass], cast.rays[glass])
            behind[glass] = np.where(face >= 0, distance * cast.along[glass], 0)
        return depth.reshape(shape), behind.reshape(shape), entry.reshape(shape), normal.reshape(*shape, 3)

    def _radiance(self, camera: Camera, cast: _Cast, lights: tuple[Light, ...], ambient: np.ndarray,
                  rng: np.random.Generator) -> np.ndarray:
        height, width = camera.height, camera.width
        sky = Sky(rng, ambient + 0.1 * sum(np.asarray(light.colour, np.float32) for light in lights))
        angle = 1.0 / camera.intrinsics[0]
        out = sky(cast.rays)
        seen, hits = cast.seen, cast.hits
        if not len(seen):
            return out.reshape(height, width, 3)
        factors = shadow_factors(self._shading, lights, hits, _jitter(height, width, rng)[seen], rng)
        smooth = np.ones((height * width, factors.shape[1]), np.float32)
        smooth[seen] = factors
        ids = np.full(height * width, -1, np.int32)
        ids[seen] = hits.entry * 8 + ((hits.flat > 0.3) @ np.array([1, 2, 4])).astype(np.int32)
        factors = _smooth(smooth.reshape(height, width, -1), ids.reshape(height, width)).reshape(len(ids), -1)[seen]
        colour = albedo(self.mesh, hits)
        material = self.mesh.material[hits.entry]
        body = np.where((material == _GLASS)[:, None], np.float32(0.04), colour)
        light = illuminate(self.mesh, hits, body, factors, lights, ambient)
        rough = np.array([e.surface.roughness for e in self.mesh.entries], np.float32)[hits.entry]
        mirrors = np.flatnonzero((material == _METAL) | (material == _GLASS) | (rough < 0.3))
        if len(mirrors):
            chosen = hits[mirrors]
            spread = rng.normal(0, 1, (len(mirrors), 3)).astype(np.float32) * (0.3 * rough[mirrors, None] ** 2)
            seen_there = self._simple(chosen.point, mirror(chosen) + spread, chosen.flat, sky, lights, ambient, angle)
            metal, glass = material[mirrors] == _METAL, material[mirrors] == _GLASS
            share = fresnel(chosen)
            share = np.where(metal[:, None], colour[mirrors] * (0.85 + 0.15 * share),
                             share * (1 - rough[mirrors, None]))
            if glass.any():
                through = chosen[glass]
                bent = through.ray - 0.12 * (through.normal + through.ray)
                thickness = 0.55 + 0.45 * np.clip(-np.einsum("ij,ij->i", through.normal, through.ray), 0, 1)
                beyond = self._simple(through.point, bent, -through.flat, sky, lights, ambient, angle)
                light[mirrors[glass]] += beyond * colour[mirrors[glass]] * thickness[:, None]
                share[glass] = fresnel(through)
            light[mirrors] = light[mirrors] * np.where(metal[:, None], 1.0, 1 - share) + seen_there * share
        out[seen] = light
        return out.reshape(height, width, 3)

    def _simple(self, points: np.ndarray, rays: np.ndarray, side: np.ndarray, sky: Sky,
                lights: tuple[Light, ...], ambient: np.ndarray, angle: float) -> np.ndarray:
        """Return the light along secondary rays: diffuse only, no shadows, glass is not there."""
        rays = unit(rays).astype(np.float32)
        origins = points + side * 5e-4
        face, distance, u, v = self._opaque.nearest(origins, rays)
        out = sky(rays)
        seen = np.flatnonzero(face >= 0)
        if len(seen):
            hits: Hits = gather(self.mesh, face[seen], distance[seen], u[seen], v[seen], origins[seen], rays[seen],
                                2 * angle)
            hits = replace(hits, footprint=hits.footprint + angle)
            factors = np.full((len(seen), len(lights) + 1), 0.8, np.float32)
            out[seen] = illuminate(self.mesh, hits, albedo(self.mesh, hits), factors, lights, ambient)
        return out

    def _amodal(self, camera: Camera, label: np.ndarray) -> np.ndarray:
        """Fill the outline of every convex piece; their union is the whole object."""
        fx, fy, cx, cy = camera.intrinsics
        to_camera = np.linalg.inv(camera.pose)
        masks = np.zeros((len(self.scene.objects), camera.height, camera.width), bool)
        fine = 4
        for index, placed in enumerate(self.scene.objects):
            canvas = np.zeros((camera.height * fine, camera.width * fine), np.uint8)
            for piece in placed.model.pieces:
                points = world_vertices(placed, piece) @ to_camera[:3, :3].T + to_camera[:3, 3]
                if points[:, 2].min() < 0.01:
                    continue
                pixels = points[:, :2] / points[:, 2:] * (fx, fy) + (cx, cy)
                hull = cv2.convexHull(np.clip(pixels, -4000, 4000).astype(np.float32))
                cv2.fillConvexPoly(canvas, np.round(hull * fine * 8).astype(np.int32), 1, shift=3)
            masks[index] = canvas[::fine, ::fine] > 0
            masks[index] |= label == index + 1
        return masks


def camera_rays(camera: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return world origins and unit rays (float32[H*W, 3]) and depth per unit of distance [H*W]."""
    fx, fy, cx, cy = camera.intrinsics
    x, y = np.meshgrid((np.arange(camera.width) - cx) / fx, (np.arange(camera.height) - cy) / fy)
    rays = np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3)
    along = 1.0 / np.linalg.norm(rays, axis=1)
    world = (rays * along[:, None]) @ camera.pose[:3, :3].T
    origins = np.broadcast_to(camera.pose[:3, 3], world.shape)
    return origins.astype(np.float32), world.astype(np.float32), along.astype(np.float32)


def _finer(camera: Camera, times: int) -> Camera:
    fx, fy, cx, cy = camera.intrinsics
    scaled = (fx * times, fy * times, (cx + 0.5) * times - 0.5, (cy + 0.5) * times - 0.5)
    return replace(camera, width=camera.width * times, height=camera.height * times, intrinsics=scaled)


def _jitter(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Return unit-ball samples float32[H*W, 3], spread evenly inside each 4x4 pixel cell."""
    cell = rng.permutation(16).reshape(4, 4)
    order = np.tile(cell, (-(-height // 4), -(-width // 4)))[:height, :width].ravel()
    count = height * width
    azimuth = 2 * np.pi * ((order % 4 + rng.random(count)) / 4)
    z = 2 * (order // 4 + rng.random(count)) / 4 - 1
    radius = np.sqrt(1 - z ** 2)
    ball = np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), z], 1)
    return (ball * np.cbrt(rng.random(count))[:, None]).astype(np.float32)


def _smooth(values: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Average float32[H, W, C] over up to 5x5 neighbouring pixels with the same id."""
    out = np.ascontiguousarray(np.moveaxis(values, 2, 0))
    for axis in (1, 0):
        summed, weight = out.copy(), np.ones(ids.shape, np.float32)
        for shift in (1, 2):
            length = ids.shape[axis]
            low = tuple(slice(0, length - shift) if a == axis else slice(None) for a in (0, 1))
            high = tuple(slice(shift, length) if a == axis else slice(None) for a in (0, 1))
            same = (ids[low] == ids[high]).astype(np.float32)
            for to, source in ((low, high), (high, low)):
                summed[(slice(None), *to)] += out[(slice(None), *source)] * same
                weight[to] += same
        out = summed / weight
    return np.moveaxis(out, 0, 2)
