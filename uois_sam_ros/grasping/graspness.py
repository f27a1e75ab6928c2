"""Input arrays of graspness (GSNet): per scene and per object.

The network reads ``point_clouds`` (metres, camera frame), ``coors`` (points in voxels) and ``feats`` (ones). Its own
loader takes the box around everything labelled, grown by 2 cm in the table's frame, and fails on an all-zero label
image; here that case is ``None`` or an empty tuple.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import ConfigError
from ..types import Plane
from .files import write_npz
from .points import MIN_POINTS, LabelledCloud, View, labelled_cloud, nothing_to_grasp, sample_indices
from .table import MARGIN_M, in_workspace, support_plane, table_from_camera

#: ``GraspnessInput.id`` of the whole scene.
SCENE = 0


@dataclass(frozen=True)
class GraspnessSettings:
    """How inputs are cut out and sampled; the defaults are those of the published inference.

    Attributes:
        points: in every input.
        voxel_m: edge of a voxel of ``coors``; must be what the network was trained with.
        margin_m: how far the scene's box reaches beyond the objects.
        context_m: of an object's input: 0 = its own points alone; else everything within this distance of its box
            too, so that the planner sees what the gripper could hit.
        min_points: objects with fewer points with depth are left out.
        seed: of the sampling; equal views and seeds give equal arrays.

    Raises:
        ConfigError: a value outside its range.
    """

    points: int = 15_000
    voxel_m: float = 0.005
    margin_m: float = MARGIN_M
    context_m: float = 0.0
    min_points: int = MIN_POINTS
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low in (("points", 1), ("voxel_m", 1e-4), ("margin_m", 0), ("context_m", 0), ("min_points", 1),
                          ("seed", 0)):
            if not low <= getattr(self, name) < np.inf:
                raise ConfigError(f"graspness {name}: expected {low:g} or more, got {getattr(self, name):g}")


@dataclass(frozen=True)
class GraspnessInput:
    """One input of the network.

    Attributes:
        id: of the object in the label image, or ``SCENE``.
        point_clouds: float32[N, 3] metres, camera frame.
        coors: float32[N, 3], the same in voxels.
        feats: float32[N, 3], ones.
        labels: uint16[N], the object that each point belongs to, 0 = background.
        pixels: int64[N], flat pixel index of each point in the label image.
    """

    id: int
    point_clouds: np.ndarray
    coors: np.ndarray
    feats: np.ndarray
    labels: np.ndarray
    pixels: np.ndarray

    def as_dict(self) -> dict[str, np.ndarray]:
        """Return what the network's collate function takes, and nothing else."""
        return {"point_clouds": self.point_clouds, "coors": self.coors, "feats": self.feats}


def scene_input(view: View, settings: GraspnessSettings = GraspnessSettings(),
                plane: Plane | None = None) -> GraspnessInput | None:
    """Sample the box around all objects.

    Args:
        plane: of the table; the box is aligned with it. ``None``: it is searched in the depth image.

    Returns:
        The input, or ``None`` when no object has ``min_points``: the network must then not be called.
    """
    cloud = labelled_cloud(view).without_small(settings.min_points)
    inside = cloud.take(in_workspace(cloud, _table(view, plane), settings.margin_m))
    return _sample(inside, SCENE, settings) if len(inside) else None


def object_inputs(view: View, settings: GraspnessSettings = GraspnessSettings(),
                  plane: Plane | None = None) -> tuple[GraspnessInput, ...]:
    """Sample every object with at least ``min_points`` by itself, in the order of the ids; see ``scene_input``."""
    cloud = labelled_cloud(view).without_small(settings.min_points)
    table = _table(view, plane) if settings.context_m and cloud.ids else np.eye(4)
    inputs = []
    for number in cloud.ids:
        near = cloud.labels == number
        if settings.context_m:
            only = LabelledCloud(cloud.points_m, np.where(near, cloud.labels, 0), cloud.pixels)
            near = in_workspace(only, table, settings.context_m)
        inputs.append(_sample(cloud.take(near), number, settings))
    return tuple(inputs)


def write_graspness(folder: Path, source: str, name: str, view: View,
                    settings: GraspnessSettings = GraspnessSettings()) -> tuple[int, ...]:
    """Make the inputs of a view and write them with ``write_inputs``; return the ids of the objects.

    Raises:
        FrameError: no object has ``min_points``; the message says what there is.
        InputError: the folder cannot be written.
    """
    plane = support_plane(view)
    scene = scene_input(view, settings, plane)
    if scene is None:
        raise nothing_to_grasp(view, labelled_cloud(view), settings.min_points)
    objects = object_inputs(view, settings, plane)
    write_inputs(folder / source, name, scene, objects)
    return tuple(one.id for one in objects)


def write_inputs(folder: Path, name: str, scene: GraspnessInput, objects: tuple[GraspnessInput, ...]) -> None:
    """Write ``folder/<name>_scene.npz`` and ``<name>_objects.npz``.

    The first holds the arrays of ``scene`` by the names of ``GraspnessInput``; the second those of all objects, with a
    leading axis of one entry an object, and ``ids`` that names them. Raises as ``files.write_npz``.
    """
    write_npz(folder / f"{name}_scene.npz", **_arrays(scene))
    each = [_arrays(one) for one in objects]
    write_npz(folder / f"{name}_objects.npz", ids=np.array([one.id for one in objects], np.uint16),
              **{key: np.stack([one[key] for one in each]) for key in each[0]})


def _table(view: View, plane: Plane | None) -> np.ndarray:
    return table_from_camera(plane if plane is not None else support_plane(view))


def _arrays(one: GraspnessInput) -> dict[str, np.ndarray]:
    return {**one.as_dict(), "labels": one.labels, "pixels": one.pixels}


def _sample(cloud: LabelledCloud, number: int, settings: GraspnessSettings) -> GraspnessInput:
    rng = np.random.default_rng((settings.seed, number))
    chosen = cloud.take(sample_indices(len(cloud), settings.points, rng))
    points = chosen.points_m
    return GraspnessInput(number, points, points / np.float32(settings.voxel_m), np.ones_like(points), chosen.labels,
                          chosen.pixels)
