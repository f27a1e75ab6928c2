"""rosbag2 recordings (mcap or sqlite3) as an input, read with ``rosbags``; no ROS needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from ..errors import FrameError, InputError, UoisError
from ..ros.convert import decode_color, decode_depth, decode_intrinsics, decode_label, header_stamp_ns
from ..ros.sync import Matched, NearestSync
from ..types import Frame
from .bag_messages import BagFile
from .sources import InputOptions, Sample
from .topics import Topics, choose_topics, list_topics

#: 16UC1 depth is in millimetres (REP 118).
DEPTH_SCALE = 0.001


class BagInput:
    """Frames of one recording: each colour image with the nearest depth image.

    The source is called after the recording, frames after their number among the colour images.
    Colour images without depth in reach are left out and counted. A recording that breaks in the
    middle gives all frames before the break, then one refusal that describes it.

    Attributes:
        count: number of colour images.
        topics: what is read.
        file: the recording as a whole.
        notes: sentences for the user; complete after the iteration.
        unpaired: (name, stamp_ns) of the colour images that were left out so far.
        broken: why the recording ends too early, "" while it does not.

    Raises:
        InputError: unreadable, empty, a topic is missing, or no intrinsics for depth.
    """

    def __init__(self, path: Path, options: InputOptions = InputOptions()) -> None:
        if not 0 <= options.slop_s < float("inf"):
            raise InputError(f"--slop: expected seconds, 0 or more, got {options.slop_s:g}")
        self.file, self._options = BagFile(path), options
        self.source = path.resolve().stem if path.is_file() else path.resolve().name
        types, counts = self.file.types, self.file.counts
        if sum(counts.values()) == 0:
            raise InputError(f"{path}: expected recorded messages, got none; {list_topics(types)}")
        topics = self._choose_topics(options)
        self.topics: Topics = topics if options.read_depth else replace(topics, depth="")
        self.count: int | None = counts[self.topics.color]
        if self.count == 0:
            raise InputError(f"{path}: expected images on {self.topics.color}, got none; {list_topics(types)}")
        self._first_info = self._first_raw(self.topics.info)
        if self.topics.depth and options.intrinsics is None and self._first_info is None:
            raise InputError(f"{path}: expected a sensor_msgs/msg/CameraInfo topic with messages, got none; pass "
                             f"--intrinsics fx,fy,cx,cy; {list_topics(types)}")
        self.notes = [f"{path}: {self.topics.describe()}"]
        self.unpaired: list[tuple[str, int]] = []
        self.broken = ""

    def __iter__(self) -> Iterator[Sample]:
        roles = {name: role for role, name in (
            ("color", self.topics.color), ("depth", self.topics.depth), ("truth", self.topics.truth),
            ("info", self.topics.info)) if name}
        streams = [role for role in ("depth", "truth") if role in roles.values()]
        sync = NearestSync(streams, round(self._options.slop_s * 1e9))
        info, seen = self._first_info, 0
        self.unpaired, self.broken = [], ""
        messages = self.file.messages(list(roles))
        while True:
            try:
                topic, log_ns, raw = next(messages)
            except StopIteration:
                break
            except UoisError as error:
                self.broken = f"the recording breaks here: {error}"
                break
            role = roles[topic]
            if role == "info":
                info = raw
                continue
            stamp = _stamp_ns(raw, log_ns)
            if role == "color":
                ready = sync.push_lead(stamp, (seen, raw, info))
                seen += 1
            else:
                ready = sync.push(role, stamp, (stamp, raw))
            for match in ready:
                yield from self._samples(match)
        for match in sync.flush():
            yield from self._samples(match)
        if self.broken:
            yield Sample(self.source, f"{seen:06d}", error=self.broken)
        elif len(self.unpaired) == seen:
            raise InputError(f"{self.source}: expected colour ({self.topics.color}) and depth ({self.topics.depth}) "
                             f"within {self._options.slop_s:g} s, got no such pair among {seen} colour images; "
                             "raise --slop or choose another --depth-topic")
        if self.unpaired:
            self.notes.append(f"{self.source}: {len(self.unpaired)} of {seen} colour images have no depth within "
                              f"{self._options.slop_s:g} s and were left out; --slop widens the window")

    def _samples(self, match: Matched) -> Iterator[Sample]:
        number, raw_color, info = match.lead
        depth = match.others.get("depth")
        place = Sample(self.source, f"{number:06d}", stamp_ns=match.stamp_ns,
                       skew_ns=depth[0] - match.stamp_ns if depth else None)
        if self.topics.depth and depth is None:
            self.unpaired.append((place.name, match.stamp_ns))
            return
        begin = perf_counter()
        try:
            frame, truth = self._read(place.name, match, raw_color, info)
        except UoisError as error:
            yield replace(place, error=str(error))
        else:
            yield replace(place, frame=frame, truth=truth, convert_ms=1000 * (perf_counter() - begin))

    def _read(self, name: str, match: Matched, raw_color: bytes,
              info: bytes | None) -> tuple[Frame, np.ndarray | None]:
        topics = self.topics
        color = decode_color(self._decode(topics.color, raw_color), topics.color)
        depth_m = truth = None
        intrinsics = self._options.intrinsics
        if intrinsics is None and info is not None and topics.depth:  # colour alone needs none
            try:
                intrinsics = decode_intrinsics(self._decode(topics.info, info), color.shape[:2], topics.info)
            except FrameError as error:
                raise FrameError(f"{error} with --intrinsics") from error
        if topics.depth:
            message = self._decode(topics.depth, match.others["depth"][1])
            depth_m = decode_depth(message, self._options.depth_scale or DEPTH_SCALE, topics.depth)
        if topics.truth and match.others["truth"] is not None:
            truth = decode_label(self._decode(topics.truth, match.others["truth"][1]), topics.truth)
            if truth.shape != color.shape[:2]:
                raise FrameError(f"{topics.truth}: expected labels of {color.shape[1]}x{color.shape[0]} like the "
                                 f"colour image, got {truth.shape[1]}x{truth.shape[0]}")
        return Frame(color, depth_m, intrinsics, name, match.stamp_ns), truth

    def _decode(self, topic: str, raw: bytes) -> Any:
        return self.file.decode(topic, raw)

    def _choose_topics(self, options: InputOptions) -> Topics:
        """Prefer topics with messages: drivers announce many that nobody published on."""
        named = (options.color_topic, options.depth_topic, options.info_topic, options.truth_topic)
        filled = {name: kind for name, kind in self.file.types.items() if self.file.counts[name] or name in named}
        encodings = self.file.first_encodings()
        try:
            return choose_topics(filled, encodings, options)
        except InputError:
            return choose_topics(self.file.types, encodings, options)  # its refusal lists every topic

    def _first_raw(self, topic: str) -> bytes | None:
        return next((raw for _, _, raw in self.file.messages([topic])), None) if topic else None


def _stamp_ns(raw: bytes, log_ns: int) -> int:
    """Header stamp, or the log time where there is none; decoding reports what is wrong with it."""
    try:
        return header_stamp_ns(raw) or log_ns
    except FrameError:
        return log_ns
