"""DeviceMaskSet -> the chosen masks, and what the host must know of them; ``selection/select.py`` up to painting."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from ..config import SelectionConfig
from ..types import Grid, Plane
from .candidates import DeviceCandidates, best_hypotheses
from .components import ROUNDS
from .limits import area_limits, off_plane, within_size
from .nms import Suppression
from .shares import OfCount, most_of
from .types import DeviceFeatures, DeviceMaskSet, DevicePrompts


@dataclass(frozen=True)
class Election:
    """The outcome for B cameras.

    Attributes:
        candidates: K masks, best first.
        rank: int64[B, K], places of the candidates: the chosen ones first, best first.
        chosen: bool[B, K], in the order of ``rank``.
    """

    candidates: DeviceCandidates
    rank: torch.Tensor
    chosen: torch.Tensor

    def ballots(self, count: int) -> tuple[torch.Tensor, ...]:
        """Return logits, boxes, areas, scores and whether it is chosen of the first ``count`` places of ``rank``."""
        first, of = self.rank[:, :count], self.candidates
        camera = torch.arange(len(first), device=first.device)[:, None]
        return (*(values[camera, first] for values in (of.logits, of.boxes, of.areas, of.scores)),
                self.chosen[:, :count])


class DeviceElector(nn.Module):
    """Best hypotheses, limits, plane veto and suppression, for pictures that map to the working grid like ``grid``."""

    def __init__(self, config: SelectionConfig, grid: Grid) -> None:
        super().__init__()
        self.config = config
        pixels = grid.resized_hw[0] * grid.resized_hw[1]
        self._areas = area_limits(pixels, config)
        self.most_on_plane = OfCount(most_of(config.plane_ratio, pixels))
        self.suppress = Suppression(pixels, iou=config.nms_iou, containment=config.containment,
                                    limit=config.max_instances)

    def forward(self, features: DeviceFeatures, mask_set: DeviceMaskSet,
                rounds: int = ROUNDS) -> tuple[Election, torch.Tensor]:
        """Choose; also returns bool[], ``rounds`` of suppression were enough."""
        config, grid, geometry = self.config, features.grid, features.geometry
        candidates = best_hypotheses(mask_set, grid, score_threshold=config.score_threshold)
        least, most = self._areas
        standing = candidates.standing & (candidates.areas >= least) & (candidates.areas <= most)
        if geometry is not None:
            standing = standing & within_size(candidates, geometry, config)
            if config.plane_veto:
                standing = standing & off_plane(candidates, geometry, config, self.most_on_plane)
        candidates = replace(candidates, standing=standing)
        chosen, settled = self.suppress(candidates, rounds)
        count = chosen.shape[1]
        place = torch.arange(count, dtype=torch.float32, device=chosen.device)
        rank = torch.where(chosen, place, place + count).topk(count, dim=1, largest=False).indices
        return Election(candidates, rank, chosen.gather(1, rank)), settled


@dataclass(frozen=True)
class Tally:
    """What the host learns of one camera's election, before anything is painted.

    Attributes:
        scores: float32[n] of the chosen masks, best first; boxes: int[n, 4], working pixels.
        points_px: float32[N, 2] and point_scores: float32[N] of the prompts, best first.
        depth_used: there was enough depth.
        plane: the support plane, ``None`` without one; its inlier ratio is not known here (NaN).
    """

    scores: np.ndarray
    boxes: np.ndarray
    points_px: np.ndarray
    point_scores: np.ndarray
    depth_used: bool
    plane: Plane | None


#: Columns of ``tally_rows``: what a place says of its mask and of its prompt.
COLUMNS = 9


def tally_rows(features: DeviceFeatures, prompts: DevicePrompts, election: Election,
               settled: torch.Tensor) -> torch.Tensor:
    """Return float32[B, K + 1, 9], all that the host needs to know, so that one copy brings it.

    Row k: score and box of the mask, whether it is chosen, point and score of prompt k, whether it is taken. The last
    row: settled, depth usable, plane found, plane (4). Whole numbers are exact in float32.
    """
    _, boxes, _, scores, chosen = election.ballots(election.rank.shape[1])
    rows = torch.cat([scores[..., None], boxes.float(), chosen[..., None].float(), prompts.points_px,
                      prompts.scores.where(prompts.valid, -1.0)[..., None]], dim=-1)
    geometry, cameras = features.geometry, len(rows)
    if geometry is None:
        of_depth = rows.new_zeros((cameras, 6))
    else:
        of_depth = torch.cat([geometry.usable[:, None].float(), geometry.plane_found[:, None].float(),
                              geometry.plane], dim=-1)
    last = torch.cat([settled.float().expand(cameras, 1), of_depth], dim=-1)
    return torch.cat([rows, nn.functional.pad(last, (0, COLUMNS - last.shape[-1]))[:, None]], dim=1)


def read_tally(rows: np.ndarray) -> Tally:
    """Read one camera's float32[K + 1, 9]."""
    *places, last = rows
    places = np.asarray(places, dtype=np.float32).reshape(-1, COLUMNS)
    chosen, taken = places[places[:, 5] > 0], places[places[:, 8] >= 0]
    plane = Plane(last[3:6].copy(), float(last[6]), float("nan")) if last[1] > 0 and last[2] > 0 else None
    return Tally(chosen[:, 0].copy(), chosen[:, 1:5].astype(int), taken[:, 6:8].copy(), taken[:, 8].copy(),
                 bool(last[1] > 0), plane)


def is_settled(rows: np.ndarray) -> bool:
    """Return whether the rounds were enough, from float32[B, K + 1, 9]."""
    return bool((rows[:, -1, 0] > 0).all())

