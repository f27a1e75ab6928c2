"""Clocks: around every network, around every frame, and several contestants in turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from time import perf_counter
from typing import Any, Protocol

import numpy as np

from ..config import SegmenterConfig
from ..engines.profiles import networks
from ..errors import FrameError
from ..pipeline import Segmenter
from ..prompting import make_prompter
from ..runtime.base import Model
from ..runtime.factory import load_model
from ..types import Frame, Instances
from .injected import device_injecting, injecting

#: Rounds before the first one that counts.
WARM_UP = 3
PERCENTILES = (50, 90, 99)


@dataclass(frozen=True)
class Timed:
    """One frame.

    Attributes:
        ms: stage -> milliseconds, "total" among them.
        objects: instances found. prompts: points that were decoded.
        networks_ms: network -> milliseconds inside it.
    """

    ms: Mapping[str, float]
    objects: int
    prompts: int = 0
    networks_ms: Mapping[str, float] = field(default_factory=dict)


class Side(Protocol):
    """Segments a frame and tells how long that took."""

    def __call__(self, frame: Frame) -> Timed:
        ...


class TimedModel:
    """A model that adds up the milliseconds spent inside ``run``."""

    def __init__(self, model: Model) -> None:
        self.spec, self.metadata, self._model = model.spec, model.metadata, model
        self.elapsed_ms = 0.0

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the model; see ``runtime.base.Model.run``."""
        begin = perf_counter()
        outputs = self._model.run(inputs)
        self.elapsed_ms += 1000 * (perf_counter() - begin)
        return outputs


class TimedSegmenter:
    """The package's own pipeline as a ``Side``, on the frame path that the configuration names.

    Args:
        models: what ``timed_models`` returned, shared with other sides; by default they are loaded.
        points: that many evenly spread points are decoded instead of those that the prompter finds, 0 for its own.
    """

    def __init__(self, config: SegmenterConfig, models: Mapping[str, Model] | None = None, points: int = 0) -> None:
        self.models = timed_models(config) if models is None else models
        self._clocks = {name: model for name, model in self.models.items() if isinstance(model, TimedModel)}
        self._batched = config.runtime.frame_path == "device"
        if self._batched:
            from ..device.segmenter import DeviceSegmenter

            on_device = device_injecting(points) if points else None
            self._segmenter: Any = DeviceSegmenter(config, self.models, prompter=on_device)
        else:
            prompter = injecting(make_prompter(config.prompting), points) if points else None
            self._segmenter = Segmenter(config, self.models, prompter=prompter)

    def __call__(self, frame: Frame) -> Timed:
        for model in self._clocks.values():
            model.elapsed_ms = 0.0
        result = self._segmenter.segment(frame)
        return Timed(result.timings_ms, len(result), _prompts(result),
                     {name: model.elapsed_ms for name, model in self._clocks.items()})

    def together(self, frames: Sequence[Frame]) -> Timed:
        """Segment one frame of each of several cameras: in one batch on a device, one after another on the host."""
        if not self._batched:
            timed = [self(frame) for frame in frames]
            return Timed({name: sum(one.ms[name] for one in timed) for name in timed[0].ms},
                         sum(one.objects for one in timed), sum(one.prompts for one in timed))
        results = self._segmenter.segment_batch(frames)
        for result in results:
            if isinstance(result, FrameError):
                raise result
        return Timed(results[0].timings_ms, sum(map(len, results)), sum(map(_prompts, results)))


def timed_models(config: SegmenterConfig) -> dict[str, Model]:
    """Load the networks of a configuration, into clocks where they run one by one."""
    if config.runtime.frame_path == "device":
        from ..device.segmenter import DeviceSegmenter

        return dict(DeviceSegmenter(config).models)
    return {name: TimedModel(load_model(name, config.runtime)) for name in networks(config)}


def _prompts(result: Instances) -> int:
    return 0 if result.prompts is None else len(result.prompts)


def in_turns(steps: Sequence[Callable[[int], Timed]], count: int, warm_up: int = WARM_UP) -> list[list[Timed]]:
    """Run every step once a round, so that a busy machine disturbs all alike.

    Two steps go first by turns. More go in another order each round, or something that comes once a second could hit
    the same one every time.

    Args:
        steps: functions of the number of the round.

    Returns:
        For every step ``count`` results; those of the warm-up are dropped.
    """
    results: list[list[Timed]] = [[] for _ in steps]
    for turn in range(warm_up + count):
        order = list(range(len(steps)))
        if len(order) > 2:
            Random(turn).shuffle(order)
        elif turn % 2 == 0:
            order.reverse()
        for index in order:
            results[index].append(steps[index](turn))
    return [timed[warm_up:] for timed in results]


def summary(values: Sequence[float]) -> dict[str, float]:
    """Return percentiles and mean, rounded to a hundredth."""
    result = {f"p{q}": round(float(np.percentile(values, q)), 2) for q in PERCENTILES}
    return {**result, "mean": round(float(np.mean(values)), 2)}
