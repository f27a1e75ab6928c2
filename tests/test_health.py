"""What the diagnostics say: windows, levels and words."""

from __future__ import annotations

import pytest

from uois_sam_ros.ros.counts import Counts, FrameCounter
from uois_sam_ros.ros.health import FAULT, OK, WARN, assess
from uois_sam_ros.ros.notices import ERROR, WARNING, Notice
from uois_sam_ros.ros.stats import WINDOW, Sample, Stats, Summary


def test_counts_add_up():
    counter = FrameCounter()
    counter.add("received", 10)
    for name, number in (("processed", 4), ("replaced", 3), ("unpaired", 1), ("refused", 1)):
        counter.add(name, number)
    totals = counter.totals()
    assert totals.waiting == 1
    assert totals.as_dict() == {"received": 10, "processed": 4, "replaced": 3, "unpaired": 1, "refused": 1, "waiting": 1}
    with pytest.raises(KeyError):
        counter.add("lost")


def test_windows():
    stats = Stats()
    assert stats.summary() == Summary()
    for k in range(WINDOW + 100):
        stats.add(Sample({"segment": float(k)}, -2.0 if k % 2 else 1.0, 0.5, k, True))
    summary = stats.summary()
    assert summary.samples == WINDOW and summary.objects == WINDOW + 99 and summary.depth_used
    assert summary.stages_ms["segment"][0] == pytest.approx(100 + (WINDOW - 1) / 2)
    assert summary.stages_ms["segment"][1] == pytest.approx(100 + 0.99 * (WINDOW - 1))
    assert summary.skew_ms == (1.5, 2.0) and summary.valid_depth == pytest.approx(0.5)
    assert summary.rate_hz > 100


SUMMARY = Summary(9.5, {"segment": (100.0, 120.0)}, (0.5, 2.0), 0.8, 7, True, 50)


@pytest.mark.parametrize(("state", "summary", "notices", "level", "message"), [
    ("unconfigured", Summary(), {}, OK, "unconfigured"),
    ("active", Summary(), {}, OK, "active, no pair processed yet"),
    ("active", SUMMARY, {}, OK, "9.5 Hz, 7 objects in the newest frame"),
    ("active", SUMMARY, {"unpaired": Notice("no depth", WARNING)}, WARN, "no depth"),
    ("active", SUMMARY, {"a": Notice("late", WARNING, last=9), "b": Notice("broken", ERROR, last=1)}, FAULT, "broken"),
    ("unconfigured", Summary(), {"configure": Notice("no model", ERROR)}, FAULT, "no model"),
])
def test_level_and_message(state, summary, notices, level, message):
    health = assess(state, Counts(), summary, notices, {"backend": "onnxruntime"})
    assert (health.level, health.message) == (level, message)
    assert health.values["state"] == state and health.values["backend"] == "onnxruntime"


def test_values():
    values = assess("active", Counts(10, 6, 2, 1, 1), SUMMARY, {"x": Notice("why", ERROR, count=3)}, {}).values
    assert values["frames_replaced"] == "2" and values["frames_waiting"] == "0"
    assert values["segment_ms_p50"] == "100.00" and values["segment_ms_p99"] == "120.00"
    assert values["skew_ms_max"] == "2.00" and values["valid_depth"] == "0.800"
    assert values["degraded"] == "x" and values["notice_x"] == "why (3 times)"
    assert all(isinstance(value, str) for value in values.values())
