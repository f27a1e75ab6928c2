"""The gallery as one self-contained HTML page: nothing is loaded from anywhere, no script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from .. import page_parts as parts
from ..evaluate import ALL
from ..playback import svg
from ..playback.charts import Chart
from .bar_chart import bar_chart
from .bins import Bin, Calibration, by_hidden, by_size, calibrate
from .collect import Findings
from .examples import KINDS, SMALL_SHARE, Example

#: Rows of the table of sources, and refusals that are listed.
MOST_SOURCES, MOST_REFUSED = 40, 12
HOW_TO_READ = f"""\
<p><b>Pictures</b>: equal colours are the same object in both pictures; a red outline has no counterpart. Each pair is
the truth and the answer; all but the worst frames are close-ups of what is in the yellow box.</p>
<p><b>Overlap P, R, F</b>: pixels of matched objects over predicted, over true object pixels, and their harmonic mean.
<b>Boundary</b>: the same of 1-pixel outlines. <b>%75</b>: share of true objects found with Dice above 0.75.
<b>Over-segmented</b>: further predictions inside an object that already has one, per object. <b>Merged</b>: share of
predictions over two or more objects. All are means over frames.</p>
<p><b>Calibration</b>: a prediction's score against its IoU with the true object that it overlaps most. A perfect score
equals that IoU. <b>Expected calibration error</b>: the mean distance of the two over the bins, weighted by the number
of predictions. Predictions that selection dropped are not in it.</p>
<p><b>F of an object</b>: Dice with its one-to-one match, 0 without one. Whiskers are 95 % intervals of the mean over
objects; objects of one scene resemble each other, so the true intervals are somewhat wider. <b>Small</b>: up to
{100 * SMALL_SHARE:.2f} % of the picture.</p>"""


def build_page(findings: Findings, title: str, how: str) -> str:
    """Return the page as text.

    Args:
        title: what was segmented.
        how: by what.
    """
    score = calibrate(findings.frames)
    body = [f"<h1>{escape(title)}</h1>", parts.soft(how), *_tiles(findings, score), *_sources(findings)]
    if findings.frames:
        body += ["<h2>Where the accuracy is</h2>", parts.figures(list(_charts(findings, score)))]
    body += [*_examples(findings.examples), *_refused(findings),
             f"<h2>How to read this</h2><details><summary>definitions</summary>{HOW_TO_READ}</details>"]
    return parts.document(title, body)


def _tiles(findings: Findings, score: Calibration | None) -> list[str]:
    if not findings.frames:
        return ["<p>No labelled frame was scored.</p>"]
    mean = findings.report.rows()[ALL]
    tiles = [(f"{100 * mean.overlap_f:.1f}", "overlap F"), (f"{100 * mean.boundary_f:.1f}", "boundary F"),
             (f"{100 * mean.detected_75:.1f}", "%75"), (f"{100 * mean.over_segmentation:.1f}", "over-segmented, %"),
             (f"{100 * mean.merges:.1f}", "merged, %")]
    if score is not None:
        tiles.append((f"{100 * score.error:.1f}", "expected calibration error, %"))
    return [parts.tiles(tiles)]


def _sources(findings: Findings) -> list[str]:
    report = findings.report
    rows = [[escape(name), str(len(report.of(name))), *(f"{100 * value:.1f}" for value in (
        mean.overlap_precision, mean.overlap_recall, mean.overlap_f, mean.boundary_precision, mean.boundary_recall,
        mean.boundary_f, mean.detected_75, mean.over_segmentation, mean.merges)), f"{mean.objects:.1f}",
        f"{mean.predictions:.1f}"] for name, mean in report.rows().items()]
    shown = rows if len(rows) <= MOST_SOURCES + 1 else [*rows[:MOST_SOURCES], rows[-1]]
    head = ("source", "frames", "P", "R", "F", "bP", "bR", "bF", "%75", "over-seg.", "merged", "objects", "found")
    left_out = len(rows) - len(shown)
    counts = (f"{len(findings.frames)} frames scored, {findings.unlabelled} without labels, {len(findings.refused)} "
              "refused")
    return [parts.table(head, shown), parts.soft(counts),
            parts.soft(f"{left_out} more sources are left out" if left_out else "")]


def _charts(findings: Findings, score: Calibration | None) -> Iterator[Chart]:
    if score is not None:
        rank = "" if score.rank is None else f"; rank correlation {score.rank:.2f}"
        yield Chart("Score calibration", bar_chart(score.bins, x_title="score; below: predictions"),
                    (("s1", "mean true IoU"), ("s2", "mean score")),
                    f"{score.count} predictions; expected calibration error {100 * score.error:.1f} %, bias "
                    f"{100 * score.bias:+.1f}{rank}")
    yield _objects("F against object size", by_size(findings.frames), "visible area, % of the picture; below: objects")
    hidden = by_hidden(findings.frames)
    if hidden:
        yield _objects("F against occlusion", hidden, "hidden share of the object, %; below: objects")
    values = [100 * frame.scored.scores.overlap_f for frame in findings.frames]
    mean = sum(values) / len(values)
    yield Chart("Overlap F of the frames", svg.histogram(values, x_title="overlap F, %",
                                                         rules=[svg.Rule(mean, f"mean {mean:.1f}")]))


def _objects(title: str, bins: Sequence[Bin], x_title: str) -> Chart:
    return Chart(title, bar_chart(bins, x_title=x_title), (("s1", "mean F"), ("s2", "found (%75)")))


def _examples(examples: Sequence[Example]) -> Iterator[str]:
    for kind, (heading, meaning) in KINDS.items():
        chosen = [example for example in examples if example.kind == kind]
        if chosen:
            yield f"<h2>{heading}</h2>{parts.soft(meaning)}"
            yield '<div class="grid">' + "".join(
                parts.pictures(f"{e.source}/{e.name}", e.caption, zip(("truth", "answer"), e.jpegs))
                for e in chosen) + "</div>"


def _refused(findings: Findings) -> Iterator[str]:
    if findings.refused:
        rows = [[escape(name), f'<span class="soft">{escape(reason)}</span>']
                for name, reason in findings.refused[:MOST_REFUSED]]
        lines = "".join(f'<tr><td>{name}</td><td class="wide">{reason}</td></tr>' for name, reason in rows)
        more = len(findings.refused) - len(rows)
        yield f'<h2>Refused frames</h2><div class="scroll"><table>{lines}</table></div>'
        yield parts.soft(f"and {more} more" if more else "")
