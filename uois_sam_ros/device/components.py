"""Connected components of many masks at once, with as many steps for any picture: no waiting for the GPU.

Every pixel points at a pixel of its piece; three kinds of step raise the pointers until all of a piece agree: to the
greatest among the neighbours, from there to the old target (so that whole trees move), and to the target's target.
Pieces of n pixels agree after about log n rounds; whether they did is part of the answer.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

#: Rounds after which the pieces of ordinary masks agree; a caller who is told that they do not asks for more.
ROUNDS = 8


def components(masks: torch.Tensor, *, diagonal: bool, rounds: int = ROUNDS) -> tuple[torch.Tensor, torch.Tensor]:
    """Label the connected pieces of every mask.

    Args:
        masks: bool[N, h, w]; at most 2 ** 24 pixels each.
        diagonal: pixels that touch at a corner belong together (8-connectivity).

    Returns:
        int64[N, h * w], the same number all over a piece, a pixel of that piece; outside the masks a number of its
        own for each pixel. And bool[], True when all pieces agree.
    """
    count, height, width = masks.shape
    inside = masks.flatten(1)
    target = torch.arange(height * width, device=masks.device).expand(count, -1).contiguous()
    for _ in range(rounds):
        greatest = _greatest_neighbour(target, inside, height, width, diagonal)
        target = target.scatter_reduce(1, target, greatest, "amax").maximum(greatest)
        target = target.gather(1, target)
    greatest = _greatest_neighbour(target, inside, height, width, diagonal)
    return target, (greatest == target).all()


def piece_sizes(labels: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Return int32[N, h * w], the pixels of the piece that each pixel of ``masks`` belongs to; 0 outside.

    Args:
        labels: from ``components`` of the same bool[N, h, w].
    """
    inside = masks.flatten(1).int()
    return torch.zeros_like(inside).scatter_add(1, labels, inside).gather(1, labels) * inside


def _greatest_neighbour(target: torch.Tensor, inside: torch.Tensor, height: int, width: int,
                        diagonal: bool) -> torch.Tensor:
    """Return int64[N, h * w], the greatest target in a pixel's neighbourhood; outside the mask its own."""
    values = torch.where(inside, target, -1).float().unflatten(1, (1, height, width))  # exact up to 2 ** 24
    if diagonal:
        pooled = F.max_pool2d(values, 3, 1, 1)
    else:
        pooled = F.max_pool2d(values, (3, 1), 1, (1, 0)).maximum(F.max_pool2d(values, (1, 3), 1, (0, 1)))
    return torch.where(inside, pooled.flatten(1).long(), target)
