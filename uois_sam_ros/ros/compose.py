"""A Result -> the messages that the node publishes; pure, all with the header of the colour image.

Pixels go into messages as ``array.array``: real rclpy takes any other buffer one value at a time.
"""

from __future__ import annotations

import array
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from ..errors import FrameError
from ..overlay import draw_overlay
from . import api
from .boxes import OrientedBox, oriented_boxes
from .cloud import cloud_message
from .result import Result

__all__ = ["cloud_message", "detections_message", "heatmap_message", "label_message", "objects_message",
           "overlay_message"]

#: Everything found is an object; what it is, nobody knows.
CLASS_ID = "object"
#: encoding of the label image -> its type and its largest id.
_LABELS = {"16UC1": (np.dtype("<u2"), 65535), "mono8": (np.dtype("u1"), 255)}


def label_message(result: Result, encoding: str = "16UC1") -> Any:
    """Compose sensor_msgs/Image: the published ids, 0 = background.

    Raises:
        FrameError: an id that ``encoding`` cannot hold, or an encoding other than 16UC1 and mono8.
    """
    if encoding not in _LABELS:
        raise FrameError(f"label image: expected encoding {' or '.join(_LABELS)}, got '{encoding}'; set label_encoding")
    dtype, largest = _LABELS[encoding]
    if max(result.ids, default=0) > largest:
        raise FrameError(f"label image: expected ids up to {largest} for {encoding}, got id {max(result.ids)} among "
                         f"{len(result.ids)} objects; set label_encoding to 16UC1")
    return _image(result, encoding, result.label.astype(dtype, copy=False))


def overlay_message(result: Result) -> Any:
    """Compose sensor_msgs/Image, rgb8: the picture with masks, ids and scores drawn over it."""
    return _image(result, "rgb8", draw_overlay(result.frame.color, result.published()))


def heatmap_message(result: Result) -> Any:
    """Compose sensor_msgs/Image, mono8: where object centres are likely; black without a heatmap."""
    if result.heatmap is None:
        return _image(result, "mono8", np.zeros(result.label.shape, np.uint8))
    return _image(result, "mono8", cv2.convertScaleAbs(result.heatmap, alpha=255))


def detections_message(result: Result) -> Any:
    """Compose vision_msgs/Detection2DArray: id = label id, score, and the box in pixels.

    The first pixel of a box is ``center - size / 2``, and ``center + size / 2`` lies one past its last.
    The hypothesis' position is the object's ``centroid_m``, 0 0 0 where it is not known.
    """
    point, pose = api.message("vision_msgs/msg/Point2D"), api.message("vision_msgs/msg/Pose2D")
    box = api.message("vision_msgs/msg/BoundingBox2D")

    def detect(make: Callable[..., Any], k: int) -> Any:
        item = result.instances.items[k]
        x0, y0, x1, y1 = item.box_xyxy
        center = pose(position=point(x=0.5 * (x0 + x1), y=0.5 * (y0 + y1)))
        where = _pose(item.centroid_m or (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))
        return make(k, where, box(center=center, size_x=float(x1 - x0), size_y=float(y1 - y0)))

    return _detections(result, "2D", range(len(result.ids)), detect)


def objects_message(result: Result) -> Any:
    """Compose vision_msgs/Detection3DArray: id = label id, score, and the oriented box in metres.

    Objects with too few depth readings for a box are left out; see ``boxes`` for what a box is.
    """
    frame = result.frame
    boxes: tuple[OrientedBox | None, ...] = ()
    if frame.depth_m is not None:
        boxes = oriented_boxes(result.instances, frame.depth_m, frame.intrinsics, result.plane)
    box, size = api.message("vision_msgs/msg/BoundingBox3D"), api.message("geometry_msgs/msg/Vector3")

    def detect(make: Callable[..., Any], k: int) -> Any:
        x, y, z = boxes[k].size_m
        center = _pose(boxes[k].center_m, boxes[k].quaternion_xyzw())
        return make(k, center, box(center=center, size=size(x=x, y=y, z=z)))

    return _detections(result, "3D", [k for k, found in enumerate(boxes) if found is not None], detect)


def _detections(result: Result, kind: str, chosen: Any, detect: Callable[..., Any]) -> Any:
    """Compose a DetectionArray of the ``chosen`` instances."""
    detection = api.message(f"vision_msgs/msg/Detection{kind}")
    hypothesis = api.message("vision_msgs/msg/ObjectHypothesis")
    with_pose = api.message("vision_msgs/msg/ObjectHypothesisWithPose")
    with_covariance = api.message("geometry_msgs/msg/PoseWithCovariance")

    def make(k: int, where: Any, bbox: Any) -> Any:
        score = hypothesis(class_id=CLASS_ID, score=float(result.instances.items[k].score))
        best = with_pose(hypothesis=score, pose=with_covariance(pose=where))
        return detection(header=result.header, results=[best], bbox=bbox, id=str(result.ids[k]))

    return api.message(f"vision_msgs/msg/Detection{kind}Array")(
        header=result.header, detections=[detect(make, k) for k in chosen])


def _pose(position: tuple[float, float, float], quaternion_xyzw: tuple[float, float, float, float]) -> Any:
    pose, point, turn = (api.message(f"geometry_msgs/msg/{name}") for name in ("Pose", "Point", "Quaternion"))
    (x, y, z), (qx, qy, qz, qw) = position, quaternion_xyzw
    return pose(position=point(x=x, y=y, z=z), orientation=turn(x=qx, y=qy, z=qz, w=qw))


def _image(result: Result, encoding: str, pixels: np.ndarray) -> Any:
    """Compose sensor_msgs/Image of little-endian [H, W] or [H, W, C] pixels."""
    height, width = pixels.shape[:2]
    data = array.array("B")
    data.frombytes(np.ascontiguousarray(pixels).view(np.uint8))
    return api.message("sensor_msgs/msg/Image")(
        header=result.header, height=height, width=width, encoding=encoding, is_bigendian=0,
        step=len(data) // height, data=data)
