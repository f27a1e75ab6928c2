"""What every exporter starts from: one view, and its points with the index arrays that keep clouds and masks aligned.

Ids are those of the label image, everywhere and unchanged: an object that is left out leaves a gap, so that
"grasp object 3" means the same thing in the label image, in a file and in the planner.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..errors import FrameError
from ..geometry import backproject
from ..types import PLAUSIBLE_DEPTH_M, Frame, Instances, Intrinsics

#: An object with fewer points with depth is left out: planners sample its points, and few say nothing of its shape.
MIN_POINTS = 50


@dataclass(frozen=True)
class View:
    """What the planners' inputs are made of.

    Attributes:
        depth_m: float32[H, W] metres, aligned to the label image; 0, NaN and infinity = no reading.
        intrinsics: of the label image.
        label: uint8 or uint16[H, W], 0 = background.
        color: uint8[H, W, 3] RGB, or ``None`` where the planner does without.
        name: for messages.

    Raises:
        FrameError: depth or intrinsics missing, another size or type, depth that cannot be metres.
    """

    depth_m: np.ndarray
    intrinsics: Intrinsics
    label: np.ndarray
    color: np.ndarray | None = None
    name: str = "frame"

    def __post_init__(self) -> None:
        if self.depth_m is None or self.intrinsics is None:
            missing = "depth" if self.depth_m is None else "intrinsics"
            raise FrameError(f"{self.name}: expected depth and intrinsics, got no {missing}; grasp planners work on "
                             "points in metres, so colour alone is not enough")
        if self.depth_m.ndim != 2 or self.depth_m.dtype != np.float32:
            raise FrameError(f"{self.name}: expected depth as float32[H, W] in metres, got "
                             f"{self.depth_m.dtype}{list(self.depth_m.shape)}; multiply millimetres by 0.001")
        known = self.depth_m[np.isfinite(self.depth_m) & (self.depth_m > 0)]
        median = float(np.median(known[::max(1, known.size // 20_000)])) if known.size else 1.0
        low, high = PLAUSIBLE_DEPTH_M
        if not low <= median <= high:
            raise FrameError(f"{self.name}: expected depth in metres ({low:g} to {high:g} m), got a median of "
                             f"{median:g}; check the depth scale (0.001 for millimetres)")
        if self.label.shape != self.depth_m.shape or self.label.dtype not in (np.uint8, np.uint16):
            raise FrameError(f"{self.name}: expected labels as uint8 or uint16{list(self.depth_m.shape)} like the "
                             f"depth image, got {self.label.dtype}{list(self.label.shape)}; align depth to colour")
        if self.color is not None and (self.color.shape != (*self.depth_m.shape, 3) or self.color.dtype != np.uint8):
            raise FrameError(f"{self.name}: expected colour as uint8{[*self.depth_m.shape, 3]} like the depth image, "
                             f"got {self.color.dtype}{list(self.color.shape)}")

    @classmethod
    def of(cls, frame: Frame, instances: Instances) -> View:
        """Join a frame and what was found in it; raises as the constructor."""
        return cls(frame.depth_m, frame.intrinsics, instances.label, frame.color, frame.name)

    @property
    def camera_matrix(self) -> np.ndarray:
        """float64[3, 3], the matrix K."""
        k = self.intrinsics
        return np.array([[k.fx, 0, k.cx], [0, k.fy, k.cy], [0, 0, 1]], dtype=np.float64)


@dataclass(frozen=True)
class LabelledCloud:
    """The points of a view that have depth, in row-major order of their pixels.

    Attributes:
        points_m: float32[N, 3], camera frame (x right, y down, z forward), metres.
        labels: uint16[N], the object of each point, 0 = background.
        pixels: int64[N], flat pixel index (row * W + column) of each point.
    """

    points_m: np.ndarray
    labels: np.ndarray
    pixels: np.ndarray

    def __len__(self) -> int:
        return len(self.points_m)

    def take(self, which: np.ndarray) -> LabelledCloud:
        """Return the points that a bool[N] mask or an index array names, in its order."""
        return LabelledCloud(self.points_m[which], self.labels[which], self.pixels[which])

    def pick(self, image: np.ndarray) -> np.ndarray:
        """Return the value of an image [H, W] or [H, W, C] at every point."""
        return image.reshape(-1, *image.shape[2:])[self.pixels]

    @property
    def ids(self) -> tuple[int, ...]:
        """The objects that have points, ascending."""
        return tuple(int(number) for number in np.unique(self.labels) if number)

    def without_small(self, min_points: int = MIN_POINTS) -> LabelledCloud:
        """Turn objects with fewer points into background; their points stay, as obstacles."""
        counts = np.bincount(self.labels)
        small = counts < min_points
        return replace(self, labels=np.where(small[self.labels], 0, self.labels).astype(np.uint16))


def labelled_cloud(view: View, *, min_depth_m: float = 0.0, max_depth_m: float = np.inf) -> LabelledCloud:
    """Back-project every pixel whose depth is finite and inside (min_depth_m, max_depth_m)."""
    depth_m = view.depth_m
    pixels = np.flatnonzero(np.isfinite(depth_m) & (depth_m > max(0.0, min_depth_m)) & (depth_m < max_depth_m))
    points = backproject(depth_m, view.intrinsics).reshape(-1, 3)
    return LabelledCloud(points[pixels], view.label.ravel()[pixels].astype(np.uint16), pixels)


def sample_indices(count: int, wanted: int, rng: np.random.Generator) -> np.ndarray:
    """Choose ``wanted`` of ``count`` points (int64): no point twice where there are enough, else every point at
    least once.

    Raises:
        FrameError: there is no point to choose from.
    """
    if count < 1:
        raise FrameError("point cloud: expected at least one point to sample from, got none; check depth and mask")
    if count >= wanted:
        return rng.choice(count, wanted, replace=False)
    return np.concatenate([np.arange(count), rng.integers(0, count, wanted - count)])


def nothing_to_grasp(view: View, cloud: LabelledCloud, min_points: int = MIN_POINTS) -> FrameError:
    """Return the refusal of a view whose objects all have too few points."""
    masks = len(np.setdiff1d(view.label, 0))
    most = int(np.bincount(cloud.labels, minlength=2)[1:].max())
    got = f"{masks} objects with at most {most}" if masks else "no object at all"
    return FrameError(f"{view.name}: expected an object with at least {min_points} points with depth in range, got "
                      f"{got}; an empty mask makes the planners fail, so nothing is handed over")
