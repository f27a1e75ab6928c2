"""Messages of the tabletop for the tests of the grasp node, and how to send them over the middleware in use."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

import bagfiles as bags
import numpy as np
from tabletop import tabletop

from uois_sam_ros.ros import api

T0 = bags.START_NS


def scene_messages(stamp=T0, *, label=None, depth_after_ms=3):
    """(colour, depth, camera info, label) messages of the tabletop."""
    frame, truth, _ = tabletop()
    depth = np.round(frame.depth_m * 1000).astype(np.uint16)
    return (bags.image(stamp, "rgb8", frame.color), bags.image(stamp + depth_after_ms * 1_000_000, "16UC1", depth),
            bags.camera_info(stamp, 320, 240, focal=288), bags.image(stamp, "16UC1", truth if label is None else label))


def message_of(made):
    """Turn a message of the bag helpers into one of the middleware in use."""
    values = {field.name: getattr(made, field.name) for field in fields(made) if field.name != "__msgtype__"}
    for name, value in values.items():
        if is_dataclass(value):
            values[name] = message_of(value)
        elif isinstance(value, np.ndarray):
            values[name] = value.tobytes() if value.dtype == np.uint8 else value.tolist()
    return api.message(made.__msgtype__)(**values)


def spin(executor):
    """Spin until the executor or the whole graph is shut down."""
    try:
        executor.spin()
    except api.ExternalShutdownException:
        pass
