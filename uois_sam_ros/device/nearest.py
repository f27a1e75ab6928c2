"""The nearest marked pixel of every pixel, by jump flooding: all pixels ask neighbours at halving distances at once.

Distances are those of OpenCV: of a path in steps of fixed lengths. Jump flooding finds a nearest pixel almost always,
else one hardly farther; among equally near ones it takes the first in raster order.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

#: Farther than any pixel.
FAR = 1e12
#: Lengths of a straight and of a diagonal step in 1/65536 pixel, as in ``cv2.distanceTransform`` with a 3x3 mask.
STRAIGHT, DIAGONAL = 62587.0, 89738.0
#: Lengths of a straight, a diagonal and a knight's step in pixels, as in ``cv2.distanceTransformWithLabels``.
STEPS = (1.0, 1.4, 2.1969)


def nearest_marked(marked: torch.Tensor, length) -> tuple[torch.Tensor, torch.Tensor]:
    """Find a nearest marked pixel of every pixel.

    Args:
        marked: bool[B, h, w]; h * w under 2 ** 24.
        length: function of (dy, dx), such as ``octagon``.

    Returns:
        Its raster index int64[B, h, w], 0 where a picture has none, and its distance float32[B, h, w], ``FAR`` where a
        picture has none.
    """
    height, width = marked.shape[-2:]
    rows = torch.arange(height, dtype=torch.float32, device=marked.device)[:, None]
    cols = torch.arange(width, dtype=torch.float32, device=marked.device)[None, :]
    index = torch.where(marked, rows * width + cols, -1.0)
    distance = torch.where(marked, 0.0, FAR)
    for step in jumps(max(height, width)):
        around = F.pad(index, (step, step, step, step), value=-1.0)
        asked = torch.stack([around[:, y:y + height, x:x + width]
                             for y in (0, step, 2 * step) for x in (0, step, 2 * step)], dim=1)
        row = torch.floor((asked + 0.5) / width)
        away = torch.where(asked < 0, FAR, length(row - rows, asked - row * width - cols))
        distance = away.amin(dim=1)
        index = torch.where(away <= distance[:, None], asked, FAR).amin(dim=1)
    return index.clamp(min=0).long(), distance


def jumps(side: int) -> list[int]:
    """Return the steps for pictures of that longer side: halving, with two more at the end that mend most misses."""
    halving = [2 ** k for k in range((side - 1).bit_length() - 1, -1, -1)]
    return [*halving, 2, 1]


def octagon(dy: torch.Tensor, dx: torch.Tensor) -> torch.Tensor:
    """Return the length of a path over (dy, dx) pixels in straight and diagonal steps, 1/65536 pixel."""
    dy, dx = dy.abs(), dx.abs()
    return STRAIGHT * (dy - dx).abs() + DIAGONAL * torch.minimum(dy, dx)


def knight(dy: torch.Tensor, dx: torch.Tensor) -> torch.Tensor:
    """Return the length of a path over (dy, dx) pixels in straight, diagonal and knight's steps, pixels."""
    dy, dx = dy.abs(), dx.abs()
    short, long = torch.minimum(dy, dx), torch.maximum(dy, dx)
    straight, diagonal, leap = STEPS
    return torch.maximum(straight * long + (leap - 2 * straight) * short,
                         (leap - diagonal) * long + (2 * diagonal - leap) * short)
