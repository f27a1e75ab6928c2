"""A report and a comparison as text for the terminal."""

from __future__ import annotations

from ..metrics import FrameScores
from ..report import format_table
from .compare import Comparison
from .report import ReplayReport
from .summary import Distribution, Summary, summarise

CAPTION = ("Percent, mean over frames. P R F: overlap; bP bR bF: boundary; %75: objects found with Dice > 0.75; "
           "over-seg: further\npredictions inside an object already predicted, per object; merged: predictions over "
           "two or more objects.")


def format_replay(report: ReplayReport) -> str:
    """Return the figures of a report."""
    summary = summarise(report)
    parts = [_accuracy(summary.accuracy, summary.scored)] if summary.accuracy is not None else []
    rows = [[stage, *_cells(found)] for stage, found in summary.stages_ms.items()]
    if summary.skew_ms is not None:
        rows += [None, ["skew", *_cells(summary.skew_ms)]]
    if rows:
        parts.append(format_table(("ms", "p50", "p90", "p99", "mean", "max"), rows))
    return "\n\n".join([*parts, "\n".join([*_stability(report, summary), *_frames(report, summary)])])


def format_comparison(comparison: Comparison) -> str:
    """Return every figure before and after, its difference with interval, and the verdict."""
    rows = [[c.name, str(c.frames), f"{c.before:.1f}", f"{c.after:.1f}", c.gap, c.verdict] for c in comparison.changes]
    text = f"other: {comparison.before}\nthis: {comparison.after}\n" + format_table(
        ("", "frames", "other", "this", "difference [95 %]", ""), rows)
    if comparison.only_before or comparison.only_after:
        text += (f"\nanswered by the other run only: {comparison.only_before} frames; by this run only: "
                 f"{comparison.only_after}")
    return text


def _accuracy(mean: FrameScores, frames: int) -> str:
    shares = (mean.overlap_precision, mean.overlap_recall, mean.overlap_f, mean.boundary_precision,
              mean.boundary_recall, mean.boundary_f, mean.detected_75, mean.over_segmentation, mean.merges)
    head = ("frames", "P", "R", "F", "bP", "bR", "bF", "%75", "over-seg", "merged", "objects", "found")
    row = [str(frames), *(f"{100 * value:.1f}" for value in shares), f"{mean.objects:.1f}", f"{mean.predictions:.1f}"]
    return f"{format_table(head, [row])}\n{CAPTION}"


def _stability(report: ReplayReport, summary: Summary) -> list[str]:
    found, lines = summary.stability, []
    if found.objects:
        switches = f", {found.id_switches} id switches" if report.setup.tracked else ""
        lines.append(f"stability: {found.objects} true objects, found in {100 * found.found_share:.1f} % of their "
                     f"frames, mean IoU {100 * found.mean_iou:.1f} %, jitter {100 * found.jitter:.1f} points, longest "
                     f"gap {found.longest_gap} frames{switches}")
    if found.match_iou is not None:
        lines.append(f"frame to frame: IoU {100 * found.match_iou.mean:.1f} %, count flicker "
                     f"{found.count_flicker:.2f} objects")
    return lines


def _frames(report: ReplayReport, summary: Summary) -> list[str]:
    count = report.accounting
    lost = f" of {count.sent} sent" if count.sent != count.received else ""
    lines = [f"rate: recorded at {summary.recorded_hz:.1f} Hz, {summary.processed_hz:.1f} answers/s",
             f"frames: {count.received} received{lost} = {count.processed} processed + {count.replaced} replaced + "
             f"{count.unpaired} unpaired + {count.refused} refused" + ("" if count.adds_up else " (DOES NOT ADD UP)")]
    return lines + [f"  {number} x {reason}" for reason, number in count.reasons.items()]


def _cells(found: Distribution) -> list[str]:
    return [f"{value:.1f}" for value in (found.p50, found.p90, found.p99, found.mean, found.high)]
