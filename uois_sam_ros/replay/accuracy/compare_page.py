"""The comparison of two runs as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from .. import page_parts as parts
from ..evaluate import ALL
from ..playback import svg
from ..playback.charts import Chart
from ..playback.compare import Change
from .compare_runs import RunComparison, most_changed

_HEAD = ("frames", "A", "B", "B - A [95 %]", "")


def build_page(found: RunComparison) -> str:
    """Return the page as text."""
    total = found.changes[ALL]
    gap = total[0].difference
    chart = Chart("Overlap F of the frames, B minus A", svg.difference_chart(
        [value for _, value in found.per_frame], gap.mean, gap.low, gap.high, y_title="points"),
        (("gain", "better"), ("loss", "worse"), ("band", "95 % interval of the mean")))
    rows = [[escape(source), *_cells(changes[0])] for source, changes in found.changes.items() if source != ALL]
    return parts.document("Comparison of two runs", [
        "<h1>Comparison of two runs</h1>", parts.soft(f"A: {found.before}"), parts.soft(f"B: {found.after}"),
        parts.tiles((f"{change.difference.mean:+.1f}", f"{change.name}: {change.verdict}") for change in total),
        "<h2>All frames</h2>",
        parts.table(("percent", *_HEAD), [[escape(change.name), *_cells(change)] for change in total]),
        "<h2>Overlap F by source</h2>", parts.table(("percent", *_HEAD), rows),
        "<h2>Frame by frame</h2>", parts.figures([chart]), *_changed(found)])


def _cells(change: Change) -> list[str]:
    style = change.verdict if " " not in change.verdict else "soft"
    return [str(change.frames), f"{change.before:.1f}", f"{change.after:.1f}", change.gap,
            f'<span class="{style}">{change.verdict}</span>']


def _changed(found: RunComparison) -> Iterator[str]:
    rows = [[escape(name), f"{value:+.1f}"] for direction in (-1, 1) for name, value in most_changed(found, direction)]
    if rows:
        yield "<h2>Frames that changed most</h2>"
        yield parts.table(("frame", "overlap F, points"), rows)
