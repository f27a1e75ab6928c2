"""DeviceFrame -> DeviceFeatures; ``encoding/encode.py`` for B cameras of one picture size through one encoder."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from ..config import EncodingConfig
from ..encoding.kinds import INPUT_KINDS
from ..encoding.transform import working_grid
from ..errors import FrameError, ModelError
from ..models.spec import ModelSpec, model_spec
from .geometry import GeometryMaps
from .inputs import DEVICE_INPUTS
from .resample import GridColor, GridDepth
from .types import DeviceFeatures, DeviceFrame, DeviceGeometry

#: The geometry's tensors among the outputs, in the order of ``DeviceGeometry``.
GEOMETRY = tuple(DeviceGeometry.__dataclass_fields__)


class FrameInputs(nn.Module):
    """Native pictures -> the network inputs, one an input kind, and the geometry. This is what is exported.

    Args:
        kinds: names in ``encoding/kinds.py``.
        native_hw: size of the pictures; every size is fixed by it and by the config.
        with_depth: whether ``forward`` gets depth.
    """

    def __init__(self, config: EncodingConfig, kinds: tuple[str, ...], native_hw: tuple[int, int], *,
                 with_depth: bool) -> None:
        super().__init__()
        self.grid, self.kinds = working_grid(native_hw, config), kinds
        self.color = GridColor(self.grid)
        self.depth = GridDepth(self.grid) if with_depth else None
        self.geometry = GeometryMaps(self.grid, config) if with_depth else None
        self.inputs = nn.ModuleDict({kind: DEVICE_INPUTS[kind](self.grid, config) for kind in kinds})

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the arguments."""
        return ("color", "depth_m", "intrinsics") if self.depth is not None else ("color",)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the results: ``<kind>_image`` and those of ``DeviceGeometry``."""
        return tuple(f"{kind}_image" for kind in self.kinds) + (GEOMETRY if self.depth is not None else ())

    def forward(self, color: torch.Tensor, depth_m: torch.Tensor | None = None,
                intrinsics: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
        """Prepare uint8[B, H, W, 3] colour, float32[B, H, W] metres and float32[B, 4] fx fy cx cy."""
        native = color.float().permute(0, 3, 1, 2)
        derived = () if self.depth is None else self.geometry(self.depth(depth_m), intrinsics)
        geometry = DeviceGeometry(*derived) if derived else None
        on_grid = self.color(native)
        return (*(self.inputs[kind](native, on_grid, geometry) for kind in self.kinds), *derived)


class DeviceEncoder(nn.Module):
    """The encoding stage for pictures of one size.

    Args:
        config: working grid and depth mode.
        networks: by name, those of ``config.encoders``; they take the inputs of their specs by position, B pictures.
        native_hw: size of the pictures.

    Raises:
        ModelError: a network that the config names is missing.
        ConfigError: the working grid does not fit an encoder.
    """

    def __init__(self, config: EncodingConfig, networks: Mapping[str, nn.Module], native_hw: tuple[int, int]) -> None:
        super().__init__()
        missing = [name for name in config.encoders if name not in networks]
        if missing:
            raise ModelError(f"device encoders: expected the networks {', '.join(config.encoders)}, got no "
                             f"{', '.join(missing)}; load the models that the config lists")
        self.config = config
        self._specs: tuple[ModelSpec, ...] = tuple(model_spec(name) for name in config.encoders)
        kinds = tuple(dict.fromkeys(spec.input_kind for spec in self._specs))
        for spec in self._specs:
            INPUT_KINDS[spec.input_kind].check(spec, config)
        self.networks = nn.ModuleDict({name: networks[name] for name in config.encoders})
        self.with_depth, self.without_depth = (
            FrameInputs(config, kinds, native_hw, with_depth=with_depth) for with_depth in (True, False))
        self.eval()

    def forward(self, frame: DeviceFrame) -> DeviceFeatures:
        """Encode the frames of B cameras.

        Too few depth readings show in ``geometry.usable``, camera by camera; ``depth = require`` leaves the refusal to
        whoever brings that to the host.

        Raises:
            FrameError: pictures of another size, or none with depth where depth is required.
        """
        prepare = self._inputs(frame)
        given = [frame.color, frame.depth_m, frame.intrinsics][:len(prepare.input_names)]
        outputs = dict(zip(prepare.output_names, prepare(*given)))
        made: dict[str, torch.Tensor] = {}
        maps: dict[str, torch.Tensor] = {}
        for spec in self._specs:
            read = [made[name] for name in spec.input_names] if spec.kind == "head" else [
                outputs[f"{spec.input_kind}_image"]]
            results = self.networks[spec.name](*read)
            results = results if isinstance(results, (tuple, list)) else (results,)
            for name, value in zip(spec.output_names, results):
                made[name] = value = value.float()  # a network in reduced precision answers in it
                maps[name] = prepare.inputs[spec.input_kind].place(value) if name in spec.maps else value
        geometry = DeviceGeometry(*(outputs[name] for name in GEOMETRY)) if prepare is self.with_depth else None
        return DeviceFeatures(prepare.grid, maps, geometry)

    def _inputs(self, frame: DeviceFrame) -> FrameInputs:
        if frame.native_hw != self.with_depth.grid.native_hw:
            raise FrameError(f"device frame: expected pictures of {self.with_depth.grid.native_hw} (rows, columns), "
                             f"got {frame.native_hw}; build a DeviceEncoder for this size")
        if frame.depth_m is None and self.config.depth == "require":
            raise FrameError("device frame: expected depth (depth = require), got none; pass depth_m, or use "
                             "depth = auto")
        return self.without_depth if frame.depth_m is None or self.config.depth == "off" else self.with_depth
