"""Snap mask edges to colour edges: a guided filter on logits, with the native picture as guide.

Low-resolution logits know which object a pixel belongs to, the picture knows where its edge runs.
The local linear model of the guided filter (He et al. 2010; its fast form with subsampled
coefficients) carries the one to the other. What depends on the picture alone is computed once a frame, where
there are masks. Channels lie one behind the other: numpy and OpenCV are several times as fast on whole planes.
"""

from __future__ import annotations

import cv2
import numpy as np

#: Logits saturate here before filtering: the side of the edge counts, not the confidence.
LOGIT_CAP = 3.0
#: Blur of the guide, native pixels; takes sensor noise and JPEG blocks out of the edges.
GUIDE_SIGMA = 0.7
#: Pixels that the blur and the rounding of the radius reach beyond the radius.
BLUR_REACH = 8
#: Coefficients are computed on a grid this many times finer than the radius.
CELLS = 5
#: Entries of a symmetric 3x3 matrix: its upper half, row by row, and where each row finds its three there.
PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
ROWS = ((0, 1, 2), (1, 3, 4), (2, 4, 5))


class EdgeSnapper:
    """The guided filter of one picture.

    Args:
        color: uint8[H, W, 3].
        radius_px: half window, native pixels; edges move at most about this far.
        epsilon: colour variance (of [0, 1] channels) below which the picture has no edge to offer.
        region: xyxy box that holds every window to be filtered; ``None`` = the whole picture.
    """

    def __init__(self, color: np.ndarray, radius_px: float, epsilon: float,
                 region: tuple[int, int, int, int] | None = None) -> None:
        self.radius_px = radius_px
        self._step = max(1, round(radius_px / CELLS))
        self._origin = (0, 0)
        if region is not None:
            color, self._origin = _part_around(color, region, int(np.ceil(radius_px)) + BLUR_REACH, self._step)
        guide = cv2.GaussianBlur(color, (0, 0), GUIDE_SIGMA)
        height, width = color.shape[:2]
        self._size = (-(-width // self._step), -(-height // self._step))
        even = cv2.copyMakeBorder(guide, 0, self._size[1] * self._step - height, 0,
                                  self._size[0] * self._step - width, cv2.BORDER_REPLICATE)
        side = 2 * max(1, round(radius_px / self._step)) + 1
        self._window = (side, side)
        self._guide = _channels(guide)
        self._small = _channels(cv2.resize(even, self._size, interpolation=cv2.INTER_AREA))
        self._mean = np.stack([self._box(channel) for channel in self._small])
        self._inverse = self._inverse_covariance(epsilon)

    def snap(self, logits: np.ndarray, window: tuple[int, int, int, int]) -> np.ndarray:
        """Filter the logits of one mask.

        Args:
            logits: float32[y1 - y0, x1 - x0] at the native pixels of the xyxy ``window``.

        Returns:
            float32 of the same shape; its sign decides.
        """
        (x0, y0, x1, y1), (dx, dy) = window, self._origin
        x0, y0, x1, y1 = x0 - dx, y0 - dy, x1 - dx, y1 - dy
        step = self._step
        left, top = x0 // step, y0 // step
        right, bottom = -(-x1 // step), -(-y1 // step)
        part = (..., slice(top, bottom), slice(left, right))
        inner = np.clip(logits, -LOGIT_CAP, LOGIT_CAP)
        full = cv2.copyMakeBorder(inner, y0 - top * step, bottom * step - y1, x0 - left * step,
                                  right * step - x1, cv2.BORDER_REPLICATE)
        values = cv2.resize(full, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
        mean, inverse = self._mean[part], self._inverse[part]
        offset = self._box(values)
        cov = [self._box(channel) - m * offset for channel, m in zip(self._small[part] * values, mean)]
        slope = [inverse[a] * cov[0] + inverse[b] * cov[1] + inverse[c] * cov[2] for a, b, c in ROWS]
        for factor, m in zip(slope, mean):
            offset -= factor * m
        crop = (slice(y0 - top * step, y1 - top * step), slice(x0 - left * step, x1 - left * step))
        *model, result = (cv2.resize(self._box(plane), (full.shape[1], full.shape[0]),
                                     interpolation=cv2.INTER_LINEAR)[crop] for plane in (*slope, offset))
        for factor, guide in zip(model, self._guide[:, y0:y1, x0:x1]):
            result += factor * guide
        return result

    def _box(self, channel: np.ndarray) -> np.ndarray:
        return cv2.blur(channel, self._window, borderType=cv2.BORDER_REFLECT)

    def _inverse_covariance(self, epsilon: float) -> np.ndarray:
        """Inverse of (colour covariance + epsilon I) a pixel: float32[6, h, w], in the order of ``PAIRS``."""
        covariance = []
        for first, second in PAIRS:
            entry = self._box(self._small[first] * self._small[second])
            entry -= self._mean[first] * self._mean[second]
            if first == second:
                entry += np.float32(epsilon)
            covariance.append(entry)
        rr, rg, rb, gg, gb, bb = covariance
        inverse = np.stack([gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg,
                            rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg])
        determinant = rr * inverse[0] + rg * inverse[1] + rb * inverse[2]
        inverse /= np.maximum(determinant, np.float32(1e-12))
        return inverse


def _part_around(color: np.ndarray, region: tuple[int, int, int, int], reach: int,
                 step: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Cut a region with ``reach`` pixels around it, from a multiple of ``step`` on; return it and its (x, y)."""
    x0, y0, x1, y1 = region
    left, top = (max(0, low - reach) // step * step for low in (x0, y0))
    return color[top:y1 + reach, left:x1 + reach], (left, top)


def _channels(image: np.ndarray) -> np.ndarray:
    """uint8[H, W, 3] as float32[3, H, W] in [0, 1]."""
    planes = np.asarray(cv2.split(image), dtype=np.float32)
    planes *= np.float32(1 / 255)
    return planes
