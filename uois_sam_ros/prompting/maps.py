"""Reading prediction maps: by name, the cell centres, the working-grid version."""

from __future__ import annotations

import cv2
import numpy as np

from ..config import PromptingConfig
from ..errors import ConfigError
from ..types import Features, Geometry, Grid

#: Height over the plane, up to one metre away and growing with the square beyond, at which the prior reaches 63 %.
PLANE_TOLERANCE_M = 0.006


def read_map(features: Features, name: str) -> np.ndarray:
    """Return the map float32[1, 1, a, b] called ``name`` as float32[a, b].

    Raises:
        ConfigError: no encoder of this preset makes such a map.
    """
    if name not in features.maps:
        raise ConfigError(
            f"prompting: expected a feature map called '{name}', the encoders made "
            f"{', '.join(sorted(features.maps)) or 'none'}; choose another encoder or map name")
    values = features.maps[name]
    return values.reshape(values.shape[-2:])


def read_foreground(features: Features, config: PromptingConfig) -> np.ndarray:
    """Return the configured foreground map as float32[a, b], weighed by depth when ``depth_prior`` asks for it.

    Raises:
        ConfigError: see ``read_map``.
    """
    foreground = read_map(features, config.foreground_map)
    geometry = features.geometry
    if config.depth_prior == 0 or geometry is None or geometry.plane is None:
        return foreground
    prior = above_plane(geometry) ** np.float32(config.depth_prior)
    return foreground * cv2.resize(prior, foreground.shape[::-1], interpolation=cv2.INTER_LINEAR)


def above_plane(geometry: Geometry) -> np.ndarray:
    """Return float32[h, w] in [0, 1]: 0 in the support plane, towards 1 off it, 1 where the sensor saw nothing."""
    tolerance = np.float32(PLANE_TOLERANCE_M) * np.maximum(geometry.points_m[..., 2] ** 2, np.float32(1))
    above = 1 - np.exp(-((geometry.height_m / tolerance) ** 2))
    return np.where(geometry.valid, above, np.float32(1)).astype(np.float32)


def cells_to_points(cells: np.ndarray, size_xy: tuple[float, float], grid: Grid) -> np.ndarray:
    """Return the centres of cells [N, 2] (x, y) as float32[N, 2] working pixels inside the picture."""
    points = (np.asarray(cells, dtype=np.float32) + 0.5) * np.asarray(size_xy, np.float32) - 0.5
    limit = np.asarray([grid.resized_hw[1] - 1, grid.resized_hw[0] - 1], dtype=np.float32)
    return np.clip(points, 0, limit).astype(np.float32)


def to_working(values: np.ndarray, grid: Grid) -> np.ndarray:
    """Return a map float32[a, b] interpolated to the working grid, float32[h, w]."""
    height, width = grid.padded_hw
    if values.shape == (height, width):
        return values
    return cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR)
