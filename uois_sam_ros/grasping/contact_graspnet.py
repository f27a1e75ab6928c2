"""Input file of Contact-GraspNet: depth in metres, camera matrix, label image and colour."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import ConfigError
from .files import write_npz
from .points import MIN_POINTS, View, labelled_cloud, nothing_to_grasp

#: The planner ignores what is nearer or farther (its ``--z_range``, metres).
Z_RANGE_M = (0.2, 1.8)


def contact_graspnet_arrays(view: View, *, z_range_m: tuple[float, float] = Z_RANGE_M,
                            min_points: int = MIN_POINTS) -> dict[str, np.ndarray] | None:
    """Return the arrays that the planner's loader looks for.

    ``depth`` float32[H, W] metres with 0 for "no reading"; ``K`` float64[3, 3]; ``segmap`` uint16[H, W], 0 = background
    and ids as in the label image; ``rgb`` uint8[H, W, 3] **in BGR order**, because the loader swaps it (left out when
    the view has no colour).

    Args:
        z_range_m: what the planner is run with; objects with fewer than ``min_points`` inside are background.

    Returns:
        ``None`` when no object is left.

    Raises:
        ConfigError: a range that is empty.
    """
    near, far = check_z_range(z_range_m)
    cloud = labelled_cloud(view, min_depth_m=near, max_depth_m=far).without_small(min_points)
    if not cloud.ids:
        return None
    known = np.isfinite(view.depth_m) & (view.depth_m > 0)
    arrays = {
        "depth": np.where(known, view.depth_m, 0).astype(np.float32),
        "K": view.camera_matrix,
        "segmap": np.where(np.isin(view.label, cloud.ids), view.label, 0).astype(np.uint16),
    }
    if view.color is not None:
        arrays["rgb"] = np.ascontiguousarray(view.color[:, :, ::-1])
    return arrays


def check_z_range(z_range_m: Sequence[float]) -> tuple[float, float]:
    """Return near and far in metres; raises ``ConfigError`` where there is nothing between them."""
    near, far = z_range_m
    if not 0 <= near < far:
        raise ConfigError(f"z range: expected 0 <= near < far in metres, got {near:g} {far:g}")
    return float(near), float(far)


def write_contact_graspnet(folder: Path, source: str, name: str, view: View, *,
                           z_range_m: tuple[float, float] = Z_RANGE_M,
                           min_points: int = MIN_POINTS) -> tuple[int, ...]:
    """Write ``folder/<source>_<name>.npz`` and return the ids in it.

    One flat folder: the planner names its results after the file alone, so equal names would overwrite each other.

    Raises:
        FrameError: no object in range.
        InputError: the folder cannot be written.
    """
    arrays = contact_graspnet_arrays(view, z_range_m=z_range_m, min_points=min_points)
    if arrays is None:
        raise nothing_to_grasp(view, labelled_cloud(view, min_depth_m=z_range_m[0], max_depth_m=z_range_m[1]),
                               min_points)
    write_npz(folder / f"{source}_{name}.npz", **arrays)
    return tuple(int(number) for number in np.unique(arrays["segmap"]) if number)
