"""The GraspNet-1Billion folder layout, and the folder that the demo of graspnet-baseline reads.

What their loaders demand, and what comes of it here:

* they assert 1280x720 pixels, so another size is refused;
* they take the box around every labelled pixel, also one without depth, which lies at the camera's centre and would
  stretch the box up to it: ``label/`` keeps labels only where there is depth;
* they map points by ``cam0_wrt_table @ camera_poses[frame]`` into a frame whose z is up from the table: the product is
  right for every frame, each by its own plane. How frames lie towards each other is not known and not in there;
* they read ``meta/*.mat`` with SciPy, so SciPy writes it: it is there wherever one of these planners runs.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BackendError, ConfigError, FrameError, InputError
from ..replay.results import encode_png
from ..types import Intrinsics
from .files import FACTOR_DEPTH, color_png, label_u8, mask_png, stored_depth, write_bytes
from .points import MIN_POINTS, LabelledCloud, View, labelled_cloud, nothing_to_grasp
from .table import in_workspace, support_plane, table_from_camera

SIZE_WH = (1280, 720)
CAMERAS = ("realsense", "kinect")
FRAMES_PER_SCENE = 256


class GraspNetTree:
    """Write frames as scenes of a GraspNet-1Billion tree.

    A scene holds up to 256 frames of one source and one camera matrix; the next one begins by itself. ``index.json``
    tells which frame went where.

    Args:
        root: of the tree; ``scenes/``, ``<method>_mask/`` and ``index.json`` appear in it.
        camera: folder name inside a scene, ``realsense`` or ``kinect``.
        first_scene: number of the first scene; the loaders' test split begins at 100.
        method: of the mask folder ``<method>_mask/scene_%04d/<camera>/%04d.png``, in which object k of K has the
            value floor(255 k / K).
        min_points: objects with fewer points with depth are left out.

    Raises:
        BackendError: SciPy is not installed.
        ConfigError: an unknown camera, a scene number or method that makes no folder name.
    """

    def __init__(self, root: Path, *, camera: str = "realsense", first_scene: int = 0, method: str = "uois_sam",
                 min_points: int = MIN_POINTS) -> None:
        require_scipy()
        if camera not in CAMERAS:
            raise ConfigError(f"camera: expected one of {', '.join(CAMERAS)}, got '{camera}'")
        if not 0 <= first_scene <= 9999:
            raise ConfigError(f"first scene: expected 0 to 9999, got {first_scene}")
        if not method or Path(method).name != method:
            raise ConfigError(f"method: expected a name without folders, got '{method}'")
        self._root, self._camera, self._method, self._min_points = Path(root), camera, method, min_points
        self._scene, self._frame = first_scene - 1, FRAMES_PER_SCENE
        self._belongs: tuple[str, Intrinsics] | None = None
        self._poses = np.empty(0)
        self._cam0 = np.eye(4)
        self._objects: set[int] = set()
        self._index: dict[str, dict[str, Any]] = {}

    def add(self, source: str, name: str, view: View) -> tuple[int, ...]:
        """Write one frame and return the ids of its objects; a refused frame leaves no gap.

        Raises:
            FrameError: not 1280x720, no colour, nothing to grasp, an id above 255.
            InputError: the scene's folder is there already, or cannot be written.
        """
        check_size(view)
        cloud = _graspable(view, self._min_points)
        ids = cloud.ids
        whole = np.where(np.isin(view.label, ids), view.label, 0)
        label = np.zeros(view.label.size, np.uint16)
        label[cloud.pixels] = cloud.labels
        depth = stored_depth(view)
        label = np.where(depth > 0, label.reshape(view.label.shape), 0)
        plane = support_plane(view)
        table = table_from_camera(plane)
        workspace = _workspace_image(view, cloud, table)
        files = {"rgb": color_png(view), "depth": encode_png(depth), "label": encode_png(label_u8(label, view.name)),
                 "workspace_mask": mask_png(workspace)}
        self._turn_to(source, view.intrinsics, table)
        folder, stem = self._folder("scenes"), f"{self._frame:04d}"
        for kind, data in files.items():
            write_bytes(folder / kind / f"{stem}.png", data)
        write_bytes(folder / "meta" / f"{stem}.mat", _meta(view, cloud))
        write_bytes(self._folder(f"{self._method}_mask") / f"{stem}.png", encode_png(_spread(whole, ids)))
        self._close_frame(f"{self._scene:04d}/{self._camera}/{stem}", table, ids, view,
                          {"source": source, "name": name, "objects": list(ids), "table_found": plane is not None})
        return ids

    def _folder(self, top: str) -> Path:
        return self._root / top / f"scene_{self._scene:04d}" / self._camera

    def _turn_to(self, source: str, intrinsics: Intrinsics, table: np.ndarray) -> None:
        """Begin a new scene where the frame does not belong to the present one."""
        if self._belongs == (source, intrinsics) and self._frame < FRAMES_PER_SCENE:
            return
        self._scene, self._frame, self._belongs = self._scene + 1, 0, (source, intrinsics)
        self._poses = np.tile(np.eye(4), (FRAMES_PER_SCENE, 1, 1))
        self._cam0, self._objects = table, set()
        if self._folder("scenes").exists():
            raise InputError(f"{self._folder('scenes')}: expected a new scene, got one that is there; choose another "
                             "folder or another first scene")

    def _close_frame(self, key: str, table: np.ndarray, ids: tuple[int, ...], view: View,
                     facts: dict[str, Any]) -> None:
        """Write what belongs to the scene as a whole, so that it is complete after every frame."""
        folder = self._folder("scenes")
        self._poses[self._frame] = np.linalg.inv(self._cam0) @ table
        self._objects |= set(ids)
        self._index[key] = facts
        for file, array in (("camera_poses.npy", self._poses), ("cam0_wrt_table.npy", self._cam0),
                            ("camK.npy", view.camera_matrix)):
            write_bytes(folder / file, _npy(array))
        objects = "".join(f"{number - 1}\n" for number in sorted(self._objects))  # theirs begin at 0
        write_bytes(folder.parent / "object_id_list.txt", objects.encode())
        write_bytes(self._root / "index.json", json.dumps(self._index, indent=1).encode())
        self._frame += 1


def write_graspnet_demo(folder: Path, source: str, name: str, view: View, *,
                        min_points: int = MIN_POINTS) -> tuple[int, ...]:
    """Write ``folder/<source>/<name>/`` with color.png, depth.png, workspace_mask.png (1 bit) and meta.mat.

    Returns the ids of the objects that the workspace was put around; raises as ``GraspNetTree``.
    """
    require_scipy()
    check_size(view)
    cloud = _graspable(view, min_points)
    workspace = _workspace_image(view, cloud, table_from_camera(support_plane(view)))
    target = folder / source / name
    for file, data in (("color.png", color_png(view)), ("depth.png", encode_png(stored_depth(view))),
                       ("workspace_mask.png", mask_png(workspace)), ("meta.mat", _meta(view, cloud))):
        write_bytes(target / file, data)
    return cloud.ids


def check_size(view: View) -> None:
    """Refuse what GraspNet's loaders would stop at.

    Raises:
        FrameError: not 1280x720.
    """
    height, width = view.depth_m.shape
    if (width, height) != SIZE_WH:
        raise FrameError(f"{view.name}: expected {SIZE_WH[0]}x{SIZE_WH[1]} pixels, which the GraspNet loaders assert, "
                         f"got {width}x{height}; run the camera at 1280x720, or use the formats graspness, anygrasp "
                         "or contact-graspnet, which take any size")


def require_scipy() -> None:
    """Check that .mat files can be written.

    Raises:
        BackendError: SciPy is not installed.
    """
    try:
        import scipy.io  # noqa: F401
    except ModuleNotFoundError as error:
        raise BackendError("GraspNet tree: expected the package 'scipy', which writes meta.mat, got none; pip install "
                           "scipy (Debian, Ubuntu: apt install python3-scipy)") from error


def _graspable(view: View, min_points: int) -> LabelledCloud:
    cloud = labelled_cloud(view)
    kept = cloud.without_small(min_points)
    if not kept.ids:
        raise nothing_to_grasp(view, cloud, min_points)
    return kept


def _workspace_image(view: View, cloud: LabelledCloud, table: np.ndarray) -> np.ndarray:
    inside = np.zeros(view.label.size, dtype=bool)
    inside[cloud.pixels[in_workspace(cloud, table)]] = True
    return inside.reshape(view.label.shape)


def _meta(view: View, cloud: LabelledCloud) -> bytes:
    """The .mat of a frame. An unseen object has no model frame: its pose is no turn, at the centre of its points."""
    from scipy.io import savemat

    poses = np.zeros((3, 4, len(cloud.ids)), np.float32)
    for k, number in enumerate(cloud.ids):
        poses[:, :3, k] = np.eye(3)
        poses[:, 3, k] = cloud.points_m[cloud.labels == number].mean(axis=0)
    buffer = io.BytesIO()
    savemat(buffer, {"intrinsic_matrix": view.camera_matrix, "factor_depth": np.array([[FACTOR_DEPTH]]),
                     "cls_indexes": np.array([cloud.ids], np.int64), "poses": poses})
    return buffer.getvalue()


def _spread(label: np.ndarray, ids: tuple[int, ...]) -> np.ndarray:
    """Object k of K becomes floor(255 k / K), uint8: distinct values without a meaning of their own."""
    values = np.zeros(int(max(ids)) + 1, np.uint8)
    values[list(ids)] = 255 * np.arange(1, len(ids) + 1) // len(ids)
    return values[label]


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()
