"""A regular grid of prompts: the baseline, alone or thinned by the foreground map."""

from __future__ import annotations

import numpy as np

from ..config import PromptingConfig
from ..types import Features, Grid, Prompts
from .maps import read_foreground, to_working


def grid_prompts(features: Features, config: PromptingConfig) -> Prompts:
    """Prompt at every point of a square grid; reads no map. ``grid_side`` alone bounds the number."""
    points = grid_points(features.grid, config.grid_side)
    return Prompts(points, np.ones(len(points), np.float32))


def foreground_grid_prompts(features: Features, config: PromptingConfig) -> Prompts:
    """Prompt at the grid points that lie on foreground, the most probable first.

    Raises:
        ConfigError: the foreground map is missing.
    """
    foreground = to_working(read_foreground(features, config), features.grid)
    points = grid_points(features.grid, config.grid_side)
    cols, rows = np.rint(points).astype(int).T
    scores = foreground[rows, cols]
    keep = np.flatnonzero(scores >= config.foreground_threshold)
    keep = keep[np.argsort(-scores[keep], kind="stable")]
    return Prompts(points[keep], np.clip(scores[keep], 0, 1), foreground)


def grid_points(grid: Grid, side: int) -> np.ndarray:
    """Return float32[N, 2] working points: ``side`` along the longer side, evenly, half a step in."""
    height, width = grid.resized_hw
    step = max(height, width) / side
    across, down = max(1, round(width / step)), max(1, round(height / step))
    xs = (np.arange(across, dtype=np.float32) + 0.5) * (width / across) - 0.5
    ys = (np.arange(down, dtype=np.float32) + 0.5) * (height / down) - 0.5
    mesh = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    return np.clip(mesh, 0, [width - 1, height - 1]).astype(np.float32)
