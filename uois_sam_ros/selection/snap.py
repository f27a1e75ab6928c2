"""Snap mask edges to colour edges: a guided filter on logits, with the native picture as guide.

Low-resolution logits know which object a pixel belongs to, the picture knows where its edge runs.
The local linear model of the guided filter (He et al. 2010; its fast form with subsampled
coefficients) carries the one to the other. What depends on the picture alone is computed once a frame.
"""

from __future__ import annotations

import cv2
import numpy as np

#: Logits saturate here before filtering: the side of the edge counts, not the confidence.
LOGIT_CAP = 3.0
#: Blur of the guide, native pixels; takes sensor noise and JPEG blocks out of the edges.
GUIDE_SIGMA = 0.7
#: Coefficients are computed on a grid this many times finer than the radius.
CELLS = 5


class EdgeSnapper:
    """The guided filter of one picture.

    Args:
        color: uint8[H, W, 3].
        radius_px: half window, native pixels; edges move at most about this far.
        epsilon: colour variance (of [0, 1] channels) below which the picture has no edge to offer.
    """

    def __init__(self, color: np.ndarray, radius_px: float, epsilon: float) -> None:
        self.radius_px = radius_px
        self._guide = cv2.GaussianBlur(color, (0, 0), GUIDE_SIGMA).astype(np.float32) * np.float32(1 / 255)
        height, width = color.shape[:2]
        self._step = max(1, round(radius_px / CELLS))
        self._size = (-(-width // self._step), -(-height // self._step))
        even = cv2.copyMakeBorder(self._guide, 0, self._size[1] * self._step - height, 0,
                                  self._size[0] * self._step - width, cv2.BORDER_REPLICATE)
        small = cv2.resize(even, self._size, interpolation=cv2.INTER_AREA)
        self._radius = max(1, round(radius_px / self._step))
        self._small, self._mean = small, self._box(small)
        self._inverse = self._inverse_covariance(epsilon)

    def snap(self, logits: np.ndarray, window: tuple[int, int, int, int]) -> np.ndarray:
        """Filter the logits of one mask.

        Args:
            logits: float32[y1 - y0, x1 - x0] at the native pixels of the xyxy ``window``.

        Returns:
            float32 of the same shape; its sign decides.
        """
        x0, y0, x1, y1 = window
        step = self._step
        left, top = x0 // step, y0 // step
        right, bottom = -(-x1 // step), -(-y1 // step)
        part = (slice(top, bottom), slice(left, right))
        inner = np.clip(logits, -LOGIT_CAP, LOGIT_CAP)
        full = cv2.copyMakeBorder(inner, y0 - top * step, bottom * step - y1, x0 - left * step,
                                  right * step - x1, cv2.BORDER_REPLICATE)
        values = cv2.resize(full, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
        guide, mean = self._small[part], self._mean[part]
        stack = np.concatenate([guide * values[..., None], values[..., None]], axis=-1)
        stack = self._box(stack)
        covariance = stack[..., :3] - mean * stack[..., 3:]
        i = self._inverse[part]
        slope = np.stack([
            (i[..., 0] * covariance[..., 0] + i[..., 1] * covariance[..., 1] + i[..., 2] * covariance[..., 2]),
            (i[..., 1] * covariance[..., 0] + i[..., 3] * covariance[..., 1] + i[..., 4] * covariance[..., 2]),
            (i[..., 2] * covariance[..., 0] + i[..., 4] * covariance[..., 1] + i[..., 5] * covariance[..., 2]),
        ], axis=-1)
        offset = stack[..., 3] - np.einsum("abc,abc->ab", slope, mean)
        model = self._box(np.concatenate([slope, offset[..., None]], axis=-1))
        model = cv2.resize(model, (full.shape[1], full.shape[0]), interpolation=cv2.INTER_LINEAR)
        model = model[y0 - top * step:y1 - top * step, x0 - left * step:x1 - left * step]
        guide = self._guide[y0:y1, x0:x1]
        return np.einsum("abc,abc->ab", model[..., :3], guide) + model[..., 3]

    def _box(self, image: np.ndarray) -> np.ndarray:
        size = 2 * self._radius + 1
        return cv2.blur(image, (size, size), borderType=cv2.BORDER_REFLECT)

    def _inverse_covariance(self, epsilon: float) -> np.ndarray:
        """Inverse of (colour covariance + epsilon I) a pixel: its 6 upper entries, row by row."""
        r, g, b = (self._small[..., c] for c in range(3))
        mr, mg, mb = (self._mean[..., c] for c in range(3))
        second = [self._box(np.stack([r * r, r * g, r * b, g * g], -1)), self._box(np.stack([g * b, b * b], -1))]
        rr = second[0][..., 0] - mr * mr + epsilon
        rg = second[0][..., 1] - mr * mg
        rb = second[0][..., 2] - mr * mb
        gg = second[0][..., 3] - mg * mg + epsilon
        gb = second[1][..., 0] - mg * mb
        bb = second[1][..., 1] - mb * mb + epsilon
        minor = [gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg,
                 rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg]
        determinant = rr * minor[0] + rg * minor[1] + rb * minor[2]
        return np.stack(minor, axis=-1) / np.maximum(determinant, 1e-12)[..., None]
