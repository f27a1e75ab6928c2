"""Geometric, colour and depth augmentation of one synthetic frame.

Intrinsics follow every resize and flip, so that metric geometry stays true; depth errors are added
on purpose, because real depth lies.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..types import Intrinsics


@dataclass(frozen=True)
class AugmentConfig:
    """Strengths; every probability is per frame.

    Attributes:
        zoom: largest extra zoom over the view that just fits.
        no_color, no_depth, no_plane: modality dropout, so that each may be missing at run time.
        lying_object: one object loses its depth: what lies behind shines through, or holes.
    """

    zoom: float = 2.4
    flip: float = 0.5
    upside_down: float = 0.06
    color: float = 0.9
    no_color: float = 0.08
    no_depth: float = 0.22
    no_plane: float = 0.08
    shift: float = 0.35
    shift_px: int = 3
    depth_noise: float = 0.3
    depth_holes: float = 0.3
    lying_object: float = 0.35


@dataclass(frozen=True)
class View:
    """An augmented frame: color uint8[h, w, 3], depth float32[h, w] m, label and part uint16."""

    color: np.ndarray
    depth_m: np.ndarray
    label: np.ndarray
    part: np.ndarray
    intrinsics: Intrinsics


def augment(view: View, size_hw: tuple[int, int], config: AugmentConfig,
            rng: np.random.Generator) -> View:
    """Crop, zoom and flip to ``size_hw``, then disturb colour and depth."""
    view = crop_resize(view, size_hw, config.zoom, rng)
    if rng.random() < config.flip:
        view = mirrored(view)
    if rng.random() < config.upside_down:
        view = upside_down(view)
    depth = disturb_depth(view.depth_m, view.label, config, rng)
    color = disturb_color(view.color, rng) if rng.random() < config.color else view.color
    return View(color, depth, view.label, view.part, view.intrinsics)


def crop_resize(view: View, size_hw: tuple[int, int], zoom: float, rng: np.random.Generator) -> View:
    """Cut a window of the wanted aspect around a random object and bring it to ``size_hw``."""
    rows, cols = view.depth_m.shape
    height, width = size_hw
    fit = max(height / rows, width / cols)
    scale = fit * zoom ** rng.random()
    window_h, window_w = min(rows, round(height / scale)), min(cols, round(width / scale))
    y, x = rng.uniform(0, rows), rng.uniform(0, cols)
    seen = np.flatnonzero(view.label.ravel()[::7])
    if len(seen):
        y, x = divmod(int(seen[rng.integers(len(seen))]) * 7, cols)
    top = int(np.clip(y - rng.uniform(0.15, 0.85) * window_h, 0, rows - window_h))
    left = int(np.clip(x - rng.uniform(0.15, 0.85) * window_w, 0, cols - window_w))
    cut = (slice(top, top + window_h), slice(left, left + window_w))
    shrink = window_h > height
    color = cv2.resize(view.color[cut], (width, height),
                       interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)
    nearest = lambda image: cv2.resize(image[cut], (width, height), interpolation=cv2.INTER_NEAREST)
    k = view.intrinsics
    shifted = Intrinsics(k.fx, k.fy, k.cx - left, k.cy - top)
    return View(color, nearest(view.depth_m), nearest(view.label), nearest(view.part),
                shifted.scaled(width / window_w, height / window_h))


def mirrored(view: View) -> View:
    """Flip left and right."""
    flip = lambda image: np.ascontiguousarray(image[:, ::-1])
    k, width = view.intrinsics, view.depth_m.shape[1]
    return View(flip(view.color), flip(view.depth_m), flip(view.label), flip(view.part),
                Intrinsics(k.fx, k.fy, width - 1 - k.cx, k.cy))


def upside_down(view: View) -> View:
    """Rotate by 180 degrees, as a camera mounted the other way round sees it."""
    turn = lambda image: np.ascontiguousarray(image[::-1, ::-1])
    k, (rows, cols) = view.intrinsics, view.depth_m.shape
    return View(turn(view.color), turn(view.depth_m), turn(view.label), turn(view.part),
                Intrinsics(k.fx, k.fy, cols - 1 - k.cx, rows - 1 - k.cy))


def disturb_color(color: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Exposure, contrast, gamma, white balance, saturation, blur, noise, JPEG, channel mixing."""
    x = np.arange(256, dtype=np.float32) / 255
    table = np.empty((256, 3), dtype=np.float32)
    contrast, bright = rng.uniform(0.6, 1.4), rng.uniform(-0.15, 0.15)
    gamma = np.exp(rng.uniform(-0.4, 0.4))
    for channel in range(3):
        gain = np.exp(rng.normal(0, 0.08))
        table[:, channel] = ((x ** gamma - 0.5) * contrast + 0.5 + bright) * gain
    table = (np.clip(table, 0, 1) * 255).astype(np.uint8)
    color = cv2.LUT(color, table.reshape(256, 1, 3).transpose(1, 0, 2).copy())
    saturation = rng.choice([0.0, rng.uniform(0.4, 1.6)], p=[0.06, 0.94])
    if abs(saturation - 1) > 0.05:
        grey = cv2.cvtColor(cv2.cvtColor(color, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        color = cv2.addWeighted(color, float(saturation), grey, 1 - float(saturation), 0)
    if rng.random() < 0.15:
        color = np.ascontiguousarray(color[..., rng.permutation(3)])
    if rng.random() < 0.25:
        color = cv2.GaussianBlur(color, (0, 0), rng.uniform(0.4, 1.3))
    if rng.random() < 0.35:
        noise = rng.integers(-12, 13, color.shape, dtype=np.int16) * rng.uniform(0.2, 1)
        color = np.clip(color + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        quality = int(rng.integers(35, 90))
        color = cv2.imdecode(cv2.imencode(".jpg", color, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)
    return color


def disturb_depth(depth_m: np.ndarray, label: np.ndarray, config: AugmentConfig,
                  rng: np.random.Generator) -> np.ndarray:
    """Scale, misregister, roughen and pierce a depth image; let one object's depth lie."""
    depth = depth_m * np.float32(np.exp(rng.normal(0, 0.04)))
    rows, cols = depth.shape
    if rng.random() < config.lying_object and label.max() > 0:
        depth = _lying_object(depth, label, rng)
    if rng.random() < config.shift:
        dx, dy = rng.integers(-config.shift_px, config.shift_px + 1, 2)
        move = np.float32([[1, 0, dx], [0, 1, dy]])
        depth = cv2.warpAffine(depth, move, (cols, rows), flags=cv2.INTER_NEAREST)
    if rng.random() < config.depth_noise:
        grain = int(rng.integers(1, 5))
        noise = rng.normal(0, 1, (rows // grain + 1, cols // grain + 1)).astype(np.float32)
        noise = cv2.resize(noise, (cols, rows), interpolation=cv2.INTER_LINEAR)
        depth = depth * (1 + noise * np.float32(rng.uniform(0.0005, 0.004)))
    if rng.random() < config.depth_holes:
        grain = int(rng.integers(6, 24))
        field = rng.normal(0, 1, (rows // grain + 2, cols // grain + 2)).astype(np.float32)
        field = cv2.resize(field, (cols, rows), interpolation=cv2.INTER_CUBIC)
        depth = np.where(field > rng.uniform(0.9, 2.0), np.float32(0), depth)
    return depth


def _lying_object(depth: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Treat one or two objects as transparent: their depth is what surrounds them, holes or junk."""
    ids = np.unique(label)
    ids = ids[ids > 0]
    for chosen in rng.choice(ids, min(len(ids), int(rng.integers(1, 3))), replace=False):
        mask = label == chosen
        ring = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool) & ~mask
        around = depth[ring & (depth > 0)]
        if len(around) == 0:
            continue
        kind = rng.random()
        behind = np.float32(np.quantile(around, 0.7))
        if kind < 0.4:
            rows = np.arange(depth.shape[0], dtype=np.float32)[:, None]
            valid = ring & (depth > 0)
            slope = np.polyfit(np.nonzero(valid)[0], depth[valid], 1) if valid.sum() > 20 else (0, behind)
            lie = (np.float32(slope[0]) * rows + np.float32(slope[1])) * np.ones_like(depth)
        elif kind < 0.75:
            lie = np.zeros_like(depth)
        else:
            grain = rng.normal(0, 0.03, (depth.shape[0] // 6 + 1, depth.shape[1] // 6 + 1))
            lie = behind + cv2.resize(grain.astype(np.float32), depth.shape[::-1])
        keep = rng.random(depth.shape, dtype=np.float32) < rng.choice([0.0, 0.15, 0.5])
        depth = np.where(mask & ~keep, lie.astype(np.float32), depth)
    return depth
