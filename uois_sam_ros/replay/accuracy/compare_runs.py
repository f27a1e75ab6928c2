"""Two runs over the same frames, source by source, with paired bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ...errors import InputError
from ..bootstrap import paired_difference
from ..evaluate import ALL
from ..playback.compare import SCORE_NAMES, Change
from ..report import format_table
from .run_file import Run, RunFrame

LOWER_IS_BETTER = ("over_segmentation", "merges")
#: Frames that changed most, listed in each direction.
MOST_CHANGED = 3


@dataclass(frozen=True)
class RunComparison:
    """``after`` against ``before``.

    Attributes:
        before, after: what the runs are called.
        changes: source, and ``all`` -> a change for every column of ``SCORE_NAMES``, percent.
        per_frame: (source/name, difference of overlap F in points), in the order of the file.
    """

    before: str
    after: str
    changes: Mapping[str, tuple[Change, ...]]
    per_frame: tuple[tuple[str, float], ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"before": self.before, "after": self.after, "columns": "percent, mean over frames",
                "rows": {source: {key: {**asdict(change), "verdict": change.verdict}
                                  for key, change in zip(SCORE_NAMES, changes)}
                         for source, changes in self.changes.items()},
                "frames": [{"frame": name, "overlap_f_difference": gap} for name, gap in self.per_frame]}


def compare_runs(before: Run, after: Run) -> RunComparison:
    """Compare two runs.

    Raises:
        InputError: they scored different frames, other pictures under the same names, or another truth.
    """
    _require_same_frames(before, after)
    pairs = [(frame, after.frames[place]) for place, frame in before.frames.items()]
    sources = list(dict.fromkeys(frame.source for frame, _ in pairs))
    chosen = {source: [pair for pair in pairs if pair[0].source == source] for source in sources}
    chosen[ALL] = pairs
    return RunComparison(before.title, after.title, {source: _changes(some) for source, some in chosen.items()}, tuple(
        (f"{a.source}/{a.name}", 100 * (b.scores.overlap_f - a.scores.overlap_f)) for a, b in pairs))


def format_comparison(found: RunComparison) -> str:
    """Return every column over all frames, overlap F source by source, and the frames that changed most."""
    head = ("frames", "A", "B", "B - A [95 %]", "")
    total = [[change.name, *_cells(change)] for change in found.changes[ALL]]
    rows = [[source, *_cells(changes[0])] for source, changes in found.changes.items() if source != ALL]
    lines = [f"A: {found.before}", f"B: {found.after}", format_table(("all frames, %", *head), total), "",
             format_table(("overlap F, %", *head), rows)]
    for what, frames in (("most lost", most_changed(found, -1)), ("most gained", most_changed(found, 1))):
        if frames:
            lines.append(f"{what}, overlap F: " + ", ".join(f"{name} {gap:+.1f}" for name, gap in frames))
    return "\n".join(lines)


def most_changed(found: RunComparison, direction: int) -> list[tuple[str, float]]:
    """Return the frames that lost (-1) or gained (1) most."""
    changed = [entry for entry in found.per_frame if entry[1] * direction > 0]
    return sorted(changed, key=lambda entry: -entry[1] * direction)[:MOST_CHANGED]


def _cells(change: Change) -> list[str]:
    return [str(change.frames), f"{change.before:.1f}", f"{change.after:.1f}", change.gap, change.verdict]


def _changes(pairs: Sequence[tuple[RunFrame, RunFrame]]) -> tuple[Change, ...]:
    return tuple(_change(name, pairs, lambda frame, key=key: 100 * getattr(frame.scores, key), key in LOWER_IS_BETTER)
                 for key, name in SCORE_NAMES.items())


def _change(name: str, pairs: Sequence[tuple[RunFrame, RunFrame]], value: Callable[[RunFrame], float],
            lower_is_better: bool) -> Change:
    before, after = [value(a) for a, _ in pairs], [value(b) for _, b in pairs]
    return Change(name, len(pairs), sum(before) / len(before), sum(after) / len(after),
                  paired_difference(before, after), lower_is_better)


def _require_same_frames(before: Run, after: Run) -> None:
    alone = [[f"{source}/{name}" for source, name in mine.frames if (source, name) not in other.frames]
             for mine, other in ((before, after), (after, before))]
    if alone[0] or alone[1]:
        said = " and ".join(f"{len(names)} in {run.title} alone (first: {names[0]})"
                            for run, names in zip((before, after), alone) if names)
        raise InputError(f"compare: expected the same frames in both runs, got {said}; score the same input twice"
                         + (", and mend or leave out the frames that one of both refused" if before.refused
                            or after.refused else ""))
    for place, frame in before.frames.items():
        other = after.frames[place]
        where = f"compare: frame {frame.source}/{frame.name}: expected"
        if frame.keys and other.keys and frame.keys != other.keys:
            raise InputError(f"{where} the same picture and truth in both runs, got different ones; score the same "
                             "input twice")
        if frame.scores.objects != other.scores.objects:
            raise InputError(f"{where} the same truth in both runs, got {frame.scores.objects:g} and "
                             f"{other.scores.objects:g} objects; score the same input twice")
