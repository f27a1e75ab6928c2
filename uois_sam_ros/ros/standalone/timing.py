"""Clock, time stamps and timers."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...errors import RosError
from .messages import message

NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, order=True)
class Time:
    """A point in time, in nanoseconds since 1970."""

    nanoseconds: int

    def to_msg(self) -> Any:
        """Return it as builtin_interfaces/msg/Time."""
        seconds, nanoseconds = divmod(self.nanoseconds, NANOSECONDS)
        return message("builtin_interfaces/msg/Time")(sec=seconds, nanosec=nanoseconds)


class Clock:
    """The system's time, or that of /clock while ``use_sim_time`` is set."""

    def __init__(self) -> None:
        self.simulated_ns: int | None = None

    def now(self) -> Time:
        """Return the time now; 0 while /clock has not told one."""
        return Time(time.time_ns() if self.simulated_ns is None else self.simulated_ns)


class Timer:
    """Calls back once a period (steady time); calls that are missed are left out.

    Raises:
        RosError: the period is not above zero.
    """

    def __init__(self, period_s: float, callback: Callable[[], None], group: Any) -> None:
        if not period_s > 0:
            raise RosError(f"timer: expected a period above 0 s, got {period_s}")
        self._period_ns = round(period_s * NANOSECONDS)
        self.callback, self.callback_group = callback, group
        self.due_ns = time.monotonic_ns() + self._period_ns
        self.cancelled = False

    def cancel(self) -> None:
        """Call back no more."""
        self.cancelled = True

    def advance(self, now_ns: int) -> None:
        """Set the next due time after ``now_ns`` on the grid of the period."""
        self.due_ns += self._period_ns * ((now_ns - self.due_ns) // self._period_ns + 1)
