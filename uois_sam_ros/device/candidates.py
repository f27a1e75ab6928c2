"""The masks that stand for election on the device: one hypothesis a place, best first, with box and area."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..types import Grid
from .peaks import best_first
from .types import DeviceMaskSet


@dataclass(frozen=True)
class DeviceCandidates:
    """K masks a camera on the picture inside the working grid, best score first.

    Attributes:
        logits: float32[B, K, h, w]; masks: bool[B, K, h, w], ``logits > 0``.
        boxes: int64[B, K, 4], half-open xyxy, working pixels; of an empty mask x1 <= x0.
        areas: int64[B, K] pixels.
        scores: float32[B, K].
        standing: bool[B, K], still in the running.
    """

    logits: torch.Tensor
    masks: torch.Tensor
    boxes: torch.Tensor
    areas: torch.Tensor
    scores: torch.Tensor
    standing: torch.Tensor


def best_hypotheses(mask_set: DeviceMaskSet, grid: Grid, *, score_threshold: float) -> DeviceCandidates:
    """Take each place's best-scored hypothesis; standing are scores from the threshold on with some area; a place
    without a prompt scores -1."""
    height, width = grid.resized_hw
    scores, chosen = mask_set.scores.max(dim=2)
    order = best_first(scores, mask_set.valid, scores.shape[1])
    scores = scores.gather(1, order)
    camera = torch.arange(len(scores), device=scores.device)[:, None]
    logits = mask_set.low_res_masks[..., :height, :width][camera, order, chosen.gather(1, order)]
    masks = logits > 0
    areas = masks.sum(dim=(2, 3))
    standing = (scores >= score_threshold) & (areas > 0)
    return DeviceCandidates(logits, masks, mask_boxes(masks), areas, scores, standing)


def mask_boxes(masks: torch.Tensor) -> torch.Tensor:
    """Return int64[B, K, 4], the half-open xyxy boxes of bool[B, K, h, w]."""
    sides = []
    for taken in (masks.any(dim=2), masks.any(dim=3)):  # columns, rows
        length = taken.shape[-1]
        place = torch.arange(length, device=masks.device)
        sides.append((torch.where(taken, place, length).amin(-1), torch.where(taken, place + 1, 0).amax(-1)))
    (x0, x1), (y0, y1) = sides
    return torch.stack([x0, y0, x1, y1], dim=-1)
