"""Findings as tables for the terminal, and as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..report import format_report, format_table
from .bins import Bin, by_hidden, by_size, calibrate
from .collect import Findings


def format_findings(findings: Findings) -> str:
    """Return scores, calibration, and F against size and occlusion."""
    tables = [format_report(findings.report)]
    score = calibrate(findings.frames)
    if score is not None:
        tables.append(_table("score", "mean IoU", "mean score", score.bins)
                      + f"\nexpected calibration error {100 * score.error:.1f} %, bias {100 * score.bias:+.1f}"
                      + ("" if score.rank is None else f", rank correlation {score.rank:.2f}"))
    if findings.frames:
        tables.append(_table("visible area, % of the picture", "mean F", "found", by_size(findings.frames)))
        hidden = by_hidden(findings.frames)
        if hidden:
            tables.append(_table("hidden share, %", "mean F", "found", hidden))
    return "\n\n".join(tables)


def to_json(findings: Findings) -> dict[str, Any]:
    """Return plain data: what ``uois-sam eval --json`` has, and calibration, size, occlusion, examples.

    ``extra`` of a bin is the mean score in the calibration, else the share of objects found.
    """
    score = calibrate(findings.frames)
    return {**findings.report.to_json(), "calibration": None if score is None else asdict(score),
            "by_size_percent": [asdict(one) for one in by_size(findings.frames)],
            "by_hidden_percent": [asdict(one) for one in by_hidden(findings.frames)],
            "examples": [{"kind": e.kind, "source": e.source, "name": e.name, "caption": e.caption}
                         for e in findings.examples]}


def _table(first: str, mean: str, extra: str, bins: Sequence[Bin]) -> str:
    rows = [[f"{one.start:g}-{one.end:g}", str(one.count), *(
        "-" if value is None else f"{100 * value:.1f}" for value in (one.mean, one.low, one.high, one.extra))]
        for one in bins if one.count]
    return format_table((first, "count", f"{mean}, %", "low", "high", f"{extra}, %"), rows)
