"""Keep the ids of objects from frame to frame, by greedy matching of their masks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..errors import FrameError

#: Masks that overlap less (intersection over union) are of different objects: neighbours in clutter
#: never overlap this much, and one object does while it moves by up to half its width.
MIN_IOU = 0.3
#: An object that is out of sight for more frames (a second at camera rate) is forgotten.
KEEP_FRAMES = 30
MAX_ID = 65535
#: Overlap is counted on about this many pixels of the picture, evenly taken.
SAMPLES = 80_000


@dataclass(frozen=True)
class _Lost:
    """An object out of sight: where it was (indices of sampled pixels) and for how many frames it is gone."""

    id: int
    pixels: np.ndarray
    frames: int = 1


class IouTracker:
    """Gives every mask the id of the object that was in its place.

    Pairs of masks are taken by falling overlap, each mask once. An object that is out of sight keeps
    its place and its id for ``keep_frames`` frames. A new object gets the next number; after ``max_id``
    numbers begin at 1 again, past those in use. Looks and motion play no part: where the camera or
    an object moves by more than half its width between two frames, the object gets a new id.

    Args:
        min_iou: smallest overlap, above 0, at most 1.
        keep_frames: 0 or more.
        max_id: 255 where ids must fit in 8 bits.
    """

    def __init__(self, *, min_iou: float = MIN_IOU, keep_frames: int = KEEP_FRAMES, max_id: int = MAX_ID) -> None:
        self._min_iou, self._keep_frames, self._max_id = min_iou, keep_frames, max_id
        self._size: tuple[int, ...] = ()
        self._last_id = 0
        self._forget()

    def update(self, label: np.ndarray, count: int) -> tuple[np.ndarray, tuple[int, ...]]:
        """Take the next frame.

        Args:
            label: uint16[H, W], ids 1..count. A picture of another size forgets all objects.

        Returns:
            uint16[H, W] with lasting ids, and those ids: ``ids[k]`` was k + 1.

        Raises:
            FrameError: more objects than ids.
        """
        if count > self._max_id:
            raise FrameError(f"tracking: expected at most {self._max_id} objects, got {count}; switch track off or "
                             "use label_encoding 16UC1")
        if label.shape != self._size:
            self._forget()
            self._size = label.shape
        step = max(1, round((label.size / SAMPLES) ** 0.5))
        samples = label[::step, ::step].ravel()
        known = [*self._seen_ids, *(lost.id for lost in self._lost)]
        matches = _match(self._overlaps(samples, count), self._min_iou)
        taken = {known[old]: new for old, new in matches}
        self._remember_lost(set(taken))
        ids = self._number({new: number for number, new in taken.items()}, count)
        self._seen, self._seen_ids = samples, ids
        if ids == tuple(range(1, count + 1)):
            return label, ids
        return np.asarray([0, *ids], dtype=label.dtype)[label], ids

    def _forget(self) -> None:
        self._seen, self._seen_ids = np.zeros(0, np.uint16), ()
        self._lost: list[_Lost] = []

    def _overlaps(self, samples: np.ndarray, count: int) -> np.ndarray:
        """Return float[T, count], intersection over union of the T known objects and the masks."""
        seen = len(self._seen_ids)
        if not seen + len(self._lost) or not count:
            return np.zeros((seen + len(self._lost), count))
        together = np.zeros((seen + len(self._lost) + 1, count + 1), dtype=np.int64)
        if seen:  # the joint histogram of the two label images; column and row 0 are background
            joint = self._seen.astype(np.int64) * (count + 1) + samples
            together[:seen + 1] = np.bincount(joint, minlength=(seen + 1) * (count + 1)).reshape(seen + 1, count + 1)
        for row, lost in enumerate(self._lost, start=seen + 1):
            together[row] = np.bincount(samples[lost.pixels], minlength=count + 1)
        both = together[1:, 1:]
        either = together[1:].sum(axis=1)[:, None] + np.bincount(samples, minlength=count + 1)[1:] - both
        return both / np.maximum(either, 1)

    def _remember_lost(self, matched: set[int]) -> None:
        """Age what is still out of sight and add what has just gone; sets the ids to keep."""
        gone = [replace(lost, frames=lost.frames + 1) for lost in self._lost if lost.id not in matched]
        gone += [_Lost(number, np.flatnonzero(self._seen == row))
                 for row, number in enumerate(self._seen_ids, start=1) if number not in matched]
        self._lost = [lost for lost in gone if lost.frames <= self._keep_frames]

    def _number(self, kept: dict[int, int], count: int) -> tuple[int, ...]:
        """Return an id for every mask: the one it keeps, or the next free one."""
        used = set(kept.values()) | {lost.id for lost in self._lost}
        ids = []
        for mask in range(count):
            if mask not in kept:
                kept[mask] = self._next_id(used)
                used.add(kept[mask])
            ids.append(kept[mask])
        return tuple(ids)

    def _next_id(self, used: set[int]) -> int:
        while len(used) >= self._max_id:  # no number is free: the object out of sight for longest gives its own
            oldest = self._lost.pop(0)
            used.discard(oldest.id)
        number = self._last_id % self._max_id + 1
        while number in used:
            number = number % self._max_id + 1
        self._last_id = number
        return number


def _match(overlaps: np.ndarray, min_iou: float) -> list[tuple[int, int]]:
    """Pair rows with columns by falling overlap, each once; ties go to the first row."""
    old, new = np.nonzero(overlaps >= min_iou)
    pairs, rows, columns = [], set(), set()
    for best in np.argsort(-overlaps[old, new], kind="stable"):
        row, column = int(old[best]), int(new[best])
        if row not in rows and column not in columns:
            pairs.append((row, column))
            rows.add(row)
            columns.add(column)
    return pairs
