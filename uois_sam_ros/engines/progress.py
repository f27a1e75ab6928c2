"""Tell how a build gets on: one line a phase or every few seconds, with an estimate of what is left."""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import monotonic

#: Seconds between two lines.
EVERY_S = 5.0
#: Share of the work from which the time that is left can be guessed.
ENOUGH = 0.05

Say = Callable[[str], None]


def say_stderr(text: str) -> None:
    """Print on stderr, where a terminal, a launch log and a service's journal show it."""
    print(text, file=sys.stderr, flush=True)


class Progress:
    """Callable for ``BuildJob.progress``.

    Args:
        what: for the lines, like "compact_encoder (1 of 3)".
        say: takes a line.
        expected_s: seconds of an earlier build of the same network; 0 when there was none.
    """

    def __init__(self, what: str, say: Say = say_stderr, expected_s: float = 0.0) -> None:
        self._what, self._say, self._expected_s = what, say, expected_s
        self._begin = self._last = monotonic()
        self._share = 0.0
        guess = f"took {_duration(expected_s)} the last time" if expected_s else "takes from seconds to many minutes"
        say(f"{what}: building, which {guess}")

    def __call__(self, share: float, phase: str) -> None:
        """Note that ``share`` (0..1) is done, in ``phase``; the share shown never falls."""
        self._share = max(self._share, min(1.0, share))
        now = monotonic()
        if now - self._last >= EVERY_S:
            self._last = now
            self._say(f"{self._what}: {100 * self._share:.0f} %, {_duration(self.elapsed_s)} so far, {self.left}, "
                      f"{phase}")

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return monotonic() - self._begin

    @property
    def left(self) -> str:
        """How long it will still take, in words."""
        if self._expected_s > self.elapsed_s:
            return f"about {_duration(self._expected_s - self.elapsed_s)} left"
        if self._share < ENOUGH:
            return "no estimate yet"
        return f"about {_duration(self.elapsed_s * (1 - self._share) / self._share)} left"

    def done(self, note: str = "") -> float:
        """Say that it is done; return the seconds it took."""
        elapsed = self.elapsed_s
        self._say(f"{self._what}: built in {_duration(elapsed)}{', ' + note if note else ''}")
        return elapsed


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
