"""Peaks of B maps at once, with C places; ``prompting/peaks.py`` without loops over peaks."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from .components import components

#: Farther, squared and times a plateau's size squared, than any cell.
FAR = 1 << 62
#: Rounds of thinning; enough for chains of points each of which is dropped or kept because of the one before.
THIN_ROUNDS = 16


def peak_map(values: torch.Tensor, *, window: int, threshold: float, plateaus: int) -> torch.Tensor:
    """Mark the local maxima of maps, one cell a plateau, as ``find_peaks`` chooses.

    Args:
        values: float32[B, h, w], at least 0.
        plateaus: the highest so many of more than one cell are looked at.

    Returns:
        bool[B, h, w].
    """
    side = window | 1
    highest = F.max_pool2d(values[:, None], side, 1, side // 2).squeeze(1)
    top = (values >= highest) & (values >= threshold)
    tops_around = 9 * F.avg_pool2d(top[:, None].float(), 3, 1, 1).squeeze(1)
    shelf = _touches_equal_outside(values, top)
    large = top & (tops_around > 1.5)
    return top & ~large & ~shelf | _centres(values, large, shelf, plateaus)


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


def _centres(values: torch.Tensor, large: torch.Tensor, shelf: torch.Tensor, plateaus: int) -> torch.Tensor:
    """bool[B, h, w]: of each plateau without a shelf the cell nearest to its centroid, the first in raster order.

    Every cell is compared with every one of the highest ``plateaus``.
    """
    width = values.shape[2]
    labels, _ = components(large, diagonal=True)
    place = torch.arange(labels.shape[1], device=labels.device)
    rows, cols = place // width, place % width
    heights = torch.where((labels == place) & large.flatten(1), values.flatten(1), -1.0)  # of a plateau's last cell
    found, last = heights.topk(min(plateaus, heights.shape[1]), dim=1)
    member = (labels[:, None] == last[..., None]) & (found >= 0)[..., None]
    inside = member.long()
    size = inside.sum(dim=2, keepdim=True)
    away = [size * along - (inside * along).sum(dim=2, keepdim=True) for along in (rows, cols)]
    distance = torch.where(member, away[0] ** 2 + away[1] ** 2, FAR)
    nearest = member & (distance == distance.amin(dim=2, keepdim=True))
    first = torch.where(nearest, place, labels.shape[1]).amin(dim=2)
    peak = (found >= 0) & ~(member & shelf.flatten(1)[:, None]).any(dim=2)
    return ((place == first[..., None]) & peak[..., None]).any(dim=1).view_as(large)
