"""Printed labels: pictures with bands, logos, text-like lines, barcodes and photographs.

They make many-coloured objects common, so that print edges are no object edges.
"""

from __future__ import annotations

import cv2
import numpy as np

from .patterns import SIZE, noise

_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX,
          cv2.FONT_HERSHEY_SCRIPT_SIMPLEX)
_LETTERS = np.array(list("ABCDEFGHIKLMNOPRSTUVXZaeimnorstu0123456789"))


def draw_label(rng: np.random.Generator, height: int, width: int, colours: np.ndarray) -> np.ndarray:
    """Draw one printed face.

    Args:
        height, width: pixels, at least 8 each.
        colours: float32[k, 3] sRGB, k >= 3; the first is the ground.

    Returns:
        float32[height, width, 3], sRGB in [0, 1].
    """
    image = np.empty((height, width, 3), np.float32)
    image[:] = colours[0]
    for draw, chance in ((_bands, 0.6), (_photograph, 0.35), (_shapes, 0.6), (_title, 0.8),
                         (_lines, 0.6), (_barcode, 0.25)):
        if rng.random() < chance:
            draw(rng, image, colours)
    return np.clip(image, 0, 1)


def _pick(rng: np.random.Generator, colours: np.ndarray) -> list[float]:
    return colours[int(rng.integers(1, len(colours)))].tolist()


def _box(rng: np.random.Generator, image: np.ndarray, low: float, high: float) -> tuple[int, int, int, int]:
    height, width = image.shape[:2]
    w, h = (max(2, int(side * rng.uniform(low, high))) for side in (width, height))
    x, y = int(rng.integers(0, max(1, width - w))), int(rng.integers(0, max(1, height - h)))
    return x, y, w, h


def _bands(rng, image, colours):
    for _ in range(int(rng.integers(1, 4))):
        start, share = rng.uniform(0, 0.9), rng.uniform(0.05, 0.5)
        if rng.random() < 0.75:
            top = int(start * image.shape[0])
            image[top:top + max(1, int(share * image.shape[0]))] = _pick(rng, colours)
        else:
            left = int(start * image.shape[1])
            image[:, left:left + max(1, int(share * image.shape[1]))] = _pick(rng, colours)


def _photograph(rng, image, colours):
    x, y, w, h = _box(rng, image, 0.3, 0.8)
    value = cv2.resize(noise(rng, 3)[:SIZE // 2, :SIZE // 2], (w, h))[..., None]
    first, second = np.array(_pick(rng, colours), np.float32), rng.random(3).astype(np.float32)
    image[y:y + h, x:x + w] = first * value + second * (1 - value)


def _shapes(rng, image, colours):
    for _ in range(int(rng.integers(1, 5))):
        x, y, w, h = _box(rng, image, 0.1, 0.6)
        colour, kind = _pick(rng, colours), rng.integers(0, 3)
        if kind == 0:
            cv2.ellipse(image, (x + w // 2, y + h // 2), (w // 2, h // 2), 0, 0, 360, colour, -1, cv2.LINE_AA)
        elif kind == 1:
            cv2.rectangle(image, (x, y), (x + w, y + h), colour, -1)
        else:
            angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 8))))
            points = np.stack([x + w / 2 * (1 + np.cos(angles)), y + h / 2 * (1 + np.sin(angles))], 1)
            cv2.fillPoly(image, [points.astype(np.int32)], colour, cv2.LINE_AA)


def _title(rng, image, colours):
    word = "".join(rng.choice(_LETTERS, int(rng.integers(3, 9))))
    x, y, w, h = _box(rng, image, 0.4, 0.95)
    scale, weight = w / (20.0 * len(word)), int(rng.integers(1, 5))
    ink = np.zeros(image.shape[:2], np.uint8)
    cv2.putText(ink, word, (x, min(y + h // 2, image.shape[0] - 2)), int(rng.choice(_FONTS)), scale, 255,
                weight, cv2.LINE_AA)
    cover = ink[..., None].astype(np.float32) / 255
    image += (np.array(_pick(rng, colours), np.float32) - image) * cover


def _lines(rng, image, colours):
    x, y, w, h = _box(rng, image, 0.3, 0.9)
    step, ink = int(rng.integers(3, 8)), _pick(rng, colours)
    for top in range(y, y + h - 1, step):
        left = x
        while left < x + w:
            word = int(rng.integers(3, 12))
            cv2.rectangle(image, (left, top), (min(left + word, x + w), top + step // 3), ink, -1)
            left += word + 3


def _barcode(rng, image, colours):
    x, y, w, h = _box(rng, image, 0.2, 0.4)
    image[y:y + h, x:x + w] = 0.95
    bars = np.repeat(rng.random(w) < 0.5, rng.integers(1, 4, w))[:w - 4]
    inner = image[y + 1:y + h - 1, x + 2:x + 2 + len(bars)]
    inner[:, bars[:inner.shape[1]]] = 0.05
