"""Frames to try the pipeline on: the bundled recording, and boxes on a table made from nothing."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from .errors import FrameError
from .types import Frame, Intrinsics

RECORDING = ("demo", "tabletop.mcap")
#: Where the camera of ``box_scene`` stands and what it looks at, metres; the table is z = 0.
EYE_M = np.float32([0.0, -0.6, 0.62])
TARGET_M = np.float32([0.0, 0.02, 0.02])
LIGHT = np.float32([0.35, -0.25, 0.9])


@dataclass(frozen=True)
class Raster:
    """Places on the table, metres, and how large a box on them is: 1 for sides of 4 to 9 cm."""

    xs: tuple[float, ...]
    ys: tuple[float, ...]
    size: float


#: The first one with places enough is taken.
RASTERS = (
    Raster((-0.28, -0.14, 0.0, 0.14, 0.28), (-0.14, 0.02, 0.18), 1.0),
    Raster(tuple(0.07 * k - 0.315 for k in range(10)), tuple(0.075 * k - 0.165 for k in range(6)), 0.5),
)


def bundled_recording() -> Path | None:
    """Return the recording that comes with the package, or ``None`` when it was not installed."""
    path = Path(str(resources.files(__package__).joinpath(*RECORDING)))
    return path if path.is_file() else None


def box_scene(width: int = 640, height: int = 480, boxes: int = 15,
              seed: int = 0) -> tuple[Frame, np.ndarray]:
    """Ray-cast boxes on a table.

    Args:
        boxes: 0 to 60, each on its own place of a raster; from 16 on the places and the boxes are half as large.
        seed: of sizes, places, colours and sensor noise.

    Returns:
        The frame, and uint16[H, W] labels with 0 = table and ids 1..boxes.

    Raises:
        FrameError: more boxes than places.
    """
    raster = next((raster for raster in RASTERS if boxes <= len(raster.xs) * len(raster.ys)), None)
    if raster is None:
        raise FrameError(f"box scene: expected 0 to 60 boxes, got {boxes}; there are no more places on the table")
    rng = np.random.default_rng(seed)
    camera = Intrinsics.from_fov(width, height)
    rays = _rays(camera, width, height)
    depth = -EYE_M[2] / np.minimum(rays[..., 2], np.float32(-1e-3))
    label = np.zeros((height, width), np.uint16)
    normal = np.broadcast_to(np.float32([0, 0, 1]), rays.shape).copy()
    colors = np.vstack([[150, 140, 125], rng.integers(30, 250, (boxes, 3))]).astype(np.float32)
    places = [(x, y) for y in raster.ys for x in raster.xs]
    for number, place in enumerate(places[:boxes], start=1):
        half = (raster.size * rng.uniform((0.02, 0.02, 0.015), (0.045, 0.045, 0.05))).astype(np.float32)
        centre = np.float32([*(np.asarray(place) + raster.size * rng.uniform(-0.015, 0.015, 2)), half[2]])
        seen = _window(camera, centre, float(np.linalg.norm(half)), (height, width))
        t, face = _hit_box(rays[seen], centre, half, float(rng.uniform(0, np.pi)))
        nearer = t < depth[seen]
        depth[seen][nearer], label[seen][nearer], normal[seen][nearer] = t[nearer], number, face[nearer]
    shade = 0.45 + 0.55 * np.clip(normal @ (LIGHT / np.linalg.norm(LIGHT)), 0, 1)
    picture = colors[label] * shade[..., None] + rng.normal(0, 3, (height, width, 3))
    noisy = depth + rng.normal(0, 0.0007, depth.shape).astype(np.float32)
    noisy = (np.round(noisy * 1000) / 1000).astype(np.float32)
    noisy[rng.random(depth.shape) < 0.01] = 0
    noisy[depth > 6] = 0
    color = np.clip(picture, 0, 255).astype(np.uint8)
    return Frame(color, noisy, camera, name=f"boxes_{seed}"), label


def _rays(camera: Intrinsics, width: int, height: int) -> np.ndarray:
    """float32[H, W, 3] world directions whose length along the optical axis is 1."""
    right, down, forward = _axes()
    x = (np.arange(width, dtype=np.float32) - np.float32(camera.cx)) / np.float32(camera.fx)
    y = (np.arange(height, dtype=np.float32) - np.float32(camera.cy)) / np.float32(camera.fy)
    return (x[None, :, None] * right + y[:, None, None] * down + forward).astype(np.float32)


def _axes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The camera's right, down and forward, float32[3] each, in the world."""
    forward = (TARGET_M - EYE_M) / np.linalg.norm(TARGET_M - EYE_M)
    right = np.cross(forward, np.float32([0, 0, 1]))
    right = right / np.linalg.norm(right)
    return right, np.cross(forward, right), forward


def _window(camera: Intrinsics, centre: np.ndarray, radius: float, hw: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns outside which no ray meets a ball of this radius, metres; it lies before the camera."""
    axes = np.stack(_axes())
    corners = np.stack(np.meshgrid(*[(-radius, radius)] * 3), axis=-1).reshape(-1, 3) + axes @ (centre - EYE_M)
    xs = camera.fx * corners[:, 0] / corners[:, 2] + camera.cx
    ys = camera.fy * corners[:, 1] / corners[:, 2] + camera.cy
    return tuple(slice(max(0, int(np.floor(low.min()))), max(0, min(size, int(np.ceil(low.max())) + 1)))
                 for low, size in ((ys, hw[0]), (xs, hw[1])))


def _hit_box(rays: np.ndarray, centre: np.ndarray, half: np.ndarray,
             yaw: float) -> tuple[np.ndarray, np.ndarray]:
    """Depth at which rays from the eye meet the box (inf = miss) and the normal of the face met."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    turn = np.float32([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    origin = turn @ (EYE_M - centre)
    direction = rays @ turn.T
    direction = np.where(np.abs(direction) < 1e-6, np.float32(1e-6), direction)
    first, second = (-half - origin) / direction, (half - origin) / direction
    enter, leave = np.minimum(first, second), np.maximum(first, second).min(axis=-1)
    axis = enter.argmax(axis=-1)
    near = np.take_along_axis(enter, axis[..., None], axis=-1)[..., 0]
    sign = -np.sign(np.take_along_axis(direction, axis[..., None], axis=-1))
    normal = (np.eye(3, dtype=np.float32)[axis] * sign) @ turn
    return np.where((near < leave) & (near > 0), near, np.float32(np.inf)), normal
