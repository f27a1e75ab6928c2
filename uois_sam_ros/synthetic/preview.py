"""A montage of generated frames: colour, depth and labels side by side."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ..datasets.shards import ShardReader, SyntheticFrame


def montage(reader: ShardReader, count: int, path: str | Path, *, columns: int = 3) -> None:
    """Write a PNG of ``count`` frames spread over the folder; each cell is colour | depth | labels."""
    chosen = np.unique(np.linspace(0, len(reader) - 1, max(1, min(count, len(reader)))).astype(int))
    cells = [draw_frame(reader.frame(int(index))) for index in chosen]
    while len(cells) % columns:
        cells.append(np.zeros_like(cells[0]))
    rows = [np.concatenate(cells[start:start + columns], 1) for start in range(0, len(cells), columns)]
    if not cv2.imwrite(str(path), np.concatenate(rows)[..., ::-1]):
        raise OSError(f"preview {path}: expected a writable .png path; the picture could not be written")


def draw_frame(frame: SyntheticFrame) -> np.ndarray:
    """Return uint8[H, 3 W, 3] RGB: colour, depth (black = no reading), labels over grey."""
    return np.concatenate([frame.color, colour_depth(frame.depth_m), colour_labels(frame.label, frame.color)], 1)


def colour_depth(depth_m: np.ndarray) -> np.ndarray:
    """Colour-map depth, near warm and far cold; uint8[H, W, 3] RGB, black where there is no reading."""
    valid = depth_m > 0
    if not valid.any():
        return np.zeros((*depth_m.shape, 3), np.uint8)
    near, far = np.percentile(depth_m[valid], (1, 95))
    scaled = np.clip((far - depth_m) / max(far - near, 1e-3), 0, 1)
    image = cv2.applyColorMap((scaled * 255).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
    return np.where(valid[..., None], image, 0).astype(np.uint8)


def colour_labels(label: np.ndarray, color: np.ndarray) -> np.ndarray:
    """Paint label ids in distinct colours over the greyed picture; uint8[H, W, 3] RGB."""
    grey = np.repeat((color.mean(2, keepdims=True) * 0.5).astype(np.uint8), 3, 2)
    hue = (np.arange(int(label.max()) + 1) * 67 % 180).astype(np.uint8)
    light = np.where(np.arange(len(hue)) % 2, 255, 190).astype(np.uint8)
    palette = cv2.cvtColor(np.stack([hue, np.full_like(hue, 210), light], 1)[None], cv2.COLOR_HSV2RGB)[0]
    return np.where(label[..., None] > 0, palette[label], grey)
