"""A Result -> the organised point cloud with colour and label."""

from __future__ import annotations

import array
from typing import Any

import cv2
import numpy as np

from ..types import Frame
from . import api
from .result import Result

#: Field names with their place in a point of five 4-byte words; PCL's ``PointXYZRGBL`` reads them as they
#: are: rgb is a float32 that holds 0x00RRGGBB, label must be uint32.
_FIELDS = (("x", "FLOAT32"), ("y", "FLOAT32"), ("z", "FLOAT32"), ("rgb", "FLOAT32"), ("label", "UINT32"))
_WORD = 4


def cloud_message(result: Result) -> Any:
    """Compose sensor_msgs/PointCloud2: xyz in metres (camera frame), rgb and label of every pixel.

    Point (row, column) belongs to that pixel of the label image; it is NaN where depth has no reading,
    everywhere in a frame without depth.
    """
    height, width = result.label.shape
    step = _WORD * len(_FIELDS)
    data = array.array("B", [0]) * (height * width * step)
    points = np.frombuffer(data, "<f4").reshape(height, width, len(_FIELDS))
    words = np.frombuffer(data, "<u4").reshape(points.shape)
    dense = _fill_positions(points, result.frame)
    packed = cv2.cvtColor(result.frame.color, cv2.COLOR_RGB2BGRA).view("<u4")[..., 0]
    np.bitwise_and(packed, 0x00FFFFFF, out=words[..., 3])
    words[..., 4] = result.label
    field = api.message("sensor_msgs/msg/PointField")
    return api.message("sensor_msgs/msg/PointCloud2")(
        header=result.header, height=height, width=width, is_bigendian=False, is_dense=dense, point_step=step,
        row_step=width * step, data=data,
        fields=[field(name=name, offset=_WORD * place, datatype=getattr(field, kind), count=1)
                for place, (name, kind) in enumerate(_FIELDS)])


def _fill_positions(points: np.ndarray, frame: Frame) -> bool:
    """Write x, y, z into float32[H, W, 3 or more]; return whether every pixel has them."""
    if frame.depth_m is None:
        points[..., :3] = np.nan
        return False
    read = (frame.depth_m > 0) & (frame.depth_m < np.inf)
    dense = bool(read.all())
    z = frame.depth_m if dense else np.where(read, frame.depth_m, np.float32(np.nan))
    k = frame.intrinsics
    across = (np.arange(frame.width, dtype=np.float32) - np.float32(k.cx)) / np.float32(k.fx)
    down = (np.arange(frame.height, dtype=np.float32) - np.float32(k.cy)) / np.float32(k.fy)
    np.multiply(z, across[None, :], out=points[..., 0])
    np.multiply(z, down[:, None], out=points[..., 1])
    points[..., 2] = z
    return dense
