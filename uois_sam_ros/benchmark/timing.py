"""Clocks: around every network, around every frame, and several contestants in turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Protocol

import numpy as np

from ..config import SegmenterConfig
from ..engines.profiles import networks
from ..pipeline import Segmenter
from ..prompting import Prompter, make_prompter
from ..runtime.base import Model
from ..runtime.factory import load_model
from ..types import Features, Frame, Prompts
from .frames import even_points

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
    """The package's own pipeline as a ``Side``.

    Args:
        models: networks in clocks, shared with other sides; by default they are loaded.
        points: that many evenly spread points are decoded instead of those that the prompter finds, 0 for its own;
            the prompter runs all the same.
    """

    def __init__(self, config: SegmenterConfig, models: Mapping[str, TimedModel] | None = None, points: int = 0) -> None:
        self.models = timed_models(config) if models is None else models
        prompter = injecting(make_prompter(config.prompting), points) if points else None
        self._segmenter = Segmenter(config, self.models, prompter=prompter)

    def __call__(self, frame: Frame) -> Timed:
        for model in self.models.values():
            model.elapsed_ms = 0.0
        result = self._segmenter.segment(frame)
        prompts = 0 if result.prompts is None else len(result.prompts)
        return Timed(result.timings_ms, len(result), prompts,
                     {name: model.elapsed_ms for name, model in self.models.items()})


def timed_models(config: SegmenterConfig) -> dict[str, TimedModel]:
    """Load the networks of a configuration into clocks."""
    return {name: TimedModel(load_model(name, config.runtime)) for name in networks(config)}


def injecting(prompter: Prompter, count: int) -> Prompter:
    """Return ``prompter`` with its points replaced by ``count`` evenly spread ones."""

    def prompt(features: Features) -> Prompts:
        points = features.grid.to_working(even_points(features.grid.native_hw, count))
        return replace(prompter(features), points_px=points, scores=np.ones(count, np.float32))

    return prompt


def in_turns(steps: Sequence[Callable[[int], Timed]], count: int, warm_up: int = WARM_UP) -> list[list[Timed]]:
    """Run every step once a round, in both orders alternately, so that a busy machine disturbs all alike.

    Args:
        steps: functions of the number of the round.

    Returns:
        For every step ``count`` results; those of the warm-up are dropped.
    """
    results: list[list[Timed]] = [[] for _ in steps]
    for turn in range(warm_up + count):
        order = range(len(steps)) if turn % 2 else range(len(steps))[::-1]
        for index in order:
            results[index].append(steps[index](turn))
    return [timed[warm_up:] for timed in results]


def summary(values: Sequence[float]) -> dict[str, float]:
    """Return percentiles and mean, rounded to a hundredth."""
    result = {f"p{q}": round(float(np.percentile(values, q)), 2) for q in PERCENTILES}
    return {**result, "mean": round(float(np.mean(values)), 2)}
