"""Resizing on the device: the host's own weights, gathered tap by tap, without products that a GPU may round.

``PillowResize`` gives the numbers of ``encoding/resample.py`` bit by bit. ``GridColor`` gives those of
``encoding/transform.resize_color`` up to one grey level, where a float sum lands on the other side of a half.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..encoding.resample import PRECISION, taps
from ..types import Grid

#: Half the bits of a fixed-point weight: split in two, its products with 8-bit colours are exact in float32.
HALF = 1 << (PRECISION // 2)


class PillowResize(nn.Module):
    """Antialiased bilinear resizing of 8-bit colours, float32[B, C, H, W] holding 0..255."""

    def __init__(self, old_hw: tuple[int, int], new_hw: tuple[int, int]) -> None:
        super().__init__()
        self._axes = [axis for axis in (3, 2) if old_hw[axis - 2] != new_hw[axis - 2]]
        for axis in self._axes:
            source, weight = taps(old_hw[axis - 2], new_hw[axis - 2])
            _hold(self, axis, source, np.stack([weight // HALF, weight % HALF]))

    def forward(self, color: torch.Tensor) -> torch.Tensor:
        for axis in self._axes:
            source, (upper, lower) = _held(self, axis)
            high, low = weighted(color, axis, source, upper), weighted(color, axis, source, lower)
            color = torch.floor((high + torch.floor(low / HALF) + HALF // 2) / HALF)
        return color


class GridColor(nn.Module):
    """Colour on the working grid, float32[B, C, h, w] of whole numbers 0..255; the padding repeats the border."""

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self._shrinks = grid.resized_hw[0] < grid.native_hw[0]
        self._halves = all(2 * new == old for new, old in zip(grid.resized_hw, grid.native_hw))
        self._padding = _padding(grid)
        for axis in (3, 2):
            table = area_taps if self._shrinks else linear_taps
            _hold(self, axis, *table(grid.native_hw[axis - 2], grid.resized_hw[axis - 2]))

    def forward(self, color: torch.Tensor) -> torch.Tensor:
        for axis in (3, 2):
            color = weighted(color, axis, *_held(self, axis))
        color = torch.floor(color + 0.5) if self._halves or not self._shrinks else torch.round(color)  # OpenCV's rules
        return F.pad(color, self._padding, mode="replicate") if any(self._padding) else color


class GridDepth(nn.Module):
    """Depth on the working grid by nearest neighbour, float32[B, h, w]; the padding has no reading."""

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self._padding = _padding(grid)
        for name, old, new in zip(("rows", "cols"), grid.native_hw, grid.resized_hw):
            nearest = np.minimum(((np.arange(new) + 0.5) * old / new).astype(int), old - 1)
            self.register_buffer(name, torch.from_numpy(nearest), persistent=False)

    def forward(self, depth_m: torch.Tensor) -> torch.Tensor:
        resized = depth_m.index_select(1, self.rows).index_select(2, self.cols)
        return F.pad(resized, self._padding)


def weighted(values: torch.Tensor, axis: int, source: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return the sum over taps of the values at ``source`` int64[T, n] along an axis times ``weight`` float32[T, n]."""
    shape = [-1 if k == axis else 1 for k in range(values.dim())]
    total = None
    for rows, share in zip(source, weight):
        term = values.index_select(axis, rows) * share.reshape(shape)
        total = term if total is None else total + term
    return total


def area_taps(old: int, new: int) -> tuple[np.ndarray, np.ndarray]:
    """Return source pixels int64[T, new] and weights float32[T, new] of averaging over ``old / new`` pixels."""
    scale = old / new
    start, stop = np.arange(new) * scale, np.minimum((np.arange(new) + 1) * scale, old)
    source = np.floor(start + 1e-3).astype(int) + np.arange(int(np.ceil(scale)) + 1)[:, None]
    covered = np.minimum(stop, source + 1) - np.maximum(start, source)
    covered[covered < 1e-3] = 0
    weight = covered / (stop - start)
    used = weight.any(axis=1)
    return np.minimum(source, old - 1)[used], weight[used].astype(np.float32)


def linear_taps(old: int, new: int) -> tuple[np.ndarray, np.ndarray]:
    """Return source pixels int64[2, new] and weights float32[2, new] of bilinear interpolation."""
    place = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    left = np.floor(place).astype(int)
    right = (place - left).astype(np.float32)
    return np.stack([left, np.minimum(left + 1, old - 1)]), np.stack([1 - right, right])


def _padding(grid: Grid) -> tuple[int, int, int, int]:
    return 0, grid.padded_hw[1] - grid.resized_hw[1], 0, grid.padded_hw[0] - grid.resized_hw[0]


def _hold(module: nn.Module, axis: int, source: np.ndarray, weight: np.ndarray) -> None:
    module.register_buffer(f"source{axis}", torch.from_numpy(source), persistent=False)
    module.register_buffer(f"weight{axis}", torch.from_numpy(weight.astype(np.float32)), persistent=False)


def _held(module: nn.Module, axis: int) -> tuple[torch.Tensor, torch.Tensor]:
    return getattr(module, f"source{axis}"), getattr(module, f"weight{axis}")
