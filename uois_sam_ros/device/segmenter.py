"""Frames -> Instances with everything between upload and label image on one device; ``pipeline.py`` on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import torch
from torch import nn

from ..config import SegmenterConfig
from ..encoding.transform import working_grid
from ..errors import FrameError, ModelError
from ..models.spec import ModelSpec
from ..runtime.base import Model
from ..runtime.factory import load_model
from ..runtime.torch_backend import TorchModel, find_device
from ..types import Frame, Instances
from .attention import fuse_attention
from .decode import DeviceDecoder
from .encoding import DeviceEncoder
from .lane import DeviceResult, Lane, LaneShape, Stages, lane_shape
from .paint import make_painter
from .precision import in_precision
from .prompting import DevicePrompter
from .rescore import DeviceRescorer
from .select import DeviceElector
from .types import DeviceFeatures, DevicePrompts


class DeviceSegmenter:
    """The whole pipeline on one device, for one camera or for several of one picture size together.

    Args:
        config: ``runtime`` names the device and the precision.
        models: loaded networks by name, which must be ``TorchModel`` on that device; what is missing is loaded.
        prompter: in place of the one that ``config.prompting`` describes.
        record: replay the steps as CUDA graphs once they have run.

    Raises:
        BackendError: the GPU is not there.
        ModelError: a model file that is missing or corrupt; a model that is not a torch network on the device.
    """

    def __init__(self, config: SegmenterConfig, models: Mapping[str, Model] | None = None, *,
                 prompter: Callable[[DeviceFeatures], DevicePrompts] | None = None, record: bool = True) -> None:
        self.config, self._record = config, record
        self.device = torch.device(find_device(config.runtime))
        self._models = dict(models or {})
        self._prompter = prompter
        self._stages: dict[tuple[int, int], Stages] = {}
        self._lanes: dict[tuple[LaneShape, int], Lane] = {}
        self._encoders = {name: self._network(name)[0] for name in config.encoding.encoders}
        self._decoder = self._network(config.decoding.decoder)
        refines = config.rescoring.strategy == "hdnet"
        self._rescorer = self._network(config.rescoring.rescorer) if refines else None

    @property
    def models(self) -> Mapping[str, Model]:
        """The networks in use, by name; a DeviceSegmenter with other settings may share them."""
        return MappingProxyType(self._models)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why steps run one by one instead of as CUDA graphs; empty while all is well."""
        return tuple(lane.recorder.problem for lane in self._lanes.values() if lane.recorder.problem)

    def segment(self, frame: Frame) -> Instances:
        """Segment one frame.

        Raises:
            FrameError: not a Frame; or depth is needed and the frame has none, or almost none.
        """
        return self.run_one(frame).instances

    def segment_batch(self, frames: Sequence[Frame]) -> list[Instances | FrameError]:
        """Segment one frame of each of several cameras, with one pass of the encoders.

        Returns:
            A result a frame. One without the depth that is needed gets the error that ``segment`` would raise instead,
            and costs the others nothing.

        Raises:
            FrameError: no frames, something else than frames, or pictures of different sizes.
        """
        return [instances_of(result) for result in self.run(frames)]

    def run(self, frames: Sequence[Frame], *, with_heatmap: bool = False) -> list[DeviceResult | FrameError]:
        """As ``segment_batch``, with all that the host learns, and with the prompter's heatmap on request."""
        return self.finish(self.begin(frames), with_heatmap=with_heatmap)

    def run_one(self, frame: Frame, *, with_heatmap: bool = False) -> DeviceResult:
        """As ``run`` for one frame; raises as ``segment``."""
        (result,) = self.run([frame], with_heatmap=with_heatmap)
        if isinstance(result, FrameError):
            raise result
        return result

    def begin(self, frames: Sequence[Frame], turn: int = 0) -> Lane:
        """Hand a batch to the device without waiting for it.

        Args:
            turn: 0 or 1; batches that are under way together take different ones.
        """
        shape = lane_shape(frames)
        mode = self.config.encoding.depth
        if mode == "off":
            frames = [frame.without_depth() if frame.depth_m is not None else frame for frame in frames]
            shape = lane_shape(frames)
        if mode == "require":  # a frame without depth goes along as one without a reading
            shape = replace(shape, with_depth=True)
        if (shape, turn) not in self._lanes:
            self._lanes[shape, turn] = Lane(self._stages_for(shape.native_hw), shape, self.device, record=self._record)
        lane = self._lanes[shape, turn]
        lane.begin(frames)
        return lane

    def finish(self, lane: Lane, *, with_heatmap: bool = False) -> list[DeviceResult | FrameError]:
        """Wait for the batch that ``begin`` returned the lane of; results as of ``run``."""
        results = lane.finish(with_heatmap=with_heatmap)
        if self.config.encoding.depth != "require":
            return list(results)
        return [result if result.instances.depth_used else self._refusal(frame)
                for frame, result in zip(lane.frames, results)]

    def _refusal(self, frame: Frame) -> FrameError:
        """Return why a frame whose depth was not used is refused where depth is required."""
        config = self.config.encoding
        if frame.depth_m is None:
            return FrameError(f"{frame.name}: expected a depth image (depth = require), got none; pass depth_m, or use "
                              "depth = auto")
        return FrameError(
            f"{frame.name}: expected depth readings up to {config.max_depth_m:g} m on at least "
            f"{100 * config.min_valid_depth:g} % of the picture (depth = require), got fewer; check the sensor and "
            "max_depth_m, or use depth = auto")

    def _network(self, name: str) -> tuple[nn.Module, ModelSpec]:
        if name not in self._models:
            self._models[name] = load_model(name, self.config.runtime)
        model = self._models[name]
        if not isinstance(model, TorchModel) or model.device != str(self.device):
            raise ModelError(f"{name}: expected a torch network on {self.device} for the device frame path, got "
                             f"{type(model).__name__} on {getattr(model, 'device', 'another backend')}; let the "
                             "segmenter load it")
        if name.startswith("sam_") and model.spec.kind == "encoder":
            fuse_attention(model.module)
        reduced = model.spec.kind == "encoder" or name.startswith("sam_") and model.spec.kind == "decoder"
        precision = self.config.runtime.precision if reduced else "fp32"
        return in_precision(model.module, precision), model.spec

    def _stages_for(self, native_hw: tuple[int, int]) -> Stages:
        if native_hw not in self._stages:
            config = self.config
            grid = working_grid(native_hw, config.encoding)
            network, spec = self._rescorer or (None, None)
            self._stages[native_hw] = Stages(
                DeviceEncoder(config.encoding, self._encoders, native_hw).to(self.device),
                self._prompter or DevicePrompter(config.prompting, grid).to(self.device),
                DeviceDecoder(config.decoding, *self._decoder),
                DeviceRescorer(config.rescoring, network, spec),
                DeviceElector(config.selection, grid).to(self.device),
                make_painter(config.selection, grid).to(self.device))
        return self._stages[native_hw]


def instances_of(result: DeviceResult | FrameError) -> Instances | FrameError:
    """Return what a caller who wants instances alone gets for a frame."""
    return result if isinstance(result, FrameError) else result.instances
