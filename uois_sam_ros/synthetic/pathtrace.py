"""A second renderer for test sets: ``mitsuba`` path tracing of the same scene, camera and textures.

Only the light is taken from here; ids and depth come from the ray caster, so both agree on geometry.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np

from ..errors import BackendError
from .model import Camera, Light, Scene, Surface
from .scene_mesh import RayCaster, SceneMesh
from .textures import ImageTexture

SAMPLES_PER_PIXEL = 16
_MAX_BOUNCES = 5


def require_mitsuba() -> Any:
    """Return the ``mitsuba`` module, set to its scalar variant.

    Raises:
        BackendError: not installed.
    """
    try:
        import mitsuba
    except ImportError as error:
        raise BackendError("renderer 'pathtrace': expected the package mitsuba, found none; "
                           "install it with: pip install mitsuba") from error
    mitsuba.set_variant("scalar_rgb")
    return mitsuba


def trace(scene: Scene, camera: Camera, *, seed: int = 0, samples: int = SAMPLES_PER_PIXEL) -> np.ndarray:
    """Return linear light float32[H, W, 3] of a textured scene.

    Raises:
        BackendError: ``mitsuba`` is not installed.
    """
    mitsuba = require_mitsuba()
    mesh = SceneMesh(scene)
    world: dict[str, Any] = {
        "type": "scene",
        "integrator": {"type": "path", "max_depth": _MAX_BOUNCES},
        "sensor": _sensor(mitsuba, camera, samples),
        "ambient": {"type": "constant", "radiance": _rgb(scene.ambient)},
    }
    for index in range(len(mesh.entries)):
        for part, shape in enumerate(_shapes(mitsuba, mesh, index)):
            world[f"shape_{index}_{part}"] = shape
    walls = np.array(["wall" in entry.family for entry in mesh.entries])
    wall_caster = RayCaster(mesh, walls[mesh.entry])
    centre = np.mean([placed.pose[:3, 3] for placed in scene.objects], axis=0)
    for index, light in enumerate(scene.lights):
        world[f"light_{index}"] = _emitter(light, centre + (0, 0, 0.05), wall_caster, camera)
    picture = mitsuba.render(mitsuba.load_dict(world), seed=seed)
    return denoise(np.asarray(picture, np.float32)[..., :3])


def denoise(linear: np.ndarray) -> np.ndarray:
    """Remove path-tracing noise: clamp fireflies, then non-local means on a tone-mapped copy."""
    linear = np.nan_to_num(linear, nan=0.0, posinf=0.0)
    scale = max(float(np.percentile(linear, 99.5)), 1e-6)
    clipped = np.clip(linear / scale, 0, 1.0)
    plain = cv2.medianBlur(clipped, 3)
    firefly = (clipped - plain).max(2, keepdims=True) > 0.35
    clipped = np.where(firefly, plain, clipped)
    small = (np.sqrt(clipped) * 255 + 0.5).astype(np.uint8)
    grey = small.mean(2).astype(np.float32)
    noise = float(np.median(np.abs(grey - cv2.medianBlur(grey, 3)))) * 1.8  # robust standard deviation
    strength = float(np.clip(1.3 * noise, 2, 12))
    smooth = cv2.fastNlMeansDenoisingColored(small, None, strength, strength, 3, 11).astype(np.float32) / 255
    return (smooth ** 2 * scale).astype(np.float32)


def _rgb(colour: np.ndarray) -> dict[str, Any]:
    return {"type": "rgb", "value": [float(max(value, 0.0)) for value in np.ravel(colour)[:3]]}


def _sensor(mitsuba: Any, camera: Camera, samples: int) -> dict[str, Any]:
    fx, fy, cx, cy = camera.intrinsics
    pose = np.array(camera.pose, np.float64)
    pose[:3, :2] *= -1  # mitsuba's cameras have x to the left and y up
    return {
        "type": "perspective",
        "fov": math.degrees(2 * math.atan(0.5 * camera.width / fx)),
        "fov_axis": "x",
        "principal_point_offset_x": ((camera.width - 1) / 2 - cx) / camera.width,
        "principal_point_offset_y": ((camera.height - 1) / 2 - cy) / camera.height,
        "near_clip": 0.01,
        "far_clip": 100.0,
        "to_world": mitsuba.ScalarTransform4f(pose),
        "film": {"type": "hdrfilm", "width": camera.width, "height": camera.height, "rfilter": {"type": "box"}},
        "sampler": {"type": "independent", "sample_count": samples},
    }


def _emitter(light: Light, centre: np.ndarray, walls: RayCaster, camera: Camera) -> dict[str, Any]:
    """Return the lamp; one that stands beyond a wall is brought inside, equally bright at the centre."""
    vector, colour = np.asarray(light.vector, np.float64), np.asarray(light.colour, np.float64)
    towards = vector if light.kind == "sun" else vector - centre
    reach = float(np.linalg.norm(towards))
    direction = towards / reach
    face, distance, _, _ = walls.nearest(centre[None], direction[None])
    blocked = face[0] >= 0 and (light.kind == "sun" or distance[0] < reach)
    if light.kind == "sun" and not blocked:
        return {"type": "directional", "direction": (-direction).tolist(), "irradiance": _rgb(colour * math.pi)}
    strength = colour if light.kind == "sun" else colour / reach**2
    reach = 0.8 * float(distance[0]) if blocked else reach
    place = centre + direction * reach
    radius = max(light.radius if light.kind == "point" else light.radius * reach, 0.02)
    to_camera = np.linalg.inv(camera.pose)
    ahead = (to_camera[:3, :3] @ place + to_camera[:3, 3])[2]
    if ahead > -radius or radius > 0.5 * reach:  # it might be seen, or touch things: an invisible one
        return {"type": "point", "position": place.tolist(), "intensity": _rgb(strength * reach**2 * math.pi)}
    return {"type": "sphere", "center": place.tolist(), "radius": radius,
            "emitter": {"type": "area", "radiance": _rgb(strength * reach**2 / radius**2)}}


def _shapes(mitsuba: Any, mesh: SceneMesh, index: int) -> list[Any]:
    """Return one mitsuba mesh a picture of the surface."""
    faces = np.flatnonzero(mesh.entry == index)
    if not len(faces):
        return []
    entry = mesh.entries[index]
    texture = entry.surface.texture
    corners = mesh.vertices[mesh.faces[faces]]
    normals = mesh.corner_normals[faces]
    if not isinstance(texture, ImageTexture):
        return [_mesh(mitsuba, corners, normals, np.zeros((len(faces), 3, 2), np.float32),
                      _bsdf(mitsuba, entry.surface, np.full((1, 1, 3), 0.5, np.float32)))]
    turn, shift = entry.to_object[:3, :3], entry.to_object[:3, 3]
    flat = np.repeat(mesh.face_normals[faces] @ turn.T, 3, 0)
    chosen, u, v = texture.project(corners.reshape(-1, 3) @ turn.T + shift, flat)
    u, v = u.reshape(-1, 3), v.reshape(-1, 3)
    if texture.wrap:  # a face over the seam must not run backwards through the whole picture
        u = np.where((u.max(1) - u.min(1) > 0.5)[:, None] & (u < 0.5), u + 1, u)
    shapes = []
    for number, image in enumerate(texture.images):
        rows = chosen.reshape(-1, 3)[:, 0] == number
        if rows.any():
            places = np.stack([u[rows], 1 - v[rows]], -1).astype(np.float32)
            shapes.append(_mesh(mitsuba, corners[rows], normals[rows], places, _bsdf(mitsuba, entry.surface, image)))
    return shapes


def _mesh(mitsuba: Any, corners: np.ndarray, normals: np.ndarray, places: np.ndarray, bsdf: dict[str, Any]) -> Any:
    properties = mitsuba.Properties()
    properties["mesh_bsdf"] = mitsuba.load_dict(bsdf)
    count = len(corners)
    mesh = mitsuba.Mesh("part", vertex_count=3 * count, face_count=count, has_vertex_normals=True,
                        has_vertex_texcoords=True, props=properties)
    values = mitsuba.traverse(mesh)
    values["vertex_positions"] = np.ascontiguousarray(corners, np.float32).ravel()
    values["vertex_normals"] = np.ascontiguousarray(normals, np.float32).ravel()
    values["vertex_texcoords"] = np.ascontiguousarray(places, np.float32).ravel()
    values["faces"] = np.arange(3 * count, dtype=np.uint32)
    values.update()
    return mesh


def _bsdf(mitsuba: Any, surface: Surface, image: np.ndarray) -> dict[str, Any]:
    if surface.material == "glass":
        return {"type": "thindielectric", "specular_transmittance": _rgb(image.reshape(-1, 3).mean(0))}
    colour = _rgb(image.reshape(-1, 3)[0]) if image.shape[:2] == (1, 1) else {
        "type": "bitmap", "bitmap": mitsuba.Bitmap(np.ascontiguousarray(image, np.float32)), "raw": True,
        "filter_type": "bilinear", "wrap_mode": "repeat"}
    alpha = float(np.clip(surface.roughness, 0.05, 1.0)) ** 2
    if surface.material == "metal":
        inner = {"type": "roughconductor", "material": "none", "alpha": alpha, "specular_reflectance": colour}
    elif surface.material == "gloss" or surface.roughness < 0.4:
        inner = {"type": "roughplastic", "alpha": alpha, "diffuse_reflectance": colour}
    else:
        inner = {"type": "diffuse", "reflectance": colour}
    return {"type": "twosided", "bsdf": inner}
