"""A bar for every bin, with its interval, a mark for a second mean, and its count; SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ..playback.svg import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Scale
from .bins import Bin

#: Room for the counts below the labels of the bins.
_COUNTS = 12


def bar_chart(bins: Sequence[Bin], *, x_title: str) -> str:
    """Draw means in percent; an empty bin is a gap.

    Bars have class ``bar``, intervals ``rule``, the marks ``s2``.
    """
    base = HEIGHT - BOTTOM
    y, unit = Scale(0.0, 100.0, base, TOP), (WIDTH - LEFT - RIGHT) / len(bins)
    grid = "".join(f"M{LEFT} {y(t)}H{WIDTH - RIGHT}" for t in y.ticks)
    parts = [f'<path class="grid" d="{grid}"/>']
    parts += [f'<text x="{LEFT - 5}" y="{y(t) + 4}" text-anchor="end">{t:g}</text>' for t in y.ticks]
    edges = [*(one.start for one in bins), bins[-1].end]
    parts += [f'<text x="{round(LEFT + place * unit, 1)}" y="{base + 13}" text-anchor="middle">{edge:g}</text>'
              for place, edge in enumerate(edges)]
    for place, one in enumerate(bins):
        first, last = (round(LEFT + (place + share) * unit, 1) for share in (0.14, 0.86))
        middle = round(LEFT + (place + 0.5) * unit, 1)
        if one.mean is None:
            continue
        parts.append(f'<path class="bar" d="M{first} {base}V{y(100 * one.mean)}H{last}V{base}z"/>')
        if one.low is not None:
            parts.append(f'<path class="axis" d="M{middle} {y(100 * one.low)}V{y(100 * one.high)}"/>')
        parts.append(f'<path class="s2" d="M{first} {y(100 * one.extra)}H{last}"/>'
                     f'<text class="row" x="{middle}" y="{base + 12 + _COUNTS}" text-anchor="middle">{one.count}'
                     "</text>")
    parts.append(f'<path class="axis" d="M{LEFT} {base}H{WIDTH - RIGHT}"/>'
                 f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT + 6}" text-anchor="middle">{escape(x_title)}'
                 "</text>"
                 f'<text transform="translate(11 {(TOP + base) / 2}) rotate(-90)" text-anchor="middle">%</text>')
    return (f'<svg viewBox="0 0 {WIDTH} {HEIGHT + 14}" role="img" aria-label="{escape(x_title)}">'
            f'{"".join(parts)}</svg>')
