"""Trouble named once: logged when it begins, now and then while it lasts, and when it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

WARNING, ERROR = "warning", "error"


@dataclass
class Notice:
    """One kind of trouble.

    Attributes:
        text: the newest message. level: ``WARNING`` or ``ERROR``. count: times reported.
    """

    text: str
    level: str
    count: int = 0
    since: float = 0.0
    last: float = 0.0
    logged: float = -float("inf")
    unlogged: int = 0


class Notices:
    """Keeps active notices by key; thread-safe.

    Args:
        log: called with (level, text); level is "info", "warning" or "error".
        repeat_s: an ongoing trouble is logged again after this time.
        expire_s: a trouble that was not reported for this time is over.
    """

    def __init__(self, log: Callable[[str, str], None], *, repeat_s: float = 30.0, expire_s: float = 5.0,
                 clock: Callable[[], float] = monotonic) -> None:
        self._log, self._repeat_s, self._expire_s, self._clock = log, repeat_s, expire_s, clock
        self._lock = threading.Lock()
        self._active: dict[str, Notice] = {}

    def report(self, key: str, text: str, level: str = WARNING) -> None:
        """Say that the trouble ``key`` is there now."""
        now = self._clock()
        with self._lock:
            notice = self._active.setdefault(key, Notice(text, level, since=now))
            notice.text, notice.level, notice.last = text, level, now
            notice.count += 1
            if now - notice.logged < self._repeat_s:
                notice.unlogged += 1
                return
            more = f" ({notice.unlogged} more times)" if notice.unlogged else ""
            notice.logged, notice.unlogged = now, 0
        self._log(level, f"{text}{more}")

    def clear(self, key: str) -> None:
        """Say that the trouble ``key`` is over; nothing happens when it was not there."""
        with self._lock:
            notice = self._active.pop(key, None)
        if notice is not None:
            self._log("info", f"over after {self._clock() - notice.since:.1f} s: {notice.text}")

    def expire(self) -> None:
        """End every trouble that was not reported lately."""
        with self._lock:
            old = [key for key, notice in self._active.items() if self._clock() - notice.last > self._expire_s]
        for key in old:
            self.clear(key)

    def active(self) -> dict[str, Notice]:
        """Return what is going on, by key."""
        with self._lock:
            return dict(self._active)
