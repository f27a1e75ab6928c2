"""Log lines on stderr in rclpy's form, and on /rosout."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

from .timing import NANOSECONDS

NAMES = {10: "DEBUG", 20: "INFO", 30: "WARN", 40: "ERROR"}


class Logger:
    """Writes lines of one name at or above its level; ``publish(level, stamp_ns, name, text)`` gets them too."""

    def __init__(self, name: str, levels: Sequence[tuple[str, int]],
                 publish: Callable[[int, int, str, str], None] | None = None) -> None:
        self.name, self.publish = name, publish
        self._level = dict([("", 20), *levels]).get(name, dict([("", 20), *levels])[""])

    def debug(self, text: str) -> None:
        """Log what only a developer wants."""
        self._log(10, text)

    def info(self, text: str) -> None:
        """Log what a user may want."""
        self._log(20, text)

    def warning(self, text: str) -> None:
        """Log what may need attention."""
        self._log(30, text)

    def error(self, text: str) -> None:
        """Log what went wrong."""
        self._log(40, text)

    def _log(self, level: int, text: str) -> None:
        if level < self._level:
            return
        stamp_ns = time.time_ns()
        seconds, nanoseconds = divmod(stamp_ns, NANOSECONDS)
        print(f"[{NAMES[level]}] [{seconds}.{nanoseconds:09d}] [{self.name}]: {text}", file=sys.stderr, flush=True)
        if self.publish is not None:
            self.publish(level, stamp_ns, self.name, text)
