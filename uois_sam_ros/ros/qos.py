"""Quality of service by name, and why an offer and a request do not meet."""

from __future__ import annotations

from typing import Any

from . import api


def profile(name: str) -> Any:
    """Return the QoSProfile of a name in ``settings.PROFILES``.

    sensor_data: best effort, the newest 5; reliable: every message, the newest 10 kept for slow
    readers; latched: reliable, and a late reader gets the newest one.
    """
    best_effort, reliable = api.ReliabilityPolicy.BEST_EFFORT, api.ReliabilityPolicy.RELIABLE
    volatile, latched = api.DurabilityPolicy.VOLATILE, api.DurabilityPolicy.TRANSIENT_LOCAL
    depth, reliability, durability = {
        "sensor_data": (5, best_effort, volatile),
        "reliable": (10, reliable, volatile),
        "latched": (1, reliable, latched),
    }[name]
    return api.QoSProfile(depth=depth, reliability=reliability, durability=durability,
                          history=api.HistoryPolicy.KEEP_LAST)


def mismatch(offered: Any, requested: Any) -> str:
    """Return what keeps a publisher's and a subscriber's profile from meeting, or "" when they meet."""
    reasons = []
    if (offered.reliability == api.ReliabilityPolicy.BEST_EFFORT
            and requested.reliability == api.ReliabilityPolicy.RELIABLE):
        reasons.append("the publisher is best effort, the subscriber wants reliable")
    if (offered.durability == api.DurabilityPolicy.VOLATILE
            and requested.durability == api.DurabilityPolicy.TRANSIENT_LOCAL):
        reasons.append("the publisher is volatile, the subscriber wants latched (transient local)")
    return "; ".join(reasons)
