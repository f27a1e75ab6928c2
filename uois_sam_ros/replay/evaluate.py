"""Run a segmenter over an input and score every labelled frame."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from ..errors import FrameError
from ..types import Frame, Instances
from .metrics import FrameScores, mean_scores, score_frame
from .sources import Input, Sample

#: Name of the row over all frames.
ALL = "all"


class FrameSegmenter(Protocol):
    """Anything that segments a frame: ``Segmenter``, or a stand-in of a test."""

    def segment(self, frame: Frame) -> Instances:
        """Return the instances of one frame."""


@dataclass(frozen=True)
class ScoredFrame:
    """One labelled frame: where it came from, its scores, the whole time in milliseconds."""

    source: str
    name: str
    scores: FrameScores
    total_ms: float
    tags: dict[str, str] = field(default_factory=dict)


class BySource:
    """What results over the frames of several sources share; each frame knows its ``source``."""

    frames: tuple[Any, ...]

    @property
    def sources(self) -> list[str]:
        """Sources with frames, in order of appearance."""
        return list(dict.fromkeys(frame.source for frame in self.frames))

    def of(self, source: str) -> list[Any]:
        """Frames of one source; ``all`` gives every frame."""
        return [frame for frame in self.frames if source in (ALL, frame.source)]


@dataclass(frozen=True)
class Report(BySource):
    """What an evaluation found.

    Attributes:
        frames: every scored frame, in input order.
        unlabelled: frames segmented without truth.
        refused: (source/name, reason) of every frame that could not be used.
    """

    frames: tuple[ScoredFrame, ...]
    unlabelled: int = 0
    refused: tuple[tuple[str, str], ...] = ()

    def rows(self) -> dict[str, FrameScores]:
        """Mean over frames a source, and over all frames in row ``all``."""
        names = [*self.sources, ALL] if self.frames else []
        return {name: mean_scores(frame.scores for frame in self.of(name)) for name in names}

    def split_by(self, pattern: re.Pattern[str]) -> Report:
        """Return the report with ``source/match`` as the source of frames whose name matches."""
        frames = []
        for frame in self.frames:
            found = pattern.search(frame.name)
            source = f"{frame.source}/{found.group(0)}" if found else frame.source
            frames.append(replace(frame, source=source))
        return replace(self, frames=tuple(frames))

    def to_json(self) -> dict[str, Any]:
        """Return plain data: rows (0..1), frames, counts."""
        return {
            "columns": "mean over frames; shares are 0..1",
            "rows": {name: {"frames": len(self.of(name)), **asdict(scores)}
                     for name, scores in self.rows().items()},
            "frames": [{"source": f.source, "name": f.name, **asdict(f.scores),
                        "total_ms": f.total_ms, "tags": f.tags} for f in self.frames],
            "unlabelled": self.unlabelled,
            "refused": [{"frame": name, "reason": reason} for name, reason in self.refused],
        }


def evaluate(segmenter: FrameSegmenter, samples: Input | Iterable[Sample], *,
             transform_frame: Callable[[Frame], Frame] | None = None, progress: bool = True) -> Report:
    """Segment every frame and score those with truth.

    Args:
        transform_frame: applied before segmentation, for example ``shift_depth``.
        progress: show a bar on stderr when it is a terminal.
    """
    scored: list[ScoredFrame] = []
    refused: list[tuple[str, str]] = []
    unlabelled = 0
    for sample in track(samples, "eval", progress):
        name = f"{sample.source}/{sample.name}"
        if sample.frame is None:
            refused.append((name, sample.error or "unreadable"))
            continue
        try:
            frame = transform_frame(sample.frame) if transform_frame else sample.frame
            result = segmenter.segment(frame)
        except FrameError as error:
            refused.append((name, str(error)))
            continue
        if sample.truth is None:
            unlabelled += 1
            continue
        scored.append(score_sample(sample, result))
    return Report(tuple(scored), unlabelled, tuple(refused))


def score_sample(sample: Sample, result: Instances) -> ScoredFrame:
    """Score the result of a sample that has truth."""
    scores = score_frame(result.label, sample.truth, sample.ignore)
    total_ms = float(result.timings_ms.get("total", 0.0))
    return ScoredFrame(sample.source, sample.name, scores, total_ms, dict(sample.tags))


def shift_depth(pixels: int) -> Callable[[Frame], Frame]:
    """Return a transform that moves depth ``pixels`` to the right against the colour image."""

    def transform(frame: Frame) -> Frame:
        if frame.depth_m is None or pixels == 0:
            return frame
        moved = np.roll(frame.depth_m, pixels, axis=1)
        moved[:, slice(0, pixels) if pixels > 0 else slice(pixels, None)] = 0
        return Frame(frame.color, moved, frame.intrinsics, frame.name, frame.stamp_ns)

    return transform


def track(samples: Any, title: str, progress: bool = True) -> Iterable[Any]:
    """Wrap an input in a progress bar on stderr; silent where stderr is no terminal."""
    from tqdm import tqdm

    total = getattr(samples, "count", None)
    return tqdm(samples, desc=title, total=total, unit="frame", file=sys.stderr,
                disable=None if progress else True, mininterval=0.5)
