"""The ladder as tables: each rung against the one above, with paired bootstrap intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .bootstrap import MIN_FRAMES, paired_difference
from .evaluate import ALL
from .ladder import GEOMETRY, LadderFrame, LadderResult
from .metrics import mean_scores
from .report import format_table

_HEAD = ("", "frames", "F", "bF", "%75", "over-seg", "merged", "prompts", "prompt P", "prompt R",
         "F gained [95 % interval]", "")
CAPTION = ("Percent, mean over frames; every rung has the same network and post-processing. F gained: against the row\n"
           "above, paired over frames, 95 % bootstrap interval; where it includes 0 no gain is shown.")


def format_ladder(result: LadderResult) -> str:
    """Return one table a source, one over all frames, and the choice among hypotheses."""
    if not result.frames:
        return f"no labelled frame was scored ({len(result.refused)} refused)"
    parts = [format_rungs(result, source) for source in [*result.sources, ALL]]
    return "\n\n".join([*parts, CAPTION, _format_selection(result), *result.notes])


def format_rungs(result: LadderResult, source: str) -> str:
    """Return the table of one source, or of ``all``."""
    frames = result.of(source)
    rows: list[Sequence[str] | None] = []
    above = ""
    for rung in result.rungs:
        chosen = [frame for frame in frames if rung in frame.scores]
        if not chosen:
            continue
        rows.append(_row(rung, chosen, *compare(frames, above, rung)))
        if rung == GEOMETRY:
            rows.append(None)
        else:
            above = rung
    total, verdict = compare(frames, GEOMETRY, above)
    if total:
        rows.append([f"{above} over {GEOMETRY}", *[""] * (len(_HEAD) - 3), total, verdict])
    title = f"{source} (mean over frames)" if source == ALL else source
    return format_table((title, *_HEAD[1:]), rows)


def compare(frames: Sequence[LadderFrame], above: str, rung: str) -> tuple[str, str]:
    """Return the gain of ``rung`` over ``above`` with its interval, and the verdict, as text."""
    both = [frame for frame in frames if above in frame.scores and rung in frame.scores]
    if not both:
        return "", ""
    gain = paired_difference([100 * frame.scores[above].overlap_f for frame in both],
                             [100 * frame.scores[rung].overlap_f for frame in both])
    if len(both) < MIN_FRAMES:
        return f"{gain.mean:+.1f}", "too few frames"
    verdict = "no gain shown" if not gain.excludes_zero else "gain" if gain.mean > 0 else "loss"
    return f"{gain.mean:+.1f} [{gain.low:+.1f}, {gain.high:+.1f}]", verdict


def _row(rung: str, frames: Sequence[LadderFrame], gain: str, verdict: str) -> list[str]:
    mean = mean_scores(frame.scores[rung] for frame in frames)
    shares = (mean.overlap_f, mean.boundary_f, mean.detected_75, mean.over_segmentation, mean.merges)
    points = [frame.prompts[rung] for frame in frames if rung in frame.prompts]
    prompts = ["-"] * 3
    if points:
        prompts = [f"{np.mean([p.count for p in points]):.1f}", f"{100 * np.mean([p.precision for p in points]):.1f}",
                   f"{100 * np.mean([p.recall for p in points]):.1f}"]
    return [rung, str(len(frames)), *(f"{100 * value:.1f}" for value in shares), *prompts, gain, verdict]


def _format_selection(result: LadderResult) -> str:
    rows: list[Sequence[str] | None] = []
    for source in [*result.sources, ALL]:
        found = [frame.selection for frame in result.of(source) if frame.selection is not None]
        if not found:
            continue
        rows += [None] if source == ALL else []
        rows.append([source, str(sum(s.prompts for s in found)), *(
            f"{100 * np.mean([getattr(s, name) for s in found]):.1f}" for name in ("decoder", "refined", "oracle"))])
    head = ("IoU of the chosen hypothesis", "prompts", "decoder's own score", "HDNet", "oracle")
    return format_table(head, rows) if rows else "no prompt fell on an object: nothing to choose"
