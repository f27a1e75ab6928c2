"""Label, depth, colour and camera messages -> views. Pure: it sees messages and stamps, no ROS.

A label image comes late, by the time that segmenting takes, and carries the stamp of the colour image it was made
from. So depth and colour wait for it here: colour of exactly that stamp, depth of the nearest one within the slop, as
the segmenting node pairs them.
"""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import Any

from ..errors import FrameError
from ..ros.convert import decode_color, decode_depth, decode_intrinsics, decode_label
from .points import View


class Unpaired(FrameError):
    """A label image whose depth, colour or camera info is not there."""


class StampedBuffer:
    """The newest messages of one topic. A stamp that goes back empties it: the camera or the recording began anew."""

    def __init__(self, size: int) -> None:
        self._messages: deque[tuple[int, Any]] = deque(maxlen=size)

    def add(self, stamp_ns: int, message: Any) -> None:
        """Keep a message."""
        if self._messages and stamp_ns < self._messages[-1][0]:
            self._messages.clear()
        self._messages.append((stamp_ns, message))

    def nearest(self, stamp_ns: int, slop_ns: int = 0) -> Any:
        """Return the message nearest to a stamp, or ``None`` when none is within ``slop_ns`` (0 = that very stamp)."""
        near = [item for item in self._messages if abs(item[0] - stamp_ns) <= slop_ns]
        return min(near, key=lambda item: abs(item[0] - stamp_ns))[1] if near else None


class Assembler:
    """Joins the messages of a camera and of its label images; may be called from several threads.

    Args:
        uses_color: colour is subscribed to, and a view without it is refused.
        depth_scale: metres per unit of integer depth.
        slop_ns: label and depth further apart than this are no pair.
        size: messages of depth and of colour that are kept; must outlast the time that segmenting takes.
        check_frames: refuse depth whose frame_id differs from the label's.
    """

    def __init__(self, *, uses_color: bool, depth_scale: float = 0.001, slop_ns: int = 20_000_000, size: int = 30,
                 check_frames: bool = True) -> None:
        self._uses_color, self._depth_scale, self._slop_ns = uses_color, depth_scale, slop_ns
        self._check_frames = check_frames
        self._depth, self._color, self._info = StampedBuffer(size), StampedBuffer(size), None
        self._lock = Lock()

    def on_depth(self, message: Any) -> None:
        """Take a depth message, Image or CompressedImage."""
        with self._lock:
            self._depth.add(stamp_ns(message), message)

    def on_color(self, message: Any) -> None:
        """Take a colour message, Image or CompressedImage."""
        with self._lock:
            self._color.add(stamp_ns(message), message)

    def on_info(self, message: Any) -> None:
        """Take a CameraInfo; the newest holds."""
        with self._lock:
            self._info = message

    def view(self, message: Any) -> View:
        """Return the view of a label message.

        Raises:
            Unpaired: no depth within the slop, no colour of that stamp, no camera info yet.
            FrameError: a message that cannot be used; depth of another size or frame.
        """
        stamp = stamp_ns(message)
        name = f"label {stamp // 10**9}.{stamp % 10**9:09d}"
        with self._lock:
            depth, color, info = self._depth.nearest(stamp, self._slop_ns), self._color.nearest(stamp), self._info
        if info is None:
            raise Unpaired(f"{name}: expected camera info, got none yet; check camera_info_topic")
        if depth is None:
            raise Unpaired(f"{name}: expected depth within {self._slop_ns / 1e6:g} ms, got none; check depth_topic, "
                           "raise slop_s, or raise buffer where segmenting takes long")
        if color is None and self._uses_color:
            raise Unpaired(f"{name}: expected colour of the same stamp, got none; color_topic must be the topic that "
                           "is segmented; raise buffer where segmenting takes long")
        if self._check_frames and depth.header.frame_id != message.header.frame_id:
            raise FrameError(f"{name}: expected depth in frame '{message.header.frame_id}' like the label, got "
                             f"'{depth.header.frame_id}'; align depth to colour, or set check_frames to false")
        label = decode_label(message, "label")
        intrinsics = decode_intrinsics(info, label.shape, "camera info")
        return View(decode_depth(depth, self._depth_scale, "depth"), intrinsics, label,
                    None if color is None else decode_color(color, "colour"), name)


def stamp_ns(message: Any) -> int:
    """Return the header stamp in nanoseconds."""
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
