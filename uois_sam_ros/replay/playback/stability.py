"""How constantly every true object is found over the frames of a replay; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .matching import FOUND_IOU, Matches


@dataclass(frozen=True)
class Sightings:
    """What became of the true objects of one frame.

    Attributes:
        index: of the frame in the replay.
        scene: counts the scenes of the recording; ids mean something inside a scene only.
        objects: true id -> (predicted id, IoU); (0, 0.0) where nothing matches.
    """

    index: int
    scene: int
    objects: Mapping[int, tuple[int, float]]

    @classmethod
    def of(cls, index: int, scene: int, matches: Matches) -> Sightings:
        """Build from the matches of truth (first) and prediction (second)."""
        return cls(index, scene, {number: matches.pairs.get(number, (0, 0.0)) for number in matches.first_ids})


@dataclass(frozen=True)
class ObjectTrack:
    """One true object over the frames that show it.

    Attributes:
        scene, id: which object.
        frames: indices of the frames that show it, ascending.
        ious: IoU of its match in each of them, 0 without one.
        found_share: frames with IoU above ``FOUND_IOU``, 0..1.
        mean_iou: over its frames.
        jitter: mean absolute change of IoU from one of its frames to the next.
        longest_gap: most of its frames in a row in which it was not found.
        id_switches: how often its predicted id changed between two frames in a row that found it.
    """

    scene: int
    id: int
    frames: tuple[int, ...]
    ious: tuple[float, ...]
    found_share: float
    mean_iou: float
    jitter: float
    longest_gap: int
    id_switches: int


def follow_objects(frames: Sequence[Sightings]) -> tuple[ObjectTrack, ...]:
    """Return the track of every true object, in order of scene and id."""
    seen: dict[tuple[int, int], list[tuple[int, int, float]]] = {}
    for frame in frames:
        for number, (answer, iou) in frame.objects.items():
            seen.setdefault((frame.scene, number), []).append((frame.index, answer, iou))
    return tuple(_track(scene, number, seen[scene, number]) for scene, number in sorted(seen))


def _track(scene: int, number: int, sightings: Sequence[tuple[int, int, float]]) -> ObjectTrack:
    ious = np.asarray([iou for _, _, iou in sightings])
    found = ious > FOUND_IOU
    answers = [answer for _, answer, _ in sightings]
    switches = sum(bool(found[k] and found[k + 1]) and answers[k] != answers[k + 1] for k in range(len(answers) - 1))
    return ObjectTrack(
        scene, number, tuple(index for index, _, _ in sightings), tuple(round(float(iou), 4) for iou in ious),
        float(found.mean()), float(ious.mean()), float(np.abs(np.diff(ious)).mean()) if len(ious) > 1 else 0.0,
        _longest_run(~found), int(switches))


def _longest_run(flags: np.ndarray) -> int:
    """Return the length of the longest run of True."""
    longest = current = 0
    for flag in flags.tolist():
        current = current + 1 if flag else 0
        longest = max(longest, current)
    return longest
