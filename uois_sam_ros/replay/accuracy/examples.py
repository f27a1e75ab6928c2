"""Pictures of failures: the worst frames, objects in pieces, objects merged, small objects missed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from ..metrics import apply_ignore
from ..playback.pictures import draw_labels
from ..sources import Sample
from .facts import FrameFacts

#: Kind -> heading and what it shows, in the order of the page.
KINDS = {
    "worst": ("Worst frames", "lowest overlap F"),
    "pieces": ("Over-segmented", "objects with the most predictions inside them"),
    "merged": ("Merged", "predictions that cover half or more of several objects"),
    "missed": ("Missed small objects", "the largest of the small objects that nothing covers"),
}
#: An object up to this share of the picture is small: 32x32 pixels of 640x480.
SMALL_SHARE = 1 / 300
#: An object whose match has less IoU is missed.
MISSED_IOU = 0.2
#: All pictures together take no more bytes than this.
MOST_BYTES = 8_000_000
#: A close-up is at least this wide and high, and shows its object with this many times its size around it.
CLOSE_PX, AROUND = 96, 1.6
#: Close-ups are enlarged to this width; a box of this colour shows what they are about.
ENLARGED_PX, BOX = 320, (255, 225, 0)


@dataclass(frozen=True)
class Example:
    """A failure to look at.

    Attributes:
        kind: of ``KINDS``.
        source, name: of the frame.
        badness: what it was chosen by; higher is worse.
        caption: one line about it.
        jpegs: truth and answer.
    """

    kind: str
    source: str
    name: str
    badness: float
    caption: str
    jpegs: tuple[bytes, bytes]


@dataclass(frozen=True)
class _Failure:
    kind: str
    badness: float
    caption: str
    truth_ids: tuple[int, ...] = ()
    answer_ids: tuple[int, ...] = ()


class Gallery:
    """Keeps the worst examples of every kind while frames pass; at most one of a kind from a frame.

    Args:
        most: examples of a kind; 0 = none.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[str, list[Example]] = {kind: [] for kind in KINDS}

    def consider(self, sample: Sample, label: np.ndarray, facts: FrameFacts) -> None:
        """Draw the failures of a frame that are among the worst so far.

        Args:
            label: the answer, unsigned integer[H, W].
        """
        for failure in _failures(facts, label.size):
            kept = self._kept[failure.kind]
            mine = [example for example in kept if example.source == sample.source]
            if self._most == 0 or len(mine) >= self._most and failure.badness <= mine[-1].badness:
                continue
            jpegs = _draw(sample, label, facts, failure)
            kept.append(Example(failure.kind, sample.source, sample.name, failure.badness, failure.caption, jpegs))
            kept.sort(key=lambda example: -example.badness)
            if len(mine) >= self._most:
                kept.remove(mine[-1])
            del kept[8 * self._most:]

    def examples(self) -> tuple[Example, ...]:
        """Return the chosen examples, kind by kind, the worst first.

        No more than half of a kind come from one source while another has some. Where the pictures of all kinds
        together are too large, the least bad ones are left out.
        """
        chosen = [_mix(self._kept[kind], self._most) for kind in KINDS]
        size, kept = 0, []
        for example in (row[place] for place in range(self._most) for row in chosen if place < len(row)):
            size += sum(map(len, example.jpegs))
            if size > MOST_BYTES:
                break
            kept.append(example)
        return tuple(example for kind in KINDS for example in kept if example.kind == kind)


