"""The figures of a report: means, percentiles, rates; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..metrics import FrameScores, mean_scores
from .report import ReplayFrame, ReplayReport


@dataclass(frozen=True)
class Distribution:
    """Percentiles of a series of values, in their unit."""

    count: int
    mean: float
    p50: float
    p90: float
    p99: float
    low: float
    high: float


@dataclass(frozen=True)
class Stability:
    """How constant the answers are.

    Attributes:
        objects: true objects; the next five are 0 without any.
        found_share: mean over objects of the share of their frames in which they were found, 0..1.
        mean_iou, jitter: means over objects.
        longest_gap: the longest of all, frames.
        id_switches: sum over objects.
        match_iou: answers of frames in a row compared; ``None`` with fewer than two.
        count_flicker: mean absolute change of the number of instances from frame to frame.
    """

    objects: int
    found_share: float
    mean_iou: float
    jitter: float
    longest_gap: int
    id_switches: int
    match_iou: Distribution | None
    count_flicker: float


@dataclass(frozen=True)
class Summary:
    """The figures of one report.

    Attributes:
        accuracy: mean over frames, ``None`` without truth.
        scored: frames with scores.
        stages_ms: stage -> milliseconds.
        skew_ms: of the pairs.
        recorded_hz: colour images per second of recorded time; 0 when unknown.
        processed_hz: answers per second of the replay.
    """

    accuracy: FrameScores | None
    scored: int
    stages_ms: dict[str, Distribution]
    skew_ms: Distribution | None
    recorded_hz: float
    processed_hz: float
    stability: Stability


def distribution(values: Iterable[float]) -> Distribution | None:
    """Return mean and percentiles, ``None`` of no values."""
    series = np.asarray(list(values), dtype=np.float64)
    if series.size == 0:
        return None
    p50, p90, p99 = np.percentile(series, [50, 90, 99])
    return Distribution(int(series.size), float(series.mean()), float(p50), float(p90), float(p99),
                        float(series.min()), float(series.max()))


def summarise(report: ReplayReport) -> Summary:
    """Compute every figure of a report."""
    processed, scored = report.processed(), report.scored()
    stages = dict.fromkeys(stage for frame in processed for stage in frame.stages_ms)
    return Summary(
        accuracy=mean_scores(frame.scores for frame in scored) if scored else None,
        scored=len(scored),
        stages_ms={stage: distribution(frame.stages_ms[stage] for frame in processed if stage in frame.stages_ms)
                   for stage in stages},
        skew_ms=distribution(frame.skew_ms for frame in report.frames if frame.skew_ms is not None),
        recorded_hz=recorded_rate([frame.stamp_ns for frame in report.frames]),
        processed_hz=len(processed) / report.wall_s if report.wall_s > 0 else 0.0,
        stability=_stability(report, processed))


def recorded_rate(stamps_ns: Sequence[int]) -> float:
    """Return 1 / (median distance of the stamps), Hz; 0 for fewer than two different stamps."""
    steps = np.diff(np.asarray(stamps_ns, dtype=np.int64))
    steps = steps[steps > 0]
    return float(1e9 / np.median(steps)) if steps.size else 0.0


def _stability(report: ReplayReport, processed: Sequence[ReplayFrame]) -> Stability:
    objects = report.objects
    means = [float(np.mean([getattr(track, name) for track in objects])) if objects else 0.0
             for name in ("found_share", "mean_iou", "jitter")]
    counts = np.asarray([frame.found for frame in processed], dtype=np.float64)
    return Stability(
        len(objects), *means, max((track.longest_gap for track in objects), default=0),
        sum(track.id_switches for track in objects),
        distribution(frame.match_iou for frame in processed if frame.match_iou is not None),
        float(np.abs(np.diff(counts)).mean()) if counts.size > 1 else 0.0)
