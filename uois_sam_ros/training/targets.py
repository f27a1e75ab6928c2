"""Targets of one training view: centre heatmap, foreground and point prompts with their masks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

#: Objects with fewer working pixels than this are not asked for (they stay foreground).
MIN_PIXELS = 12
#: Heatmap Gaussians: sigma = SIGMA_SHARE * sqrt(visible working pixels), within SIGMA_CELLS, in
#: stride-2 cells. A fixed sigma (8 px at 336x448 in the paper's setting) merges the peaks of small things.
SIGMA_SHARE = 0.10
SIGMA_CELLS = (1.0, 4.0)


@dataclass(frozen=True)
class ObjectInfo:
    """What the shard says of one object: its id, group (-1 none) and part ids."""

    id: int
    group: int
    parts: tuple[int, ...]


def visible_centroid(mask: np.ndarray) -> tuple[float, float]:
    """Centroid (x, y) of bool[h, w], snapped inside the mask (rings, L shapes)."""
    rows, cols = np.nonzero(mask)
    x, y = cols.mean(), rows.mean()
    if mask[int(round(y)), int(round(x))]:
        return float(x), float(y)
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)
    reach = np.hypot(cols - x, rows - y)
    best = np.argmax(distance[rows, cols] - 0.5 * reach)
    return float(cols[best]), float(rows[best])


def heat_target(label: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Element-wise maximum of one Gaussian an object, float32[h/2, w/2] (arXiv 2409.15481)."""
    rows, cols = label.shape[0] // 2, label.shape[1] // 2
    heat = np.zeros((rows, cols), dtype=np.float32)
    for value in ids:
        mask = label == value
        x, y = visible_centroid(mask)
        cx, cy = int(min(cols - 1, x // 2)), int(min(rows - 1, y // 2))
        sigma = float(np.clip(SIGMA_SHARE * np.sqrt(mask.sum()), *SIGMA_CELLS))
        reach = int(3 * sigma + 1)
        y0, y1, x0, x1 = max(0, cy - reach), min(rows, cy + reach + 1), max(0, cx - reach), min(cols, cx + reach + 1)
        gy = np.exp(-((np.arange(y0, y1) - cy) ** 2) / (2 * sigma**2))
        gx = np.exp(-((np.arange(x0, x1) - cx) ** 2) / (2 * sigma**2))
        np.maximum(heat[y0:y1, x0:x1], (gy[:, None] * gx[None]).astype(np.float32), out=heat[y0:y1, x0:x1])
    return heat


def foreground_target(label: np.ndarray) -> np.ndarray:
    """Share of object pixels in every stride-2 cell, float32[h/2, w/2]."""
    rows, cols = label.shape
    return (label > 0).reshape(rows // 2, 2, cols // 2, 2).mean((1, 3), dtype=np.float32)


def boundary_cells(part: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Stride-4 cells through which a part or object boundary runs, uint8[h/4, w/4]."""
    code = (label.astype(np.int32) << 12) + part
    edge = np.zeros(code.shape, dtype=np.uint8)
    edge[:, :-1] |= code[:, 1:] != code[:, :-1]
    edge[:-1] |= code[1:] != code[:-1]
    rows, cols = code.shape
    return edge.reshape(rows // 4, 4, cols // 4, 4).max((1, 3))


@dataclass(frozen=True)
class PromptTargets:
    """P prompts of one view.

    Attributes:
        points: float32[P, 2] working (x, y).
        wanted: int32[P, 3]: object id, part id, group number + 1; 0 where that level is not there.
            All zero for a background click.
        boxes: int32[P, 4] xyxy in stride-4 cells around all wanted levels.
    """

    points: np.ndarray
    wanted: np.ndarray
    boxes: np.ndarray


def group_map(label: np.ndarray, objects: list[ObjectInfo]) -> np.ndarray:
    """Pixel -> group number + 1, 0 = none, uint16[h, w]."""
    lookup = np.zeros(max([int(label.max())] + [o.id for o in objects]) + 1, dtype=np.uint16)
    for info in objects:
        lookup[info.id] = info.group + 1 if info.group >= 0 else 0
    return lookup[label]


def sample_prompts(label: np.ndarray, part: np.ndarray, groups: np.ndarray, ids: np.ndarray,
                   count: int, background_share: float, rng: np.random.Generator) -> PromptTargets:
    """Click objects (near the centre, anywhere inside) and the background.

    Every visible object is clicked before any is clicked twice.
    """
    points = np.zeros((count, 2), dtype=np.float32)
    wanted = np.zeros((count, 3), dtype=np.int32)
    boxes = np.zeros((count, 4), dtype=np.int32)
    order: list[int] = []
    while len(ids) and len(order) < count:
        order.extend(int(i) for i in rng.permutation(ids))
    background = max(1, round(count * background_share)) if len(ids) else count
    members = {g: len(np.unique(label[groups == g])) for g in np.unique(groups) if g}
    for k in range(count):
        if k >= count - background:
            points[k] = _background_point(label, rng)
            continue
        chosen = order[k]
        mask = label == chosen
        rows, cols = np.nonzero(mask)
        if rng.random() < 0.5:
            x, y = visible_centroid(mask)
            spread = 0.15 * np.sqrt(len(rows))
            x, y = x + rng.normal(0, spread), y + rng.normal(0, spread)
            near = np.argmin((cols - x) ** 2 + (rows - y) ** 2)
        else:
            near = int(rng.integers(len(rows)))
        r, c = int(rows[near]), int(cols[near])
        points[k] = (c, r)
        several_parts = len(np.unique(part[mask])) > 1
        group = int(groups[r, c])
        several_members = group > 0 and members[group] > 1
        wanted[k] = (chosen, part[r, c] if several_parts else 0, group if several_members else 0)
        region = (groups == group) if several_members else mask
        ys, xs = np.nonzero(region.any(1))[0], np.nonzero(region.any(0))[0]
        boxes[k] = (xs[0] // 4, ys[0] // 4, xs[-1] // 4 + 1, ys[-1] // 4 + 1)
    return PromptTargets(points, wanted, boxes)


def _background_point(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    for _ in range(20):
        r, c = int(rng.integers(label.shape[0])), int(rng.integers(label.shape[1]))
        if label[r, c] == 0:
            break
    return np.float32([c, r])
