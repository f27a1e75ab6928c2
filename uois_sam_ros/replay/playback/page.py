"""One self-contained HTML page of a report: nothing is loaded from anywhere, no script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .. import page_parts as html
from . import charts
from .compare import Comparison
from .pictures import WorstFrame
from .report import ReplayReport
from .summary import Distribution, Summary, summarise

#: Reasons of refusal that are listed, the most frequent ones.
MOST_REASONS = 12
#: Rows of the table of the least constant objects.
MOST_OBJECTS = 8
HOW_TO_READ = """\
<p><b>Overlap P, R, F</b>: pixels of matched objects over predicted, over true object pixels, and their harmonic mean.
<b>Boundary</b>: the same of 1-pixel outlines, matched within 0.3 % of the picture's diagonal. <b>%75</b>: share of
true objects found with Dice above 0.75 (IoU above 0.6). <b>Over-segmentation</b>: further predictions inside an object
that already has one, per object. <b>Merged</b>: share of predictions that cover two or more objects. All are means
over frames.</p>
<p><b>Accounting</b>: every colour image received is processed, replaced by a newer pair while one was in work,
unpaired (no depth within the slop) or refused. <b>Skew</b>: stamp of the depth image minus that of its
colour image.</p>
<p><b>Stability</b>: for each true object over the frames that show it, the share in which it was found, its mean IoU,
the mean change of IoU from frame to frame (jitter), the longest run of frames without it, and how often its predicted
id changed. <b>Frame-to-frame IoU</b> compares each answer with the one before and needs no truth; <b>count flicker</b>
is the mean change of the number of objects. The 95 % intervals are paired bootstraps over frames.</p>"""


def build_page(report: ReplayReport, worst: Sequence[WorstFrame] = (), comparison: Comparison | None = None) -> str:
    """Return the page as text.

    Args:
        worst: pictures of the worst frames.
        comparison: with another replay of the same recording.
    """
    summary = summarise(report)
    setup = report.setup
    speed = {"live": f"live at rate {setup.rate:g}", "recorded": "recorded answers"}.get(setup.mode, setup.mode)
    title = f"Replay of {setup.recording}"
    machine = ", ".join(str(setup.machine[key]) for key in ("cpu", "python", "git_revision") if setup.machine.get(key))
    topics = ", ".join(f"{role} {name}" for role, name in setup.topics.items() if name)
    body = [
        f"<h1>{escape(title)}</h1>",
        html.soft(f"{speed}; preset {setup.preset}, depth {setup.depth}{', tracked ids' if setup.tracked else ''}; "
                  f"uois_sam_ros {setup.version}"), html.soft(topics), html.soft(machine),
        _tiles(report, summary, comparison),
        *(_comparison(comparison) if comparison else []),
        *_accuracy(report, summary), *_worst(worst), *_latency(report, summary), *_frames(report, summary),
        *_stability(report, summary), *_node(report),
        f"<h2>How to read this</h2><details><summary>definitions</summary>{HOW_TO_READ}</details>"]
    return html.document(title, body)


def main_stage(summary: Summary) -> str:
    """Return the stage that stands for the latency of a frame: over the wire where measured; "" without any."""
    return next((stage for stage in ("wire", "total") if stage in summary.stages_ms), "")


def _tiles(report: ReplayReport, summary: Summary, comparison: Comparison | None) -> str:
    tiles = []
    if summary.accuracy is not None:
        for key, text in (("overlap_f", "overlap F"), ("boundary_f", "boundary F"), ("detected_75", "%75")):
            tiles.append((f"{100 * getattr(summary.accuracy, key):.1f}", text, _delta(comparison, text + ", %")))
    stage = main_stage(summary)
    if stage:
        found = summary.stages_ms[stage]
        name = "colour sent to label received" if stage == "wire" else "latency of segment()"
        tiles.append((f"{found.p50:.0f} ms", f"{name}; p99 {found.p99:.0f} ms", _delta(comparison, f"{stage}, ms")))
    count = report.accounting
    tiles.append((f"{count.processed}/{count.received}", "frames processed of received", ""))
    if report.objects:
        tiles.append((f"{100 * summary.stability.found_share:.1f} %", "of an object's frames find it", ""))
    elif summary.stability.match_iou is not None:
        tiles.append((f"{100 * summary.stability.match_iou.mean:.1f} %", "frame-to-frame IoU", ""))
    shown = (f'<div class="tile"><b>{value}</b><small>{text}</small>{delta}</div>' for value, text, delta in tiles)
    return f'<div class="tiles">{"".join(shown)}</div>'


def _delta(comparison: Comparison | None, name: str) -> str:
    change = next((c for c in comparison.changes if c.name == name), None) if comparison else None
    if change is None:
        return ""
    style = change.verdict if change.verdict in ("better", "worse") else "soft"
    return f'<small class="{style}">{change.difference.mean:+.1f} {change.verdict}</small>'


def _comparison(comparison: Comparison) -> list[str]:
    rows = [[escape(c.name), c.gap, f'<span class="{c.verdict if " " not in c.verdict else "soft"}">{c.verdict}</span>',
             f"{c.before:.1f}", f"{c.after:.1f}", str(c.frames)] for c in comparison.changes]
    parts = ["<h2>Against the other run</h2>",
             f"<p>other: {escape(comparison.before)}; this: {escape(comparison.after)}</p>",
             html.table(("", "difference [95 %]", "", "other", "this", "frames"), rows)]
    if comparison.only_before or comparison.only_after:
        parts.append(html.soft(f"answered by the other run only: {comparison.only_before} frames; "
                               f"by this run only: {comparison.only_after}"))
    if comparison.per_frame:
        parts.append(html.figures([charts.comparison_chart(comparison)]))
    return parts


def _worst(worst: Sequence[WorstFrame]) -> list[str]:
    if not worst:
        return []
    figures = [html.pictures(f"frame {frame.name}", frame.caption, zip(frame.titles, frame.jpegs)) for frame in worst]
    return ["<h2>Worst frames</h2>", html.soft("Equal colours: the same object in both pictures. Red outline: no "
                                               "counterpart."), f'<div class="grid">{"".join(figures)}</div>']


def _accuracy(report: ReplayReport, summary: Summary) -> list[str]:
    mean = summary.accuracy
    if mean is None:
        return ["<h2>Accuracy</h2>", "<p>The recording has no truth; see stability.</p>"]
    row = [f"{100 * value:.1f}" for value in (
        mean.overlap_precision, mean.overlap_recall, mean.overlap_f, mean.boundary_precision, mean.boundary_recall,
        mean.boundary_f, mean.detected_75, mean.over_segmentation, mean.merges)]
    head = ("frames", "P", "R", "F", "bP", "bR", "bF", "%75", "over-seg.", "merged", "objects", "found")
    table = html.table(head, [[str(summary.scored), *row, f"{mean.objects:.1f}", f"{mean.predictions:.1f}"]])
    return ["<h2>Accuracy</h2>", table,
            html.figures([charts.accuracy_chart(report, summary), charts.count_chart(report)])]


def _latency(report: ReplayReport, summary: Summary) -> list[str]:
    stage = main_stage(summary)
    if not stage:
        return []
    table = html.table(("ms", "p50", "p90", "p99", "mean", "max"),
                       [[escape(name), *_cells(found, 1)] for name, found in summary.stages_ms.items()])
    rate = f"recorded at {summary.recorded_hz:.1f} Hz, processed {summary.processed_hz:.1f} frames/s"
    return ["<h2>Latency</h2>", html.soft(rate), table, html.figures(charts.latency_charts(report, summary, stage))]


def _frames(report: ReplayReport, summary: Summary) -> list[str]:
    count = report.accounting
    parts = [("processed", count.processed), ("replaced", count.replaced), ("unpaired", count.unpaired),
             ("refused", count.refused)]
    if count.sent > count.received:
        parts.append(("unanswered", count.sent - count.received))
    bar = "".join(f'<i class="{name}" style="flex:{number}"></i>' for name, number in parts if number)
    names = {"unanswered": "lost on the wire"}
    keys = "".join(html.key(name, f"{names.get(name, name)} {number}") for name, number in parts)
    sums = "" if count.adds_up else "<p class='worse'>The counts do not add up to the images received.</p>"
    lines = [f"<h2>Frames</h2><p>{count.sent} colour images, {count.received} received</p><div class='bar'>{bar}</div>"
             f"{keys}{sums}"]
    if count.reasons:
        rows = [[str(number), escape(reason)] for reason, number in list(count.reasons.items())[:MOST_REASONS]]
        lines.append('<div class="scroll"><table>' + "".join(
            f'<tr><td>{number}</td><td class="wide">{reason}</td></tr>' for number, reason in rows) + "</table></div>")
    lines += [html.soft(note) for note in report.notes]
    if summary.skew_ms is not None:
        skew = html.table(("ms", "p50", "p90", "p99", "mean", "max"), [["skew", *_cells(summary.skew_ms, 2)]])
        lines += [skew, html.figures([charts.skew_chart(report)])]
    return lines


def _stability(report: ReplayReport, summary: Summary) -> list[str]:
    found, pictures, lines = summary.stability, [], ["<h2>Stability</h2>"]
    if found.match_iou is not None:
        lines.append(f"<p>Frame-to-frame IoU {100 * found.match_iou.mean:.1f} % on average, "
                     f"{100 * found.match_iou.low:.1f} % at worst; count flicker {found.count_flicker:.2f} objects a "
                     "frame.</p>")
        pictures.append(charts.constancy_chart(report))
    if report.objects:
        least = sorted(report.objects, key=lambda track: (track.found_share, track.mean_iou))[:MOST_OBJECTS]
        tracked = report.setup.tracked  # else an id holds for one frame only
        head = ("scene/object", "frames", "found, %", "IoU, %", "jitter", "gap", *(["id switches"] if tracked else []))
        rows = [[f"{t.scene + 1}/{t.id}", str(len(t.frames)), f"{100 * t.found_share:.0f}", f"{100 * t.mean_iou:.1f}",
                 f"{100 * t.jitter:.1f}", str(t.longest_gap), *([str(t.id_switches)] if tracked else [])]
                for t in least]
        lines.append(f"<p>{found.objects} true objects: found in {100 * found.found_share:.1f} % of their frames, mean "
                     f"IoU {100 * found.mean_iou:.1f} %, jitter {100 * found.jitter:.1f} points, longest gap "
                     f"{found.longest_gap} frames.</p><h3>The least constant ones</h3>"
                     + html.table(head, rows))
        pictures.insert(0, charts.object_chart(report))
    return [*lines, html.figures(pictures)] if len(lines) > 1 else []


def _node(report: ReplayReport) -> list[str]:
    if not report.node:
        return []
    rows = "".join(f'<tr><td>{escape(key)}</td><td class="wide">{escape(text)}</td></tr>'
                   for key, text in report.node.items())
    return ["<h2>The node's last diagnostics</h2>",
            f'<details><summary>all values</summary><div class="scroll"><table>{rows}</table></div></details>']


def _cells(found: Distribution, digits: int) -> list[str]:
    return [f"{value:.{digits}f}" for value in (found.p50, found.p90, found.p99, found.mean, found.high)]
