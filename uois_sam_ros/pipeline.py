"""The Segmenter: the stages in order, with their timings. No maths here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from time import perf_counter
from types import MappingProxyType
from typing import Any, TypeVar

from .baseline import segment_geometry
from .config import SegmenterConfig, load_config, preset, update
from .decoding import Decoder
from .encoding.encode import Encoder
from .engines.prepare import prepare
from .errors import FrameError
from .prompting import Prompter, make_prompter
from .rescoring import make_rescorer
from .runtime.base import Model
from .runtime.factory import load_model
from .selection import select
from .types import Features, Frame, Instances, MaskSet, Plane, Prompts

T = TypeVar("T")


@dataclass(frozen=True)
class StageResults:
    """What every stage made of one frame.

    Attributes:
        features, prompts, mask_set: inputs and output of decoding and rescoring; ``prompts`` and
            ``mask_set`` are ``None`` for the geometry method. With ``runtime.frame_path`` device maps, geometry and
            masks stay there: the features have a grid only, the prompts no maps but the heatmap when asked for, and
            ``mask_set`` is ``None``.
        instances: the result, with timings.
        plane: the support plane, ``None`` without one.
    """

    features: Features
    prompts: Prompts | None
    mask_set: MaskSet | None
    instances: Instances
    plane: Plane | None = None


class Segmenter:
    """Frame -> Instances.

    Args:
        config: all stages.
        models: loaded networks by name; what is missing is loaded as ``config.runtime`` says.
        prompter: in place of the one that ``config.prompting`` describes, for prompts that come from elsewhere; they
            may lie anywhere, so the working grid shows the whole picture. With ``runtime.frame_path`` device it works
            on device types.

    Raises:
        ModelError: a model file that is missing or corrupt.
            Also: an engine that is missing (and ``config.runtime.build`` says never) or must not be used.
        BackendError: the run-time library, provider or GPU is not there.
    """

    def __init__(self, config: SegmenterConfig, models: Mapping[str, Model] | None = None, *,
                 prompter: Prompter | None = None) -> None:
        self.config = config
        self._models = dict(models or {})
        self._on_device = None
        if config.runtime.frame_path == "device":
            from .device.segmenter import DeviceSegmenter  # imports torch

            self._on_device = DeviceSegmenter(config, self._models, prompter=prompter)
            self._models = dict(self._on_device.models)
            return
        prepare(config, have=tuple(self._models))

        def model(name: str) -> Model:
            if name not in self._models:
                self._models[name] = load_model(name, config.runtime)
            return self._models[name]

        if config.method == "geometry":
            self._encode = Encoder(config.encoding, ())
            return
        encoding = config.encoding if prompter is None else replace(config.encoding, focus="off")
        self._encode = Encoder(encoding, [model(name) for name in encoding.encoders])
        self._prompt = prompter or make_prompter(config.prompting)
        self._decode = Decoder(config.decoding, model(config.decoding.decoder))
        refines = config.rescoring.strategy == "hdnet"
        self._rescore = make_rescorer(config.rescoring, model(config.rescoring.rescorer) if refines else None)

    @classmethod
    def from_preset(cls, name: str, **overrides: Any) -> Segmenter:
        """Build from a preset; ``overrides`` are nested, ``selection={"score_threshold": 0.6}``.

        Raises:
            ConfigError: unknown preset or key, value outside its range.
        """
        return cls(update(preset(name), overrides))

    @classmethod
    def from_config(cls, config: str | SegmenterConfig) -> Segmenter:
        """Build from a config or from the path of a YAML file."""
        return cls(config if isinstance(config, SegmenterConfig) else load_config(config))

    @property
    def models(self) -> Mapping[str, Model]:
        """The networks in use, by name; a Segmenter with other settings may share them."""
        return MappingProxyType(self._models)

    def segment(self, frame: Frame) -> Instances:
        """Segment one frame.

        Raises:
            FrameError: not a Frame; or depth is needed and the frame has none, or almost none.
        """
        return self.stages(frame).instances

    def stages(self, frame: Frame, *, with_heatmap: bool = False) -> StageResults:
        """Segment one frame and return what every stage made; raises as ``segment``.

        Args:
            with_heatmap: with ``runtime.frame_path`` device, fetch the prompter's heatmap; on the host it is at hand.
        """
        if not isinstance(frame, Frame):
            raise FrameError(f"frame: expected a Frame, got {type(frame).__name__}; "
                             "build one: Frame(color, depth_m, intrinsics)")
        if self._on_device is not None:
            found = self._on_device.run_one(frame, with_heatmap=with_heatmap)
            return StageResults(Features(found.grid, {}), found.instances.prompts, None, found.instances, found.plane)
        clock = _Clock()
        features = clock.time("encoding", lambda: self._encode(frame))
        plane = features.geometry.plane if features.geometry is not None else None
        if self.config.method == "geometry":
            instances = clock.time(
                "selection", lambda: segment_geometry(frame, features, self.config.selection))
            return StageResults(features, None, None, replace(instances, timings_ms=clock.total()), plane)
        prompts = clock.time("prompting", lambda: self._prompt(features))
        decoded = clock.time("decoding", lambda: self._decode(features, prompts))
        mask_set = clock.time("rescoring", lambda: self._rescore(features, prompts, decoded))
        instances = clock.time(
            "selection", lambda: select(frame, features, mask_set, self.config.selection))
        instances = replace(instances, timings_ms=clock.total(), prompts=prompts)
        return StageResults(features, prompts, mask_set, instances, plane)


class _Clock:
    """Milliseconds a stage, in the order of the calls."""

    def __init__(self) -> None:
        self._start = perf_counter()
        self._timings_ms: dict[str, float] = {}

    def time(self, name: str, stage: Callable[[], T]) -> T:
        begin = perf_counter()
        result = stage()
        self._timings_ms[name] = 1000 * (perf_counter() - begin)
        return result

    def total(self) -> dict[str, float]:
        return {**self._timings_ms, "total": 1000 * (perf_counter() - self._start)}
