"""A pair of messages -> a Frame, with the checks that need both."""

from __future__ import annotations

from typing import Any

from ..errors import FrameError
from ..types import Frame
from .convert import decode_color, decode_depth, decode_intrinsics
from .intake import Pair
from .settings import NodeSettings


def to_frame(pair: Pair, settings: NodeSettings) -> Frame:
    """Convert a pair.

    Raises:
        FrameError: encoding, size, unit, missing or broken CameraInfo, depth that is not aligned.
    """
    color = decode_color(pair.color, settings.color_topic)
    intrinsics = None
    if pair.info is not None:
        intrinsics = decode_intrinsics(pair.info, color.shape[:2], settings.camera_info_topic)
    name = f"{pair.stamp_ns // 1_000_000_000}.{pair.stamp_ns % 1_000_000_000:09d}"
    if pair.depth is None:
        return Frame(color, None, intrinsics, name, pair.stamp_ns)
    if intrinsics is None:
        raise FrameError(f"camera info: expected a CameraInfo on {settings.camera_info_topic}, got none yet; set "
                         "camera_info_topic, or encoding.depth to off")
    if settings.check_frames:
        check_alignment(pair.color.header, pair.depth.header, settings.depth_topic)
    depth_m = decode_depth(pair.depth, settings.depth_scale, settings.depth_topic)
    return Frame(color, depth_m, intrinsics, name, pair.stamp_ns)


def check_alignment(color_header: Any, depth_header: Any, depth_topic: str) -> None:
    """Raise FrameError when depth is given in another camera's frame."""
    if color_header.frame_id and depth_header.frame_id and color_header.frame_id != depth_header.frame_id:
        raise FrameError(
            f"depth on {depth_topic}: expected the frame_id of colour ('{color_header.frame_id}'), got "
            f"'{depth_header.frame_id}': it is not aligned; switch alignment on in the driver, launch with "
            "register_depth:=true, or set check_frames to false if the images do align")
