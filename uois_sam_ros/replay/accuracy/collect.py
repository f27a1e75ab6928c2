"""Run over a labelled input and collect facts and examples; keeps no pictures but those of the examples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError, UoisError
from ..evaluate import FrameSegmenter, Report, track
from ..sources import Input, Sample
from ..stored import StoredResult, read_result
from .examples import Example, Gallery
from .facts import FrameFacts, analyse
from .hidden import HiddenShares

#: Sample -> the answer to it.
Answers = Callable[[Sample], StoredResult]


@dataclass(frozen=True)
class Findings:
    """What a run over an input found.

    Attributes:
        frames: every scored frame, in input order.
        examples: pictures of failures.
        unlabelled: frames without truth; they are not segmented.
        refused: (source/name, reason) of every frame that could not be used.
    """

    frames: tuple[FrameFacts, ...]
    examples: tuple[Example, ...]
    unlabelled: int
    refused: tuple[tuple[str, str], ...]

    @property
    def report(self) -> Report:
        """The scores alone, as ``uois-sam eval`` has them."""
        return Report(tuple(frame.scored for frame in self.frames), self.unlabelled, self.refused)


def segmented(segmenter: FrameSegmenter) -> Answers:
    """Answers that a segmenter gives."""

    def answer(sample: Sample) -> StoredResult:
        found = segmenter.segment(sample.frame)
        return StoredResult(found.label, {item.id: item.score for item in found.items},
                            float(found.timings_ms.get("total", 0.0)))

    return answer


def stored(folder: Path) -> Answers:
    """Answers that ``uois-sam segment`` wrote into a folder."""
    return lambda sample: read_result(folder, sample.source, sample.name)


def collect(samples: Input, answers: Answers, hidden: HiddenShares, *, examples: int,
            progress: bool = True) -> Findings:
    """Score every labelled frame and keep the worst of it.

    Args:
        hidden: tells how much of each true object is hidden.
        examples: of each kind of failure; 0 = none.
    """
    frames: list[FrameFacts] = []
    refused: list[tuple[str, str]] = []
    unlabelled, gallery = 0, Gallery(examples)
    for index, sample in enumerate(track(samples, "gallery", progress)):
        where = f"{sample.source}/{sample.name}"
        if sample.frame is None:
            refused.append((where, sample.error or "unreadable"))
            continue
        if sample.truth is None:
            unlabelled += 1
            continue
        try:
            answer = answers(sample)
            if answer.label.shape != sample.truth.shape:
                raise InputError(f"label image: expected {sample.frame.width}x{sample.frame.height} like the picture, "
                                 f"got {answer.label.shape[1]}x{answer.label.shape[0]}; segment this input again")
            facts = analyse(sample, answer, hidden(index, sample))
        except UoisError as error:
            refused.append((where, str(error)))
            continue
        frames.append(facts)
        gallery.consider(sample, answer.label, facts)
    return Findings(tuple(frames), gallery.examples(), unlabelled, tuple(refused))
