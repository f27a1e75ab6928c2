"""A pair of messages -> a Result: everything the worker thread does, without ROS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from ..config import SegmenterConfig
from ..example import box_scene
from ..pipeline import Segmenter
from ..types import Frame
from .convert import decode_ignore
from .framing import to_frame
from .intake import Pair
from .region import crop, drop_ignored, uncrop, uncrop_map
from .result import Result, heatmap_on_image
from .settings import NodeSettings
from .track import IouTracker


@dataclass(frozen=True)
class Processed:
    """A result and what it took.

    Attributes:
        result: to publish.
        stages_ms: conversion, each stage of the pipeline, and "segment", all of it together.
        valid_depth: share of pixels with a reading; 0 without depth.
    """

    result: Result
    stages_ms: Mapping[str, float]
    valid_depth: float


class Processor:
    """Converts, segments and tracks; loads and warms the networks when made.

    Raises:
        ConfigError, ModelError, BackendError: as ``Segmenter``.
    """

    def __init__(self, settings: NodeSettings, config: SegmenterConfig) -> None:
        self._segmenter = Segmenter(config)
        self._settings = settings
        self._tracker = _tracker(settings)
        frame, _ = box_scene()
        self._segmenter.segment(frame if config.encoding.depth != "off" else frame.without_depth())

    @property
    def segmenter(self) -> Segmenter:
        """The pipeline in use."""
        return self._segmenter

    def configure(self, settings: NodeSettings, config: SegmenterConfig) -> None:
        """Take over settings that may change while running; the networks stay.

        Raises:
            ConfigError: a value that a stage refuses; nothing has changed then.
        """
        segmenter = self._segmenter
        if config != segmenter.config:
            segmenter = Segmenter(config, segmenter.models)
        if (settings.track, settings.label_encoding) != (self._settings.track, self._settings.label_encoding):
            self._tracker = _tracker(settings)
        self._segmenter, self._settings = segmenter, settings

    def __call__(self, pair: Pair, *, with_heatmap: bool = False) -> Processed:
        """Process one pair.

        Raises:
            FrameError: the pair cannot be used.
        """
        settings, segmenter = self._settings, self._segmenter
        begin = perf_counter()
        frame = to_frame(pair, settings)
        ignored = None
        if pair.ignore is not None:
            ignored = decode_ignore(pair.ignore, frame.color.shape[:2], settings.ignore_topic)
        part = crop(frame, settings.roi) if any(settings.roi) else frame
        converted = perf_counter()
        stages = segmenter.stages(part, with_heatmap=with_heatmap)
        segmented = perf_counter()
        instances = stages.instances
        timings = dict(instances.timings_ms)
        heatmap = heatmap_on_image(stages) if with_heatmap else None
        if part is not frame:
            instances = uncrop(instances, settings.roi, frame.color.shape[:2])
            if heatmap is not None:
                heatmap = uncrop_map(heatmap, settings.roi, frame.color.shape[:2])
        if ignored is not None:
            instances = drop_ignored(instances, ignored, frame)
        label, ids = instances.label, tuple(item.id for item in instances.items)
        if settings.track:
            label, ids = self._tracker.update(instances.label, len(instances))
        result = Result(pair.color.header, frame, instances, label, ids, stages.plane, heatmap)
        timings.pop("total", None)
        return Processed(result, {"conversion": 1000 * (converted - begin), **timings,
                                  "segment": 1000 * (segmented - converted),
                                  "finishing": 1000 * (perf_counter() - segmented)}, _valid_share(frame))


def _tracker(settings: NodeSettings) -> IouTracker:
    return IouTracker(max_id=255) if settings.label_encoding == "mono8" else IouTracker()


def _valid_share(frame: Frame) -> float:
    if frame.depth_m is None:
        return 0.0
    some = frame.depth_m[::4, ::4]
    return float(np.count_nonzero(np.isfinite(some) & (some > 0)) / some.size)
