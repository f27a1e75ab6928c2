"""Cover points on the device: the deepest place of uncovered foreground, as often as configured; ``prompting/hpg.py``.

A placed point closes a disc. The distance to a disc depends only on the offset from its centre, so it stands in a
table, and the depth after a point is the smaller of the depth before it and the table around it: no second distance
transform.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .nearest import DIAGONAL, STRAIGHT, nearest_marked, octagon


class Coverage(nn.Module):
    """Foreground and the points so far -> cells of further points.

    Args:
        hw: cells of the foreground map. radius: of the disc that a point covers, cells. count: of further points.
        threshold: foreground from here on asks for cover.
    """

    def __init__(self, hw: tuple[int, int], *, radius: int, count: int, threshold: float) -> None:
        super().__init__()
        self._hw, self._count, self._threshold = hw, count, threshold
        self.register_buffer("table", torch.from_numpy(disc_distance(hw, radius)).flatten(), persistent=False)

    def forward(self, foreground: torch.Tensor, cells: torch.Tensor,
                valid: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Place points.

        Args:
            foreground: float32[B, a, b]. cells: int64[B, K, 2] (x, y) of the points so far. valid: bool[B, K].

        Returns:
            int64[B, count] raster cells and bool[B, count].
        """
        # The rim keeps points inside.
        closed = F.pad((foreground < self._threshold).float(), (1, 1, 1, 1), value=1.0) > 0
        depth = nearest_marked(closed, octagon)[1][:, 1:-1, 1:-1]
        to_points = torch.where(valid[..., None, None], self._to_discs(cells), torch.inf)
        depth = to_points.amin(dim=1).minimum(depth)
        places, open_ones = [], []
        for _ in range(self._count):
            deepest = depth.flatten(1).argmax(dim=1, keepdim=True)
            places.append(deepest)
            open_ones.append(depth.flatten(1).gather(1, deepest) > 0)
            cell = torch.stack([deepest % self._hw[1], deepest // self._hw[1]], dim=2)
            depth = depth.minimum(self._to_discs(cell).squeeze(1))
        return torch.cat(places, dim=1), torch.cat(open_ones, dim=1)

    def _to_discs(self, cells: torch.Tensor) -> torch.Tensor:
        """Return float32[B, K, a, b], the distance of every cell to the disc around each of [B, K, 2] cells."""
        height, width = self._hw
        dy = (torch.arange(height, device=cells.device)[:, None] - cells[..., 1, None, None]).abs().clamp(max=height)
        dx = (torch.arange(width, device=cells.device) - cells[..., 0, None, None]).abs().clamp(max=width)
        return self.table[dy * (width + 1) + dx]


def disc_distance(hw: tuple[int, int], radius: int) -> np.ndarray:
    """Return float32[h + 1, w + 1], by offset (dy, dx) from its centre, the distance to a disc of ``cv2.circle``.

    Distances are those of ``nearest.octagon``.
    """
    disc = np.zeros((2 * radius + 1, 2 * radius + 1), np.uint8)
    cv2.circle(disc, (radius, radius), radius, 1, thickness=-1)
    dy, dx = np.arange(hw[0] + 1)[:, None], np.arange(hw[1] + 1)[None, :]
    rows = []
    for row, line in enumerate(disc):
        down, along = np.abs(dy - (row - radius)), np.maximum(dx - int(line.sum()) // 2, 0)
        rows.append(STRAIGHT * np.abs(down - along) + DIAGONAL * np.minimum(down, along))
    return np.min(rows, axis=0).astype(np.float32)
