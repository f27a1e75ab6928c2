"""Turn answers, one frame after another, into a report; keeps no pictures but those of the worst frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from ..metrics import FrameScores, score_frame
from ..sources import Sample
from .matching import Matches, is_cut, match_labels
from .pictures import WorstFrame, draw_labels
from .report import PROCESSED, REFUSED, REPLACED, UNPAIRED, Accounting, ReplayFrame, ReplayReport, Setup
from .stability import Sightings, follow_objects

WORST_FRAMES = 6
#: Neighbours look alike: of frames closer than this only the worst is kept.
APART = 5


class Collector:
    """Scores, matches and counts the frames of one replay.

    Args:
        setup: goes into the report.
        worst: how many of the worst frames to draw; 0 = none.
    """

    def __init__(self, setup: Setup, worst: int = WORST_FRAMES) -> None:
        self._setup, self._keep = setup, worst
        self._frames: list[ReplayFrame] = []
        self._matches: list[tuple[str, int, Matches]] = []
        self._worst: list[tuple[int, WorstFrame]] = []
        self._scene = 0
        self._truth: np.ndarray | None = None
        self._before: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def worst(self) -> tuple[WorstFrame, ...]:
        """The worst frames so far, the worst first."""
        return tuple(frame for _, frame in self._worst)

    def add_answer(self, sample: Sample, label: np.ndarray, stages_ms: Mapping[str, float]) -> None:
        """Add a frame with its answer.

        Args:
            label: unsigned integer[H, W], 0 = background.
            stages_ms: stage -> milliseconds.
        """
        scores = matches = None
        if sample.truth is not None:
            scores = score_frame(label, sample.truth, sample.ignore)
            matches = match_labels(sample.truth, label)
            self._follow(sample.name, sample.truth, matches)
        between = self._compare_with_before(label)
        self._frames.append(ReplayFrame(
            sample.name, sample.stamp_ns, PROCESSED, found=int(np.count_nonzero(np.bincount(label.ravel())[1:])),
            scores=scores, stages_ms={stage: round(float(ms), 3) for stage, ms in stages_ms.items()},
            skew_ms=_milliseconds(sample.skew_ns), match_iou=None if between is None else round(between.mean_iou(), 4)))
        self._consider(sample, label, scores, matches, between)
        self._before = (sample.frame.color, label)

    def add_other(self, name: str, stamp_ns: int, outcome: str, reason: str, skew_ns: int | None = None) -> None:
        """Add a frame that has no answer."""
        self._frames.append(ReplayFrame(name, stamp_ns, outcome, reason, skew_ms=_milliseconds(skew_ns)))

    def count(self) -> Accounting:
        """Return the accounting that the outcomes of the frames give."""
        outcomes = Counter(frame.outcome for frame in self._frames)
        return Accounting(len(self._frames), len(self._frames), outcomes[PROCESSED], outcomes[REPLACED],
                          outcomes[UNPAIRED], outcomes[REFUSED], self.reasons())

    def reasons(self) -> dict[str, int]:
        """Return sentence -> number of frames without an answer, the most frequent first."""
        return dict(Counter(frame.reason for frame in self._frames if frame.reason).most_common())

    def report(self, accounting: Accounting, notes: tuple[str, ...] = (), wall_s: float = 0.0) -> ReplayReport:
        """Return everything that was collected, in order of the recording."""
        ordered = sorted(self._frames, key=lambda frame: frame.name)
        position = {frame.name: index for index, frame in enumerate(ordered)}
        sightings = [Sightings.of(position[name], scene, matches) for name, scene, matches in self._matches]
        return ReplayReport(self._setup, accounting, tuple(ordered), follow_objects(sightings), notes,
                            round(wall_s, 3))

    def _follow(self, name: str, truth: np.ndarray, matches: Matches) -> None:
        if self._truth is not None and is_cut(self._truth, truth):
            self._scene += 1
            self._before = None
        self._truth = truth
        self._matches.append((name, self._scene, matches))

    def _compare_with_before(self, label: np.ndarray) -> Matches | None:
        """Match with the answer before; ``None`` at the start, after a cut and where the size changes."""
        if self._before is None or self._before[1].shape != label.shape:
            return None
        return match_labels(label, self._before[1])

    def _consider(self, sample: Sample, label: np.ndarray, scores: FrameScores | None,
                  matches: Matches | None, between: Matches | None) -> None:
        """Draw the frame when it is among the worst: by overlap F, without truth by its IoU with the one before."""
        if scores is None and between is None:
            return
        value = scores.overlap_f if scores is not None else between.mean_iou()
        place = len(self._frames)
        near = [kept.value for index, kept in self._worst if place - index < APART]
        bar = min(near) if near else self._worst[-1][1].value if len(self._worst) >= self._keep else float("inf")
        if self._keep == 0 or value >= bar:
            return
        color = sample.frame.color
        if scores is not None:
            hues = {answer: number for number, (answer, _) in matches.pairs.items()}
            titles = ("answer", "truth")
            second = draw_labels(color, sample.truth, {number: number for number in matches.pairs})
            caption = (f"overlap F {100 * scores.overlap_f:.1f}, boundary F {100 * scores.boundary_f:.1f}, "
                       f"%75 {100 * scores.detected_75:.0f}, {scores.predictions:.0f} found of {scores.objects:.0f}")
        else:
            hues = {number: number for number in between.pairs}
            titles = ("answer", "answer before")
            second = draw_labels(*self._before, {other: number for number, (other, _) in between.pairs.items()})
            caption = f"IoU with the answer before {100 * value:.1f} %"
        drawn = WorstFrame(sample.name, value, titles, (draw_labels(color, label, hues), second), caption)
        others = [(index, kept) for index, kept in self._worst if place - index >= APART]
        self._worst = sorted([*others, (place, drawn)], key=lambda entry: (entry[1].value, entry[0]))[:self._keep]


def _milliseconds(duration_ns: int | None) -> float | None:
    return None if duration_ns is None else duration_ns / 1e6
