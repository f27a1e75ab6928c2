"""Frame -> Features: every image encoder, and every head on its features, once on the part of the picture that counts.

Which part that is, a first look at low resolution tells (``focus.py``); without it, it is the whole picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..config import EncodingConfig
from ..errors import ConfigError, FrameError, ModelError
from ..geometry import compute_geometry
from ..runtime.base import Model
from ..types import Features, Frame, Geometry, Grid
from .focus import find_region
from .kinds import INPUT_KINDS
from .transform import frame_to_grid, working_grid


class Encoder:
    """The encoding stage.

    Args:
        config: working grid and depth mode.
        models: the loaded encoders and heads, in the order of ``config.encoders``, a head after those whose outputs
            it reads; none for geometry alone.

    Raises:
        ModelError: a model is not the one that the config names, a head reads what no earlier model makes, or two
            models share an output name.
        ConfigError: the working grid or its padding does not fit an encoder, or one of them cannot look at parts.
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
            _check_model(model, config, seen)
            for output in model.spec.output_names:
                if output in seen:
                    raise ModelError(f"encoders: expected different output names, got '{output}' "
                                     f"from {seen[output]} and {model.spec.name}")
                seen[output] = model.spec.name
        self._scouts = _scouts(self._models, config)

    def __call__(self, frame: Frame) -> Features:
        """Encode one frame, or the part of it that holds objects; the maps are read-only.

        Raises:
            FrameError: depth is required, and missing or almost empty.
        """
        if self.config.depth == "off" and frame.depth_m is not None:
            frame = frame.without_depth()
        native_hw = frame.height, frame.width
        region = None
        if self._scouts:
            side = min(self.config.focus_side, self.config.short_side)
            coarse = working_grid(native_hw, self.config, short_side=side)
            seen = self._look(frame, coarse, self._scouts)
            foreground = seen[self.config.focus_map]
            region = find_region(foreground.reshape(foreground.shape[-2:]), coarse, self.config)
        return self._look(frame, working_grid(native_hw, self.config, region=region), self._models)

    def _look(self, frame: Frame, grid: Grid, models: Sequence[Model]) -> Features:
        """Run each of ``models`` once on what the grid shows."""
        color, depth = frame_to_grid(frame, grid)
        geometry = self._geometry(frame, depth, grid)
        images: dict[str, np.ndarray] = {}
        made: dict[str, np.ndarray] = {}
        maps: dict[str, np.ndarray] = {}
        for model in models:
            spec, kind = model.spec, INPUT_KINDS[model.spec.input_kind]
            if spec.kind == "head":
                inputs: Mapping[str, np.ndarray] = {name: made[name] for name in spec.input_names}
            else:
                if spec.input_kind not in images:
                    images[spec.input_kind] = kind.build(frame, grid, color, geometry)
                inputs = {spec.input_names[0]: images[spec.input_kind]}
            outputs = model.run(inputs)
            made.update(outputs)
            maps.update({name: kind.place(array, grid) if name in spec.maps else array
                         for name, array in outputs.items()})
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
            depth, grid.intrinsics(frame.intrinsics), max_depth_m=self.config.max_depth_m,
            min_valid=self.config.min_valid_depth)
        if geometry is None and required and grid.region is None:
            raise FrameError(
                f"{frame.name}: expected depth readings up to {self.config.max_depth_m:g} m on at "
                f"least {100 * self.config.min_valid_depth:g} % of the picture (depth = require), "
                "got fewer; check the sensor and max_depth_m, or use depth = auto")
        return geometry


def _scouts(models: Sequence[Model], config: EncodingConfig) -> tuple[Model, ...]:
    """The models of the first look: those up to the one that makes the foreground map; none without focus or map."""
    if config.focus == "off":
        return ()
    makes = [config.focus_map in model.spec.output_names for model in models]
    if not any(makes):
        return ()
    fixed = [model.spec.name for model in models if not INPUT_KINDS[model.spec.input_kind].any_grid]
    if fixed:
        raise ConfigError(f"encoding.focus: expected off, because {fixed[0]} does not look at parts of a picture, got "
                          f"{config.focus}")
    return tuple(models[:makes.index(True) + 1])


def _check_model(model: Model, config: EncodingConfig, made: Mapping[str, str]) -> None:
    spec = model.spec
    if spec.kind not in ("encoder", "head") or (spec.kind == "encoder" and len(spec.inputs) != 1):
        raise ModelError(f"encoders: expected an encoder with one image input, or a head, got the "
                         f"{spec.kind} {spec.name}")
    if spec.input_kind not in INPUT_KINDS:
        raise ModelError(f"{spec.name}: expected an input kind of {', '.join(INPUT_KINDS)}, "
                         f"got '{spec.input_kind}'")
    missing = [name for name in spec.input_names if name not in made] if spec.kind == "head" else []
    if missing:
        raise ModelError(f"encoders: expected a model before {spec.name} that makes {', '.join(missing)}, got "
                         f"{', '.join(made) or 'none'}; name it earlier in encoding.encoders")
    if config.multiple % spec.stride:
        raise ConfigError(f"encoding.multiple: expected a multiple of {spec.stride} for "
                          f"{spec.name}, got {config.multiple}")
    INPUT_KINDS[spec.input_kind].check(spec, config)
