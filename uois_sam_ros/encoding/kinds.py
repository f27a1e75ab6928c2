"""The kinds of network input: how a frame becomes what an encoder reads, and where its maps lie.

Every kind has three functions. ``build`` makes the input from the native frame or from its working-grid version,
whichever the network was trained on. ``place`` brings a map to the convention of ``Features``: it covers the working
grid, padding included, so that a cell is ``padded_hw / map size`` working pixels. ``check`` refuses a configuration
that the kind cannot serve.
"""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np

from ..config import EncodingConfig
from ..errors import ConfigError, FrameError
from ..models.spec import CUT, CUT_ROWS, DINOV2_HW, SAM_CELL, ModelSpec
from ..types import Frame, Geometry, Grid
from .resample import resize_antialiased
from .transform import rgbd_input

#: Mean and deviation of ImageNet's colours, 0..255, as SAM prints them and as torchvision does.
SAM_MEAN, SAM_STD = np.float32([123.675, 116.28, 103.53]), np.float32([58.395, 57.12, 57.375])
IMAGENET_MEAN, IMAGENET_STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])


class InputKind(Protocol):
    """What the encoding stage asks of a kind; see the module's text.

    Attributes:
        any_grid: its network takes grids of any size, also those that show a part of the picture.
    """

    any_grid: bool

    def build(self, frame: Frame, grid: Grid, color: np.ndarray, geometry: Geometry | None) -> np.ndarray:
        """Return float32[1, C, a, b] from the frame, or from its working-grid colour and geometry."""
        ...

    def place(self, values: np.ndarray, grid: Grid) -> np.ndarray:
        """Return a network's map float32[1, K, a, b] as a map over the whole working grid."""
        ...

    def check(self, spec: ModelSpec, config: EncodingConfig) -> None:
        """Raise ConfigError when the working grid does not fit the network."""
        ...


class Rgbd:
    """Colour and depth geometry on the working grid: the compact encoder."""

    any_grid = True

    def build(self, frame: Frame, grid: Grid, color: np.ndarray, geometry: Geometry | None) -> np.ndarray:
        return rgbd_input(color, geometry)[None]

    def place(self, values: np.ndarray, grid: Grid) -> np.ndarray:
        return values

    def check(self, spec: ModelSpec, config: EncodingConfig) -> None:
        """Any grid will do."""


class Sam:
    """Native colour with its long side at the encoder's size, normalised, zeros right and below.

    The working grid is SAM's own mask grid: a quarter of that size, so masks need no resampling. Where a side of the
    resized picture is no multiple of 4, the grid rounds it to whole mask pixels: at most half of one at the far edge.

    Args:
        rows: of the square that the encoder sees, as a fraction (above, below).
    """

    any_grid = False

    def __init__(self, rows: tuple[int, int] = (1, 1)) -> None:
        self._rows = rows

    def build(self, frame: Frame, grid: Grid, color: np.ndarray, geometry: Geometry | None) -> np.ndarray:
        side = SAM_CELL * max(grid.padded_hw)
        height, width = longest_side_hw((frame.height, frame.width), side)
        rows = side * self._rows[0] // self._rows[1]
        if height > rows:
            raise FrameError(f"{frame.name}: expected a picture at most {self._rows[0]}/{self._rows[1]} as high as it "
                             f"is wide, because SAM was cut to that, got {frame.width}x{frame.height}; use the preset "
                             f"without -{CUT.strip('_')}")
        picture = resize_antialiased(frame.color, (height, width)).astype(np.float32)
        image = np.zeros((1, 3, rows, side), dtype=np.float32)
        image[0, :, :height, :width] = ((picture - SAM_MEAN) / SAM_STD).transpose(2, 0, 1)
        return image

    def place(self, values: np.ndarray, grid: Grid) -> np.ndarray:
        """Cut the part over the working grid from a map over the padded square or its upper part."""
        side = max(grid.padded_hw)
        height, width = (padded * values.shape[-1] // side for padded in grid.padded_hw)
        return values[..., :height, :width]

    def check(self, spec: ModelSpec, config: EncodingConfig) -> None:
        side = int(spec.inputs[0].dims[-1]) // SAM_CELL if spec.kind == "encoder" else config.long_side
        if (config.short_side, config.long_side) != (side, side):
            raise ConfigError(
                f"encoding.short_side, encoding.long_side: expected {side} for both, because {spec.name} draws masks "
                f"of {side}x{side}, got {config.short_side} and {config.long_side}")


class Dinov2:
    """Native colour squeezed to 336x448, normalised; its maps cover the picture whatever its aspect."""

    any_grid = False

    def build(self, frame: Frame, grid: Grid, color: np.ndarray, geometry: Geometry | None) -> np.ndarray:
        picture = resize_antialiased(frame.color, DINOV2_HW).astype(np.float32) / np.float32(255)
        return np.ascontiguousarray(((picture - IMAGENET_MEAN) / IMAGENET_STD).transpose(2, 0, 1)[None])

    def place(self, values: np.ndarray, grid: Grid) -> np.ndarray:
        """Repeat the border over the padding; without padding the map already covers the grid."""
        if grid.resized_hw == grid.padded_hw:
            return values
        zoom = max(1, -(-values.shape[-2] // grid.resized_hw[0]))
        (height, width), (below, right) = grid.resized_hw, np.subtract(grid.padded_hw, grid.resized_hw)
        return np.stack([cv2.copyMakeBorder(
            cv2.resize(channel, (zoom * width, zoom * height), interpolation=cv2.INTER_LINEAR),
            0, zoom * int(below), 0, zoom * int(right), cv2.BORDER_REPLICATE) for channel in values[0]])[None]

    def check(self, spec: ModelSpec, config: EncodingConfig) -> None:
        """Any grid will do."""


#: ``ModelSpec.input_kind`` -> kind.
INPUT_KINDS: dict[str, InputKind] = {"rgbd": Rgbd(), "sam": Sam(), f"sam{CUT}": Sam(CUT_ROWS),
                                     "dinov2": Dinov2()}


def longest_side_hw(native_hw: tuple[int, int], side: int) -> tuple[int, int]:
    """Return the (h, w) at which the longer side is ``side``, rounded as SAM rounds."""
    scale = side / max(native_hw)
    return int(native_hw[0] * scale + 0.5), int(native_hw[1] * scale + 0.5)