def _mix(kept: list[Example], most: int) -> list[Example]:
    """Return the worst examples, at most half of them from one source unless there are too few others."""
    first, later, count = [], [], {}
    for example in kept:
        count[example.source] = count.get(example.source, 0) + 1
        (first if count[example.source] <= (most + 1) // 2 else later).append(example)
    return sorted([*first, *later][:most], key=lambda example: -example.badness)


def _failures(facts: FrameFacts, picture_px: int) -> Iterator[_Failure]:
    """Yield the worst failure of each kind of a frame."""
    scores = facts.scored.scores
    if scores.overlap_f < 1:
        yield _Failure("worst", 1 - scores.overlap_f, (
            f"overlap F {100 * scores.overlap_f:.1f}, boundary F {100 * scores.boundary_f:.1f}, %75 "
            f"{100 * scores.detected_75:.0f}, {scores.predictions:.0f} found of {scores.objects:.0f}"))
    broken = max(facts.objects, key=lambda o: (len(o.pieces), o.area_px), default=None)
    if broken is not None and len(broken.pieces) > 1:
        yield _Failure("pieces", len(broken.pieces) + broken.area_share,
                       f"{len(broken.pieces)} predictions in one object, the best has IoU {broken.iou:.2f}",
                       (broken.id,), broken.pieces)
    merged = max(facts.predictions, key=lambda p: (len(p.covers), p.area_px), default=None)
    if merged is not None and len(merged.covers) > 1:
        score = "" if merged.score is None else f", score {merged.score:.2f}"
        yield _Failure("merged", len(merged.covers) + merged.area_px / picture_px,
                       f"one prediction over {len(merged.covers)} objects{score}", merged.covers, (merged.id,))
    missed = max((o for o in facts.objects if o.area_share <= SMALL_SHARE and o.iou < MISSED_IOU),
                 key=lambda o: o.area_px, default=None)
    if missed is not None:
        hidden = "" if missed.hidden is None else f", {100 * missed.hidden:.0f} % hidden"
        yield _Failure("missed", missed.area_share, f"{missed.area_px} pixels ({100 * missed.area_share:.2f} % of the "
                       f"picture{hidden}), best IoU {missed.iou:.2f}", (missed.id,))


def _draw(sample: Sample, label: np.ndarray, facts: FrameFacts, failure: _Failure) -> tuple[bytes, bytes]:
    """Draw truth and answer, matched objects in one colour; around the failure unless it is the whole frame."""
    color, truth, answer = sample.frame.color, sample.truth, label
    if sample.ignore is not None:
        answer, truth = apply_ignore(answer, truth, sample.ignore)
    if failure.truth_ids:
        about = np.isin(truth, failure.truth_ids) | np.isin(answer, failure.answer_ids)
        window = close_up(about)
        color, truth, answer = _enlarge(color[window], truth[window], answer[window], about[window])
    return (draw_labels(color, truth, {true: true for true in facts.matches}),
            draw_labels(color, answer, {mine: true for true, mine in facts.matches.items()}))


def _enlarge(color: np.ndarray, truth: np.ndarray, answer: np.ndarray,
             about: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the three pictures at ``ENLARGED_PX`` or more, with a box around the True pixels in the first."""
    scale = max(1.0, ENLARGED_PX / color.shape[1])
    size = (round(scale * color.shape[1]), round(scale * color.shape[0]))
    color = cv2.resize(color, size, interpolation=cv2.INTER_CUBIC)
    rows, columns = np.flatnonzero(about.any(axis=1)), np.flatnonzero(about.any(axis=0))
    corners = ((round(scale * places[0]) - 4, round(scale * (places[-1] + 1)) + 3) for places in (columns, rows))
    (left, right), (top, bottom) = corners
    cv2.rectangle(color, (left, top), (right, bottom), BOX, 2)
    truth, answer = (cv2.resize(image.astype(np.uint16), size, interpolation=cv2.INTER_NEAREST)
                     for image in (truth, answer))
    return color, truth, answer


def close_up(mask: np.ndarray) -> tuple[slice, slice]:
    """Return the window around the True pixels of bool[H, W], with their surroundings."""
    window = []
    for axis in (0, 1):
        places = np.flatnonzero(mask.any(axis=1 - axis))
        first, last = int(places[0]), int(places[-1]) + 1
        side = min(mask.shape[axis], max(CLOSE_PX, round((1 + AROUND) * (last - first))))
        start = min(max((first + last - side) // 2, 0), mask.shape[axis] - side)
        window.append(slice(start, start + side))
    return window[0], window[1]
