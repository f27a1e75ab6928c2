"""Sweeps as one picture: a panel a sweep, median and 90th percentile of a frame over what each stage takes of it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import BackendError

DPI = 100


def check_matplotlib() -> None:
    """Raise BackendError when the package that draws is not installed."""
    if find_spec("matplotlib") is None:
        raise BackendError("--plot: expected the package matplotlib, got none; pip install 'matplotlib>=3.8', or leave "
                           "--plot out: the table and --json hold the same figures")


def plot_sweeps(sweeps: Mapping[str, Mapping[str, Any]], path: str | Path, title: str = "") -> None:
    """Draw the results of ``run_sweep`` by name.

    Raises:
        BackendError: matplotlib is not installed.
    """
    check_matplotlib()
    from matplotlib.figure import Figure

    columns = min(2, len(sweeps))
    lines = -(-len(sweeps) // columns)
    figure = Figure(figsize=(5 * columns, 3.4 * lines + 0.4), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for axis, (name, sweep) in zip(panels, sweeps.items()):
        rows = sweep["rows"]
        values = [row["value"] for row in rows]
        axis.stackplot(values, *([row["stages_ms"][stage] for row in rows] for stage in rows[0]["stages_ms"]),
                       labels=list(rows[0]["stages_ms"]), alpha=0.5)
        axis.plot(values, [row["total_ms"]["p50"] for row in rows], "k.-", linewidth=1, label="whole, p50")
        axis.plot(values, [row["total_ms"]["p90"] for row in rows], "k:", linewidth=1, label="whole, p90")
        axis.set(xlabel=sweep["unit"], ylabel="ms", ylim=(0, None), title=name)
        axis.tick_params(labelsize=8)
    for axis in panels[len(sweeps):]:
        axis.set_axis_off()
    panels[0].legend(fontsize=7, loc="upper left")
    if title:
        figure.suptitle(title, fontsize=9)
    figure.savefig(path, dpi=DPI)
