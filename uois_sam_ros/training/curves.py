"""Loss curves as a PNG beside the checkpoint."""

from __future__ import annotations

from pathlib import Path


def plot_curves(history: list[dict[str, float]], path: str | Path) -> None:
    """Draw every logged quantity over samples seen; nothing is written for an empty history."""
    if not history:
        return
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = [name for name in history[-1] if name != "samples"]
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(4 * columns, 2.6 * rows), squeeze=False)
    for axis, name in zip(axes.flat, names):
        points = [(row["samples"], row[name]) for row in history if name in row]
        axis.plot(*zip(*points), linewidth=1)
        axis.set_title(name, fontsize=9)
        axis.set_yscale("log" if all(value > 0 for _, value in points) else "linear")
        axis.tick_params(labelsize=7)
    for axis in list(axes.flat)[len(names):]:
        axis.axis("off")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
