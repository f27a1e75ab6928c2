"""Messages of all inputs -> pairs to segment. Pure: it sees messages and times, no ROS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from .counts import FrameCounter
from .notices import ERROR, Notices
from .settings import NodeSettings
from .sync import Matched, NearestSync

#: A camera whose images come has this long to send its CameraInfo: discovery brings topics in any order.
INFO_GRACE_S = 2.0
#: Colour images that may wait for their depth; bounds memory when depth stops.
MAX_PENDING = 8


@dataclass(frozen=True)
class Pair:
    """One colour message with what belongs to it.

    Attributes:
        color: Image or CompressedImage.
        depth: Image or CompressedImage within the slop, or ``None`` for colour alone.
        info: the newest CameraInfo, or ``None``.
        ignore: the newest ignore mask, or ``None``.
        stamp_ns: of the colour message.
        skew_ns: depth stamp minus colour stamp; 0 without depth.
        arrived_s: monotonic time at which the colour message came.
        paired_s: monotonic time at which the pair was complete.
    """

    color: Any
    depth: Any
    info: Any
    ignore: Any
    stamp_ns: int
    skew_ns: int
    arrived_s: float
    paired_s: float


class Intake:
    """Checks stamps, pairs colour with depth, counts, and hands pairs on.

    Every colour message is counted as received, and as unpaired or refused when it ends here.

    Args:
        settings: slop, timeout and topic names.
        depth_mode: "auto", "off" or "require" (``encoding.depth``).
        offer: takes each pair.

    Attributes:
        uses_depth: colour is paired with depth.
        falls_back: colour alone is used when depth stays away for the timeout.
    """

    def __init__(self, settings: NodeSettings, depth_mode: str, offer: Callable[[Pair], None],
                 counter: FrameCounter, notices: Notices, *, clock: Callable[[], float] = monotonic) -> None:
        self._settings, self._offer = settings, offer
        self._counter, self._notices, self._clock = counter, notices, clock
        self.uses_depth = depth_mode != "off" and bool(settings.depth_topic)
        self.falls_back = depth_mode == "auto"
        streams = ["depth"] if self.uses_depth else []
        self._sync = NearestSync(streams, round(settings.slop_s * 1e9), MAX_PENDING, eager=True)
        self._info = self._ignore = None
        self._last_color_ns = self._last_depth_ns = 0
        self._depth_seen_s = self._color_seen_s = self._color_since_s = clock()

    @property
    def depth_is_silent(self) -> bool:
        """True when depth is wanted but has not come for longer than the timeout, although colour did."""
        waited_s = self._clock() - max(self._depth_seen_s, self._color_since_s)
        return self.uses_depth and waited_s > self._settings.depth_timeout_s

    @property
    def has_info(self) -> bool:
        """True when a CameraInfo has come."""
        return self._info is not None

    @property
    def has_ignore(self) -> bool:
        """True when an ignore mask has come."""
        return self._ignore is not None

    def on_color(self, message: Any) -> None:
        """Take a colour message."""
        self._counter.add("received")
        now, stamp = self._clock(), stamp_ns(message)
        if now - self._color_seen_s > self._settings.depth_timeout_s:
            self._color_since_s = now  # a camera that starts sends colour and depth in any order
        self._color_seen_s = now
        if stamp <= 0:
            self._refuse("color stamp", f"colour on {self._settings.color_topic}: expected a time stamp, got {stamp}; "
                         "have the camera driver fill header.stamp")
            return
        if stamp == self._last_color_ns:
            self._refuse("color stamp", f"colour on {self._settings.color_topic}: expected a new time stamp, got "
                         f"{stamp / 1e9:.3f} s twice; are there two publishers?")
            return
        if stamp < self._last_color_ns:
            self._start_anew(f"colour time went back by {(self._last_color_ns - stamp) / 1e9:.3f} s; starting anew")
        self._last_color_ns = stamp
        if self.depth_is_silent and self.falls_back:
            self._end_unpaired(self._sync.reset())
            self._hand_on(Matched(stamp, (message, now)), None)
            return
        self._decide(self._sync.push_lead(stamp, (message, now)))

    def on_depth(self, message: Any) -> None:
        """Take a depth message."""
        stamp = stamp_ns(message)
        if stamp <= 0:
            self._notices.report("depth stamp", f"depth on {self._settings.depth_topic}: expected a time stamp, got "
                                 f"{stamp}; have the camera driver fill header.stamp", ERROR)
            return
        if stamp < self._last_depth_ns:
            self._start_anew(f"depth time went back by {(self._last_depth_ns - stamp) / 1e9:.3f} s; starting anew")
        self._last_depth_ns, self._depth_seen_s = stamp, self._clock()
        self._decide(self._sync.push("depth", stamp, (message, stamp)))

    def on_info(self, message: Any) -> None:
        """Take a CameraInfo; the newest holds."""
        self._info = message

    def on_ignore(self, message: Any) -> None:
        """Take an ignore mask; the newest holds."""
        self._ignore = message

    def close(self) -> None:
        """End every colour message that still waits."""
        self._end_unpaired(self._sync.reset())

    def _decide(self, decided: list[Matched]) -> None:
        for match in decided:
            found = match.others.get("depth")
            if found is None and self.uses_depth:
                self._counter.add("unpaired")
                if not self.depth_is_silent:  # a silent topic is a notice of its own
                    self._notices.report("unpaired", "colour without depth within "
                                         f"{1000 * self._settings.slop_s:g} ms; raise slop_s, or have the driver "
                                         "synchronise both (enable_sync)")
            else:
                self._hand_on(match, found)

    def _hand_on(self, match: Matched, found: tuple[Any, int] | None) -> None:
        message, arrived = match.lead
        if found is not None and self._info is None and self._clock() - self._color_since_s < INFO_GRACE_S:
            self._counter.add("unpaired")
            return
        depth, depth_ns = found or (None, match.stamp_ns)
        self._offer(Pair(message, depth, self._info, self._ignore, match.stamp_ns, depth_ns - match.stamp_ns,
                         arrived, self._clock()))

    def _end_unpaired(self, left: list[Matched]) -> None:
        self._counter.add("unpaired", len(left))

    def _start_anew(self, reason: str) -> None:
        self._notices.report("time", reason)
        self._end_unpaired(self._sync.reset())
        self._last_color_ns = self._last_depth_ns = 0

    def _refuse(self, key: str, text: str) -> None:
        self._counter.add("refused")
        self._notices.report(key, text, ERROR)


def stamp_ns(message: Any) -> int:
    """Return the header stamp of a message in nanoseconds."""
    stamp = message.header.stamp
    return stamp.sec * 1_000_000_000 + stamp.nanosec
