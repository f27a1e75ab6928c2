"""Peaks of B maps at once, with C places; ``prompting/peaks.py`` without loops over peaks."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from .components import components

#: Rounds of thinning; enough for chains of points each of which is dropped or kept because of the one before.
THIN_ROUNDS = 16


def peak_map(values: torch.Tensor, *, window: int, threshold: float) -> torch.Tensor:
    """Mark the local maxima of float32[B, h, w] maps, one cell a plateau, as ``find_peaks`` chooses; bool[B, h, w]."""
    side = window | 1
    highest = F.max_pool2d(values[:, None], side, 1, side // 2).squeeze(1)
    top = (values >= highest) & (values >= threshold)
    return top & _centres(top, _touches_equal_outside(values, top))


def best_first(scores: torch.Tensor, valid: torch.Tensor, count: int) -> torch.Tensor:
    """Return int64[B, count], the places of the best valid scores float32[B, N]; equal ones in their order, count <= N.

    Works on N x N matrices: for some hundred places.
    """
    place = torch.arange(scores.shape[1], device=scores.device)
    keyed = torch.where(valid, scores, -1.0)
    own, other = keyed[:, :, None], keyed[:, None]
    ahead = (other > own) | ((other == own) & (place < place[:, None]))
    return (-ahead.float().sum(dim=2)).topk(count, dim=1).indices


def thin_by_distance(points: torch.Tensor, valid: torch.Tensor, min_distance: float) -> torch.Tensor:
    """Keep, from the front, valid points float32[B, N, 2] not closer than ``min_distance`` to a kept one; bool[B, N].

    All points are judged at once by the verdicts of the round before; those settle from the front.
    """
    if min_distance <= 0:
        return valid
    gap = points[:, :, None] - points[:, None]
    place = torch.arange(points.shape[1], device=points.device)
    close = ((gap * gap).sum(dim=-1) < min_distance ** 2) & (place < place[:, None])
    kept = valid
    for _ in range(THIN_ROUNDS):
        kept = valid & ~(close & kept[:, None]).any(dim=2)
    return kept


def _touches_equal_outside(values: torch.Tensor, top: torch.Tensor) -> torch.Tensor:
    """bool[B, h, w]: an adjacent cell that is no maximum has the same value, so the plateau is a shelf."""
    height, width = values.shape[-2:]
    around = F.pad(torch.where(top, torch.inf, values), (1, 1, 1, 1), value=torch.inf)
    found = torch.zeros_like(top)
    for y in range(3):
        for x in range(3):
            found = found | (around[:, y:y + height, x:x + width] == values)
    return found & top


def _centres(top: torch.Tensor, shelf: torch.Tensor) -> torch.Tensor:
    """bool[B, h, w]: of each plateau without a shelf the cell nearest to its centroid, the first in raster order."""
    shape, (height, width) = top.shape, top.shape[-2:]
    plateau, _ = components(top, diagonal=True)
    place = torch.arange(height * width, device=top.device)
    rows, cols = place // width, place % width
    inside = top.flatten(1).long()

    def total(values: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(plateau).scatter_add(1, plateau, values * inside).gather(1, plateau)

    def least(values: torch.Tensor) -> torch.Tensor:
        return values.scatter_reduce(1, plateau, values, "amin").gather(1, plateau)

    size = total(inside)
    distance = (size * cols - total(cols * inside)) ** 2 + (size * rows - total(rows * inside)) ** 2
    nearest = distance == least(distance)
    first = torch.where(nearest, place, height * width)
    return ((first == least(first)) & (total(shelf.flatten(1).long()) == 0)).reshape(shape)
