"""Publish the messages of a recording at their recorded pace."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ...errors import InputError, UoisError
from ...ros import api
from ...ros.convert import header_stamp_ns
from ..bag_messages import BagFile
from ..topics import INFO, list_topics
from .restamp import shift_all, shift_header
from .schedule import Due, schedule
from .sent import Sent

NODE_NAME = "uois_sam_play"
#: Longest wait before the player looks whether it shall stop.
_SLICE_S = 0.1
#: A subscriber that the player has found needs this time to find the player.
_SETTLE_S = 0.3


@dataclass(frozen=True)
class PlayOptions:
    """How to play.

    Attributes:
        rate: recorded seconds per second.
        loop: begin again at the end, until stopped.
        start_s, duration_s: which part, recorded seconds; a duration of 0 is the rest.
        topics: which ones; empty = all whose type is known.
        remaps: topic of the recording -> name to publish under.
        restamp: move all header stamps by the constant that makes the first one the current time.
        wait_s: wait so long at most until every topic has a subscriber; 0 = start at once.
        log: file that gets a JSON line a message, see ``sent.Sent``.
    """

    rate: float = 1.0
    loop: bool = False
    start_s: float = 0.0
    duration_s: float = 0.0
    topics: tuple[str, ...] = ()
    remaps: Mapping[str, str] = field(default_factory=dict)
    restamp: bool = False
    wait_s: float = 0.0
    log: Path | None = None

    def __post_init__(self) -> None:
        for name, value, least in (("--rate", self.rate, 1e-3), ("--start", self.start_s, 0),
                                   ("--duration", self.duration_s, 0), ("--wait", self.wait_s, 0)):
            if not least <= value < float("inf"):
                raise InputError(f"{name}: expected {least:g} or more, got {value:g}")


@dataclass(frozen=True)
class Played:
    """What was played.

    Attributes:
        counts: topic of the recording -> messages published.
        skipped: topics left out, with the reason.
        unheard: topics without a subscriber when playing began, after waiting.
        seconds: from the first message to the last.
        late_s: most that a message was behind its time.
    """

    counts: Mapping[str, int]
    skipped: Mapping[str, str]
    unheard: tuple[str, ...]
    seconds: float
    late_s: float


class Player:
    """Publishers for the topics of a recording. ``api.init`` must have been called.

    CameraInfo, and what was recorded as transient local, is published latched; everything reliable.

    Raises:
        InputError: an unknown topic, or nothing that can be published.
    """

    def __init__(self, bag: BagFile, options: PlayOptions) -> None:
        self._bag, self._options = bag, options
        chosen, self.skipped = choose(bag, options.topics)
        for name in options.remaps:
            if name not in bag.types:
                raise InputError(f"--remap {name}: expected a topic of the recording, got none of that name; "
                                 f"{list_topics(bag.types)}")
        self._node = api.Node(NODE_NAME)
        self._publishers = {topic: self._node.create_publisher(
            api.message(bag.types[topic]), options.remaps.get(topic, topic), _profile(bag, topic)) for topic in chosen}
        self._headers = {topic for topic in chosen if bag.has_header(topic)}
        self._offset_ns: int | None = None

    @property
    def total(self) -> int:
        """Messages of all topics in one whole pass."""
        return sum(self._bag.counts[topic] for topic in self._publishers)

    def play(self, advance: Callable[[], object] = lambda: None) -> Played:
        """Publish until the end, or until the context shuts down.

        Args:
            advance: called after each message.

        Raises:
            InputError: nothing between start and end, the recording is damaged, or the log cannot be written.
        """
        unheard, counts, late_s = self._wait(), Counter(), 0.0
        topics, options = list(self._publishers), self._options
        dues = schedule(lambda: self._bag.messages(topics), rate=options.rate, start_s=options.start_s,
                        duration_s=options.duration_s, loop=options.loop)
        begin = 0.0
        with open(options.log, "w", encoding="utf-8") if options.log else nullcontext() as log:
            for due in dues:
                message, recorded_ns, stamp_ns = self._prepare(due)
                begin = begin or time.monotonic()  # once the first message is at hand
                if not _sleep_until(begin + due.due_s):
                    break
                late_s = max(late_s, time.monotonic() - begin - due.due_s)
                sent = Sent(due.topic, recorded_ns, stamp_ns, time.monotonic_ns())
                self._publishers[due.topic].publish(message)
                counts[due.topic] += 1
                if log is not None:
                    log.write(sent.to_line())
                advance()
        if not counts and api.ok():
            raise InputError(f"--start {options.start_s:g}, --duration {options.duration_s:g}: expected messages in "
                             "that part of the recording, got none")
        return Played(dict(counts), self.skipped, unheard, time.monotonic() - begin if begin else 0.0, late_s)

    def close(self) -> None:
        """Withdraw the publishers."""
        self._node.destroy_node()

    def _wait(self) -> tuple[str, ...]:
        """Wait for subscribers; return the topics that have none."""
        until = time.monotonic() + self._options.wait_s
        while True:
            unheard = tuple(topic for topic, publisher in self._publishers.items()
                            if publisher.get_subscription_count() == 0)
            if not unheard or time.monotonic() >= until or not _sleep_until(time.monotonic() + 0.02):
                break
        if self._options.wait_s:
            _sleep_until(time.monotonic() + _SETTLE_S)
        return unheard

    def _prepare(self, due: Due) -> tuple[Any, int, int]:
        """Return what to publish, its recorded stamp and the stamp it goes out with."""
        headed, raw = due.topic in self._headers, due.raw
        recorded_ns = (header_stamp_ns(raw) if headed else 0) or due.log_ns
        shift_ns = due.shift_ns if self._options.restamp else 0
        if self._options.restamp:
            self._offset_ns = time.time_ns() - recorded_ns if self._offset_ns is None else self._offset_ns
            shift_ns += self._offset_ns
            raw = self._shift(due, headed, shift_ns)
        stamp_ns = header_stamp_ns(raw) if headed else recorded_ns
        return raw if not api.STANDALONE else rebuild(self._bag.decode(due.topic, raw)), recorded_ns, stamp_ns

    def _shift(self, due: Due, headed: bool, shift_ns: int) -> bytes:
        if headed:
            return shift_header(due.raw, shift_ns, due.log_ns)
        message = self._bag.decode(due.topic, due.raw)
        return self._bag.encode(due.topic, message) if shift_all(message, shift_ns, due.log_ns) else due.raw


def choose(bag: BagFile, wanted: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the topics to play, and those to leave out with the reason.

    Raises:
        InputError: a wanted topic is not there, has no messages or an unknown type; or nothing is left.
    """
    for topic in wanted:
        if not bag.counts.get(topic):
            state = "no messages on it" if topic in bag.types else "no such topic"
            raise InputError(f"--topics {topic}: expected a topic with messages, got {state}; {list_topics(bag.types)}")
    chosen, skipped = [], {}
    for topic in wanted or sorted(topic for topic, count in bag.counts.items() if count):
        try:
            api.message(bag.types[topic])
            chosen.append(topic)
        except UoisError as error:
            if wanted:
                raise InputError(f"--topics {topic}: {error}") from error
            skipped[topic] = str(error)
    if not chosen:
        raise InputError(f"recording: expected a topic with messages of a known type, got none; "
                         f"{list_topics(bag.types)}")
    return chosen, skipped


def rebuild(value: Any) -> Any:
    """Return a message that ``rosbags`` decoded as one of ``api.message``'s classes."""
    kind = getattr(value, "__msgtype__", None)
    if kind is not None:
        own = api.message(kind)
        return own(**{spec.name: rebuild(getattr(value, spec.name)) for spec in fields(own)})
    return [rebuild(element) for element in value] if isinstance(value, list) else value


def _profile(bag: BagFile, topic: str) -> Any:
    latched = bag.types[topic] == INFO or topic in bag.latched
    durability = api.DurabilityPolicy.TRANSIENT_LOCAL if latched else api.DurabilityPolicy.VOLATILE
    return api.QoSProfile(depth=10, reliability=api.ReliabilityPolicy.RELIABLE,
                          durability=durability, history=api.HistoryPolicy.KEEP_LAST)


def _sleep_until(when_s: float) -> bool:
    """Sleep until a monotonic time; return False as soon as the context is shut down."""
    while (left := when_s - time.monotonic()) > 0 and api.ok():
        time.sleep(min(left, _SLICE_S))
    return api.ok()
