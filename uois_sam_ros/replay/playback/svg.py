"""Charts as inline SVG: lines, histograms, strips. Colours come from the style sheet of the page, by class.

Sizes are units of the view box, which is as wide as a phone, so that text stays readable there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

WIDTH, HEIGHT = 440, 210
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 10, 36
#: More points than this in one line are thinned to the extremes of bins.
MOST_POINTS = 400


@dataclass(frozen=True)
class Series:
    """One line of a chart.

    Attributes:
        name: for the legend.
        values: one per x; ``None`` breaks the line.
        style: class of the style sheet: s1, s2 or s3.
        stepped: hold a value until the next.
    """

    name: str
    values: Sequence[float | None]
    style: str = "s1"
    stepped: bool = False


@dataclass(frozen=True)
class Rule:
    """A labelled line across the chart at one value: horizontal in line charts, vertical in histograms."""

    value: float
    text: str


class Scale:
    """Maps values to units of the view box; ``ticks`` are round values inside the range."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        if high <= low:
            low, high = low - 0.5, high + 0.5
        self.low, self.high, self._start, self._end = low, high, start, end
        self.ticks = nice_ticks(low, high)

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self._start + share * (self._end - self._start), 1)


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round values from ``low`` to ``high``, roughly ``about`` of them."""
    raw = (high - low) / max(about, 1)
    power = 10.0 ** np.floor(np.log10(raw))
    step = power * min((m for m in (1, 2, 5, 10) if m * power >= raw * 0.999), default=10)
    first = int(np.ceil(low / step - 1e-9))
    last = int(np.floor(high / step + 1e-9))
    return [float(k * step) for k in range(first, last + 1)]


def line_chart(xs: Sequence[float], series: Sequence[Series], *, x_title: str, y_title: str,
               y_range: tuple[float, float] | None = None, rules: Sequence[Rule] = ()) -> str:
    """Draw lines over a shared x."""
    known = [v for s in series for v in s.values if v is not None] + [rule.value for rule in rules]
    low, high = y_range or (min(0.0, *known), 1.06 * max(known)) if known else (0.0, 1.0)
    x, y = Scale(min(xs), max(xs), LEFT, WIDTH - RIGHT), Scale(low, high, HEIGHT - BOTTOM, TOP)
    parts = [_axes(x, y, x_title, y_title)]
    parts += [_polyline(xs, one, x, y) for one in series]
    for rule in rules:
        at = y(rule.value)
        parts.append(f'<path class="rule" d="M{LEFT} {at}H{WIDTH - RIGHT}"/>'
                     f'<text class="on" x="{WIDTH - RIGHT - 2}" y="{at - 3}" text-anchor="end">{escape(rule.text)}'
                     "</text>")
    return _svg("".join(parts), y_title)


def histogram(values: Sequence[float], *, x_title: str, rules: Sequence[Rule] = ()) -> str:
    """Draw how often values occur, in 6 to 28 bins; a constant gives one bar."""
    series = np.asarray(values, dtype=np.float64)
    low, high = float(series.min()), float(series.max())
    if high - low < 1e-6:
        low, high = low - 0.5, high + 0.5
    bins = int(np.clip(2.5 * series.size ** 0.5, 6, 28))
    counts, edges = np.histogram(series, bins=bins, range=(low, high))
    x = Scale(low, high, LEFT, WIDTH - RIGHT)
    y = Scale(0, 1.15 * float(counts.max()), HEIGHT - BOTTOM, TOP)
    y.ticks = [tick for tick in y.ticks if tick == int(tick)]
    bars = "".join(f"M{x(a) + 0.5} {HEIGHT - BOTTOM}V{y(float(n))}H{max(x(b) - 0.5, x(a) + 1)}V{HEIGHT - BOTTOM}z"
                   for n, a, b in zip(counts, edges, edges[1:]) if n)
    parts = [_axes(x, y, x_title, "frames"), f'<path class="bar" d="{bars}"/>']
    for place, rule in enumerate(rules):
        at, base = x(rule.value), TOP + 9 + 11 * place
        side = "end" if at > WIDTH * 0.6 else "start"
        parts.append(f'<path class="rule" d="M{at} {TOP}V{HEIGHT - BOTTOM}"/><text class="on" x="'
                     f'{at - 3 if side == "end" else at + 3}" y="{base}" text-anchor="{side}">{escape(rule.text)}'
                     "</text>")
    return _svg("".join(parts), x_title)


def difference_chart(values: Sequence[float], mean: float, low: float, high: float, *, y_title: str) -> str:
    """Draw signed differences in the order given, with their mean and its interval as a band."""
    shown = bin_means(values, MOST_POINTS)
    most = max(1.0, 1.06 * max(abs(v) for v in [*shown, low, high]))
    x, y = Scale(0, len(shown), LEFT, WIDTH - RIGHT), Scale(-most, most, HEIGHT - BOTTOM, TOP)
    wide = max(0.6, 0.75 * (WIDTH - LEFT - RIGHT) / len(shown))
    parts = [_axes(x, y, f"{len(values)} frames, in order of the recording", y_title, x_ticks=False)]
    for style, wanted in (("gain", 1), ("loss", -1)):
        stems = "".join(f"M{x(k + 0.5)} {y(0)}V{y(v)}" for k, v in enumerate(shown) if v * wanted > 0)
        parts.append(f'<path class="{style}" stroke-width="{wide:.1f}" d="{stems}"/>')
    parts.append(f'<rect class="band" x="{LEFT}" y="{y(high)}" width="{WIDTH - LEFT - RIGHT}" '
                 f'height="{max(1.0, round(y(low) - y(high), 1))}"/>'
                 f'<path class="rule" d="M{LEFT} {y(mean)}H{WIDTH - RIGHT}"/>')
    return _svg("".join(parts), y_title)


def strip_chart(rows: Sequence[tuple[str, Sequence[int]]], *, x_title: str) -> str:
    """Draw one line of coloured runs a row; levels 0..3 are classes q0..q3, -1 is empty.

    Args:
        rows: (label, level of each column); equally many columns.
    """
    columns, step = len(rows[0][1]), 9
    height = TOP + step * len(rows) + 24
    unit = (WIDTH - LEFT - RIGHT) / columns
    parts = []
    for place, (label, levels) in enumerate(rows):
        top = TOP + place * step
        parts.append(f'<text class="row" x="{LEFT - 4}" y="{top + step - 2}" text-anchor="end">{escape(label)}</text>')
        for first, last, level in _runs(levels):
            parts.append(f'<rect class="q{level}" x="{LEFT + first * unit:.1f}" y="{top}" '
                         f'width="{(last - first) * unit:.1f}" height="{step - 1}"/>')
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{height - 8}" text-anchor="middle">{escape(x_title)}'
                 "</text>")
    return _svg("".join(parts), x_title, height)


def bin_means(values: Sequence[float], most: int) -> list[float]:
    """Return the means of at most ``most`` bins of neighbours."""
    if len(values) <= most:
        return list(values)
    return [float(np.mean(part)) for part in np.array_split(np.asarray(values, dtype=np.float64), most)]


def thin(values: Sequence[float | None], most: int = MOST_POINTS) -> list[int]:
    """Return the indices to draw: all, or first, lowest and highest of each of ``most`` / 3 bins."""
    if len(values) <= most:
        return list(range(len(values)))
    kept = []
    for part in np.array_split(np.arange(len(values)), most // 3):
        known = [k for k in part.tolist() if values[k] is not None]
        extremes = {min(known, key=values.__getitem__), max(known, key=values.__getitem__)} if known else set()
        kept += sorted({int(part[0]), *extremes})
    return kept


def _polyline(xs: Sequence[float], series: Series, x: Scale, y: Scale) -> str:
    """Draw lines through neighbours that have a value, faint ones across gaps, dots for values between gaps."""
    paths: dict[str, list[str]] = {"bridge": [], "": [], "dot": []}
    kept = thin(series.values)
    known = [place for place, k in enumerate(kept) if series.values[k] is not None]
    spots = {place: (x(xs[kept[place]]), y(series.values[kept[place]])) for place in known}
    for before, place in zip([None, *known], known):
        (at_x, at_y), joined = spots[place], before == place - 1 if before is not None else False
        if joined:
            paths[""].append(f"H{at_x}V{at_y}" if series.stepped else f"L{at_x} {at_y}")
            continue
        if before is not None:
            paths["bridge"].append(f"M{spots[before][0]} {spots[before][1]}L{at_x} {at_y}")
        paths["" if place + 1 in spots else "dot"].append(f"M{at_x} {at_y}" + ("" if place + 1 in spots else "h.01"))
    return "".join(f'<path class="{f"{series.style} {kind}".strip()}" d="{"".join(part)}"/>'
                   for kind, part in paths.items() if part)


def _runs(levels: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return (first, one past the last, level) of the runs of equal levels; empty ones are left out."""
    runs, first = [], 0
    for k in range(1, len(levels) + 1):
        if k == len(levels) or levels[k] != levels[first]:
            if levels[first] >= 0:
                runs.append((first, k, levels[first]))
            first = k
    return runs


def _axes(x: Scale, y: Scale, x_title: str, y_title: str, *, x_ticks: bool = True) -> str:
    base = HEIGHT - BOTTOM
    grid = "".join(f"M{LEFT} {y(t)}H{WIDTH - RIGHT}" for t in y.ticks)
    parts = [f'<path class="grid" d="{grid}"/>']
    parts += [f'<text x="{LEFT - 5}" y="{y(t) + 4}" text-anchor="end">{t:g}</text>' for t in y.ticks]
    if x_ticks:
        parts += [f'<text x="{x(t)}" y="{base + 14}" text-anchor="middle">{t:g}</text>' for t in x.ticks]
    parts.append(f'<path class="axis" d="M{LEFT} {base}H{WIDTH - RIGHT}"/>')
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_title)}'
                 "</text>")
    parts.append(f'<text transform="translate(11 {(TOP + base) / 2}) rotate(-90)" text-anchor="middle">'
                 f"{escape(y_title)}</text>")
    return "".join(parts)


def _svg(inner: str, label: str, height: int = HEIGHT) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">{inner}</svg>'
