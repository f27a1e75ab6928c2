"""The log of a player: when each message was sent, one JSON line each."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sent:
    """One message that was published.

    Attributes:
        topic: of the recording.
        recorded_ns: its recorded stamp; the recorded time where the stamp is zero or there is no header.
        stamp_ns: the stamp it was sent with; as recorded_ns without a header.
        published_ns: monotonic time, just before it was published.
    """

    topic: str
    recorded_ns: int
    stamp_ns: int
    published_ns: int

    def to_line(self) -> str:
        """Return the line of the log."""
        return json.dumps(asdict(self)) + "\n"


def read_log(path: Path) -> list[Sent]:
    """Read the log that a player wrote."""
    return [Sent(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
