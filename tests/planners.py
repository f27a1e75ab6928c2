"""What grasp planners do with the files they are given, in our own words: every check and failure that matters.

Each function stands for the loader of one planner and works on files alone. Where the planner would stop or go wrong,
so does the function: an assertion, an exception of numpy, or the wrong shape.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

scipy_io = pytest.importorskip("scipy.io", reason="planners read .mat files with scipy: the test extra")
Image = pytest.importorskip("PIL.Image", reason="planners read pictures with pillow: the test extra")

GRASPNET_WH = (1280.0, 720.0)


def open_image(path: Path) -> np.ndarray:
    """Pixels as PIL gives them: bool for one bit, uint8 or uint16, RGB when coloured."""
    return np.array(Image.open(path))


def graspnet_cloud(depth: np.ndarray, meta: dict) -> np.ndarray:
    """Organised cloud [720, 1280, 3]; the size is a fact of the data set, the scale may be a 1x1 array."""
    width, height = GRASPNET_WH
    assert depth.shape == (height, width), depth.shape
    k, z = meta["intrinsic_matrix"], depth / meta["factor_depth"]
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    return np.stack([(u - k[0][2]) * z / k[0][0], (v - k[1][2]) * z / k[1][1], z], axis=-1)


def box_around_labels(cloud: np.ndarray, seg: np.ndarray, transform: np.ndarray, margin: float = 0.02) -> np.ndarray:
    """Workspace [H, W]: the transformed box of all labelled pixels, with depth or without; fails when there is none."""
    flat = cloud.reshape(-1, 3)
    moved = (np.hstack([flat, np.ones((len(flat), 1))]) @ transform.T)[:, :3]
    labelled = moved[seg.ravel() > 0]
    low, high = labelled.min(axis=0), labelled.max(axis=0)
    inside = ((moved > low - margin) & (moved < high + margin)).all(axis=1)
    return inside.reshape(seg.shape)


def load_graspness(root: Path, scene: int, camera: str, frame: int, points: int = 15000, voxel: float = 0.005) -> dict:
    """GSNet's inference: tree -> network input; ``workspace`` and ``cloud`` are added for the tests."""
    folder, stem = root / "scenes" / f"scene_{scene:04d}" / camera, f"{frame:04d}"
    depth, seg = open_image(folder / "depth" / f"{stem}.png"), open_image(folder / "label" / f"{stem}.png")
    meta = scipy_io.loadmat(folder / "meta" / f"{stem}.mat")
    cloud = graspnet_cloud(depth, meta)
    transform = np.load(folder / "cam0_wrt_table.npy") @ np.load(folder / "camera_poses.npy")[frame]
    mask = (depth > 0) & box_around_labels(cloud, seg, transform)
    kept = cloud[mask]
    sampled = kept[resample(len(kept), points)]
    return {"point_clouds": sampled.astype(np.float32), "coors": sampled.astype(np.float32) / voxel,
            "feats": np.ones_like(sampled).astype(np.float32), "workspace": mask, "cloud": cloud}


def load_graspness_objects(root: Path, scene: int, camera: str, frame: int, method: str, points: int = 1024) -> dict:
    """Instance grasping on the same tree: mask values are told apart, under 50 points are skipped."""
    folder, stem = root / "scenes" / f"scene_{scene:04d}" / camera, f"{frame:04d}"
    masks = open_image(root / f"{method}_mask" / f"scene_{scene:04d}" / camera / f"{stem}.png")
    whole = load_graspness(root, scene, camera, frame)["workspace"]
    cloud = graspnet_cloud(open_image(folder / "depth" / f"{stem}.png"),
                           scipy_io.loadmat(folder / "meta" / f"{stem}.mat"))[whole]
    found = {}
    for value in np.unique(masks):
        own = cloud[masks[whole] == value]
        if value and len(own) >= 50:
            found[int(value)] = own[resample(len(own), points)]
    return found


