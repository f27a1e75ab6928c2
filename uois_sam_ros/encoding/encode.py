"""Frame -> Features: geometry once, every image encoder once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..config import EncodingConfig
from ..errors import ConfigError, FrameError, ModelError
from ..geometry import compute_geometry
from ..runtime.base import Model
from ..types import Features, Frame, Geometry, Grid
from .transform import frame_to_grid, rgbd_input, working_grid

#: ``ModelSpec.input_kind`` -> builder of float32[C, h, w] from working-grid colour and geometry.
INPUT_BUILDERS: dict[str, Callable[[np.ndarray, Geometry | None], np.ndarray]] = {
    "rgbd": rgbd_input,
}


class Encoder:
    """The encoding stage.

    Args:
        config: working grid and depth mode.
        models: the loaded encoders, in the order of ``config.encoders``; none for geometry alone.

    Raises:
        ModelError: a model is not the encoder that the config names, or two of them share an
            output name.
        ConfigError: the padding does not fit an encoder's stride.
    """

    def __init__(self, config: EncodingConfig, models: Sequence[Model]) -> None:
        self.config = config
        self._models = tuple(models)
        names = tuple(model.spec.name for model in self._models)
        if self._models and names != tuple(config.encoders):
            raise ModelError(f"encoders: expected {', '.join(config.encoders)}, got "
                             f"{', '.join(names)}; load the models that the config lists")
        seen: dict[str, str] = {}
        for model in self._models:
            _check_encoder(model, config)
            for output in model.spec.output_names:
                if output in seen:
                    raise ModelError(f"encoders: expected different output names, got '{output}' "
                                     f"from {seen[output]} and {model.spec.name}")
                seen[output] = model.spec.name

    def __call__(self, frame: Frame) -> Features:
        """Encode one frame; its maps are read-only.

        Raises:
            FrameError: depth is required, and missing or almost empty.
        """
        if self.config.depth == "off" and frame.depth_m is not None:
            frame = frame.without_depth()
        grid = working_grid((frame.height, frame.width), self.config)
        color, depth = frame_to_grid(frame, grid)
        geometry = self._geometry(frame, depth, grid)
        images: dict[str, np.ndarray] = {}
        maps: dict[str, np.ndarray] = {}
        for model in self._models:
            kind = model.spec.input_kind
            if kind not in images:
                images[kind] = INPUT_BUILDERS[kind](color, geometry)[None]
            maps.update(model.run({model.spec.input_names[0]: images[kind]}))
        for array in maps.values():
            array.setflags(write=False)
        return Features(grid, maps, geometry)

    def _geometry(self, frame: Frame, depth: np.ndarray | None, grid: Grid) -> Geometry | None:
        required = self.config.depth == "require"
        if depth is None:
            if required:
                raise FrameError(f"{frame.name}: expected a depth image (depth = require), got "
                                 "none; pass depth_m, or use depth = auto")
            return None
        geometry = compute_geometry(
            depth, frame.intrinsics.scaled(*grid.scale_xy), max_depth_m=self.config.max_depth_m,
            min_valid=self.config.min_valid_depth)
        if geometry is None and required:
            raise FrameError(
                f"{frame.name}: expected depth readings up to {self.config.max_depth_m:g} m on at "
                f"least {100 * self.config.min_valid_depth:g} % of the picture (depth = require), "
                "got fewer; check the sensor and max_depth_m, or use depth = auto")
        return geometry


def _check_encoder(model: Model, config: EncodingConfig) -> None:
    spec = model.spec
    if spec.kind != "encoder" or len(spec.inputs) != 1:
        raise ModelError(f"encoders: expected an encoder with one image input, got the "
                         f"{spec.kind} {spec.name}")
    if spec.input_kind not in INPUT_BUILDERS:
        raise ModelError(f"{spec.name}: expected an input kind of {', '.join(INPUT_BUILDERS)}, "
                         f"got '{spec.input_kind}'")
    if config.multiple % spec.stride:
        raise ConfigError(f"encoding.multiple: expected a multiple of {spec.stride} for "
                          f"{spec.name}, got {config.multiple}")
