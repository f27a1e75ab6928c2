"""Input of AnyGrasp: points, colours, and for each point whether it is on the object to grasp.

``region_steering`` must have one entry for every point that is handed over, in the same order. A label image that is
flattened as a whole has H x W entries, the cloud only those with depth: lengths differ, or worse, the mask is shifted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import FrameError
from ..replay.results import encode_png
from .files import color_png, label_u8, stored_depth, write_bytes, write_npz
from .points import MIN_POINTS, View, labelled_cloud, nothing_to_grasp
from .table import MARGIN_M

#: The published demos drop what is farther away; raise it for a camera that hangs higher.
MAX_DEPTH_M = 1.0


@dataclass(frozen=True)
class AnyGraspInput:
    """What the detector takes for one view.

    Attributes:
        points: float32[N, 3] metres, camera frame.
        colors: float32[N, 3] in [0, 1], RGB; ``None`` when the view has no colour.
        labels: uint16[N], the object of each point, 0 = background.
        pixels: int64[N], flat pixel index of each point.
        lims: [xmin, xmax, ymin, ymax, zmin, zmax] metres, camera frame: the box around the objects, grown by 2 cm.
    """

    points: np.ndarray
    colors: np.ndarray | None
    labels: np.ndarray
    pixels: np.ndarray
    lims: list[float]

    @property
    def ids(self) -> tuple[int, ...]:
        """The objects that can be steered to, ascending."""
        return tuple(int(number) for number in np.unique(self.labels) if number)

    def region_steering(self, *ids: int) -> np.ndarray:
        """Return bool[N], aligned with ``points``: on one of these objects; without ids, on any.

        Raises:
            FrameError: an id that is not among ``ids``.
        """
        unknown = sorted(set(ids) - set(self.ids))
        if unknown:
            raise FrameError(f"region_steering: expected ids among {list(self.ids)}, got {unknown}; a mask without "
                             "points gives no grasp")
        return np.isin(self.labels, ids) if ids else self.labels > 0


def anygrasp_input(view: View, *, max_depth_m: float = MAX_DEPTH_M, min_points: int = MIN_POINTS,
                   margin_m: float = MARGIN_M) -> AnyGraspInput | None:
    """Collect the points nearer than ``max_depth_m`` and what they belong to.

    Returns:
        The input, or ``None`` when no object has ``min_points`` of them.
    """
    cloud = labelled_cloud(view, max_depth_m=max_depth_m).without_small(min_points)
    if not cloud.ids:
        return None
    objects = cloud.points_m[cloud.labels > 0]
    box = np.stack([objects.min(axis=0) - margin_m, objects.max(axis=0) + margin_m], axis=1)
    colors = None if view.color is None else cloud.pick(view.color).astype(np.float32) / np.float32(255)
    return AnyGraspInput(cloud.points_m, colors, cloud.labels, cloud.pixels, [float(side) for side in box.ravel()])


def write_anygrasp(folder: Path, source: str, name: str, view: View, *, max_depth_m: float = MAX_DEPTH_M,
                   min_points: int = MIN_POINTS) -> tuple[int, ...]:
    """Write ``folder/<source>/<name>/`` and return the ids of the objects in it.

    ``color.png``, ``depth.png`` (uint16 millimetres) and ``seg_mask.png`` (uint8 ids) are what the published demo
    reads; ``anygrasp.npz`` holds the arrays of ``AnyGraspInput`` and the camera matrix ``K`` to put into that demo.

    Raises:
        FrameError: no object in range, no colour, or an id above 255.
        InputError: the folder cannot be written.
    """
    found = anygrasp_input(view, max_depth_m=max_depth_m, min_points=min_points)
    if found is None:
        raise nothing_to_grasp(view, labelled_cloud(view, max_depth_m=max_depth_m), min_points)
    kept = np.where(np.isin(view.label, found.ids), view.label, 0)
    pictures = {"color.png": color_png(view), "depth.png": encode_png(stored_depth(view)),
                "seg_mask.png": encode_png(label_u8(kept, view.name))}
    target = folder / source / name
    for file, data in pictures.items():
        write_bytes(target / file, data)
    write_npz(target / "anygrasp.npz", points=found.points, colors=found.colors, labels=found.labels,
              pixels=found.pixels, lims=np.array(found.lims), K=view.camera_matrix)
    return found.ids
