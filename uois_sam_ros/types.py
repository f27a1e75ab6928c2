"""The frozen types between the stages. Every shape, dtype, unit and range is documented here.

Conventions, valid everywhere in the package:

* images are row-major ``[H, W]``; points are ``(x, y)`` pixels with pixel centres at integers;
* boxes are ``xyxy``, half-open: ``x1`` and ``y1`` lie one past the last pixel;
* depth is metres along the optical axis; 0, NaN and infinity mean "no reading";
* the camera frame is optical: x right, y down, z forward;
* "working grid" is the resized, padded image that the networks see (see ``Grid``).

Over 300 lines because all types that pass between stages are here, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from .errors import FrameError

#: x0, y0, x1, y1 in pixels.
Box = tuple[int, int, int, int]
#: Depth beyond this many metres cannot be a tabletop scene; it gives a wrong unit away.
PLAUSIBLE_DEPTH_M = (0.05, 30.0)


@dataclass(frozen=True)
class Intrinsics:
    """Pinhole intrinsics in pixels of the image they belong to."""

    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        values = (self.fx, self.fy, self.cx, self.cy)
        if not all(np.isfinite(values)) or self.fx <= 0 or self.fy <= 0:
            raise FrameError(
                f"intrinsics: expected finite fx, fy > 0 and finite cx, cy, got {values}; "
                "pass the K matrix of the colour camera"
            )

    def scaled(self, scale_x: float, scale_y: float) -> Intrinsics:
        """Return the intrinsics of the image resized by the two factors."""
        return Intrinsics(
            self.fx * scale_x,
            self.fy * scale_y,
            (self.cx + 0.5) * scale_x - 0.5,
            (self.cy + 0.5) * scale_y - 0.5,
        )

    @classmethod
    def from_matrix(cls, matrix: np.ndarray) -> Intrinsics:
        """Build from a 3x3 (or flat 9) camera matrix K."""
        k = np.asarray(matrix, dtype=np.float64).reshape(3, 3)
        return cls(float(k[0, 0]), float(k[1, 1]), float(k[0, 2]), float(k[1, 2]))

    @classmethod
    def from_fov(cls, width: int, height: int, horizontal_deg: float = 60.0) -> Intrinsics:
        """Build a guess for a camera about which only the image size is known."""
        focal = 0.5 * width / np.tan(np.radians(horizontal_deg) / 2)
        return cls(float(focal), float(focal), (width - 1) / 2, (height - 1) / 2)


@dataclass(frozen=True)
class Frame:
    """One RGB-D picture.

    Attributes:
        color: uint8[H, W, 3], RGB order.
        depth_m: float32[H, W] metres, aligned to the colour image, or ``None`` for colour only.
            0, NaN and infinite values are "no reading".
        intrinsics: of the colour image; needed with depth, ``None`` otherwise allowed.
        name: for messages and file names.
        stamp_ns: time of the colour image, nanoseconds; 0 when unknown.

    Raises:
        FrameError: wrong dtype, shape, size mismatch, depth unit or missing intrinsics.
    """

    color: np.ndarray
    depth_m: np.ndarray | None = None
    intrinsics: Intrinsics | None = None
    name: str = "frame"
    stamp_ns: int = 0

    def __post_init__(self) -> None:
        _check_color(self.color)
        if self.depth_m is None:
            return
        _check_depth(self.depth_m, self.color.shape[:2])
        if self.intrinsics is None:
            raise FrameError(
                "intrinsics: expected fx, fy, cx, cy together with depth, got none; pass "
                "intrinsics=Intrinsics(...) or drop the depth image"
            )
        if not isinstance(self.intrinsics, Intrinsics):
            raise FrameError(f"intrinsics: expected Intrinsics(fx, fy, cx, cy), got {self.intrinsics!r}; "
                             "a camera matrix goes in by Intrinsics.from_matrix")

    @property
    def height(self) -> int:
        """Rows of the picture."""
        return self.color.shape[0]

    @property
    def width(self) -> int:
        """Columns of the picture."""
        return self.color.shape[1]

    def without_depth(self) -> Frame:
        """Return the colour-only frame."""
        return Frame(self.color, None, self.intrinsics, self.name, self.stamp_ns)


def _check_color(color: np.ndarray) -> None:
    if not isinstance(color, np.ndarray) or color.dtype != np.uint8:
        got = getattr(color, "dtype", type(color).__name__)
        raise FrameError(
            f"colour image: expected uint8[H, W, 3] in RGB order, got {got}; convert it to 8 bit "
            "first (16-bit: divide by 257, float in [0, 1]: multiply by 255)"
        )
    if color.ndim != 3 or color.shape[2] != 3 or min(color.shape[:2]) < 16:
        raise FrameError(
            f"colour image: expected uint8[H, W, 3] of at least 16x16 pixels, got shape "
            f"{color.shape}; convert grey or RGBA pictures to RGB"
        )


def _check_depth(depth_m: np.ndarray, color_hw: tuple[int, int]) -> None:
    if not isinstance(depth_m, np.ndarray) or depth_m.dtype != np.float32:
        got = getattr(depth_m, "dtype", type(depth_m).__name__)
        raise FrameError(
            f"depth image: expected float32[H, W] in metres, got {got}; use "
            "depth_raw.astype('float32') * depth_scale (0.001 for millimetres)"
        )
    if depth_m.shape != tuple(color_hw):
        raise FrameError(
            f"depth image: expected {color_hw[1]}x{color_hw[0]} like the colour image, got shape "
            f"{depth_m.shape}; register depth to colour (align_depth / depth_image_proc)"
        )
    reading = depth_m[np.isfinite(depth_m) & (depth_m > 0)]
    if reading.size == 0:
        return
    median = float(np.median(reading[:: max(1, reading.size // 20000)]))
    low, high = PLAUSIBLE_DEPTH_M
    if median > high:
        raise FrameError(
            f"depth image: expected metres ({low:g} to {high:g} m), got a median of {median:g}; "
            "these look like millimetres: multiply by 0.001 (check depth_scale)"
        )
    if median < low:
        raise FrameError(
            f"depth image: expected metres ({low:g} to {high:g} m), got a median of {median:g}; "
            "these look like metres that were taken for millimetres, or the scale was applied twice: "
            "check depth_scale (1 for metres, 0.001 for millimetres)"
        )


@dataclass(frozen=True)
class Grid:
    """How a native image maps to the working grid: cut out ``region``, resize by ``scale``, pad right and below.

    Attributes:
        native_hw: (H, W) of the frame.
        resized_hw: (h, w) of the picture inside the working grid.
        padded_hw: (h, w) of the working grid; multiples of the network's stride.
        region: native xyxy box that the grid shows; ``None`` = the whole picture.
    """

    native_hw: tuple[int, int]
    resized_hw: tuple[int, int]
    padded_hw: tuple[int, int]
    region: Box | None = None

    @property
    def window(self) -> Box:
        """The native xyxy box that the grid shows."""
        return self.region or (0, 0, self.native_hw[1], self.native_hw[0])

    @property
    def of_region(self) -> Grid:
        """The same grid for the cut-out ``window`` as a picture of its own."""
        x0, y0, x1, y1 = self.window
        return Grid((y1 - y0, x1 - x0), self.resized_hw, self.padded_hw)

    @property
    def scale_xy(self) -> tuple[float, float]:
        """Working pixels per native pixel, (x, y)."""
        x0, y0, x1, y1 = self.window
        return self.resized_hw[1] / (x1 - x0), self.resized_hw[0] / (y1 - y0)

    @property
    def image_area(self) -> float:
        """Working pixels that the whole picture would have, seen or not."""
        scale_x, scale_y = self.scale_xy
        return self.native_hw[0] * scale_y * self.native_hw[1] * scale_x

    def intrinsics(self, native: Intrinsics) -> Intrinsics:
        """Return the intrinsics of the working grid."""
        x0, y0, _, _ = self.window
        return Intrinsics(native.fx, native.fy, native.cx - x0, native.cy - y0).scaled(*self.scale_xy)

    def cell_size(self, values: np.ndarray) -> tuple[float, float]:
        """Return the size (x, y) in working pixels of a cell of a map [a, b] that covers the grid."""
        return self.padded_hw[1] / values.shape[1], self.padded_hw[0] / values.shape[0]

    def unpadded(self, values: np.ndarray) -> np.ndarray:
        """Return the view of a map [a, b] over the picture, without the padding."""
        size_x, size_y = self.cell_size(values)
        return values[:int(np.ceil(self.resized_hw[0] / size_y)), :int(np.ceil(self.resized_hw[1] / size_x))]

    def cut(self, image: np.ndarray) -> np.ndarray:
        """Return the view of a native image [H, W, ...] that the grid shows."""
        x0, y0, x1, y1 = self.window
        return image[y0:y1, x0:x1]

    def uncut(self, part: np.ndarray) -> np.ndarray:
        """Return the native image with ``part`` [y1 - y0, x1 - x0, ...] where the grid looks, and 0 elsewhere."""
        if self.region is None:
            return part
        whole = np.zeros((*self.native_hw, *part.shape[2:]), dtype=part.dtype)
        self.cut(whole)[...] = part
        return whole

    def to_working(self, points_px: np.ndarray) -> np.ndarray:
        """Map float32[N, 2] native (x, y) to working (x, y)."""
        scale = np.asarray(self.scale_xy, dtype=np.float32)
        origin = np.asarray(self.window[:2], dtype=np.float32)
        return ((points_px - origin + 0.5) * scale - 0.5).astype(np.float32)

    def to_native(self, points_px: np.ndarray) -> np.ndarray:
        """Map float32[N, 2] working (x, y) to native (x, y), clipped to the image."""
        scale = np.asarray(self.scale_xy, dtype=np.float32)
        origin = np.asarray(self.window[:2], dtype=np.float32)
        points = (np.asarray(points_px, dtype=np.float32) + 0.5) / scale - 0.5 + origin
        limit = np.asarray([self.native_hw[1] - 1, self.native_hw[0] - 1], dtype=np.float32)
        return np.clip(points, 0, limit).astype(np.float32)


@dataclass(frozen=True)
class Plane:
    """The support plane ``normal . X + offset = 0`` in the camera frame, metres.

    Attributes:
        normal: float32[3], unit, pointing from the plane towards the camera's side.
        offset: metres; the camera's own height above the plane.
        inlier_ratio: share of valid depth within tolerance, 0..1.
    """

    normal: np.ndarray
    offset: float
    inlier_ratio: float


@dataclass(frozen=True)
class Geometry:
    """What depth says about a frame, on the working grid (``None`` parts never appear: a frame
    without usable depth has no Geometry at all).

    Attributes:
        points_m: float32[h, w, 3], camera frame, holes filled.
        valid: bool[h, w], True where the sensor gave a reading.
        normals: float32[h, w, 3], unit, towards the camera.
        height_m: float32[h, w], metres above the support plane; 0 everywhere without a plane.
        plane: the support plane, or ``None`` when none was found.
    """

    points_m: np.ndarray
    valid: np.ndarray
    normals: np.ndarray
    height_m: np.ndarray
    plane: Plane | None


@dataclass(frozen=True)
class Features:
    """What the encoders made of one frame.

    Attributes:
        grid: native to working mapping.
        maps: tensor name -> array; names are those of ``models/spec.py``. Read-only. Those that a spec calls ``maps``
            cover the working grid with its padding, in cells of any size; the others are for the networks that
            read them.
        geometry: from depth; ``None`` when depth is off or missing.
    """

    grid: Grid
    maps: Mapping[str, np.ndarray]
    geometry: Geometry | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "maps", MappingProxyType(dict(self.maps)))

    def __getitem__(self, name: str) -> np.ndarray:
        return self.maps[name]


@dataclass(frozen=True)
class Prompts:
    """Point prompts.

    Attributes:
        points_px: float32[N, 2], (x, y) on the working grid.
        scores: float32[N] in [0, 1], the prompter's own confidence, best first.
        foreground: float32[h, w] probability on the working grid, or ``None`` (grid prompting).
        heatmap: float32[h, w] in [0, 1] on the working grid, or ``None``.
    """

    points_px: np.ndarray
    scores: np.ndarray
    foreground: np.ndarray | None = None
    heatmap: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.points_px)


@dataclass(frozen=True)
class MaskSet:
    """The decoder's answer to N prompts with H hypotheses each.

    Attributes:
        low_res_masks: float32[N, H, h, w] logits (threshold 0) on the working grid.
        iou_predictions: float32[N, H], the decoder's own score in [0, 1].
        mask_tokens: float32[N, H, C]; iou_token: float32[N, C]; what HDNet reads.
        points_px: float32[N, 2], the prompts on the working grid.
        scores: float32[N, H] after rescoring; equals iou_predictions before.
    """

    low_res_masks: np.ndarray
    iou_predictions: np.ndarray
    mask_tokens: np.ndarray
    iou_token: np.ndarray
    points_px: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.low_res_masks)


@dataclass(frozen=True)
class Instance:
    """One object, native resolution.

    Attributes:
        id: value in the label image, 1..N.
        score: refined score in [0, 1].
        box_xyxy: half-open pixel box.
        area_px: pixels.
        centroid_px: mean (x, y) of the pixels.
        centroid_m: (x, y, z) metres, camera frame: the centroid pixel at the mask's median depth;
            ``None`` without depth.
        valid_depth_ratio: share of the mask with a depth reading; 0 without depth.
        touches_border: the mask reaches the image border.
    """

    id: int
    score: float
    box_xyxy: tuple[int, int, int, int]
    area_px: int
    centroid_px: tuple[float, float]
    centroid_m: tuple[float, float, float] | None
    valid_depth_ratio: float
    touches_border: bool


@dataclass(frozen=True)
class Instances:
    """The result for one frame.

    Attributes:
        label: uint16[H, W], native resolution, 0 = background, ids 1..N contiguous.
        items: N instances, ``items[k].id == k + 1``, best score first.
        timings_ms: stage name -> milliseconds, in pipeline order.
        depth_used: False when the frame had none, or depth was switched off.
        prompts: kept for evaluation and debugging.
    """

    label: np.ndarray
    items: tuple[Instance, ...]
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    depth_used: bool = False
    prompts: Prompts | None = None

    def __len__(self) -> int:
        return len(self.items)

    def masks(self) -> np.ndarray:
        """Return bool[N, H, W], one mask an instance."""
        ids = np.arange(1, len(self.items) + 1, dtype=self.label.dtype)
        return self.label[None] == ids[:, None, None]
