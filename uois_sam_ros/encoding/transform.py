"""Frame -> working grid -> network input, and the exact inverse mapping (``types.Grid``)."""

from __future__ import annotations

import cv2
import numpy as np

from ..config import EncodingConfig
from ..types import Box, Frame, Geometry, Grid

#: Channels of the RGB-D input, in order. Training and run time both call ``rgbd_input``.
RGBD_CHANNELS = (
    "red", "green", "blue",
    "x", "y", "z",
    "valid",
    "normal_x", "normal_y", "normal_z",
    "height", "on_plane",
    "relief",
)
#: Half window of the local mean that ``relief`` is measured against, working pixels.
RELIEF_PX = 12


def working_grid(native_hw: tuple[int, int], config: EncodingConfig, *, short_side: int = 0,
                 region: Box | None = None) -> Grid:
    """Choose the working grid: short side as configured, never above the long side, padded.

    Args:
        short_side: in place of the configured one; 0 = that one.
        region: native xyxy box that the grid shows, of about the picture's form; ``None`` = the whole picture.
    """
    height, width = native_hw
    scale = min((short_side or config.short_side) / min(height, width), config.long_side / max(height, width))
    resized = (max(1, round(height * scale)), max(1, round(width * scale)))
    multiple = config.multiple
    padded = tuple(-(-side // multiple) * multiple for side in resized)
    return Grid(native_hw, resized, (padded[0], padded[1]), region)


def resize_color(color: np.ndarray, grid: Grid) -> np.ndarray:
    """Return uint8[h, w, 3] on the working grid; the padding repeats the border."""
    height, width = grid.resized_hw
    shrinks = height < color.shape[0]
    resized = cv2.resize(color, (width, height),
                         interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return _pad(resized, grid, cv2.BORDER_REPLICATE)


def resize_depth(depth_m: np.ndarray, grid: Grid) -> np.ndarray:
    """Return float32[h, w] on the working grid by nearest neighbour; the padding has no reading."""
    height, width = grid.resized_hw
    rows = np.minimum(((np.arange(height) + 0.5) * depth_m.shape[0] / height).astype(int),
                      depth_m.shape[0] - 1)
    cols = np.minimum(((np.arange(width) + 0.5) * depth_m.shape[1] / width).astype(int),
                      depth_m.shape[1] - 1)
    resized = depth_m[rows[:, None], cols[None, :]]
    return _pad(np.nan_to_num(resized, nan=0.0, posinf=0.0, neginf=0.0), grid, cv2.BORDER_CONSTANT)


def rgbd_input(color: np.ndarray, geometry: Geometry | None) -> np.ndarray:
    """Stack the network input, float32[13, h, w]; see ``RGBD_CHANNELS``.

    Colour is scaled to about [-2, 2]. Depth channels are metres around the median depth, scaled
    to unit order and clipped; all of them are zero without depth, and the plane channels are zero
    without a plane.

    Args:
        color: uint8[h, w, 3] RGB on the working grid.
        geometry: of the same grid, or ``None``.
    """
    height, width = color.shape[:2]
    channels = np.zeros((len(RGBD_CHANNELS), height, width), dtype=np.float32)
    channels[:3] = (color.astype(np.float32) * (4 / 255) - 2).transpose(2, 0, 1)
    if geometry is None:
        return channels
    points, valid = geometry.points_m, geometry.valid
    centre = np.float32(np.median(points[..., 2][valid])) if valid.any() else np.float32(0)
    z = points[..., 2]
    channels[3] = np.clip(points[..., 0] * 2, -3, 3)
    channels[4] = np.clip(points[..., 1] * 2, -3, 3)
    channels[5] = np.clip((z - centre) * 2, -3, 3)
    channels[6] = valid
    channels[7:10] = geometry.normals.transpose(2, 0, 1)
    if geometry.plane is not None:
        channels[10] = np.clip(geometry.height_m * 5, -2, 2)
        channels[11] = np.exp(-((geometry.height_m / 0.006) ** 2))
    size = 2 * RELIEF_PX + 1
    channels[12] = np.clip((z - cv2.blur(z, (size, size))) * 20, -2, 2)
    return channels


def frame_to_grid(frame: Frame, grid: Grid) -> tuple[np.ndarray, np.ndarray | None]:
    """Return colour and depth of what the grid shows of the frame (depth ``None`` when absent)."""
    depth = None if frame.depth_m is None else resize_depth(grid.cut(frame.depth_m), grid)
    return resize_color(grid.cut(frame.color), grid), depth


def _pad(image: np.ndarray, grid: Grid, border: int) -> np.ndarray:
    below = grid.padded_hw[0] - grid.resized_hw[0]
    right = grid.padded_hw[1] - grid.resized_hw[1]
    if not (below or right):
        return np.ascontiguousarray(image)
    return cv2.copyMakeBorder(image, 0, below, 0, right, border, value=0)
