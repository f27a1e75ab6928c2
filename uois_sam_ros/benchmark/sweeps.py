"""How the time of a frame grows with prompts, objects, picture size and cameras; as JSON values.

Every round visits every value once, in changing order, so that a busy machine disturbs all of them alike; ratios are
medians over rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config import SegmenterConfig
from ..errors import ConfigError
from ..example import box_scene
from ..runtime.base import Model
from ..types import Frame
from .frames import SCENES
from .timing import Timed, TimedSegmenter, in_turns, summary, timed_models

PROMPTS = (1, 2, 5, 10, 20, 30, 50, 75, 100)
OBJECTS = (1, 2, 5, 10, 15, 20, 30, 40, 50, 60)
PICTURES = ((320, 240), (640, 480), (848, 480), (1280, 720), (1920, 1080))
CAMERAS = (1, 2, 3, 4, 6, 8)
#: Boxes on the table where their number is not what is swept.
BOXES = 15

Models = Mapping[str, Model]
Step = Callable[[int], Timed]


@dataclass(frozen=True)
class Sweep:
    """One quantity.

    Attributes:
        unit: of the values, for the axis.
        points: builds (value, label, step) for every value, from a configuration and its loaded networks.
        pair: labels of two values whose ratio is told.
    """

    unit: str
    points: Callable[[SegmenterConfig, Models], list[tuple[float, str, Step]]]
    pair: tuple[str, str]


def run_sweep(name: str, config: SegmenterConfig, rounds: int, models: Models | None = None) -> dict[str, Any]:
    """Time every value of a sweep ``rounds`` times.

    Returns:
        JSON values: "unit"; "rows", one a value with "value", "label", "total_ms" (percentiles), "stages_ms" (medians),
        "ratio" to the first value, "objects_mean", "prompts_mean"; and "pair" with the ratio of two values.

    Raises:
        ConfigError: prompts of a configuration that has none.
    """
    sweep = SWEEPS[name]
    if name == "prompts" and config.method != "network":
        raise ConfigError("--sweep prompts: expected a preset with networks, got one without; sweep something else")
    points = sweep.points(config, timed_models(config) if models is None else models)
    timed = in_turns([step for _, _, step in points], rounds)
    totals = np.array([[one.ms["total"] for one in row] for row in timed])
    rows = [{"value": value, "label": label, "total_ms": summary(totals[k]),
             "stages_ms": {stage: round(float(np.median([one.ms[stage] for one in timed[k]])), 2)
                           for stage in timed[k][0].ms if stage != "total"},
             "ratio": round(float(np.median(totals[k] / totals[0])), 2),
             "objects_mean": round(float(np.mean([one.objects for one in timed[k]])), 1),
             "prompts_mean": round(float(np.mean([one.prompts for one in timed[k]])), 1)}
            for k, (value, label, _) in enumerate(points)]
    first, second = ([label for _, label, _ in points].index(label) for label in sweep.pair)
    pair = {"from": sweep.pair[0], "to": sweep.pair[1],
            "ratio": round(float(np.median(totals[second] / totals[first])), 2)}
    return {"unit": sweep.unit, "rows": rows, "pair": pair}


def _scenes(width: int = 640, height: int = 480, boxes: int = BOXES) -> list[Frame]:
    return [box_scene(width, height, boxes, seed)[0] for seed in range(SCENES)]


def _frames_of(side: TimedSegmenter, frames: Sequence[Frame]) -> Step:
    return lambda turn: side(frames[turn % len(frames)])


def _prompts(config: SegmenterConfig, models: Models) -> list[tuple[float, str, Step]]:
    frames = _scenes()
    return [(count, str(count), _frames_of(TimedSegmenter(config, models, points=count), frames)) for count in PROMPTS]


def _objects(config: SegmenterConfig, models: Models) -> list[tuple[float, str, Step]]:
    side = TimedSegmenter(config, models)
    return [(count, str(count), _frames_of(side, _scenes(boxes=count))) for count in OBJECTS]


def _resolution(config: SegmenterConfig, models: Models) -> list[tuple[float, str, Step]]:
    side = TimedSegmenter(config, models)
    return [(width * height / 1e6, f"{width}x{height}", _frames_of(side, _scenes(width, height)))
            for width, height in PICTURES]


def _cameras(config: SegmenterConfig, models: Models) -> list[tuple[float, str, Step]]:
    side, frames = TimedSegmenter(config, models), _scenes()

    def step(count: int) -> Step:
        return lambda turn: side.together([frames[(turn + camera) % len(frames)] for camera in range(count)])

    return [(count, str(count), step(count)) for count in CAMERAS]


SWEEPS: dict[str, Sweep] = {
    "prompts": Sweep("prompts", _prompts, ("30", "100")),
    "objects": Sweep("boxes on the table", _objects, ("15", "60")),
    "resolution": Sweep("megapixels of the picture", _resolution, ("640x480", "1280x720")),
    "cameras": Sweep("cameras of 640x480", _cameras, ("1", "4")),
}
