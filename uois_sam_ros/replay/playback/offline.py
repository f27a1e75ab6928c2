"""Replay a recording offline: the node's pairing and conversion, one frame after the other, no clock."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from time import perf_counter

from ...errors import FrameError
from ...ros.track import IouTracker
from ..bag import BagInput
from ..evaluate import FrameSegmenter, track
from ..sources import Sample
from .collect import Collector
from .report import REFUSED, UNPAIRED, ReplayReport


def replay_offline(bag: BagInput, segmenter: FrameSegmenter, collector: Collector, *, max_frames: int = 0,
                   tracked: bool = False, progress: bool = True) -> ReplayReport:
    """Segment every frame of a recording; the same recording and models give the same answers.

    Args:
        collector: takes the answers; it has the worst frames afterwards.
        max_frames: stop after so many pairs; 0 = all.
        tracked: keep ids from frame to frame, as the node does with ``track``.
        progress: show a bar on stderr when it is a terminal.

    Raises:
        InputError: no colour image has depth.
    """
    tracker = IouTracker() if tracked else None
    begin = perf_counter()
    samples: Iterable[Sample] = islice(bag, max_frames) if max_frames else bag
    for sample in track(samples, "replay", progress):
        if sample.error is not None and sample.error == bag.broken:
            continue  # not an image: the note tells it
        if sample.frame is None:
            collector.add_other(sample.name, sample.stamp_ns, REFUSED, sample.error or "unreadable", sample.skew_ns)
            continue
        try:
            result = segmenter.segment(sample.frame)
        except FrameError as error:
            collector.add_other(sample.name, sample.stamp_ns, REFUSED, str(error), sample.skew_ns)
            continue
        label = result.label if tracker is None else tracker.update(result.label, len(result))[0]
        collector.add_answer(sample, label, {"convert": sample.convert_ms, **result.timings_ms})
    wall_s = perf_counter() - begin
    for name, stamp_ns in bag.unpaired:
        collector.add_other(name, stamp_ns, UNPAIRED, "no depth image within the slop")
    notes = (*bag.notes[1:], *([bag.broken] if bag.broken else []))
    return collector.report(collector.count(), notes, wall_s)
