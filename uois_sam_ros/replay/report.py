"""Evaluation results as text tables (percent)."""

from __future__ import annotations

from collections.abc import Sequence

from .evaluate import ALL, Report
from .metrics import FrameScores

_HEAD = ("", "frames", "P", "R", "F", "bP", "bR", "bF", "%75", "over-seg", "merged", "objects", "found")
CAPTION = ("Percent, mean over frames. P R F: overlap; bP bR bF: boundary; %75: objects found with Dice > 0.75;\n"
           "over-seg: further predictions inside an object already predicted, per object; merged: predictions over "
           "two or more objects;\nobjects, found: true and predicted instances a frame.")


def format_report(report: Report, *, per_frame: bool = False) -> str:
    """Return the table: one row a source, then all frames; optionally one row a frame before."""
    if not report.frames:
        return f"no labelled frame was scored ({report.unlabelled} without labels, {len(report.refused)} refused)"
    rows = []
    if per_frame:
        rows += [_row(f"{f.source}/{f.name}", 1, f.scores) for f in report.frames]
        rows.append(None)
    means = report.rows()
    rows += [_row(name, len(report.of(name)), means[name]) for name in report.sources]
    rows.append(None)
    rows.append(_row(f"{ALL} (mean over frames)", len(report.frames), means[ALL]))
    lines = [format_table(_HEAD, rows), CAPTION]
    counts = f"{len(report.frames)} scored, {report.unlabelled} without labels, {len(report.refused)} refused"
    return "\n".join([*lines, counts])


def format_run(runs: Sequence[tuple[str, int, float, bool]], refused: int, out: str) -> str:
    """Return the table of a run over (source, instances, milliseconds, depth used) of each frame."""
    rows: list[Sequence[str] | None] = []
    names = list(dict.fromkeys(run[0] for run in runs))
    for name in [*names, None]:
        chosen = [run for run in runs if name in (None, run[0])]
        if not chosen:
            continue
        times = sorted(run[2] for run in chosen)
        rows += [None] if name is None else []
        rows.append([name or "all", str(len(chosen)), f"{sum(run[1] for run in chosen) / len(chosen):.1f}",
                     f"{times[len(times) // 2]:.0f}", str(sum(run[3] for run in chosen))])
    table = format_table(("", "frames", "objects/frame", "median ms", "with depth"), rows) + "\n" if rows else ""
    return f"{table}{len(runs)} frames written to {out}, {refused} refused"


def format_table(head: Sequence[str], rows: Sequence[Sequence[str] | None]) -> str:
    """Align text columns, the first to the left; a ``None`` row is a rule."""
    cells = [head, *(row for row in rows if row is not None)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(head))]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))

    def line(row: Sequence[str]) -> str:
        return "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:]))]).rstrip()

    return "\n".join([line(head), rule, *(rule if row is None else line(row) for row in rows)])


def _row(name: str, frames: int, s: FrameScores) -> list[str]:
    shares = (s.overlap_precision, s.overlap_recall, s.overlap_f, s.boundary_precision,
              s.boundary_recall, s.boundary_f, s.detected_75, s.over_segmentation, s.merges)
    return [name, str(frames), *(f"{100 * value:.1f}" for value in shares),
            f"{s.objects:.1f}", f"{s.predictions:.1f}"]
