"""Results beside the published figures: as text for the terminal and as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..bootstrap import MIN_FRAMES, Interval, paired_difference
from ..evaluate import Report, ScoredFrame
from ..report import format_table
from .published import COLUMNS, COMPARISONS, FRACTIONS, LADDER, MEANING, Published
from .runner import RunResult

#: Fields of the scores in the order of ``COLUMNS``.
FIELDS = ("overlap_precision", "overlap_recall", "overlap_f", "boundary_precision", "boundary_recall", "boundary_f",
          "detected_75")
SHORT = {"F": "overlap_f", "bF": "boundary_f", "%75": "detected_75"}
CAPTION = ("Percent, mean over frames. P R F: overlap; bP bR bF: boundary; %75: objects found with Dice > 0.75.\n"
           "+/-: half of the 95 % bootstrap interval over frames. Where the other rows were read:\n"
           + "\n".join(f"  {origin.value:<7} {text}" for origin, text in MEANING.items()))


@dataclass(frozen=True)
class Coverage:
    """How much of a data set a run saw.

    Attributes:
        title: of the data set.
        seen: frames that were run.
        found: frames in the folder.
        published: frames that the published figures are over; ``None`` = not known.
    """

    title: str
    seen: int
    found: int
    published: int | None

    @property
    def comparable(self) -> bool:
        """True when the published frames were run, as far as numbers tell."""
        return self.published is not None and self.seen == self.published

    def describe(self) -> str:
        """Return one line."""
        if self.comparable:
            return f"{self.title}: all {self.seen} published frames"
        of = "" if self.published is None else f" of {self.published} published"
        return f"{self.title}: {self.seen}{of} frames; NOT COMPARABLE with the published rows"


def column_intervals(report: Report) -> dict[str, Interval]:
    """Return the mean over frames, percent, and its 95 % interval, for every column."""
    return {column: _interval([100 * getattr(f.scores, name) for f in report.frames])
            for column, name in zip(COLUMNS, FIELDS)}


def format_comparison(name: str, coverage: Coverage, result: RunResult, label: str, reads: str) -> str:
    """Return our row beside those of the paper and of the peers."""
    report = result.report
    rows: list[Sequence[str] | None] = []
    if report.frames:
        ours = column_intervals(report)
        rows.append([f"this run: {label}", reads, *(f"{ours[c].mean:.1f}" for c in COLUMNS), ""])
        if len(report.frames) >= MIN_FRAMES:
            rows.append(["  +/-", "", *(f"{(ours[c].high - ours[c].low) / 2:.1f}" for c in COLUMNS), ""])
    rows.append(None)
    rows += [[row.method, row.input, *("" if value is None else f"{value:.1f}" for value in row.figures),
              row.origin.value] for row in COMPARISONS[name]]
    return "\n".join([coverage.describe(), format_table(("", "input", *COLUMNS, "read in"), rows), _counts(result)])


def format_ladder(coverage: Coverage, results: Mapping[str, RunResult]) -> str:
    """Return the rungs with the paper's figures, each against the one above."""
    rows: list[Sequence[str] | None] = []
    above = ""
    for rung, result in results.items():
        frames = result.report.frames
        means = column_intervals(result.report) if frames else None
        ours = ["-"] * 3 if means is None else [f"{means[column].mean:.1f}" for column in SHORT]
        paper = [f"{value:.1f}" for value in LADDER[rung]] if rung in LADDER else [""] * 3
        rows.append([rung, str(len(frames)), *ours, _gain(results[above], result) if above else "", *paper])
        above = rung
    head = ("", "frames", *SHORT, "F gained [95 %]", *(f"paper {column}" for column in SHORT))
    return "\n".join([coverage.describe(), format_table(head, rows), *map(_counts, results.values())])


def format_fractions(coverage: Coverage, results: Mapping[int, RunResult]) -> str:
    """Return a row for every share of the training data, each against the largest that was run."""
    rows: list[Sequence[str] | None] = []
    largest = max(results)
    for percent in sorted({*FRACTIONS, *results}):
        paper = f"{FRACTIONS[percent]:.1f}" if percent in FRACTIONS else ""
        if percent not in results:
            rows.append([f"{percent} %", "not run", "", "", "", paper])
            continue
        frames = results[percent].report.frames
        mean = column_intervals(results[percent].report)["F"] if frames else None
        rows.append([f"{percent} %", str(len(frames)), *(
            ["-", ""] if mean is None else [f"{mean.mean:.1f}", f"{(mean.high - mean.low) / 2:.1f}"]),
            "" if percent == largest else _gain(results[largest], results[percent]), paper])
    head = ("training data", "frames", "F", "+/-", f"against {largest} % [95 %]", "paper F")
    return "\n".join([coverage.describe(), format_table(head, rows), *map(_counts, results.values())])


def to_json(coverage: Coverage, result: RunResult, *, published: Sequence[Published] = (),
            against: RunResult | None = None) -> dict[str, Any]:
    """Return plain data of one run on one data set; ``gain`` is the difference of overlap F to the run ``against``."""
    report = result.report
    found = None if against is None else gain(against, result)
    return {
        "coverage": {**asdict(coverage), "comparable": coverage.comparable},
        "columns": {} if not report.frames else {c: asdict(i) for c, i in column_intervals(report).items()},
        **({} if found is None else {"gain": {"frames": found[0], **asdict(found[1])}}),
        "refused": [{"frame": name, "reason": reason} for name, reason in report.refused],
        "unlabelled": report.unlabelled,
        "scores_file": "/".join(result.scores_file.parts[-3:]),
        "published": [{**asdict(row), "origin": MEANING[row.origin]} for row in published],
    }


def gain(before: RunResult, after: RunResult) -> tuple[int, Interval] | None:
    """Return over how many frames, and the mean difference of overlap F in points; ``None`` without a common frame."""
    old = {(f.source, f.name): f for f in before.report.frames}
    pairs: list[tuple[ScoredFrame, ScoredFrame]] = [
        (old[f.source, f.name], f) for f in after.report.frames if (f.source, f.name) in old]
    if not pairs:
        return None
    return len(pairs), paired_difference([100 * a.scores.overlap_f for a, _ in pairs],
                                         [100 * b.scores.overlap_f for _, b in pairs])


def _gain(before: RunResult, after: RunResult) -> str:
    found = gain(before, after)
    if found is None:
        return ""
    count, gap = found
    return f"{gap.mean:+.1f}" if count < MIN_FRAMES else f"{gap.mean:+.1f} [{gap.low:+.1f}, {gap.high:+.1f}]"


def _interval(values: Sequence[float]) -> Interval:
    return paired_difference([0.0] * len(values), values)


def _counts(result: RunResult) -> str:
    report = result.report
    return (f"{len(report.frames)} scored ({result.computed} segmented now), {report.unlabelled} without labels, "
            f"{len(report.refused)} refused; per image: {result.scores_file}")
