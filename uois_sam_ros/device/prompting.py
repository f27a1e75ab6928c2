"""DeviceFeatures -> DevicePrompts; the strategies of ``prompting/`` with K places a camera, as many for any picture."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from ..config import PromptingConfig
from ..errors import ConfigError
from ..prompting.grid import grid_points
from ..prompting.hpg import COVERAGE_FOREGROUND, COVERAGE_SCORE
from ..prompting.maps import PLANE_TOLERANCE_M
from ..types import Grid
from .coverage import Coverage
from .peaks import best_first, peak_map, thin_by_distance
from .types import DeviceFeatures, DeviceGeometry, DevicePrompts

#: Peaks that are looked at for each that is wanted, because thinning drops some; and how many a GPU sorts at once.
CANDIDATES, MOST_CANDIDATES = 4, 3840


class DevicePrompter(nn.Module):
    """The prompting stage on one working grid.

    The strategy's module is made at the first call, which tells the sizes of the maps; K never changes after that.
    """

    def __init__(self, config: PromptingConfig, grid: Grid) -> None:
        super().__init__()
        self.config, self._grid = config, grid
        self.strategy: nn.Module | None = None

    def forward(self, features: DeviceFeatures) -> DevicePrompts:
        """Prompt B cameras.

        Raises:
            ConfigError: a configured map is missing.
        """
        kind = STRATEGIES[self.config.strategy]
        maps = [_read(features, getattr(self.config, f"{role}_map")) for role in kind.reads]
        if self.strategy is None:
            like = maps[0] if maps else next(iter(features.maps.values()))
            self.strategy = kind(self.config, self._grid, *(tuple(values.shape[1:]) for values in maps)).to(like.device)
        if not maps:
            return DevicePrompts(*self.strategy(next(iter(features.maps.values()))))
        maps[0] = with_depth_prior(maps[0], features.geometry, self.config.depth_prior)
        return DevicePrompts(*self.strategy(*maps))


class HpgPoints(nn.Module):
    """Foreground and heatmap float32[B, a, b] -> the tensors of ``DevicePrompts``, in its order; see ``hpg_prompts``.

    K is ``max_points + coverage_points``.

    Args:
        foreground_hw, heatmap_hw: cells of the maps.
    """

    reads = input_names = ("foreground", "heatmap")
    output_names = ("points_px", "scores", "valid", "foreground_work", "heatmap_work")

    def __init__(self, config: PromptingConfig, grid: Grid, foreground_hw: tuple[int, int],
                 heatmap_hw: tuple[int, int]) -> None:
        super().__init__()
        self._config, self._grid = config, grid
        self._heat, self._cover = Cells(heatmap_hw, grid), Cells(foreground_hw, grid)
        cells = self._heat.hw[0] * self._heat.hw[1]
        self._wanted = min(config.max_points, cells)
        self._count = min(CANDIDATES * config.max_points, MOST_CANDIDATES, cells)
        radius = max(1, round(config.coverage_radius_px / (0.5 * sum(self._cover.size_xy))))
        self.coverage = None if config.coverage_points == 0 else Coverage(
            self._cover.hw, radius=radius, count=config.coverage_points,
            threshold=max(config.foreground_threshold, COVERAGE_FOREGROUND))

    def forward(self, foreground: torch.Tensor, heatmap: torch.Tensor) -> tuple[torch.Tensor, ...]:
        foreground_work, heatmap_work = to_working(foreground, self._grid), to_working(heatmap, self._grid)
        points, scores, valid = self._peaks(self._heat.unpadded(heatmap), foreground_work)
        if self.coverage is not None:
            more = self._covering(self._cover.unpadded(foreground), points, valid)
            points, scores, valid = (torch.cat(pair, dim=1) for pair in zip((points, scores, valid), more))
            order = best_first(scores, valid, scores.shape[1])
            points, scores, valid = pick(points, order), scores.gather(1, order), valid.gather(1, order)
        points, scores = torch.where(valid[..., None], points, 0.0), torch.where(valid, scores.clamp(0, 1), 0.0)
        return points, scores, valid, foreground_work, heatmap_work

    def _peaks(self, heat: torch.Tensor, foreground_work: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return points [B, K, 2], scores and validity [B, K] of the heatmap's peaks on foreground."""
        config = self._config
        every_cell = torch.arange(heat[0].numel(), device=heat.device)[None]
        on_foreground = sample(foreground_work, self._heat.points(every_cell)) >= config.foreground_threshold
        peak = peak_map(heat, window=config.peak_window, threshold=config.heatmap_threshold, plateaus=self._count)
        peak = peak.flatten(1) & on_foreground
        heat = heat.flatten(1)
        cells = torch.where(peak, heat, -1.0).topk(self._count, dim=1).indices
        cells = cells.float().topk(self._count, dim=1, largest=False).values.long()
        scores, valid = heat.gather(1, cells), peak.gather(1, cells)
        order = best_first(scores, valid, self._count)
        cells, scores, valid = (values.gather(1, order) for values in (cells, scores, valid))
        points = self._heat.points(cells)
        kept = thin_by_distance(points, valid, config.min_distance_px)
        order = best_first(scores, kept, self._wanted)
        return pick(points, order), scores.gather(1, order), kept.gather(1, order)

    def _covering(self, foreground: torch.Tensor, points: torch.Tensor,
                  valid: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return points [B, count, 2], scores and validity [B, count] on foreground that no point reaches."""
        cells, taken = self.coverage(foreground, self._cover.nearest(points), valid)
        return self._cover.points(cells), foreground.flatten(1).gather(1, cells) * COVERAGE_SCORE, taken


class GridPoints(nn.Module):
    """A regular grid of prompts for every camera; see ``grid_prompts``. K is the number of grid points."""

    reads: tuple[str, ...] = ()

    def __init__(self, config: PromptingConfig, grid: Grid) -> None:
        super().__init__()
        self.register_buffer("grid_px", torch.from_numpy(grid_points(grid, config.grid_side)), persistent=False)

    def forward(self, like: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the grid as often as ``like`` [B, ...] has cameras."""
        points = self.grid_px.expand(like.shape[0], -1, -1)
        ones = torch.ones_like(points[..., 0])
        return points, ones, ones > 0


class ForegroundGridPoints(nn.Module):
    """The grid points on foreground float32[B, a, b], the most probable first; see ``foreground_grid_prompts``."""

    reads = ("foreground",)

    def __init__(self, config: PromptingConfig, grid: Grid, foreground_hw: tuple[int, int]) -> None:
        super().__init__()
        self._threshold, self._grid = config.foreground_threshold, grid
        self.register_buffer("grid_px", torch.from_numpy(grid_points(grid, config.grid_side)), persistent=False)

    def forward(self, foreground: torch.Tensor) -> tuple[torch.Tensor, ...]:
        work = to_working(foreground, self._grid)
        scores = sample(work, self.grid_px[None])
        valid = scores >= self._threshold
        order = best_first(scores, valid, scores.shape[1])
        points, scores, valid = self.grid_px[order], scores.gather(1, order), valid.gather(1, order)
        return torch.where(valid[..., None], points, 0.0), torch.where(valid, scores.clamp(0, 1), 0.0), valid, work


#: Name in ``PromptingConfig.strategy`` -> module.
STRATEGIES = {"hpg": HpgPoints, "grid": GridPoints, "foreground": ForegroundGridPoints}


class Cells:
    """The cells of a map that covers the working grid: their size, those over the picture, their centres.

    Attributes:
        hw: cells over the picture, without the padding. size_xy: working pixels a cell.
    """

    def __init__(self, map_hw: tuple[int, int], grid: Grid) -> None:
        self.size_xy = grid.padded_hw[1] / map_hw[1], grid.padded_hw[0] / map_hw[0]
        self.hw = (min(map_hw[0], math.ceil(grid.resized_hw[0] / self.size_xy[1])),
                   min(map_hw[1], math.ceil(grid.resized_hw[1] / self.size_xy[0])))
        self._picture_hw = grid.resized_hw

    def unpadded(self, values: torch.Tensor) -> torch.Tensor:
        """Return the part of float32[B, a, b] that covers the picture."""
        return values[:, :self.hw[0], :self.hw[1]]

    def points(self, cells: torch.Tensor) -> torch.Tensor:
        """Return float32[..., 2], the centres (x, y) of raster cells in working pixels, inside the picture."""
        x = (cells % self.hw[1] + 0.5) * self.size_xy[0] - 0.5
        y = (cells // self.hw[1] + 0.5) * self.size_xy[1] - 0.5
        return torch.stack([x.clamp(0, self._picture_hw[1] - 1), y.clamp(0, self._picture_hw[0] - 1)], dim=-1)

    def nearest(self, points: torch.Tensor) -> torch.Tensor:
        """Return int64[..., 2], the cells (x, y) that hold working points."""
        x, y = points.unbind(dim=-1)
        return torch.stack([torch.round((x + 0.5) / self.size_xy[0] - 0.5),
                            torch.round((y + 0.5) / self.size_xy[1] - 0.5)], dim=-1).long()


def with_depth_prior(foreground: torch.Tensor, geometry: DeviceGeometry | None, power: float) -> torch.Tensor:
    """Return float32[B, a, b] foreground, weighed by height above the plane as ``maps.read_foreground`` does."""
    if power == 0 or geometry is None:
        return foreground
    tolerance = PLANE_TOLERANCE_M * (geometry.points_m[..., 2] ** 2).clamp(min=1)
    above = 1 - torch.exp(-((geometry.height_m / tolerance) ** 2))
    prior = torch.where(geometry.valid, above, 1.0) ** power
    known = (geometry.usable & geometry.plane_found)[:, None, None]
    return foreground * torch.where(known, _resized(prior, tuple(foreground.shape[1:])), 1.0)


def to_working(values: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Return maps float32[B, a, b] interpolated to the working grid, float32[B, h, w]."""
    return _resized(values, grid.padded_hw)


def sample(values: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Return float32[B, N], values of float32[B, h, w] at the pixels nearest to float32[1 or B, N, 2] points."""
    height, width = values.shape[1:]
    cols = torch.round(points[..., 0]).long().clamp(0, width - 1)
    rows = torch.round(points[..., 1]).long().clamp(0, height - 1)
    return values.flatten(1).gather(1, (rows * width + cols).expand(values.shape[0], -1))


def pick(points: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """Return float32[B, M, 2], the points at int64[B, M] places."""
    return points.gather(1, order[..., None].expand(-1, -1, 2))


def _resized(values: torch.Tensor, hw: tuple[int, int]) -> torch.Tensor:
    if tuple(values.shape[1:]) == tuple(hw):
        return values
    return F.interpolate(values[:, None], hw, mode="bilinear").squeeze(1)


def _read(features: DeviceFeatures, name: str) -> torch.Tensor:
    if name not in features.maps:
        raise ConfigError(
            f"device prompting: expected a feature map called '{name}', the encoders made "
            f"{', '.join(sorted(features.maps)) or 'none'}; choose another encoder or map name")
    return features.maps[name].squeeze(1)
