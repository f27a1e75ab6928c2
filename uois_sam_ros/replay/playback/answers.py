"""Score what a node has published against the recording that it was fed with; pairs by stamp."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import cv2
import numpy as np

from ...errors import FrameError
from ..bag import BagInput
from ..results import encode_png
from ..sources import Sample
from .collect import Collector
from .report import REFUSED, UNANSWERED, UNPAIRED, Accounting, ReplayReport
from .sent import Sent

COUNTS = ("received", "processed", "replaced", "unpaired", "refused")


@dataclass(frozen=True)
class Heard:
    """A label image that arrived.

    Attributes:
        received_ns: time of its arrival.
        png: uint16 label image, packed so that long recordings fit into memory.
    """

    received_ns: int
    png: bytes

    @classmethod
    def of(cls, received_ns: int, label: np.ndarray) -> Heard:
        """Pack uint16[H, W]."""
        return cls(received_ns, encode_png(label, (cv2.IMWRITE_PNG_COMPRESSION, 1)))

    def label(self) -> np.ndarray:
        """Return uint16[H, W]."""
        return cv2.imdecode(np.frombuffer(self.png, np.uint8), cv2.IMREAD_UNCHANGED)


@dataclass(frozen=True)
class Answers:
    """What a node published.

    Attributes:
        labels: stamp, ns -> label image.
        detections: stamp, ns -> number of detections.
        health: key -> text of its last diagnostics; empty without any.
        notices: what it complained about.
        asked: stamp, ns -> time at which that image was there, on the clock of ``Heard.received_ns``; empty where
            only the sender knows.
        topic: where the labels were found, "" when that was given.
    """

    labels: Mapping[int, Heard]
    detections: Mapping[int, int]
    health: Mapping[str, str]
    notices: tuple[str, ...] = ()
    asked: Mapping[int, int] = field(default_factory=dict)
    topic: str = ""


def score_answers(bag: BagInput, answers: Answers, collector: Collector, sent: Mapping[int, Sent] | None = None, *,
                  max_frames: int = 0) -> ReplayReport:
    """Pair the labels with the images of the recording and score them.

    Args:
        sent: recorded stamp -> how it was sent; images that were not sent are left out, and latency is measured
            from there. ``None``: every image was sent, with its recorded stamp.
        max_frames: look at so many pairs; 0 = all.

    Raises:
        FrameError: a label image of another size than its colour image.
    """
    scored: set[int] = set()
    for sample in islice(bag, max_frames) if max_frames else bag:
        if (sent is not None and sample.stamp_ns not in sent) or sample.error == bag.broken != "":
            continue
        stamp, asked_ns = sample.stamp_ns, answers.asked.get(sample.stamp_ns)
        if sent is not None:
            stamp, asked_ns = sent[sample.stamp_ns].stamp_ns, sent[sample.stamp_ns].published_ns
        heard = answers.labels.get(stamp)
        if sample.frame is None:
            collector.add_other(sample.name, sample.stamp_ns, REFUSED, sample.error or "unreadable", sample.skew_ns)
        elif heard is None:
            collector.add_other(sample.name, sample.stamp_ns, UNANSWERED, "", sample.skew_ns)
        else:
            scored.add(stamp)
            wire = {} if asked_ns is None else {"wire": (heard.received_ns - asked_ns) / 1e6}
            collector.add_answer(sample, _checked(sample, heard.label()), wire)
    for name, stamp in bag.unpaired:
        if sent is None or stamp in sent:
            collector.add_other(name, stamp, UNPAIRED, "no depth image within the slop")
    notes = (*bag.notes[1:], *([bag.broken] if bag.broken else []), *_notes(answers, scored))
    report = collector.report(_account(collector, answers.health), notes, _duration_s(answers, sent))
    return replace(report, node=dict(answers.health))


def is_of(status: Any, node_path: str) -> bool:
    """True when a diagnostic_msgs/DiagnosticStatus is that of the node "/namespace/name"."""
    return status.name.startswith(f"{node_path}:")


def read_health(status: Any) -> dict[str, str]:
    """Return key -> text of a diagnostic_msgs/DiagnosticStatus."""
    return {pair.key: pair.value for pair in status.values}


def stamp_ns(message: Any) -> int:
    """Return the stamp of a message's header."""
    return message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec


def _notes(answers: Answers, scored: set[int]) -> list[str]:
    notes = [f"{answers.topic}: {len(answers.labels)} label images"] if answers.topic else []
    notes += [f"node: {text}" for text in answers.notices]
    other = len(set(answers.labels) - scored)
    if other:
        notes.append(f"{other} labels have no pair in the recording and are not scored")
    alone = len(set(answers.labels) - set(answers.detections)) if answers.detections else 0
    if alone:
        notes.append(f"{alone} labels came without detections")
    if not answers.health:
        notes.append("no diagnostics of the node: what became of images without an answer is not known")
    return notes


def _checked(sample: Sample, label: np.ndarray) -> np.ndarray:
    if label.shape != sample.frame.color.shape[:2]:
        raise FrameError(f"frame {sample.name}: expected labels of {sample.frame.width}x{sample.frame.height} like the "
                         f"colour image, got {label.shape[1]}x{label.shape[0]}; were these the node's images?")
    return label


def _duration_s(answers: Answers, sent: Mapping[int, Sent] | None) -> float:
    """Return the time from the first image, else from the first answer, to the last answer."""
    received = [heard.received_ns for heard in answers.labels.values()]
    asked = [entry.published_ns for entry in sent.values()] if sent is not None else list(answers.asked.values())
    return (max(received) - min(asked or received)) / 1e9 if received else 0.0


def _account(collector: Collector, health: Mapping[str, str]) -> Accounting:
    """Return the node's own counts, without what it had not decided when its diagnostics ended."""
    seen = collector.count()
    if not health:
        return Accounting(seen.sent, seen.processed, seen.processed, 0, 0, 0, seen.reasons)
    counts = {name: int(health.get(f"frames_{name}", 0)) for name in COUNTS}
    counts["received"] -= int(health.get("frames_waiting", 0))
    return Accounting(seen.sent, **counts, reasons=seen.reasons)
