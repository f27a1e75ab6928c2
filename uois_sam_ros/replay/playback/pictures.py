"""Small pictures of the worst frames: two label images over the colour image, equal objects in equal colours."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

#: Width of a picture, pixels.
WIDTH_PX = 480
JPEG_QUALITY = 72
_OPACITY = 0.5
_ALONE = (255, 45, 45)


@dataclass(frozen=True)
class WorstFrame:
    """A frame to look at.

    Attributes:
        name: of the frame.
        value: what it was chosen by, 0..1; lower is worse.
        titles: of the two pictures.
        jpegs: the two pictures.
        caption: one line about it.
    """

    name: str
    value: float
    titles: tuple[str, str]
    jpegs: tuple[bytes, bytes]
    caption: str


def draw_labels(color: np.ndarray, label: np.ndarray, hues: Mapping[int, int]) -> bytes:
    """Draw a label image over the picture and return it as JPEG, at most ``WIDTH_PX`` wide.

    Args:
        color: uint8[H, W, 3], RGB.
        label: unsigned integer[H, W].
        hues: id -> number of its colour; an id that is not there is outlined in red, without tint.
    """
    height, width = label.shape
    scale = min(1.0, WIDTH_PX / width)
    size = (round(width * scale), round(height * scale))
    small = cv2.resize(color, size, interpolation=cv2.INTER_AREA)
    ids = cv2.resize(label.astype(np.uint16), size, interpolation=cv2.INTER_NEAREST)
    alone = np.ones(int(ids.max(initial=0)) + 1, dtype=bool)
    tints = np.zeros((len(alone), 3), dtype=np.float32)
    for number, hue in hues.items():
        if 0 < number < len(alone):
            tints[number], alone[number] = _tint(hue), False
    alone[0] = False
    tinted = ((ids > 0) & ~alone[ids])[..., None]
    picture = np.where(tinted, (1 - _OPACITY) * small + _OPACITY * tints[ids], small)
    edge = _edges(ids)
    thick = cv2.dilate(edge.astype(np.uint8), np.ones((2, 2), np.uint8)) > 0
    picture[edge & (ids > 0)] = 255
    picture[thick & alone[ids]] = _ALONE
    done, data = cv2.imencode(".jpg", picture[..., ::-1].astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise ValueError(f"JPEG encoder refused a picture of {size[0]}x{size[1]}")
    return data.tobytes()


def _edges(ids: np.ndarray) -> np.ndarray:
    """True where a pixel differs from one of its four neighbours."""
    edge = np.zeros(ids.shape, dtype=bool)
    for axis in (0, 1):
        differs = np.diff(ids, axis=axis) != 0
        first = (slice(None, -1), slice(None))[::1 if axis == 0 else -1]
        second = (slice(1, None), slice(None))[::1 if axis == 0 else -1]
        edge[first] |= differs
        edge[second] |= differs
    return edge


def _tint(number: int) -> tuple[int, int, int]:
    """Return a colour far from those of the neighbouring numbers, and from red."""
    hue = 0.06 + 0.88 * ((number * 0.61803398875) % 1.0)
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.85, 1.0)
    return int(255 * red), int(255 * green), int(255 * blue)
