"""When which message of a recording is due; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Due:
    """One message to publish.

    Attributes:
        due_s: seconds after the start of playing.
        topic: of the recording.
        raw: serialised.
        log_ns: recorded time.
        shift_ns: what the recorded time moves by in this pass; 0 in the first.
    """

    due_s: float
    topic: str
    raw: bytes
    log_ns: int
    shift_ns: int


def schedule(read: Callable[[], Iterable[tuple[str, int, bytes]]], *, rate: float = 1.0, start_s: float = 0.0,
             duration_s: float = 0.0, loop: bool = False) -> Iterator[Due]:
    """Yield the messages of a recording with their due times.

    A pass of a loop follows the one before after one period of its busiest topic.

    Args:
        read: returns (topic, log time, message) triples in order of recording; called once a pass.
        rate: recorded seconds per second.
        start_s: leave out so much of the beginning, counted from the first message.
        duration_s: play so much recorded time; 0 = to the end.
    """
    shift_ns = 0
    while True:
        begin: int | None = None
        first = last = 0
        counts: Counter[str] = Counter()
        for topic, log_ns, raw in read():
            if begin is None:
                begin = log_ns + round(start_s * 1e9)
            if log_ns < begin:
                continue
            if duration_s and log_ns > begin + duration_s * 1e9:
                break
            first = first if counts else log_ns
            last = log_ns
            counts[topic] += 1
            yield Due((log_ns + shift_ns - first) / 1e9 / rate, topic, raw, log_ns, shift_ns)
        if not loop or not counts:
            return
        period_ns = (last - first) // max(max(counts.values()) - 1, 1)
        shift_ns += last - first + max(period_ns, 1)
