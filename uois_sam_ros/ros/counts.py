"""What became of every colour image: processed, replaced, unpaired or refused."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Counts:
    """Totals since activation. ``received`` = the four outcomes + ``waiting``.

    Attributes:
        received: colour messages that arrived.
        processed: ended in a published result.
        replaced: a newer pair was there before the worker was free.
        unpaired: no depth image within the slop, or no CameraInfo yet.
        refused: could not be used, or its segmentation failed.
        waiting: not decided yet.
    """

    received: int = 0
    processed: int = 0
    replaced: int = 0
    unpaired: int = 0
    refused: int = 0

    @property
    def waiting(self) -> int:
        """Messages that wait for their partner or for the worker, or are being segmented."""
        return self.received - self.processed - self.replaced - self.unpaired - self.refused

    def as_dict(self) -> dict[str, int]:
        """Return all totals by name."""
        return {**asdict(self), "waiting": self.waiting}


class FrameCounter:
    """Thread-safe totals; each message is counted once as received and once as an outcome."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals = dict.fromkeys(Counts.__dataclass_fields__, 0)

    def add(self, name: str, number: int = 1) -> None:
        """Count messages under ``received`` or an outcome."""
        with self._lock:
            self._totals[name] += number

    def totals(self) -> Counts:
        """Return a consistent snapshot."""
        with self._lock:
            return Counts(**self._totals)