def resample(count: int, wanted: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    if count >= wanted:
        return rng.choice(count, wanted, replace=False)
    return np.concatenate([np.arange(count), rng.choice(count, wanted - count, replace=True)])


def collate_for_sparse_network(inputs: list[dict]) -> dict:
    """Voxels of a batch as int32 [M, 4] (sample, x, y, z), each once, and dense arrays stacked."""
    rows = [np.hstack([np.full((len(one["coors"]), 1), k), np.trunc(one["coors"])]) for k, one in enumerate(inputs)]
    voxels, first, back = np.unique(np.concatenate(rows).astype(np.int32), axis=0, return_index=True,
                                    return_inverse=True)
    return {"coors": voxels, "feats": np.concatenate([one["feats"] for one in inputs])[first],
            "quantize2original": back, "point_clouds": np.stack([one["point_clouds"] for one in inputs])}


def load_baseline_demo(folder: Path, points: int = 20000) -> dict:
    """The demo of graspnet-baseline: the mask of the file, anded with depth, indexes the cloud."""
    color = np.array(Image.open(folder / "color.png"), dtype=np.float32) / 255.0
    depth, workspace = open_image(folder / "depth.png"), open_image(folder / "workspace_mask.png")
    meta = scipy_io.loadmat(folder / "meta.mat")
    cloud = graspnet_cloud(depth, meta)
    mask = workspace & (depth > 0)
    kept, colors = cloud[mask], color[mask]  # an integer mask picks whole rows here
    chosen = resample(len(kept), points)
    return {"point_clouds": kept[chosen][np.newaxis].astype(np.float32), "cloud_colors": colors[chosen]}


def load_anygrasp_demo(folder: Path, k: np.ndarray, far: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """AnyGrasp's demo: points, colours and ids of what has depth nearer than ``far``."""
    colors = np.array(Image.open(folder / "color.png"), dtype=np.float32) / 255.0
    z, seg = open_image(folder / "depth.png") / 1000.0, open_image(folder / "seg_mask.png")
    u, v = np.meshgrid(np.arange(z.shape[1]), np.arange(z.shape[0]))
    near = (z > 0) & (z < far)
    points = np.stack([(u - k[0, 2]) / k[0, 0] * z, (v - k[1, 2]) / k[1, 1] * z, z], axis=-1)
    return points[near].astype(np.float32), colors[near].astype(np.float32), seg[near]


class AnyGraspDetector:
    """Stands for the closed detector: takes a mask only when it has one bool a point; no points, no grasps."""

    def get_grasp(self, points: np.ndarray, options: dict):
        assert points.dtype == np.float32 and points.ndim == 2 and points.shape[1] == 3
        region = options["region_steering"]
        assert region.dtype == bool and region.shape == (len(points),), (region.shape, points.shape)
        return points[region] if region.any() else None


def load_contact_graspnet(path: Path, z_range=(0.2, 1.8)) -> tuple[np.ndarray, dict, np.ndarray | None]:
    """Contact-GraspNet: full cloud, cloud of every segment, RGB; the file's colours are taken for BGR."""
    assert ".np" in str(path)
    data = np.load(path, allow_pickle=True)
    depth, k = data["depth"], data["K"].reshape(3, 3)
    segmap = data["segmap"] if "segmap" in data.files else None
    rgb = np.array(cv2.cvtColor(data["rgb"], cv2.COLOR_BGR2RGB)) if "rgb" in data.files else None

    def cloud_of(image):
        v, u = np.where(image > 0)
        z = image[v, u]
        points = np.stack([(u.astype(np.float32) - k[0, 2]) * z / k[0, 0],
                           (v.astype(np.float32) - k[1, 2]) * z / k[1, 1], z], axis=1)
        return points[(points[:, 2] > z_range[0]) & (points[:, 2] < z_range[1])]

    segments = {} if segmap is None else {number: cloud_of(depth * (segmap == number))
                                          for number in np.unique(segmap[segmap > 0])}
    return cloud_of(depth), segments, rgb


def local_region(full: np.ndarray, segment: np.ndarray) -> np.ndarray:
    """Contact-GraspNet's crop for one segment: outliers off, a cube of 0.3 to 0.6 m out of the whole cloud."""
    distance = np.abs(segment - np.median(segment, axis=0, keepdims=True)).sum(axis=1)
    segment = segment[distance < 0.4]
    low, high = segment.min(axis=0), segment.max(axis=0)
    side = np.clip(2 * (high - low).max(), 0.3, 0.6)
    centre = (low + high) / 2
    return full[(np.abs(full - centre) < side / 2).all(axis=1)]
