"""Connected components of many masks at once, with as many steps for any picture: no waiting for the GPU.

Every pixel points at a pixel of its piece. A round lets the greatest target spread to the neighbours a few times, then
every pixel takes its target's target, so that whole trees move. Nothing is scattered: what several pixels would write
to one place is not defined everywhere, and TensorRT has no scatter that reduces. Whether the rounds were enough is part
of the answer.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from .histogram import histogram

#: Rounds after which the pieces of ordinary masks agree; a caller who is told that they do not asks for more.
ROUNDS = 8
#: How often targets spread to neighbours in a round.
STEPS = 8
#: Ranges of labels that are counted; and pieces of a mask that are looked at, for each round.
RANGES, PIECES = 1023, 8


def components(masks: torch.Tensor, *, diagonal: bool, rounds: int = ROUNDS) -> tuple[torch.Tensor, torch.Tensor]:
    """Label the connected pieces of every mask.

    Args:
        masks: bool[N, h, w]; at most 2 ** 24 pixels each.
        diagonal: pixels that touch at a corner belong together (8-connectivity).

    Returns:
        int64[N, h * w], all over a piece the last of its pixels in raster order; outside the masks each pixel itself.
        And bool[], True when all pieces agree.
    """
    count, height, width = masks.shape
    inside, masks = masks.flatten(1), masks[:, None]
    place = torch.arange(height * width, device=masks.device).expand(count, -1)
    target = place.contiguous()
    for _ in range(rounds):
        spread = torch.where(masks, target.float().view(masks.shape), -1.0)  # exact up to 2 ** 24
        for _ in range(STEPS):
            spread = _greatest_neighbour(spread, masks, diagonal)
        target = torch.where(inside, spread.flatten(1).long(), place)
        target = target.gather(1, target)
    spread = torch.where(masks, target.float().view(masks.shape), -1.0)
    return target, (_greatest_neighbour(spread, masks, diagonal) == spread).all()


def piece_sizes(labels: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Return int32[N, h * w], the pixels of the piece that each pixel of ``masks`` belongs to; 0 outside.

    Any number of pieces, by a scatter that sums, which TensorRT does not have.

    Args:
        labels: from ``components`` of the same bool[N, h, w].
    """
    inside = masks.flatten(1).int()
    return torch.zeros_like(inside).scatter_add(1, labels, inside).gather(1, labels) * inside


def crumbs(labels: torch.Tensor, masks: torch.Tensor, least: torch.Tensor,
           rounds: int = ROUNDS) -> tuple[torch.Tensor, torch.Tensor]:
    """Mark the pieces smaller than ``least`` int64[N] pixels.

    Labels are counted in ranges first. Only pieces whose range holds enough pixels are looked at one by one, so that a
    thousand crumbs cost no more than one.

    Args:
        labels: from ``components`` of the same bool[N, h, w].
        rounds: ``PIECES`` times as many pieces a mask are looked at.

    Returns:
        bool[N, h, w], and bool[], True when that was enough.
    """
    inside, least = masks.flatten(1), least[:, None].float()
    place = torch.arange(labels.shape[1], device=labels.device)
    length = -(-labels.shape[1] // RANGES)
    in_range = histogram(torch.where(inside, labels // length, RANGES), RANGES + 1)
    roots = (labels == place) & inside & (in_range >= least)[:, place // length]
    is_root, root = roots.float().topk(min(PIECES * rounds, labels.shape[1]), dim=1)
    same = (labels[:, None] == root[..., None]) & (inside[:, None] & (is_root > 0)[..., None])
    kept = (same & (same.float().sum(dim=2) >= least)[..., None]).any(dim=1)
    return (inside & ~kept).view(masks.shape), (roots.float().sum(dim=1) <= root.shape[1]).all()


def _greatest_neighbour(values: torch.Tensor, masks: torch.Tensor, diagonal: bool) -> torch.Tensor:
    """Return float32[N, 1, h, w], the greatest value in a pixel's neighbourhood; -1 outside bool[N, 1, h, w]."""
    if diagonal:
        pooled = F.max_pool2d(values, 3, 1, 1)
    else:
        pooled = F.max_pool2d(values, (3, 1), 1, (1, 0)).maximum(F.max_pool2d(values, (1, 3), 1, (0, 1)))
    return torch.where(masks, pooled, -1.0)
