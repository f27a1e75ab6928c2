"""Greedy suppression on the device, by rounds instead of one mask after another.

Containment asks how much of a mask lies under better chosen ones together, which no table of pairs tells, so the host
cannot decide it without the masks; and a loop over K masks is K small steps that wait for one another. Instead all
masks are judged at once against the choice of the round before. The fate of a mask depends on better ones alone, so
round n settles every mask whose fate hangs on a chain of fewer than n others, and a round that changes nothing has
found the greedy choice itself.
"""

from __future__ import annotations

import torch

from .candidates import DeviceCandidates
from .components import ROUNDS


def suppress(candidates: DeviceCandidates, *, iou: float, containment: float, limit: int,
             rounds: int = ROUNDS) -> tuple[torch.Tensor, torch.Tensor]:
    """Choose masks from the best score on; the rules are those of ``selection/nms.py``.

    Returns:
        bool[B, K], at most ``limit`` chosen masks a camera, and bool[]: ``rounds`` were enough.
    """
    masks = candidates.masks.flatten(2)
    areas = candidates.areas.double()
    places = torch.arange(masks.shape[1], device=masks.device, dtype=torch.int32)
    better = places[None, :] < places[:, None]  # [this mask, a better one]
    overlap = overlaps(masks)
    rivals = (overlap / (areas[:, :, None] + areas[:, None] - overlap) > iou) & better
    chosen = candidates.standing
    settled = torch.zeros((), dtype=torch.bool, device=masks.device)
    for _ in range(rounds):
        before = chosen
        dropped = (rivals & before[:, None]).any(-1)
        if containment < 1:
            dropped = dropped | (_covered(masks, before, places).double() > containment * areas)
        chosen = candidates.standing & ~dropped
        settled = (chosen == before).all()
    return chosen & (chosen.cumsum(1) <= limit), settled


def overlaps(masks: torch.Tensor) -> torch.Tensor:
    """Return float64[B, K, K], the common pixels of all pairs of bool[B, K, n]; exact, being sums of ones."""
    ones = masks.float()
    return (ones @ ones.transpose(1, 2)).double()


def _covered(masks: torch.Tensor, chosen: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Return int64[B, K], the pixels of each mask that lie under a better chosen one."""
    nobody = len(places)
    owner = torch.where(masks & chosen[..., None], places[:, None], nobody).amin(dim=1, keepdim=True)
    return (masks & (owner < places[:, None])).sum(-1)
