"""What a replay found: frozen plain data, to JSON and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...errors import InputError
from ..metrics import FrameScores
from .stability import ObjectTrack

#: First entry of every report file.
FORMAT = "uois-sam replay 1"
PROCESSED, REPLACED, UNPAIRED, REFUSED, UNANSWERED = "processed", "replaced", "unpaired", "refused", "unanswered"
#: What may become of a colour image; ``unanswered`` only where a node answers over the wire.
OUTCOMES = (PROCESSED, REPLACED, UNPAIRED, REFUSED, UNANSWERED)


@dataclass(frozen=True)
class Setup:
    """What was replayed, and through what.

    Attributes:
        recording: its name, without folder.
        mode: "offline", "live", or "recorded" for the answers of a node that has run already.
        rate: recorded time per time of the replay; 0 = as fast as possible.
        preset, depth: of the segmenter.
        slop_s: colour and depth further apart were no pair.
        tracked: ids were kept from frame to frame.
        topics: role -> topic.
        machine: facts about it, see ``uois_sam_ros.machine``.
        version: of this package.
    """

    recording: str
    mode: str
    preset: str
    depth: str
    slop_s: float
    rate: float = 0.0
    tracked: bool = False
    topics: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    version: str = ""


@dataclass(frozen=True)
class ReplayFrame:
    """One colour image of the recording and what became of it.

    Attributes:
        name: its number among the colour images, as text.
        stamp_ns: its recorded stamp.
        outcome: one of ``OUTCOMES``.
        reason: why it was not processed, one sentence.
        found: instances.
        scores: ``None`` without truth or without an answer.
        stages_ms: stage -> milliseconds.
        skew_ms: stamp of the depth image minus its own; ``None`` without a pair.
        match_iou: how far the answer equals the one before, 0..1 (``Matches.mean_iou``); ``None`` for the first.
    """

    name: str
    stamp_ns: int
    outcome: str
    reason: str = ""
    found: int = 0
    scores: FrameScores | None = None
    stages_ms: Mapping[str, float] = field(default_factory=dict)
    skew_ms: float | None = None
    match_iou: float | None = None


@dataclass(frozen=True)
class Accounting:
    """Where the colour images went: received = processed + replaced + unpaired + refused.

    Attributes:
        sent: colour images of the recording; more than ``received`` when the wire lost some.
        received: colour images that reached the segmenter or the node.
        replaced: given up for a newer pair while one was in work; offline none.
        unpaired: without depth within the slop.
        refused: unreadable, or refused by the segmenter.
        reasons: sentence -> number of frames that it holds for.
    """

    sent: int
    received: int
    processed: int
    replaced: int
    unpaired: int
    refused: int
    reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def adds_up(self) -> bool:
        """True when every image received has exactly one fate."""
        return self.received == self.processed + self.replaced + self.unpaired + self.refused


@dataclass(frozen=True)
class ReplayReport:
    """Everything that a replay found.

    Attributes:
        frames: in order of the recording, only those with truth have scores.
        objects: true objects over time; empty without truth.
        notes: sentences for the reader.
        wall_s: duration of the replay.
        node: what the node's last diagnostics said, key -> text; empty offline.
    """

    setup: Setup
    accounting: Accounting
    frames: tuple[ReplayFrame, ...]
    objects: tuple[ObjectTrack, ...] = ()
    notes: tuple[str, ...] = ()
    wall_s: float = 0.0
    node: Mapping[str, str] = field(default_factory=dict)

    def processed(self) -> list[ReplayFrame]:
        """Return the frames with an answer."""
        return [frame for frame in self.frames if frame.outcome == PROCESSED]

    def scored(self) -> list[ReplayFrame]:
        """Return the frames with scores."""
        return [frame for frame in self.frames if frame.scores is not None]

    def to_json(self) -> dict[str, Any]:
        """Return plain data that ``from_json`` reads back."""
        return {"format": FORMAT, **asdict(self)}


def from_json(data: Mapping[str, Any]) -> ReplayReport:
    """Build a report from the plain data of ``ReplayReport.to_json``.

    Raises:
        KeyError, TypeError, ValueError: other data.
    """
    if data["format"] != FORMAT:
        raise ValueError(f"format '{data['format']}'")
    frames = tuple(ReplayFrame(**{**frame, "scores": FrameScores(**frame["scores"]) if frame["scores"] else None})
                   for frame in data["frames"])
    objects = tuple(ObjectTrack(**{**track, "frames": tuple(track["frames"]), "ious": tuple(track["ious"])})
                    for track in data["objects"])
    return ReplayReport(Setup(**data["setup"]), Accounting(**data["accounting"]), frames, objects,
                        tuple(data["notes"]), float(data["wall_s"]), dict(data["node"]))


def read_report(path: Path) -> ReplayReport:
    """Read the file that ``uois-sam replay --json`` wrote.

    Raises:
        InputError: no such file, or not such a file.
    """
    wanted = f"{path}: expected a report that 'uois-sam replay --json' wrote"
    try:
        return from_json(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"{wanted}, got: {error.strerror}; write one first") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{wanted}, got something else ({error!r}); write it again with this version") from error
