"""The frozen types between the device stages: those of ``types.py`` as torch tensors, B cameras at once.

All B pictures have one size. Sizes never depend on what is seen: where the host has N things, the device has K places
and ``valid`` says which are taken, so nothing waits for the GPU to tell a count. Frames, conventions and units are
those of ``types.py``; all tensors of one object lie on one device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch

from ..errors import FrameError
from ..types import Grid


@dataclass(frozen=True)
class DeviceFrame:
    """B pictures of one size.

    Attributes:
        color: uint8[B, H, W, 3], RGB.
        depth_m: float32[B, H, W] metres, or ``None`` for colour only; 0, NaN and infinity are "no reading".
        intrinsics: float32[B, 4], fx fy cx cy of the pictures; needed with depth.

    Raises:
        FrameError: wrong dtype or shape, missing intrinsics, tensors on different devices.
    """

    color: torch.Tensor
    depth_m: torch.Tensor | None = None
    intrinsics: torch.Tensor | None = None

    def __post_init__(self) -> None:
        _check("colour", self.color, torch.uint8, (None, None, None, 3), self.color.device)
        if self.depth_m is None:
            return
        if self.intrinsics is None:
            raise FrameError("device frame: expected intrinsics float32[B, 4] together with depth, got none; pass "
                             "fx fy cx cy of every camera, or drop the depth")
        _check("depth", self.depth_m, torch.float32, tuple(self.color.shape[:3]), self.color.device)
        _check("intrinsics", self.intrinsics, torch.float32, (len(self.color), 4), self.color.device)

    def __len__(self) -> int:
        return len(self.color)

    @property
    def native_hw(self) -> tuple[int, int]:
        """Rows and columns of the pictures."""
        return self.color.shape[1], self.color.shape[2]


@dataclass(frozen=True)
class DeviceGeometry:
    """What depth says, on the working grid h x w; ``types.Geometry`` for B cameras.

    Attributes:
        points_m: float32[B, h, w, 3], camera frame, holes filled.
        valid: bool[B, h, w], the sensor gave a reading.
        normals: float32[B, h, w, 3], unit, towards the camera.
        height_m: float32[B, h, w], metres above the support plane; 0 everywhere without a plane.
        plane: float32[B, 4], unit normal towards the camera's side and offset in metres; 0 without a plane.
        plane_found: bool[B]; where False, the host's ``plane`` is ``None``.
        usable: bool[B]; where False (too few readings), the host's ``geometry`` is ``None`` and nothing here means
            anything, though all numbers are finite.
    """

    points_m: torch.Tensor
    valid: torch.Tensor
    normals: torch.Tensor
    height_m: torch.Tensor
    plane: torch.Tensor
    plane_found: torch.Tensor
    usable: torch.Tensor


@dataclass(frozen=True)
class DeviceFeatures:
    """What the encoders made of B frames; ``types.Features`` on the device.

    Attributes:
        grid: native to working mapping, the host's own and the same for all cameras.
        maps: tensor name -> float32[B, C, a, b]; names are those of ``models/spec.py``. Read-only mapping.
        geometry: from depth; ``None`` when depth is off or missing for all cameras.
    """

    grid: Grid
    maps: Mapping[str, torch.Tensor]
    geometry: DeviceGeometry | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "maps", MappingProxyType(dict(self.maps)))

    def __getitem__(self, name: str) -> torch.Tensor:
        return self.maps[name]


@dataclass(frozen=True)
class DevicePrompts:
    """K places for point prompts a camera; ``types.Prompts`` on the device.

    Attributes:
        points_px: float32[B, K, 2], (x, y) on the working grid; 0 where not valid.
        scores: float32[B, K] in [0, 1], best first; 0 where not valid.
        valid: bool[B, K]; the valid places come first.
        foreground: float32[B, h, w] probability on the working grid, or ``None`` (grid prompting).
        heatmap: float32[B, h, w] in [0, 1] on the working grid, or ``None``.
    """

    points_px: torch.Tensor
    scores: torch.Tensor
    valid: torch.Tensor
    foreground: torch.Tensor | None = None
    heatmap: torch.Tensor | None = None


@dataclass(frozen=True)
class DeviceMaskSet:
    """The decoder's answer to K places for prompts with H hypotheses each; ``types.MaskSet`` on the device.

    Attributes:
        low_res_masks: float32[B, K, H, h, w] logits (threshold 0) on the working grid.
        iou_predictions: float32[B, K, H], the decoder's own score in [0, 1].
        mask_tokens: float32[B, K, H, C]; iou_token: float32[B, K, C]; what HDNet reads.
        points_px: float32[B, K, 2], the prompts on the working grid.
        valid: bool[B, K]; where False, the numbers above mean nothing, though all are finite.
        scores: float32[B, K, H] after rescoring, equal to iou_predictions before; -1 where not valid.
    """

    low_res_masks: torch.Tensor
    iou_predictions: torch.Tensor
    mask_tokens: torch.Tensor
    iou_token: torch.Tensor
    points_px: torch.Tensor
    valid: torch.Tensor
    scores: torch.Tensor


def _check(name: str, value: torch.Tensor, dtype: torch.dtype, shape: tuple[int | None, ...],
           device: torch.device) -> None:
    fits = value.dim() == len(shape) and all(want in (None, have) for want, have in zip(shape, value.shape))
    if value.dtype != dtype or not fits or value.device != device:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise FrameError(f"device frame, {name}: expected {dtype}[{wanted}] on {device}, got {value.dtype}"
                         f"{list(value.shape)} on {value.device}; upload all cameras' pictures of one size together")
