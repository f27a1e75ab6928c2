"""Snap mask edges to colour edges on the device: the guided filter of ``selection/snap.py`` on whole pictures.

The host filters each mask in its own window; here all masks of a picture pass together, and a mask sees what lies
beyond its window instead of the window's mirror image. Inside the masks' boxes that is the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ..selection.snap import CELLS, LOGIT_CAP, PAIRS

#: OpenCV's blur of 8-bit pictures with a deviation of 0.7 pixels (``GUIDE_SIGMA``), 1/256 a tap.
GUIDE_TAPS = (2, 53, 146, 53, 2)


@dataclass(frozen=True)
class Guide:
    """What depends on B pictures alone; small means one value for ``step`` x ``step`` pixels.

    Attributes:
        color: float32[B, 3, H, W] in [0, 1], blurred.
        small, mean: float32[B, 3, a, b], the colour and its mean in the window.
        inverse: float32[B, 6, a, b], the inverse of (colour covariance + epsilon I), in the order of ``PAIRS``.
    """

    color: torch.Tensor
    small: torch.Tensor
    mean: torch.Tensor
    inverse: torch.Tensor


class DeviceEdgeSnapper(nn.Module):
    """The guided filter for pictures of one size.

    Args:
        native_hw: size of the pictures.
        radius_px, epsilon: as of ``EdgeSnapper``.
    """

    def __init__(self, native_hw: tuple[int, int], radius_px: float, epsilon: float) -> None:
        super().__init__()
        self.radius_px, self._epsilon, self._hw = radius_px, epsilon, native_hw
        self._step = max(1, round(radius_px / CELLS))
        self._radius = max(1, round(radius_px / self._step))
        for name, side in zip(("_rows", "_cols"), native_hw):  # the small picture with its mirrored rim
            places = np.pad(np.arange(-(-side // self._step)), self._radius, mode="symmetric")
            self.register_buffer(name, torch.from_numpy(places), persistent=False)

    def guide(self, color: torch.Tensor) -> Guide:
        """Prepare pictures uint8[B, H, W, 3]."""
        blurred = _blur(color.float().permute(0, 3, 1, 2))
        small = self._shrink(blurred)
        small = (torch.floor(small + 0.5) if self._step == 2 else torch.round(small)) / 255  # OpenCV's two rules
        second = self._box(torch.cat([small[:, i:i + 1] * small[:, j:j + 1] for i, j in PAIRS], dim=1))
        mean = self._box(small)
        return Guide(blurred / 255, small, mean, self._inverse(second, mean))

    def forward(self, guide: Guide, logits: torch.Tensor) -> torch.Tensor:
        """Filter logits float32[B, n, H, W]; the sign of the result decides."""
        cameras, count = logits.shape[:2]
        values = self._shrink(logits.clamp(-LOGIT_CAP, LOGIT_CAP))[:, :, None]
        small, mean, inverse = (of_picture[:, None] for of_picture in (guide.small, guide.mean, guide.inverse))
        stack = self._box(torch.cat([small * values, values], dim=2))
        covariance = stack[:, :, :3] - mean * stack[:, :, 3:]
        r, g, b = covariance.split(1, dim=2)
        rr, rg, rb, gg, gb, bb = inverse.split(1, dim=2)
        slope = torch.cat([rr * r + rg * g + rb * b, rg * r + gg * g + gb * b, rb * r + gb * g + bb * b], dim=2)
        offset = stack[:, :, 3:] - (slope * mean).sum(dim=2, keepdim=True)
        model = self._box(torch.cat([slope, offset], dim=2)).flatten(0, 1)
        size = [side * self._step for side in model.shape[-2:]]
        model = F.interpolate(model, size=size, mode="bilinear", align_corners=False)
        model = model[..., :self._hw[0], :self._hw[1]].unflatten(0, (cameras, count))
        return (model[:, :, :3] * guide.color[:, None]).sum(dim=2) + model[:, :, 3]

    def _shrink(self, image: torch.Tensor) -> torch.Tensor:
        """Mean of every ``step`` x ``step`` pixels of [B, n, H, W]; what is missing repeats the border."""
        below, right = (-side % self._step for side in self._hw)
        return F.avg_pool2d(F.pad(image, (0, right, 0, below), mode="replicate"), self._step)

    def _box(self, image: torch.Tensor) -> torch.Tensor:
        """Mean over the window of [..., a, b]; the picture is mirrored at its border."""
        side = 2 * self._radius + 1
        front, image = image.shape[:-2], image.flatten(0, -3)[None]
        image = F.avg_pool2d(image.index_select(2, self._rows), (side, 1), 1)
        image = F.avg_pool2d(image.index_select(3, self._cols), (1, side), 1)
        return image[0].unflatten(0, front)

    def _inverse(self, second: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        centred = [second[:, k] - mean[:, i] * mean[:, j] + (self._epsilon if i == j else 0)
                   for k, (i, j) in enumerate(PAIRS)]
        rr, rg, rb, gg, gb, bb = centred
        minor = [gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg,
                 rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg]
        determinant = rr * minor[0] + rg * minor[1] + rb * minor[2]
        return torch.stack(minor, dim=1) / determinant.clamp(min=1e-12)[:, None]


def _blur(color: torch.Tensor) -> torch.Tensor:
    """Blur float32[B, 3, H, W] of whole numbers 0..255, rounded to whole numbers: OpenCV's very result.

    All sums are whole numbers under 2 ** 24, so float32 is exact.
    """
    reach = len(GUIDE_TAPS) // 2
    for axis, padding in ((2, (0, 0, reach, reach)), (3, (reach, reach, 0, 0))):
        length = color.shape[axis]
        padded = F.pad(color, padding, mode="reflect")
        color = sum(tap * padded.narrow(axis, k, length) for k, tap in enumerate(GUIDE_TAPS))
    return torch.floor((color + 32768) / 65536)
