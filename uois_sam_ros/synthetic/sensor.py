"""Simulate what depth cameras measure: shadows, noise, holes, flying pixels, broken glass and metal.

Pixel quantities are for a 640-pixel-wide image and are scaled to the working width, so that a
320-pixel picture looks like a half-size picture of the same camera.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from ..errors import ConfigError
from .model import MATERIALS, Camera, Render

_METAL, _GLASS = MATERIALS.index("metal"), MATERIALS.index("glass")


@dataclass(frozen=True)
class SensorSettings:
    """Ranges from which one camera is drawn, low and high.

    Attributes:
        baseline_m: projector or second camera to camera; 0 for none (time of flight).
        noise_px: disparity noise, pixels; ``noise_m``: range noise at 1 m, metres.
        grain_px: size of noise patches, pixels.
        step_px: disparity quantisation, pixels; 0 for none.
        smear_px: how far edges wander, pixels.
        flying: share of edge pixels that lie between the two surfaces.
        grazing_cos: surfaces seen at a smaller cosine drop out.
        dark: surfaces of a smaller sRGB brightness [0, 1] may drop out.
        metal_loss, glass_loss: share of such surfaces without a reading.
        holes: number of random hole blobs.
        far_m: readings beyond are cut.
    """

    baseline_m: tuple[float, float] = (0.0, 0.0)
    noise_px: tuple[float, float] = (0.0, 0.0)
    noise_m: tuple[float, float] = (0.0, 0.0)
    grain_px: tuple[float, float] = (1.0, 3.0)
    step_px: tuple[float, float] = (0.0, 0.0)
    smear_px: tuple[float, float] = (0.0, 1.0)
    flying: tuple[float, float] = (0.0, 0.3)
    grazing_cos: tuple[float, float] = (0.03, 0.15)
    dark: tuple[float, float] = (0.0, 0.05)
    metal_loss: tuple[float, float] = (0.1, 0.7)
    glass_loss: tuple[float, float] = (0.1, 0.8)
    holes: tuple[float, float] = (0.0, 4.0)
    far_m: tuple[float, float] = (2.5, 6.0)


_SETTINGS = {
    "structured_light": SensorSettings(
        baseline_m=(0.06, 0.085), noise_px=(0.02, 0.1), step_px=(0.06, 0.125), smear_px=(0.5, 2.0)),
    "active_stereo": SensorSettings(
        baseline_m=(0.05, 0.06), noise_px=(0.04, 0.2), grain_px=(2.0, 6.0), step_px=(0.03, 0.06),
        smear_px=(1.0, 3.0), flying=(0.0, 0.5), far_m=(2.5, 8.0), holes=(0.0, 8.0)),
    "tof": SensorSettings(
        noise_m=(0.001, 0.005), grain_px=(0.6, 2.0), smear_px=(0.0, 1.0), flying=(0.3, 0.9), dark=(0.02, 0.15),
        grazing_cos=(0.06, 0.18)),
    "clean": SensorSettings(),
    "tof_holdout": SensorSettings(
        noise_m=(0.003, 0.006), grain_px=(1.5, 2.5), step_px=(0.0, 0.0), smear_px=(1.0, 1.5), flying=(0.6, 1.0),
        dark=(0.05, 0.12), grazing_cos=(0.15, 0.3), metal_loss=(0.3, 0.8), glass_loss=(0.3, 0.9), far_m=(2.0, 3.0)),
}
#: Sensors that training data is drawn from.
SENSORS = ("structured_light", "active_stereo", "tof", "clean")
#: The sensor kept for test data.
HOLDOUT_SENSOR = "tof_holdout"


def simulate(render: Render, camera: Camera, rng: np.random.Generator, sensor: str) -> np.ndarray:
    """Return measured depth float32[H, W] in metres, 0 where there is no reading.

    A render with a ``behind`` depth (see ``render.GlassRender``) lets glass be looked through.

    Args:
        sensor: one of ``SENSORS``, or ``HOLDOUT_SENSOR``.

    Raises:
        ConfigError: unknown sensor.
    """
    if sensor not in _SETTINGS:
        raise ConfigError(f"sensor: expected one of {', '.join(_SETTINGS)}, got {sensor!r}")
    if sensor == "clean":
        return render.depth.copy()
    drawn = replace(_SETTINGS[sensor], **{
        name: float(rng.uniform(*getattr(_SETTINGS[sensor], name))) for name in SensorSettings.__dataclass_fields__})
    scale = camera.width / 640.0
    focal = camera.intrinsics[0]
    depth = _through_glass(render, rng, drawn)
    surface = depth
    lost = depth <= 0
    if drawn.baseline_m > 0:
        lost |= _projector_shadow(depth, focal * drawn.baseline_m, scale, rng.random() < 0.5)
    lost |= _weak_return(render, rng, drawn, scale)
    depth, moved = _smear(depth, drawn.smear_px * scale, rng)
    lost = cv2.remap(lost.astype(np.uint8), *moved, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE) > 0
    depth = _fly(depth, drawn.flying, rng)
    depth = _noise(depth, render, drawn, focal / scale, scale, rng)
    lost |= _blobs(depth.shape, drawn.holes, rng, scale) | (depth > drawn.far_m) | (surface <= 0)
    depth[lost] = 0
    return _register(depth, rng, scale)


def _through_glass(render: Render, rng: np.random.Generator, drawn: SensorSettings) -> np.ndarray:
    """Depth with glass replaced by what lies behind it, or half-way, in patches."""
    depth = render.depth.copy()
    glass = render.material == _GLASS
    behind = getattr(render, "behind", None)
    if behind is None or not glass.any():
        return depth
    patch = patches(depth.shape, rng, 24)
    style = rng.random()
    if style < 0.55:
        see_through = patch < rng.uniform(0.6, 1.0)
    else:
        see_through = patch < rng.uniform(0.0, 0.5)
    mixed = glass & see_through & (behind > 0)
    weight = np.float32(1.0 if rng.random() < 0.7 else rng.uniform(0.5, 1.0))
    depth[mixed] += weight * (behind - depth)[mixed]
    return depth


def _projector_shadow(depth: np.ndarray, focal_baseline: float, scale: float, mirrored: bool) -> np.ndarray:
    """Pixels that the projector (second camera) cannot see, bool[H, W].

    A point projects to u = x + f b / z there; walking along a row towards larger x, a point whose
    u is not larger than an earlier one's lies in that one's shadow.
    """
    z = depth[:, ::-1] if mirrored else depth
    shift = np.where(z > 0, focal_baseline / np.maximum(z, 1e-3), 0)
    u = np.arange(depth.shape[1], dtype=np.float32) + shift.astype(np.float32)
    before = np.maximum.accumulate(np.where(z > 0, u, -1e9), axis=1)
    shadow = np.zeros(depth.shape, bool)
    shadow[:, 1:] = u[:, 1:] < before[:, :-1] - 0.5 * scale
    return shadow[:, ::-1] if mirrored else shadow


def _weak_return(render: Render, rng: np.random.Generator, drawn: SensorSettings, scale: float) -> np.ndarray:
    """Drop-outs at grazing angles, on dark, metal and glass surfaces, bool[H, W]."""
    normal = render.normal
    height, width = render.depth.shape
    facing = -normal[..., 2]
    fuzzy = patches((height, width), rng, max(2.0, 8 * scale))
    lost = (facing < drawn.grazing_cos * (0.5 + fuzzy)) & (render.depth > 0)
    bright = cv2.blur(render.color, (3, 3)).mean(2) / 255.0
    lost |= (bright < drawn.dark * 2 * fuzzy)
    coarse = 0.6 * patches((height, width), rng, 30 * scale) + 0.4 * fuzzy
    for material, share in ((_METAL, drawn.metal_loss), (_GLASS, drawn.glass_loss)):
        lost |= (render.material == material) & (coarse < _quantile(share))
    return lost


def _quantile(share: float) -> float:
    # Patches of noise gather around 0.5; this brings a threshold back to about that share.
    return 0.5 + 0.36 * np.tanh(2.2 * (share - 0.5)) / np.tanh(1.1)


def _smear(depth: np.ndarray, reach: float, rng: np.random.Generator) -> tuple[np.ndarray, tuple]:
    """Let edges wander by ``reach`` pixels; also return the map that does it."""
    height, width = depth.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    amount = rng.normal(0, 1, (2, height, width)).astype(np.float32)
    wander = [cv2.GaussianBlur(a, (0, 0), 1.5) * 5.3 * 0.5 for a in amount]
    moved = x + wander[0] * reach, y + wander[1] * reach
    smeared = cv2.remap(depth, *moved, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    # Only edges move: elsewhere the nearest sample would turn slopes into steps.
    low, high = cv2.erode(depth, np.ones((5, 5))), cv2.dilate(depth, np.ones((5, 5)))
    edge = high - low > 0.02 * np.maximum(depth, 0.1) + 0.01
    return np.where(edge, smeared, depth), moved


def _fly(depth: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Put a share of the edge pixels between the two surfaces."""
    low, high = cv2.erode(depth, np.ones((3, 3))), cv2.dilate(depth, np.ones((3, 3)))
    edge = (high - low > 0.02) & (low > 0) & (rng.random(depth.shape) < share)
    mix = rng.random(depth.shape).astype(np.float32)
    return np.where(edge, low + (high - low) * mix, depth)


