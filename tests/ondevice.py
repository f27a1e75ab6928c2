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
    """``None`` where no camera has depth; a camera without it is not usable and full of zeros."""
    some = next((geometry for geometry in geometries if geometry is not None), None)
    if some is None:
        return None

    def stack(name: str) -> torch.Tensor:
        nothing = np.zeros_like(getattr(some, name))
        return tensor([nothing if g is None else getattr(g, name) for g in geometries], device)

    planes = [None if g is None else g.plane for g in geometries]
    coefficients = [np.zeros(4, np.float32) if p is None else np.float32([*p.normal, p.offset]) for p in planes]
    return DeviceGeometry(stack("points_m"), stack("valid"), stack("normals"), stack("height_m"),
                          tensor(coefficients, device), torch.tensor([p is not None for p in planes], device=device),
                          torch.tensor([g is not None for g in geometries], device=device))


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
