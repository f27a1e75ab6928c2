"""Where to look closer: the part of a picture that a first, coarse look found to hold objects.

A camera over a table sees walls, floor and bare table, too. The working grid is spent on the part with objects: the
same network sees them larger, for the cost of the coarse look. The part has the form of the picture, so the grid keeps its size.
"""

from __future__ import annotations

import math

import numpy as np

from ..config import EncodingConfig
from ..types import Box, Grid

#: A cell counts as object from this foreground probability on; this share of the cells on either side may be stray.
FOREGROUND = 0.5
STRAY = 0.002
#: Regions begin and end on multiples of this share of a side: a camera's noise seldom moves them.
STEP = 1 / 24
#: A region with a larger share of a side is not worth a cut.
WORTH = 23 / 24


def find_region(foreground: np.ndarray, grid: Grid, config: EncodingConfig) -> Box | None:
    """Return the native xyxy box to look at closely, or ``None`` for the whole picture.

    Args:
        foreground: float32[a, b] in [0, 1], of the coarse look, over its padded working grid.
        grid: of the coarse look, which shows the whole picture.
        config: ``focus_margin`` and ``focus_least``.
    """
    cells = grid.unpadded(foreground) > FOREGROUND
    rows, cols = np.nonzero(cells)
    if len(rows) == 0:
        return None
    spans = [_span(places, size) for places, size in zip((rows, cols), cells.shape)]
    share = max(high - low for low, high in spans) + 2 * config.focus_margin
    share = math.ceil(max(share, config.focus_least) / STEP - 1e-6) * STEP
    if share > WORTH + 1e-6:
        return None
    (y0, y1), (x0, x1) = (_side(span, share, pixels) for span, pixels in zip(spans, grid.native_hw))
    return x0, y0, x1, y1


def _span(places: np.ndarray, size: int) -> tuple[float, float]:
    """First and last place of the objects along a side, as shares of it."""
    low, high = np.quantile(places, (STRAY, 1 - STRAY))
    return low / size, (high + 1) / size


def _side(span: tuple[float, float], share: float, pixels: int) -> tuple[int, int]:
    """Pixels of the region along one side: around the middle of the objects, inside the picture."""
    start = round((sum(span) - share) / 2 / STEP) * STEP
    start = min(max(start, 0.0), 1 - share)
    length = round(share * pixels)
    first = min(round(start * pixels), pixels - length)
    return first, first + length
