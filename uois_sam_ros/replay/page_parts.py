"""The parts of a self-contained HTML page: the document, tables, charts with legends, pairs of pictures."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape

from .playback.charts import Chart
from .playback.page_style import STYLE


def document(title: str, body: Iterable[str]) -> str:
    """Return a page that loads nothing and runs no script."""
    return ('<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
            f'content="width=device-width,initial-scale=1"><title>{escape(title)}</title><style>{STYLE}</style></head>'
            f"<body><main>{''.join(body)}</main></body></html>\n")


def tiles(values: Iterable[tuple[str, str]]) -> str:
    """Show (figure, what it is), a tile each."""
    shown = (f'<div class="tile"><b>{escape(value)}</b><small>{escape(text)}</small></div>' for value, text in values)
    return f'<div class="tiles">{"".join(shown)}</div>'


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Show rows of HTML; the first column to the left."""
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return (f'<div class="scroll"><table><tr>{"".join(f"<th>{escape(name)}</th>" for name in head)}</tr>{lines}'
            "</table></div>")


def figures(drawn: Sequence[Chart]) -> str:
    """Show charts beside each other, below each other on a phone."""
    shown = []
    for chart in drawn:
        legend = "".join(key(style, name) for style, name in chart.legend)
        note = f"<figcaption>{escape(chart.note)}</figcaption>" if chart.note else ""
        shown.append(f"<figure><h3>{escape(chart.title)}</h3>{legend}{chart.picture}{note}</figure>")
    return f'<div class="grid">{"".join(shown)}</div>'


def pictures(title: str, caption: str, jpegs: Iterable[tuple[str, bytes]]) -> str:
    """Show (what it is, JPEG) beside each other."""
    shown = "".join(f'<div><img loading="lazy" alt="{escape(f"{name}: {title}")}" '
                    f'src="data:image/jpeg;base64,{b64encode(data).decode()}"><span class="soft">{escape(name)}</span>'
                    "</div>" for name, data in jpegs)
    return (f"<figure><h3>{escape(title)}</h3><figcaption>{escape(caption)}</figcaption>"
            f'<div class="pair">{shown}</div></figure>')


def key(style: str, text: str) -> str:
    """Return an entry of a legend."""
    return f'<span class="key"><i class="{style}"></i>{escape(text)}</span>'


def soft(text: str) -> str:
    """Return a paragraph in the background; nothing for an empty text."""
    return f'<p class="soft">{escape(text)}</p>' if text else ""
