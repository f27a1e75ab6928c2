"""Views for the tests of the exporters: the ray-cast tabletop with its true label, holes and odd objects on request."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from tabletop import tabletop

from uois_sam_ros.grasping.points import View
from uois_sam_ros.types import Plane


tabletop_of = lru_cache(tabletop)


def make_view(height=240, width=320, *, holes=0.0, seed=0, **changes) -> View:
    """The tabletop in whole millimetres, as sensors store depth.

    ``holes`` is the share of pixels without a reading (0, NaN or infinity), ``changes`` replace fields.
    """
    frame, label, _ = tabletop_of(height=height, width=width)
    depth = (np.rint(frame.depth_m * 1000) / 1000).astype(np.float32)
    if holes:
        where = np.random.default_rng(seed).random(depth.shape)
        depth[where < holes] = 0
        depth[where < holes / 2] = np.nan
        depth[where < holes / 4] = np.inf
    fields = {"depth_m": depth, "intrinsics": frame.intrinsics, "label": label, "color": frame.color,
              "name": "desk/a", **changes}
    return View(**fields)


def true_plane() -> Plane:
    """The table of ``make_view``."""
    normal, offset = tabletop_of()[2]
    return Plane(normal.astype(np.float32), offset, 1.0)
