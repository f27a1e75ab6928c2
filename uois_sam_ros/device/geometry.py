"""Depth geometry on the device: hole filling, points, normals, support plane and height; ``geometry.py`` for B cameras.

No convolution and no matrix product: a GPU may round their factors to ten bits, one millimetre at one metre.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from ..config import EncodingConfig
from ..types import Grid
from .nearest import knight, nearest_marked
from .plane import SupportPlane, plane_height
from .types import DeviceGeometry

#: Nearer readings are noise.
MIN_DEPTH_M = 0.05


class GeometryMaps(nn.Module):
    """Working-grid depth and native intrinsics -> the tensors of ``DeviceGeometry``, in its order."""

    def __init__(self, grid: Grid, config: EncodingConfig) -> None:
        super().__init__()
        height, width = grid.padded_hw
        self._max_depth_m = config.max_depth_m
        self._enough = math.ceil(max(config.min_valid_depth, 1e-6) * height * width - 1e-6)
        self.plane = SupportPlane(grid.padded_hw)
        scale_x, scale_y = grid.scale_xy
        self.register_buffer("scale", torch.tensor([scale_x, scale_y, scale_x, scale_y]), persistent=False)
        self.register_buffer("shift", torch.tensor([0, 0, 0.5, 0.5]), persistent=False)
        self.register_buffer("rows", torch.arange(height, dtype=torch.float32)[:, None], persistent=False)
        self.register_buffer("cols", torch.arange(width, dtype=torch.float32)[None, :], persistent=False)

    def forward(self, depth_m: torch.Tensor, intrinsics: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Derive geometry from working-grid depth float32[B, h, w] and the pictures' intrinsics float32[B, 4]."""
        valid = (depth_m > MIN_DEPTH_M) & (depth_m <= self._max_depth_m)
        usable = valid.sum(dim=(1, 2)) >= self._enough
        filled = fill_holes(depth_m, valid)
        k = (intrinsics + self.shift) * self.scale - self.shift
        fx, fy, cx, cy = k[:, :, None, None].unbind(dim=1)
        points = torch.stack([filled * ((self.cols - cx) / fx), filled * ((self.rows - cy) / fy), filled], dim=-1)
        plane, found = self.plane(points, valid)
        found = found & usable
        plane = torch.where(found[:, None], plane, 0.0)
        return points, valid, estimate_normals(points), plane_height(points, plane), plane, found, usable

    def named(self, outputs: tuple[torch.Tensor, ...]) -> DeviceGeometry:
        """Return the outputs of ``forward`` as a DeviceGeometry."""
        return DeviceGeometry(*outputs)


def fill_holes(depth_m: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Give every invalid pixel the depth of a nearest valid one, float32[B, h, w]; 0 where a picture has none."""
    depth_m = torch.where(valid, depth_m, 0.0)
    index, _ = nearest_marked(valid, knight)
    return depth_m.flatten(1).gather(1, index.flatten(1)).reshape(depth_m.shape)


def estimate_normals(points_m: torch.Tensor) -> torch.Tensor:
    """Return float32[B, h, w, 3] unit normals towards the camera, from smoothed differences."""
    smooth = F.avg_pool2d(F.pad(points_m.permute(0, 3, 1, 2), (1, 1, 1, 1), mode="replicate"), 3, 1)
    around = F.pad(smooth, (1, 1, 1, 1), mode="replicate")
    dx = around[:, :, 1:-1, 2:] - around[:, :, 1:-1, :-2]
    dy = around[:, :, 2:, 1:-1] - around[:, :, :-2, 1:-1]
    (ax, ay, az), (bx, by, bz) = dx.unbind(dim=1), dy.unbind(dim=1)
    x, y, z = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    norm = (x * x + y * y + z * z).sqrt()
    sign = torch.where(z > 0, -1.0, 1.0) / norm.clamp(min=1e-12)
    return torch.stack([x * sign, y * sign, z * sign], dim=-1)