def _noise(depth: np.ndarray, render: Render, drawn: SensorSettings, focal_640: float, scale: float,
           rng: np.random.Generator) -> np.ndarray:
    grain = correlated(depth.shape, rng, drawn.grain_px * scale)
    broken = np.isin(render.material, (_METAL, _GLASS))
    level = np.where(broken, rng.uniform(1.5, 6.0), 1.0).astype(np.float32)
    slant = np.clip(-render.normal[..., 2], 0.2, 1.0)
    safe = np.maximum(depth, 0.05)
    if drawn.baseline_m > 0:
        gain = focal_640 * drawn.baseline_m
        disparity = gain / safe + grain * drawn.noise_px * level / np.sqrt(slant)
        if drawn.step_px > 0:
            disparity = np.round(disparity / drawn.step_px) * drawn.step_px
        measured = gain / np.maximum(disparity, 0.5)
    else:
        bias = correlated(depth.shape, rng, 60 * scale) * 0.5
        measured = safe + (grain + bias) * drawn.noise_m * level * safe / slant
    return np.where(depth > 0, measured, 0).astype(np.float32)


def _blobs(shape: tuple[int, int], count: float, rng: np.random.Generator, scale: float) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    for _ in range(int(rng.integers(0, int(count) + 1))):
        centre = int(rng.integers(0, shape[1])), int(rng.integers(0, shape[0]))
        axes = tuple(int(max(1, a * scale)) for a in rng.uniform(1, 14, 2))
        cv2.ellipse(mask, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    return mask > 0


def _register(depth: np.ndarray, rng: np.random.Generator, scale: float) -> np.ndarray:
    """Misalign depth and colour a little and blank the border that registration leaves."""
    height, width = depth.shape
    draw = rng.random()
    reach = rng.uniform(0, 2) if draw < 0.75 else (rng.uniform(2, 4) if draw < 0.92 else rng.uniform(4, 8))
    angle = rng.uniform(0, 2 * np.pi)
    dx, dy = reach * scale * np.cos(angle), 0.5 * reach * scale * np.sin(angle)
    zoom = 1.0 + rng.normal(0, 0.002)
    matrix = np.array([[zoom, 0, dx + (1 - zoom) * width / 2], [0, zoom, dy + (1 - zoom) * height / 2]], np.float32)
    depth = cv2.warpAffine(depth, matrix, (width, height), flags=cv2.INTER_NEAREST)
    if rng.random() < 0.3:
        left, right, top, bottom = (rng.uniform(0, 24, 4) * scale).astype(int)
        depth[:, :left], depth[:top] = 0, 0
        depth[:, width - right:], depth[height - bottom:] = 0, 0
    return depth


def correlated(shape: tuple[int, int], rng: np.random.Generator, size_px: float) -> np.ndarray:
    """Return unit-variance noise float32[H, W] with patches of about ``size_px`` pixels."""
    white = rng.standard_normal(shape, dtype=np.float32)
    if size_px < 0.4:
        return white
    shrink = max(1.0, size_px / 2)
    if shrink > 1:
        small = tuple(int(side / shrink) + 3 for side in shape)
        white = cv2.resize(white[:small[0], :small[1]], (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    else:
        white = cv2.GaussianBlur(white, (0, 0), size_px / 2)
    return white / max(float(white.std()), 1e-6)


def patches(shape: tuple[int, int], rng: np.random.Generator, size_px: float) -> np.ndarray:
    """Return smooth noise float32[H, W] in [0, 1], spread evenly, with patches of ``size_px``."""
    return np.clip(0.5 + 0.29 * correlated(shape, rng, size_px), 0, 1)
