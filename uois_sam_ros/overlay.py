"""Pictures to look at: the colour image with tinted masks, contours, ids and scores."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np

from .types import Instances


def draw_overlay(color: np.ndarray, instances: Instances, *, opacity: float = 0.45) -> np.ndarray:
    """Draw the instances over the picture.

    Args:
        color: uint8[H, W, 3], RGB.

    Returns:
        uint8[H, W, 3], RGB.
    """
    picture = color.copy()
    scale = max(0.35, color.shape[0] / 1400)
    for item in instances.items:
        x0, y0, x1, y1 = item.box_xyxy
        window = (slice(y0, y1), slice(x0, x1))
        mask = (instances.label[window] == item.id).view(np.uint8)
        tinted = (1 - opacity) * np.arange(256)[:, None] + opacity * np.asarray(_tint(item.id))  # of every value
        part = picture[window]
        cv2.copyTo(cv2.LUT(part, tinted.astype(np.uint8)[None]), mask, part)
        outline, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE, offset=(x0, y0))
        cv2.drawContours(picture, outline, -1, _tint(item.id), 2 if color.shape[0] >= 700 else 1, cv2.LINE_AA)
    for item in instances.items:  # text last, so that no mask hides it
        x, y = (round(value) for value in item.centroid_px)
        _write(picture, f"{item.id} {item.score:.2f}", x, y, scale)
    return picture


def _tint(number: int) -> tuple[int, int, int]:
    """Return a colour that is far from those of the neighbouring ids."""
    hue = (number * 0.61803398875) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75 if number % 2 else 0.95, 1.0 if number % 3 else 0.8)
    return int(255 * red), int(255 * green), int(255 * blue)


def _write(picture: np.ndarray, text: str, x: int, y: int, scale: float) -> None:
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    left = int(np.clip(x - width // 2, 0, max(0, picture.shape[1] - width)))
    base = int(np.clip(y + height // 2, height, picture.shape[0] - 1))
    for ink, weight in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(picture, text, (left, base), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, weight, cv2.LINE_AA)
