"""What the node knows when a frame is segmented: everything its outputs are composed from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from ..pipeline import StageResults
from ..types import Frame, Instances, Plane


@dataclass(frozen=True)
class Result:
    """One segmented frame, ready to be published.

    Attributes:
        header: of the colour message; stamp and frame_id of every output.
        frame: what was segmented; the outputs are of its size.
        instances: as the pipeline returned them, ids 1..N.
        label: uint16[H, W] as published, 0 = background; differs from ``instances.label`` in the
            ids alone, and only when they are tracked.
        ids: N published ids; ``ids[k]`` is that of ``instances.items[k]``.
        plane: the support plane in the camera frame, ``None`` without one.
        heatmap: float32[H, W] in [0, 1] where object centres are likely, ``None`` when nobody asked
            or the preset makes none.
    """

    header: Any
    frame: Frame
    instances: Instances
    label: np.ndarray
    ids: tuple[int, ...]
    plane: Plane | None = None
    heatmap: np.ndarray | None = None

    def __post_init__(self) -> None:
        assert self.label.shape == self.frame.color.shape[:2] and self.label.dtype == np.uint16
        assert len(self.ids) == len(self.instances)
        assert self.heatmap is None or self.heatmap.shape == self.label.shape

    def published(self) -> Instances:
        """Return the instances under their published ids, in the same order."""
        if self.label is self.instances.label:
            return self.instances
        items = tuple(replace(item, id=number) for item, number in zip(self.instances.items, self.ids))
        return replace(self.instances, label=self.label, items=items)


def heatmap_on_image(stages: StageResults) -> np.ndarray | None:
    """Return the prompter's heatmap without padding at the frame's size, float32[H, W], or ``None``."""
    if stages.prompts is None or stages.prompts.heatmap is None:
        return None
    grid = stages.features.grid
    height, width = grid.resized_hw
    seen = cv2.resize(stages.prompts.heatmap[:height, :width], grid.of_region.native_hw[::-1],
                      interpolation=cv2.INTER_LINEAR)
    return grid.uncut(np.clip(seen, 0, 1))
