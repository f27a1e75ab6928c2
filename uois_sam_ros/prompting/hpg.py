"""Heatmap prompting: foreground peaks of the centre heatmap, plus cover for missed foreground."""

from __future__ import annotations

import cv2
import numpy as np

from ..config import PromptingConfig
from ..types import Features, Prompts
from .maps import cells_to_points, read_foreground, read_map, to_working
from .peaks import find_peaks, thin_by_distance

#: A coverage point scores its foreground probability times this: less than any real peak.
COVERAGE_SCORE = 0.05
#: Foreground that asks for cover is at least this probable, whatever the point threshold.
COVERAGE_FOREGROUND = 0.5


def hpg_prompts(features: Features, config: PromptingConfig) -> Prompts:
    """Prompt at the top K heatmap peaks on foreground and on foreground far from all of them.

    Coverage points come on top of ``max_points`` and rank behind the peaks by their score.

    Raises:
        ConfigError: a configured map is missing.
    """
    grid = features.grid
    foreground = read_foreground(features, config)
    heatmap = read_map(features, config.heatmap_map)
    foreground_work = to_working(foreground, grid)
    heatmap_work = to_working(heatmap, grid)

    heat = grid.unpadded(heatmap)
    size_xy = grid.cell_size(heatmap)
    cells, scores = find_peaks(heat, window=config.peak_window, threshold=config.heatmap_threshold)
    points = cells_to_points(cells, size_xy, grid)
    on_foreground = _sample(foreground_work, points) >= config.foreground_threshold
    points, scores = points[on_foreground], scores[on_foreground]
    chosen = thin_by_distance(points, config.min_distance_px, limit=config.max_points)
    points, scores = points[chosen], scores[chosen]

    if config.coverage_points > 0:
        extra, extra_scores = coverage_points(
            grid.unpadded(foreground), points, features,
            size_xy=grid.cell_size(foreground), config=config)
        points = np.concatenate([points, extra])
        scores = np.concatenate([scores, extra_scores])
    order = np.argsort(-scores, kind="stable")
    return Prompts(points[order], np.clip(scores[order], 0, 1), foreground_work, heatmap_work)


def coverage_points(foreground: np.ndarray, points_px: np.ndarray, features: Features, *,
                    size_xy: tuple[float, float],
                    config: PromptingConfig) -> tuple[np.ndarray, np.ndarray]:
    """Place points inside foreground that no point reaches.

    The deepest place of the uncovered foreground gets a point, which covers a disc; repeated until
    nothing is left or ``coverage_points`` are placed.

    Args:
        foreground: float32[a, b] probability, without padding.
        points_px: float32[N, 2], working pixels.
        size_xy: working pixels a cell.

    Returns:
        float32[M, 2] working pixels and float32[M] scores.
    """
    height, width = foreground.shape
    wanted = foreground >= max(config.foreground_threshold, COVERAGE_FOREGROUND)
    radius = max(1, round(config.coverage_radius_px / (0.5 * (size_xy[0] + size_xy[1]))))
    open_cells = np.zeros((height + 2, width + 2), dtype=np.uint8)  # the rim keeps points inside
    open_cells[1:-1, 1:-1] = wanted
    cells = np.rint((points_px + 0.5) / np.asarray(size_xy, np.float32) - 0.5).astype(int)
    for x, y in cells:
        cv2.circle(open_cells, (int(x) + 1, int(y) + 1), radius, 0, thickness=-1)

    found: list[tuple[int, int]] = []
    for _ in range(config.coverage_points):
        depth = cv2.distanceTransform(open_cells, cv2.DIST_L2, 3)
        _, deepest, _, (x, y) = cv2.minMaxLoc(depth)
        if deepest <= 0:
            break
        found.append((x - 1, y - 1))
        cv2.circle(open_cells, (x, y), radius, 0, thickness=-1)
    if not found:
        return np.zeros((0, 2), np.float32), np.zeros(0, np.float32)
    chosen = np.asarray(found)
    scores = foreground[chosen[:, 1], chosen[:, 0]] * np.float32(COVERAGE_SCORE)
    return cells_to_points(chosen, size_xy, features.grid), scores.astype(np.float32)


def _sample(values: np.ndarray, points_px: np.ndarray) -> np.ndarray:
    """Values float32[N] of a working-grid map at the pixels nearest to the points."""
    cols, rows = np.rint(points_px).astype(int).T
    return values[np.clip(rows, 0, values.shape[0] - 1), np.clip(cols, 0, values.shape[1] - 1)]
