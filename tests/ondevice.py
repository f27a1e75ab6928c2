"""Host types as device types, for tests that hold the device stages against the numpy stages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from uois_sam_ros.device.types import DeviceFeatures, DeviceGeometry, DeviceMaskSet, DevicePrompts
from uois_sam_ros.types import Features, Geometry, MaskSet, Prompts

#: Every device test runs on the CPU, and on a GPU where there is one.
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch sees no CUDA device"))]


def tensor(arrays: Sequence[np.ndarray], device: str) -> torch.Tensor:
    """Stack one array a camera."""
    return torch.from_numpy(np.stack(arrays)).to(device)


def places(arrays: Sequence[np.ndarray], count: int, device: str) -> torch.Tensor:
    """Stack arrays of different lengths, each with zeros up to ``count`` places."""
    padded = [np.concatenate([a, np.zeros((count - len(a), *a.shape[1:]), a.dtype)]) for a in arrays]
    return tensor(padded, device)


def valid_places(lengths: Sequence[int], count: int, device: str) -> torch.Tensor:
    return tensor([np.arange(count) < length for length in lengths], device)


def device_geometry(geometries: Sequence[Geometry | None], device: str) -> DeviceGeometry | None:
    """``None`` where no camera has depth; a camera without it is not usable, and its numbers are those of another."""
    usable = [geometry is not None for geometry in geometries]
    if not any(usable):
        return None
    other = geometries[usable.index(True)]
    given = [geometry or other for geometry in geometries]
    maps = [tensor([getattr(geometry, name) for geometry in given], device)
            for name in ("points_m", "valid", "normals", "height_m")]
    planes = [np.zeros(4, np.float32) if geometry.plane is None else
              np.float32([*geometry.plane.normal, geometry.plane.offset]) for geometry in given]
    found = torch.tensor([geometry.plane is not None for geometry in given], device=device)
    return DeviceGeometry(*maps, tensor(planes, device), found, torch.tensor(usable, device=device))


def device_features(features: Sequence[Features], device: str) -> DeviceFeatures:
    maps = {name: torch.cat([torch.from_numpy(f[name].copy()) for f in features]).to(device)
            for name in features[0].maps}
    return DeviceFeatures(features[0].grid, maps, device_geometry([f.geometry for f in features], device))


def device_prompts(prompts: Sequence[Prompts], count: int, device: str) -> DevicePrompts:
    maps = {name: None if getattr(prompts[0], name) is None else tensor([getattr(p, name) for p in prompts], device)
            for name in ("foreground", "heatmap")}
    return DevicePrompts(places([p.points_px for p in prompts], count, device),
                         places([p.scores for p in prompts], count, device),
                         valid_places([len(p) for p in prompts], count, device), **maps)


def device_masks(mask_sets: Sequence[MaskSet], count: int, device: str) -> DeviceMaskSet:
    """Mask sets of several cameras; places beyond a camera's own score -1."""
    fields = {name: places([np.ascontiguousarray(getattr(m, name)) for m in mask_sets], count, device)
              for name in ("low_res_masks", "iou_predictions", "mask_tokens", "iou_token", "points_px", "scores")}
    valid = valid_places([len(m) for m in mask_sets], count, device)
    fields["scores"] = fields["scores"].where(valid[..., None], -1.0)
    return DeviceMaskSet(**fields, valid=valid)


def agreement(label: np.ndarray, reference: np.ndarray) -> float:
    """Return the share of equal pixels."""
    assert label.dtype == reference.dtype and label.shape == reference.shape
    return float((label == reference).mean())
