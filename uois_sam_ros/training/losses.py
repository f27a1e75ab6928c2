"""Losses of the base stage.

Masks are judged on sampled cells; importance weights keep the dice and IoU estimates unbiased
although most samples lie near boundaries.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

#: Weight of the object, part and group level in the mask loss.
LEVEL_WEIGHTS = (1.0, 0.35, 0.35)


def heatmap_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Penalty-reduced focal loss on centre Gaussians, per object.

    The plain MSE of the paper leaves peaks near its 0.007 threshold; the focal form keeps them
    near 1, so that one threshold serves any object size.
    """
    probability = torch.sigmoid(logits).clamp(1e-5, 1 - 1e-5)
    peak = target > 0.999
    positive = -(1 - probability) ** 2 * probability.log() * peak
    negative = -((1 - target) ** 4) * probability**2 * (1 - probability).log() * ~peak
    return (positive.sum() + negative.sum()) / peak.sum().clamp(min=8)


def foreground_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Class-balanced cross entropy (arXiv 2409.15481, L_fg) softened by half, plus dice."""
    share = target.mean().clamp(0.02, 0.98)
    weight = 0.5 + 0.5 * torch.where(target > 0.5, 0.5 / share, 0.5 / (1 - share))
    entropy = (F.binary_cross_entropy_with_logits(logits, target, reduction="none") * weight).mean()
    probability = torch.sigmoid(logits)
    dice = 1 - (2 * (probability * target).sum() + 1) / ((probability + target).sum() + 1)
    return entropy + 0.5 * dice


def sample_cells(boxes: torch.Tensor, boundary: torch.Tensor, count: int,
                 margin: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw stride-4 cells: everywhere, around the wanted masks, on boundaries there.

    Args:
        boxes: int[B, P, 4] xyxy cells; boundary: [B, rows, cols] in {0, 1}.

    Returns:
        index int64[B, P, N] into rows * cols, and importance weights float32[B, P, N], mean about 1.
    """
    batch, prompts = boxes.shape[:2]
    rows, cols = boundary.shape[1:]
    x = torch.arange(cols, device=boxes.device)
    y = torch.arange(rows, device=boxes.device)
    x0, y0, x1, y1 = (boxes[..., i, None] for i in range(4))
    inside_x = (x >= x0 - margin) & (x < x1 + margin)
    inside_y = (y >= y0 - margin) & (y < y1 + margin)
    box = (inside_y[..., :, None] & inside_x[..., None, :]).float().flatten(2)
    edge = box * boundary.flatten(1)[:, None].float()
    density = 0.3 / (rows * cols)
    density = density + 0.3 * box / box.sum(-1, keepdim=True).clamp(min=1)
    density = density + 0.4 * edge / edge.sum(-1, keepdim=True).clamp(min=1)
    density = density / density.sum(-1, keepdim=True)
    index = torch.multinomial(density.flatten(0, 1), count, replacement=True)
    index = index.reshape(batch, prompts, count)
    weight = 1 / (density.gather(2, index) * rows * cols)
    return index, weight


def mask_loss(logits: torch.Tensor, targets: torch.Tensor, weight: torch.Tensor,
              available: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Minimum over hypotheses of cross entropy + dice, at every level that is there.

    Args:
        logits: [B, P, H, N] at N sampled pixels; targets: [B, P, L, N] in {0, 1}.
        weight: [B, P, N] importance; available: bool[B, P, L].

    Returns:
        scalar loss, and the estimated IoU [B, P, H] with the best available level (no gradient).
    """
    pixels = logits.shape[-1]
    entropy = F.softplus(logits).sum(-1)[..., None] - logits @ targets.transpose(-1, -2)
    entropy = entropy / pixels
    weighted = torch.sigmoid(logits) * weight[:, :, None]
    inter = weighted @ targets.transpose(-1, -2)
    target_sum = (targets * weight[:, :, None]).sum(-1)[:, :, None]
    total = weighted.sum(-1)[..., None] + target_sum
    dice = 1 - (2 * inter + 1) / (total + 1)
    each = entropy + dice
    level = torch.tensor(LEVEL_WEIGHTS, device=logits.device) * available
    best = each.min(dim=2).values
    mean = each.mean(dim=2)
    loss = ((best + 0.05 * mean) * level).sum() / level.sum().clamp(min=1)
    with torch.no_grad():
        hard = (logits > 0).float() * weight[:, :, None]
        overlap = hard @ targets.transpose(-1, -2)
        union = hard.sum(-1)[..., None] + target_sum - overlap
        iou = (overlap / union.clamp(min=1e-6)).masked_fill(~available[:, :, None], 0)
    return loss, iou.max(dim=-1).values
