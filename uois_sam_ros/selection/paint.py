"""Paint logits into one overlap-free label image at native resolution."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ..types import Grid
from .candidates import Box, Candidates
from .snap import EdgeSnapper

#: Working pixels of logits kept around a mask's box, so that interpolation sees the zero crossing.
MARGIN = 2
#: With snapping the margin is this many radii: the filter's reach on either side of an edge.
SNAP_REACH = 2.0
#: A claim saturates at this logit; beyond it the better score decides, not the bolder network.
LOGIT_CAP = 6.0
#: Pieces smaller than this share of their mask are crumbs and stay unpainted.
CRUMB = 0.02
#: Snapping must leave at least this share of a mask's area.
KEPT = 0.75


@dataclass(frozen=True)
class Painting:
    """An overlap-free label image.

    Attributes:
        label: uint16[H, W], ids 1..N, 0 = background.
        candidates: N indices of the candidates behind the ids.
        windows: N native xyxy boxes, each holding all pixels of its id.
    """

    label: np.ndarray
    candidates: list[int]
    windows: tuple[Box, ...]


def paint(candidates: Candidates, grid: Grid, snapper: EdgeSnapper | None = None) -> Painting:
    """Give every pixel to the mask that claims it most, by score times logit.

    Args:
        candidates: at most 65535 masks, best score first. One without any pixel left gets no id.
        snapper: moves mask edges to colour edges first; ``None`` leaves them where they are.
    """
    height, width = grid.native_hw
    margin = MARGIN if snapper is None else snap_margin(snapper, grid)
    claims = np.zeros((height, width), dtype=np.float32)
    label = np.zeros((height, width), dtype=np.uint16)
    windows: list[Box] = []
    for index in range(len(candidates)):
        inner = padded_box(candidates.boxes[index], grid.resized_hw, margin)
        x0, y0, x1, y1 = window = native_window(inner, grid)
        windows.append(window)
        claim = native_logits(clean_logits(candidates, index, inner), inner, window, grid)
        if snapper is not None:
            claim = snapped(claim, window, snapper)
        np.minimum(claim, LOGIT_CAP, out=claim)
        claim *= candidates.scores[index]
        held = claims[y0:y1, x0:x1]
        wins = claim > held
        np.copyto(held, claim, where=wins)
        np.copyto(label[y0:y1, x0:x1], np.uint16(index + 1), where=wins)
    visible = [index for index, (x0, y0, x1, y1) in enumerate(windows)
               if (label[y0:y1, x0:x1] == index + 1).any()]
    return Painting(keep_ids(label, visible, len(candidates)), visible,
                    tuple(windows[index] for index in visible))


def snapped(claim: np.ndarray, window: Box, snapper: EdgeSnapper) -> np.ndarray:
    """Return the snapped logits, or ``claim`` itself where snapping would eat a thin or tiny mask."""
    moved = snapper.snap(claim, window)
    before, after = np.count_nonzero(claim > 0), np.count_nonzero(moved > 0)
    return moved if after >= KEPT * before else claim


def keep_ids(label: np.ndarray, keep: list[int], count: int) -> np.ndarray:
    """Return the label image with ids ``keep[k] + 1`` renamed to k + 1 and all others erased."""
    if len(keep) == count:
        return label
    rename = np.zeros(count + 1, dtype=label.dtype)
    rename[np.asarray(keep, dtype=int) + 1] = np.arange(1, len(keep) + 1)
    return rename[label]


def snap_margin(snapper: EdgeSnapper, grid: Grid) -> int:
    """Return the working pixels around a mask that its edge may move over, and that the filter needs to see."""
    return radius_margin(snapper.radius_px, grid)


def radius_margin(radius_px: float, grid: Grid) -> int:
    """Return ``snap_margin`` of a filter of this radius."""
    return max(MARGIN, int(np.ceil(SNAP_REACH * radius_px * min(grid.scale_xy))))


def snap_region(candidates: Candidates, radius_px: float, grid: Grid) -> Box:
    """Return the native xyxy box of all pixels that snapping the (one or more) candidates looks at."""
    boxes = np.asarray(candidates.boxes)
    x0, y0, x1, y1 = (int(side) for side in (*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)))
    return native_window(padded_box((x0, y0, x1, y1), grid.resized_hw, radius_margin(radius_px, grid)), grid)


def padded_box(box: Box, hw: tuple[int, int], margin: int) -> Box:
    """Return a working xyxy box grown by ``margin`` on all sides, inside the (h, w) picture."""
    return (max(0, box[0] - margin), max(0, box[1] - margin),
            min(hw[1], box[2] + margin), min(hw[0], box[3] + margin))


def native_window(box: Box, grid: Grid) -> Box:
    """Return the native xyxy box of all pixels whose centres lie in a working-grid box."""
    scale_x, scale_y = grid.scale_xy
    x0, y0 = (int(np.floor(low / s)) for low, s in ((box[0], scale_x), (box[1], scale_y)))
    x1, y1 = (int(np.ceil(high / s)) for high, s in ((box[2], scale_x), (box[3], scale_y)))
    return max(0, x0), max(0, y0), min(grid.native_hw[1], x1), min(grid.native_hw[0], y1)


def clean_logits(candidates: Candidates, index: int, box: Box) -> np.ndarray:
    """Return float32[a, b], a mask's logits in a working xyxy box around it, with crumbs made negative."""
    left, top, right, bottom = box
    logits = candidates.logits[index][top:bottom, left:right].copy()
    count, piece, stats, _ = cv2.connectedComponentsWithStats(
        np.ascontiguousarray(candidates.masks[index][top:bottom, left:right]).view(np.uint8),
        connectivity=8)
    if count > 2:
        crumb = stats[:, cv2.CC_STAT_AREA] < CRUMB * candidates.areas[index]
        crumb[0] = False
        logits[crumb[piece]] = -1
    return logits


def native_logits(crop: np.ndarray, box: Box, window: Box, grid: Grid) -> np.ndarray:
    """Interpolate logits to the native pixels of ``window``, pixel centres as in ``Grid``.

    Args:
        crop: float32[a, b], the logits of a working xyxy ``box``.
        window: native xyxy box to fill.

    Returns:
        float32[y1 - y0, x1 - x0].
    """
    left, top, _, _ = box
    (scale_x, scale_y), (x0, y0, x1, y1) = grid.scale_xy, window
    to_crop = np.float64([[scale_x, 0, (x0 + 0.5) * scale_x - 0.5 - left],
                          [0, scale_y, (y0 + 0.5) * scale_y - 0.5 - top]])
    return cv2.warpAffine(crop, to_crop, (x1 - x0, y1 - y0),
                          flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                          borderMode=cv2.BORDER_REPLICATE)
