"""One picture of a data set: colour, depth and labels of some frames side by side."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ..errors import InputError
from ..replay.sources import Sample
from ..synthetic.preview import colour_depth, colour_labels
from .base import Dataset
from .check import spread

_WIDTH, _HEIGHT, _CAPTION = 320, 240, 18


def write_preview(dataset: Dataset, path: Path, count: int = 9, columns: int = 2) -> list[Sample]:
    """Write a PNG of ``count`` frames spread over the data set; a refused frame is a dark cell with its name.

    Returns:
        The frames that were refused.

    Raises:
        InputError: the file cannot be written.
    """
    samples = [dataset.sample(index) for index in spread(len(dataset), max(1, count))]
    cells = [draw_sample(sample) for sample in samples]
    while len(cells) % columns:
        cells.append(np.zeros_like(cells[0]))
    rows = [np.concatenate(cells[start:start + columns], axis=1) for start in range(0, len(cells), columns)]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        done, data = cv2.imencode(".png", np.concatenate(rows)[:, :, ::-1])
        path.write_bytes(data.tobytes() if done else b"")
    except OSError as error:
        raise InputError(f"--out {path}: expected a file that can be written, got: {error}") from error
    return [sample for sample in samples if sample.error]


def draw_sample(sample: Sample) -> np.ndarray:
    """Return uint8[258, 960, 3] RGB: name, then colour, depth (black = no reading) and labels over grey."""
    cell = np.zeros((_HEIGHT + _CAPTION, 3 * _WIDTH, 3), np.uint8)
    caption = f"{sample.source}/{sample.name}" + (" REFUSED" if sample.error else "")
    cv2.putText(cell, caption, (4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1, cv2.LINE_AA)
    if sample.frame is None:
        return cell
    color, depth_m, truth = sample.frame.color, sample.frame.depth_m, sample.truth
    pictures = [color, np.zeros_like(color) if depth_m is None else colour_depth(np.nan_to_num(depth_m)),
                colour_labels(np.zeros(color.shape[:2], np.uint16) if truth is None else truth, color)]
    scale = min(_WIDTH / color.shape[1], _HEIGHT / color.shape[0])
    size = (max(1, round(color.shape[1] * scale)), max(1, round(color.shape[0] * scale)))
    for place, picture in enumerate(pictures):
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)
        cell[_CAPTION:_CAPTION + size[1], place * _WIDTH:place * _WIDTH + size[0]] = small
    return cell
