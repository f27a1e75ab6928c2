"""Teach a small backbone from scratch what objects are: foreground, object boundaries and the way to each centre.

Dense targets say something of every pixel of a view, so a transformer without pretrained weights learns from them many
times faster than from a few clicks.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from .views import CELLS_HW

#: Cells along a patch; each has four outputs: foreground, boundary, and the offset to its object's centre (x, y).
CELLS = 4
OFFSET_CELLS = 16.0


class DenseLearner(nn.Module):
    """A backbone with one linear layer on its patches; the layer is thrown away afterwards."""

    def __init__(self, backbone: nn.Module, channels: int) -> None:
        super().__init__()
        self.backbone, self.head = backbone, nn.Conv2d(channels, 4 * CELLS * CELLS, 1)

    def forward(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the losses of a batch of ``ViewBatches``."""
        rows, cols = CELLS_HW[0] // CELLS, CELLS_HW[1] // CELLS
        features = self.backbone(batch["image"])[..., :rows, :cols]
        found, edge, x, y = F.pixel_shuffle(self.head(features).float(), CELLS).unbind(1)
        label = batch["maps"][:, 0]
        on_object = label > 0
        offsets = torch.stack([x, y], dim=1)
        error = F.smooth_l1_loss(offsets, centre_offsets(label), reduction="none").mean(1)
        return {"foreground": _balanced(found, on_object), "boundary": _balanced(edge, boundaries(label)),
                "offset": (error * on_object).sum() / on_object.sum().clamp(min=1)}


def centre_offsets(label: torch.Tensor) -> torch.Tensor:
    """Return the way from each cell to its object's mean position, float32[B, 2, h, w] (x, y); 0 on background."""
    count = int(label.max()) + 1
    y, x = torch.meshgrid(*(torch.arange(size, dtype=torch.float32, device=label.device) for size in label.shape[1:]),
                          indexing="ij")
    pixels = F.one_hot(label, count).flatten(1, 2).float()
    position = torch.stack([x, y], dim=-1).flatten(0, 1)
    centre = pixels.transpose(1, 2) @ position / pixels.sum(1).clamp(min=1)[..., None]
    offset = (pixels @ centre - position) * (label.flatten(1) > 0)[..., None]
    return offset.transpose(1, 2).unflatten(2, label.shape[1:]) / OFFSET_CELLS


def boundaries(label: torch.Tensor) -> torch.Tensor:
    """Return bool[B, h, w]: a neighbour to the right or below, or this cell's own, is of another object."""
    edge = torch.zeros_like(label, dtype=torch.bool)
    across, down = label[:, :, 1:] != label[:, :, :-1], label[:, 1:] != label[:, :-1]
    edge[:, :, 1:] |= across
    edge[:, :, :-1] |= across
    edge[:, 1:] |= down
    edge[:, :-1] |= down
    return edge


def _balanced(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross entropy in which each class weighs half."""
    entropy = F.binary_cross_entropy_with_logits(logits, target.float(), reduction="none")
    return sum(0.5 * (entropy * chosen).sum() / chosen.sum().clamp(min=1) for chosen in (target, ~target))
