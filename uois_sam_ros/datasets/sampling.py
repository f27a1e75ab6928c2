"""One frame in ten, as the paper reads the data sets that are videos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

#: Every tenth frame of each sequence, beginning with its first.
STEP = 10
EVERY_FRAME = "all"
T = TypeVar("T")


def every_tenth(frames: Sequence[T], words: Sequence[str]) -> Sequence[T]:
    """Return every tenth frame of a sequence, or all of them when ``words`` asks for that."""
    return frames if EVERY_FRAME in words else frames[::STEP]
