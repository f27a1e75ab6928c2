"""The frames that are timed, and points to prompt with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..example import box_scene, bundled_recording
from ..types import Frame

#: Different frames that the timed ones cycle through.
DISTINCT_FRAMES = 12
#: Different scenes of boxes.
SCENES = 4
BOXES = 15
#: The plastic number's powers: a sequence of points that covers a square evenly, however many are taken.
EVEN_STEP = np.float64([0.7548776662466927, 0.5698402909980532])


def example_frames(*, recording: bool = True, objects: int = 0,
                   count: Callable[[Frame], int] | None = None) -> tuple[list[Frame], str]:
    """Return up to ``DISTINCT_FRAMES`` 640x480 frames and where they come from.

    Args:
        recording: the bundled one, where it is installed; otherwise boxes on a table.
        objects: 0 for frames spread over the recording; otherwise those in which most nearly so many are found, or
            scenes of so many boxes.
        count: tells how many objects are found in a frame; needed with ``objects`` and a recording.
    """
    path = bundled_recording() if recording else None
    if path is None:
        boxes = objects or BOXES
        scenes = [box_scene(boxes=boxes, seed=seed)[0] for seed in range(SCENES)]
        return scenes, f"{boxes} boxes on a table, {SCENES} scenes"
    from ..replay.sources import InputOptions, open_input

    frames = [sample.frame for sample in open_input(str(path), InputOptions()) if sample.frame is not None]
    if objects and count is not None:
        nearest = np.argsort([abs(count(frame) - objects) for frame in frames], kind="stable")[:DISTINCT_FRAMES]
        chosen = [frames[index] for index in sorted(nearest)]
        return chosen, f"{path.name}, the {len(chosen)} frames with about {objects} objects found"
    step = max(1, len(frames) // DISTINCT_FRAMES)
    return frames[::step][:DISTINCT_FRAMES], f"{path.name}, every {step}. frame"


def even_points(native_hw: tuple[int, int], count: int) -> np.ndarray:
    """Return float32[count, 2], native (x, y) spread evenly over a picture; more of them keep the first."""
    unit = (0.5 + np.arange(1, count + 1)[:, None] * EVEN_STEP) % 1
    return (unit * (native_hw[1], native_hw[0]) - 0.5).clip(0).astype(np.float32)
