"""Greedy suppression on the device, by rounds instead of one mask after another.

Containment asks how much of a mask lies under better chosen ones together, which no table of pairs tells, so the host
cannot decide it without the masks; and a loop over K masks is K small steps that wait for one another. Instead all
masks are judged at once against the choice of the round before. The fate of a mask depends on better ones alone, so
round n settles every mask whose fate hangs on a chain of fewer than n others, and a round that changes nothing has
found the greedy choice itself.
"""

from __future__ import annotations

import torch
from torch import nn

from .candidates import DeviceCandidates
from .components import ROUNDS
from .shares import OfCount, most_in_ratio, most_of


class Suppression(nn.Module):
    """Chooses masks from the best score on; the rules are those of ``selection/nms.py``.

    Args:
        pixels: of the picture that the masks lie on.
        limit: at most this many masks a camera.
    """

    def __init__(self, pixels: int, *, iou: float, containment: float, limit: int) -> None:
        super().__init__()
        self._limit = limit
        self.most_common = OfCount(most_in_ratio(iou, pixels))
        self.most_covered = OfCount(most_of(containment, pixels)) if containment < 1 else None

    def forward(self, candidates: DeviceCandidates, rounds: int = ROUNDS) -> tuple[torch.Tensor, torch.Tensor]:
        """Return bool[B, K], the chosen masks, and bool[]: ``rounds`` were enough."""
        masks, areas = candidates.masks.flatten(2), candidates.areas
        places = torch.arange(masks.shape[1], device=masks.device, dtype=torch.int32)
        better = places[None, :] < places[:, None]  # [this mask, a better one]
        overlap = overlaps(masks)
        rivals = (overlap > self.most_common(areas[:, :, None] + areas[:, None] - overlap)) & better
        chosen = candidates.standing
        settled = torch.zeros((), dtype=torch.bool, device=masks.device)
        for _ in range(rounds):
            before = chosen
            dropped = (rivals & before[:, None]).any(-1)
            if self.most_covered is not None:
                dropped = dropped | (_covered(masks, before, places) > self.most_covered(areas))
            chosen = candidates.standing & ~dropped
            settled = (chosen == before).all()
        return chosen & (chosen.cumsum(1) <= self._limit), settled


def overlaps(masks: torch.Tensor) -> torch.Tensor:
    """Return int64[B, K, K], the common pixels of all pairs of bool[B, K, n]; exact, being sums of ones."""
    ones = masks.float()
    return (ones @ ones.transpose(1, 2)).long()


def _covered(masks: torch.Tensor, chosen: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Return int64[B, K], the pixels of each mask that lie under a better chosen one."""
    nobody = len(places)
    owner = torch.where(masks & chosen[..., None], places[:, None], nobody).amin(dim=1, keepdim=True)
    return (masks & (owner < places[:, None])).sum(-1)
