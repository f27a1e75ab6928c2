"""Pair images of several streams by their time stamps; pure, shared by every source of messages."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Item = tuple[int, Any]


@dataclass(frozen=True)
class Matched:
    """A leading item and the nearest item of each other stream, ``None`` where none is near.

    Attributes:
        stamp_ns: of the leading item.
        lead: its payload.
        others: stream name -> payload or ``None``.
    """

    stamp_ns: int
    lead: Any
    others: dict[str, Any] = field(default_factory=dict)


class NearestSync:
    """Match every leading item with the nearest item, by stamp, of each other stream.

    Streams must be in order of time, each for itself; they may arrive in any interleaving. An item
    is used once, and never by a lead when another lead is nearer to it. A lead is decided as soon
    as no later item can change its matches, or when ``max_pending`` leads wait.

    Args:
        streams: names of the other streams.
        slop_ns: items further apart are no match.
        max_pending: bounds memory when a stream stops.
        eager: decide a lead as soon as its own nearest items are known, without waiting for a later
            lead that may lie nearer to one of them. That saves a live consumer one period; with
            streams of one rate and a slop under half a period the pairs are the same.
    """

    def __init__(self, streams: Sequence[str], slop_ns: int, max_pending: int = 30, *, eager: bool = False) -> None:
        self._slop = int(slop_ns)
        self._eager = eager
        self._max_pending = max_pending
        self._leads: deque[Item] = deque()
        self._others: dict[str, deque[Item]] = {name: deque() for name in streams}
        self._latest = dict.fromkeys(streams, None)
        self._latest_lead: int | None = None

    def push_lead(self, stamp_ns: int, payload: Any) -> list[Matched]:
        """Add a leading item; return the leads that are decided now, oldest first."""
        self._leads.append((stamp_ns, payload))
        self._latest_lead = stamp_ns
        return self._decide(final=False)

    def push(self, stream: str, stamp_ns: int, payload: Any) -> list[Matched]:
        """Add an item of another stream; return the leads that are decided now, oldest first."""
        queue = self._others[stream]
        queue.append((stamp_ns, payload))
        self._latest[stream] = stamp_ns
        if not self._leads and len(queue) > self._max_pending:
            queue.popleft()
        return self._decide(final=False)

    def flush(self) -> list[Matched]:
        """Decide every waiting lead; call it after the last item."""
        return self._decide(final=True)

    def reset(self) -> list[Matched]:
        """Decide every waiting lead and forget all items, as when time went back."""
        decided = self.flush()
        for queue in self._others.values():
            queue.clear()
        self._latest = dict.fromkeys(self._latest, None)
        self._latest_lead = None
        return decided

    def _decide(self, final: bool) -> list[Matched]:
        decided = []
        while self._leads and (final or len(self._leads) > self._max_pending or self._is_settled()):
            stamp, payload = self._leads.popleft()
            decided.append(Matched(stamp, payload, {name: self._take(queue, stamp)
                                                    for name, queue in self._others.items()}))
        return decided

    def _is_settled(self) -> bool:
        """True when neither a candidate of the oldest lead nor a rival for one can still arrive."""
        if not self._others:
            return True
        if self._eager:
            stamp = self._leads[0][0]
            return all(last is not None and last >= stamp for last in self._latest.values())
        horizon = self._leads[0][0] + self._slop
        return (all(last is not None and last > horizon for last in self._latest.values())
                and self._latest_lead is not None and self._latest_lead > horizon + self._slop)

    def _take(self, queue: deque[Item], stamp: int) -> Any:
        while queue and queue[0][0] < stamp - self._slop:  # too old for this and every later lead
            queue.popleft()
        rivals = [lead for lead, _ in self._leads]
        candidates = [item for item in queue if abs(item[0] - stamp) <= self._slop
                      and all(abs(item[0] - rival) >= abs(item[0] - stamp) for rival in rivals)]
        if not candidates:
            return None
        best = min(candidates, key=lambda item: abs(item[0] - stamp))
        queue.remove(best)
        return best[1]
