"""What each kind of network reads, made on the device: ``encoding/kinds.py``, ``transform.rgbd_input``, B cameras.

``make`` builds the input from the native picture, its working-grid version and geometry; ``place`` brings a map to the
working grid as the host's kind does.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..config import EncodingConfig
from ..encoding.kinds import IMAGENET_MEAN, IMAGENET_STD, SAM_MEAN, SAM_STD, longest_side_hw
from ..encoding.transform import RELIEF_PX
from ..errors import FrameError
from ..models.spec import CUT, CUT_ROWS, DINOV2_HW, SAM_CELL
from ..types import Grid
from .geometry import MIN_DEPTH_M
from .median import masked_median
from .resample import PillowResize
from .types import DeviceGeometry


class RgbdInput(nn.Module):
    """Colour and depth geometry on the working grid, float32[B, 13, h, w]; see ``transform.RGBD_CHANNELS``."""

    def __init__(self, grid: Grid, config: EncodingConfig) -> None:
        super().__init__()
        self._max_depth_m = config.max_depth_m

    def forward(self, native: torch.Tensor, color: torch.Tensor, geometry: DeviceGeometry | None) -> torch.Tensor:
        picture = color * (4 / 255) - 2
        if geometry is None:
            return F.pad(picture, (0, 0, 0, 0, 0, 10))
        x, y, z = geometry.points_m.unbind(dim=-1)
        valid = geometry.valid
        centre = masked_median(z.flatten(1), valid.flatten(1), MIN_DEPTH_M, self._max_depth_m)
        height = geometry.height_m
        on_plane = torch.exp(-((height / 0.006) ** 2)) * geometry.plane_found[:, None, None]
        relief = (z - _local_mean(z)) * 20
        derived = torch.cat([
            torch.stack([x * 2, y * 2, (z - centre[:, None, None]) * 2], dim=1).clamp(-3, 3),
            valid[:, None].float(),
            geometry.normals.permute(0, 3, 1, 2),
            torch.stack([(height * 5).clamp(-2, 2), on_plane, relief.clamp(-2, 2)], dim=1)], dim=1)
        return torch.cat([picture, torch.where(geometry.usable[:, None, None, None], derived, 0.0)], dim=1)

    def place(self, values: torch.Tensor) -> torch.Tensor:
        return values


class SamInput(nn.Module):
    """Native colour with its long side at the encoder's size, normalised, zeros right and below.

    Attributes:
        rows: of the square that the encoder sees, as a fraction (above, below).
    """

    rows = (1, 1)

    def __init__(self, grid: Grid, config: EncodingConfig) -> None:
        super().__init__()
        self._grid = grid
        side = SAM_CELL * max(grid.padded_hw)
        hw, seen = longest_side_hw(grid.native_hw, side), side * self.rows[0] // self.rows[1]
        if hw[0] > seen:
            raise FrameError(f"device frame: expected pictures at most {self.rows[0]}/{self.rows[1]} as high as wide, "
                             f"because SAM was cut to that, got {grid.native_hw[1]}x{grid.native_hw[0]}; use the "
                             f"preset without -{CUT.strip('_')}")
        self._padding = (0, side - hw[1], 0, seen - hw[0])
        self.resize = PillowResize(grid.native_hw, hw)
        _hold_colors(self, SAM_MEAN, SAM_STD)

    def forward(self, native: torch.Tensor, color: torch.Tensor, geometry: DeviceGeometry | None) -> torch.Tensor:
        return F.pad((self.resize(native) - self.mean) / self.std, self._padding)

    def place(self, values: torch.Tensor) -> torch.Tensor:
        side = max(self._grid.padded_hw)
        height, width = (padded * values.shape[-1] // side for padded in self._grid.padded_hw)
        return values[..., :height, :width]


class SamCutInput(SamInput):
    """As ``SamInput``, for an encoder that sees the upper part of the square only."""

    rows = CUT_ROWS


class Dinov2Input(nn.Module):
    """Native colour squeezed to 336x448, normalised."""

    def __init__(self, grid: Grid, config: EncodingConfig) -> None:
        super().__init__()
        self._grid = grid
        self.resize = PillowResize(grid.native_hw, DINOV2_HW)
        _hold_colors(self, IMAGENET_MEAN, IMAGENET_STD)

    def forward(self, native: torch.Tensor, color: torch.Tensor, geometry: DeviceGeometry | None) -> torch.Tensor:
        return (self.resize(native) / 255 - self.mean) / self.std

    def place(self, values: torch.Tensor) -> torch.Tensor:
        (height, width), (below, right) = self._grid.resized_hw, (
            padded - resized for padded, resized in zip(self._grid.padded_hw, self._grid.resized_hw))
        if not (below or right):
            return values
        zoom = max(1, -(-values.shape[-2] // height))
        sized = F.interpolate(values, (zoom * height, zoom * width), mode="bilinear")
        return F.pad(sized, (0, zoom * right, 0, zoom * below), mode="replicate")


#: ``ModelSpec.input_kind`` -> its module.
DEVICE_INPUTS = {"rgbd": RgbdInput, "sam": SamInput, f"sam{CUT}": SamCutInput, "dinov2": Dinov2Input}


def _local_mean(values: torch.Tensor) -> torch.Tensor:
    """Return float32[B, h, w], the mean of the window around each pixel; the picture is mirrored at its border."""
    padded = F.pad(values[:, None], (RELIEF_PX,) * 4, mode="reflect")
    side = 2 * RELIEF_PX + 1
    return F.avg_pool2d(F.avg_pool2d(padded, (1, side), 1), (side, 1), 1).squeeze(1)


def _hold_colors(module: nn.Module, mean, std) -> None:
    module.register_buffer("mean", torch.from_numpy(mean).reshape(1, 3, 1, 1), persistent=False)
    module.register_buffer("std", torch.from_numpy(std).reshape(1, 3, 1, 1), persistent=False)
