"""Paint the chosen masks into overlap-free label images on the device; ``selection/paint.py``."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ..config import SelectionConfig
from ..selection.candidates import Box
from ..selection.paint import CRUMB, KEPT, LOGIT_CAP, MARGIN, native_window, padded_box, radius_margin
from ..types import Grid
from .components import ROUNDS, components, crumbs
from .histogram import histogram
from .shares import OfCount, least_of
from .snap import DeviceEdgeSnapper, Guide

#: Masks that are drawn at native resolution at once; bounds the memory.
GROUP = 8


class DevicePainter(nn.Module):
    """N masks a camera, best first -> label images at native size.

    Args:
        grid: of the pictures.
        snapper: for pictures of that size; ``None`` leaves the edges where they are.
    """

    input_names = ("logits", "boxes", "areas", "scores", "taken", "color")
    output_names = ("label", "visible", "settled")

    def __init__(self, grid: Grid, snapper: DeviceEdgeSnapper | None) -> None:
        super().__init__()
        self.grid, self.snapper = grid, snapper
        self.least_piece = OfCount(least_of(CRUMB, grid.resized_hw[0] * grid.resized_hw[1]))
        margin = MARGIN if snapper is None else radius_margin(snapper.radius_px, grid)
        self._bounds = [native_bounds(grid, axis, margin) for axis in (0, 1)]
        for name, bounds in zip(("_cols", "_rows"), self._bounds):
            self.register_buffer(name, torch.from_numpy(bounds), persistent=False)

    def forward(self, logits: torch.Tensor, boxes: torch.Tensor, areas: torch.Tensor, scores: torch.Tensor,
                taken: torch.Tensor, color: torch.Tensor,
                rounds: int = ROUNDS) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Give every pixel to the mask that claims it most, by score times logit; the better of equals.

        Args:
            logits: float32[B, N, h, w]; boxes: int64[B, N, 4]; areas: int64[B, N]; scores: float32[B, N]: as of
                ``DeviceCandidates``, N up to 65535. taken: bool[B, N], the others are not painted.
            color: uint8[B, H, W, 3].

        Returns:
            int32[B, H, W], the labels, ids 1..n without gaps; bool[B, N], the masks that have an id; bool[],
            ``rounds`` of ``components`` were enough.
        """
        height, width = self.grid.native_hw
        guide = self.snapper.guide(color) if self.snapper is not None else None
        masks = logits > 0
        pieces, settled = components(masks.flatten(0, 1), diagonal=True, rounds=rounds)
        pieces = pieces.view(*logits.shape[:2], -1)
        held = torch.zeros((len(logits), height, width), device=logits.device)
        label = torch.zeros(held.shape, dtype=torch.int32, device=logits.device)
        for start in range(0, logits.shape[1], GROUP):
            group = slice(start, start + GROUP)
            small, all_seen = crumbs(pieces[:, group].flatten(0, 1), masks[:, group].flatten(0, 1),
                                     self.least_piece(areas[:, group]).flatten(), rounds)
            clean = logits[:, group].masked_fill(small.view_as(masks[:, group]), -1)
            settled = settled & all_seen
            claims = self._claims(clean, boxes[:, group], guide) * scores[:, group, None, None]
            claims = claims * taken[:, group, None, None]
            best = claims.amax(dim=1)
            ids = torch.arange(start + 1, start + 1 + claims.shape[1], device=label.device, dtype=torch.int32)
            first = torch.where(claims == best[:, None], ids[:, None, None], logits.shape[1] + 1).amin(dim=1)
            wins = best > held
            held, label = torch.where(wins, best, held), torch.where(wins, first, label)
        label, visible = without_gaps(label.long(), logits.shape[1])
        return label.int(), visible, settled

    def native_windows(self, boxes: np.ndarray) -> tuple[Box, ...]:
        """Return the native xyxy windows that hold all painted pixels of masks with working boxes int[N, 4]."""
        (left, right), (top, bottom) = self._bounds
        return tuple((int(left[x0]), int(top[y0]), int(right[x1]), int(bottom[y1])) for x0, y0, x1, y1 in boxes)

    def _claims(self, logits: torch.Tensor, boxes: torch.Tensor, guide: Guide | None) -> torch.Tensor:
        """Return float32[B, n, H, W], the capped logits at native size, 0 outside the windows the host looks at."""
        window = self._windows(boxes)
        claims = F.interpolate(logits, size=self.grid.native_hw, mode="bilinear", align_corners=False)
        if guide is not None:
            moved = self.snapper(guide, claims)
            before, after = (((values > 0) & window).sum(dim=(2, 3)) for values in (claims, moved))
            claims = torch.where((after >= KEPT * before)[..., None, None], moved, claims)
        return claims.clamp(max=LOGIT_CAP).masked_fill(~window, 0)

    def _windows(self, boxes: torch.Tensor) -> torch.Tensor:
        """Return bool[B, n, H, W], the native pixels in and around working boxes int64[B, n, 4]."""
        height, width = self.grid.native_hw
        x0, y0, x1, y1 = boxes.unbind(-1)
        y, x = (torch.arange(side, device=boxes.device) for side in (height, width))
        rows, cols = ((place >= bounds[0][low, None]) & (place < bounds[1][high, None])
                      for place, bounds, low, high in ((y, self._rows, y0, y1), (x, self._cols, x0, x1)))
        return rows[..., None] & cols[..., None, :]


def make_painter(config: SelectionConfig, grid: Grid) -> DevicePainter:
    """Return the painter of pictures that map to the working grid like ``grid``."""
    if config.edge_radius_px == 0:
        return DevicePainter(grid, None)
    native_px = config.edge_radius_px / min(grid.scale_xy)
    return DevicePainter(grid, DeviceEdgeSnapper(grid.native_hw, native_px, config.edge_epsilon))


def native_bounds(grid: Grid, axis: int, margin: int) -> np.ndarray:
    """Return int64[2, side + 1]: where the native window begins and ends for a box that does so at a working column.

    Args:
        axis: 0 for columns, 1 for rows.
        margin: working pixels around the box.
    """
    side = grid.resized_hw[1 - axis]
    windows = []
    for place in range(side + 1):
        box = [0, 0, 0, 0]
        box[axis] = box[axis + 2] = place
        window = native_window(padded_box(tuple(box), grid.resized_hw, margin), grid)
        windows.append((window[axis], window[axis + 2]))
    return np.asarray(windows, dtype=np.int64).T.copy()


def without_gaps(label: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rename the ids 1..count of int64[B, H, W] so that those without a pixel leave no gap.

    Returns:
        int64[B, H, W], and bool[B, count]: the id had a pixel.
    """
    flat = label.flatten(1)
    seen = histogram(flat, count + 1)[:, 1:] > 0
    names = F.pad(seen.long().cumsum(1) * seen, (1, 0))
    return names.gather(1, flat).view_as(label), seen
