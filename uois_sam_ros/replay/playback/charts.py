"""The charts of a report: which figures, how scaled, with which words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from . import svg
from .compare import Comparison
from .matching import FOUND_IOU
from .report import ReplayFrame, ReplayReport
from .stability import ObjectTrack
from .summary import Summary

MOST_ROWS = 40
MOST_COLUMNS = 240
#: IoU from which an object counts as barely, almost, and well found; the strip's four colours.
LEVELS = (0.2, FOUND_IOU, 0.8)


@dataclass(frozen=True)
class Chart:
    """A drawn chart.

    Attributes:
        title: above it.
        picture: SVG.
        legend: (class of the style sheet, name) of what it shows.
        note: below it.
    """

    title: str
    picture: str
    legend: tuple[tuple[str, str], ...] = ()
    note: str = ""


def accuracy_chart(report: ReplayReport, summary: Summary) -> Chart:
    """F over time."""
    xs, x_title = _time(report.frames)
    series = [svg.Series(name, [None if f.scores is None else 100 * getattr(f.scores, key) for f in report.frames],
                         style) for name, key, style in (("boundary F", "boundary_f", "s2"),
                                                         ("overlap F", "overlap_f", "s1"))]
    rule = svg.Rule(100 * summary.accuracy.overlap_f, f"mean {100 * summary.accuracy.overlap_f:.1f}")
    return Chart("Accuracy over time", svg.line_chart(xs, series, x_title=x_title, y_title="%", y_range=(0, 100),
                                                      rules=[rule]), _legend(series[::-1]))


def latency_charts(report: ReplayReport, summary: Summary, stage: str) -> list[Chart]:
    """One stage over time, and its histogram."""
    xs, x_title = _time(report.frames)
    values = [frame.stages_ms.get(stage) for frame in report.frames]
    found = summary.stages_ms[stage]
    rules = [svg.Rule(found.p50, f"p50 {found.p50:.0f}"), svg.Rule(found.p99, f"p99 {found.p99:.0f}")]
    return [Chart("Latency over time", svg.line_chart(xs, [svg.Series(stage, values)], x_title=x_title, y_title="ms",
                                                      rules=rules)),
            Chart("Latency, all frames", svg.histogram([v for v in values if v is not None], x_title="ms",
                                                       rules=rules))]


def skew_chart(report: ReplayReport) -> Chart:
    """Histogram of the stamps' differences."""
    skews = [frame.skew_ms for frame in report.frames if frame.skew_ms is not None]
    return Chart("Colour-depth skew", svg.histogram(skews, x_title="depth stamp - colour stamp, ms"),
                 note=f"pairs up to {1000 * report.setup.slop_s:g} ms apart are used")


def count_chart(report: ReplayReport) -> Chart:
    """Instances over time, beside the true number."""
    xs, x_title = _time(report.frames)
    found = [float(frame.found) if frame.outcome == "processed" else None for frame in report.frames]
    series = [svg.Series("found", found, "s1", stepped=True)]
    if any(frame.scores is not None for frame in report.frames):
        true = [None if frame.scores is None else frame.scores.objects for frame in report.frames]
        series.insert(0, svg.Series("true", true, "s2", stepped=True))
    return Chart("Objects over time", svg.line_chart(xs, series, x_title=x_title, y_title="objects"),
                 _legend(series[::-1]))


def constancy_chart(report: ReplayReport) -> Chart:
    """IoU of an answer with the one before, over time."""
    xs, x_title = _time(report.frames)
    values = [None if frame.match_iou is None else 100 * frame.match_iou for frame in report.frames]
    return Chart("Answer against the one before",
                 svg.line_chart(xs, [svg.Series("IoU", values)], x_title=x_title, y_title="IoU, %", y_range=(0, 100)),
                 note="a moving camera lowers it, too")


def object_chart(report: ReplayReport) -> Chart:
    """A row of coloured cells per true object: how well it was found in each frame."""
    shown = sorted(report.objects, key=lambda track: (track.found_share, track.mean_iou))[:MOST_ROWS]
    shown.sort(key=lambda track: (track.scene, track.id))
    scenes = len({track.scene for track in report.objects})
    rows = [(f"{track.scene + 1}/{track.id}" if scenes > 1 else str(track.id), _levels(track, len(report.frames)))
            for track in shown]
    left_out = len(report.objects) - len(shown)
    note = f"{left_out} more objects, all found at least as often, are left out" if left_out else ""
    names = (f"IoU below {LEVELS[0]}", f"below {LEVELS[1]}: not found", "found", f"above {LEVELS[2]}")
    return Chart("Every true object over the frames",
                 svg.strip_chart(rows, x_title=f"{len(report.frames)} frames; rows: " + (
                     "scene/object" if scenes > 1 else "objects")),
                 tuple((f"q{level}", name) for level, name in enumerate(names)), note)


def comparison_chart(comparison: Comparison) -> Chart:
    """Difference of overlap F frame by frame."""
    change = comparison.changes[0]
    gap = change.difference
    return Chart("Overlap F, this run minus the other",
                 svg.difference_chart([value for _, value in comparison.per_frame], gap.mean, gap.low, gap.high,
                                      y_title="points"),
                 (("gain", "better"), ("loss", "worse"), ("band", "95 % interval of the mean")))


def _levels(track: ObjectTrack, frames: int) -> list[int]:
    """Return the level of each column, -1 where the object is not there."""
    ious = np.full(frames, np.nan)
    ious[list(track.frames)] = track.ious
    means = []
    for part in np.array_split(ious, min(frames, MOST_COLUMNS)):
        known = part[~np.isnan(part)]
        means.append(float(known.mean()) if known.size else None)
    return [-1 if mean is None else sum(mean > level for level in LEVELS) for mean in means]


def _time(frames: Sequence[ReplayFrame]) -> tuple[list[float], str]:
    """Return seconds since the first frame, or numbers where the stamps do not ascend."""
    stamps = [frame.stamp_ns for frame in frames]
    if len(stamps) > 1 and all(a < b for a, b in zip(stamps, stamps[1:])):
        return [(stamp - stamps[0]) / 1e9 for stamp in stamps], "recorded time, s"
    return [float(k) for k in range(len(frames))], "frame"


def _legend(series: Sequence[svg.Series]) -> tuple[tuple[str, str], ...]:
    return tuple((one.style, one.name) for one in series)
