"""From messages to pairs: stamps, pairing, fall-back, and a count that adds up."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from uois_sam_ros.ros.counts import FrameCounter
from uois_sam_ros.ros.intake import MAX_PENDING, Intake
from uois_sam_ros.ros.notices import Notices
from uois_sam_ros.ros.settings import NodeSettings

MS = 1_000_000


def message(stamp_ms):
    stamp = round(stamp_ms * MS)
    return SimpleNamespace(header=SimpleNamespace(stamp=SimpleNamespace(sec=stamp // 10**9, nanosec=stamp % 10**9)))


class Rig:
    """An intake with a clock that the test turns."""

    def __init__(self, depth_mode="auto", info=True, **settings):
        self.now, self.pairs, self.said = 0.0, [], []
        self.counter = FrameCounter()
        clock = lambda: self.now  # noqa: E731
        self.notices = Notices(lambda level, text: self.said.append(text), clock=clock)
        self.intake = Intake(NodeSettings(**settings), depth_mode, self.pairs.append, self.counter, self.notices,
                             clock=clock)
        if info:
            self.intake.on_info("info")

    def color(self, ms):
        self.intake.on_color(message(ms))

    def depth(self, ms):
        self.intake.on_depth(message(ms))

    def found(self):
        return [(p.stamp_ns / MS, None if p.depth is None else p.stamp_ns / MS + p.skew_ns / MS) for p in self.pairs]


def test_pairs_of_one_camera_are_handed_on_at_once():
    rig = Rig()
    for t in (100, 133, 166):
        rig.color(t)
        rig.depth(t)
        assert rig.found()[-1] == (t, t)
    totals = rig.counter.totals()
    assert (totals.received, totals.waiting) == (3, 3)  # the outcome of these is the worker's to count


def test_depth_first_or_shifted():
    rig = Rig()
    rig.depth(95)
    rig.color(100)
    assert rig.pairs == []  # a nearer one may still come
    rig.depth(128)
    assert rig.found() == [(100, 95)]
    rig.color(133)
    rig.depth(161)
    assert rig.found()[-1] == (133, 128)
    assert rig.pairs[-1].skew_ns == -5 * MS


def test_color_without_depth_in_reach_is_unpaired():
    rig = Rig(slop_s=0.01)
    rig.color(100)
    rig.depth(150)
    assert rig.pairs == [] and rig.counter.totals().unpaired == 1
    assert "slop_s" in rig.said[0]


def test_depth_that_stops_and_comes_back():
    rig = Rig(depth_timeout_s=1.0)
    for k in range(20):
        rig.now = 0.1 * k
        rig.color(100 * (k + 1))
    # for a second colour waits for depth, then goes on alone
    alone = [depth for _, depth in rig.found()]
    assert alone == [None] * 9 and rig.counter.totals().unpaired == 11
    rig.depth(2050)
    rig.color(2100)
    rig.depth(2100)
    assert rig.found()[-1] == (2100, 2100)
    assert rig.counter.totals().received == 21


def test_a_camera_that_starts_late_is_given_time():
    rig = Rig(depth_timeout_s=1.0)
    rig.now = 60.0
    rig.color(100)
    rig.depth(100)
    assert rig.found() == [(100, 100)]
    rig.now = 200.0  # both stop for minutes
    rig.color(5000)
    assert len(rig.pairs) == 1
    rig.depth(5000)
    assert rig.found()[-1] == (5000, 5000)


@pytest.mark.parametrize("mode", ["require", "auto"])
def test_memory_is_bounded_while_depth_is_missing(mode):
    rig = Rig(mode, depth_timeout_s=3600.0)
    for k in range(1, 500):
        rig.color(33 * k)
    assert rig.pairs == []
    assert rig.counter.totals().unpaired == 499 - MAX_PENDING


def test_color_alone_needs_no_depth():
    for rig in (Rig("off"), Rig(depth_topic="")):
        rig.color(100)
        assert rig.found() == [(100, None)] and not rig.intake.uses_depth and not rig.intake.depth_is_silent


@pytest.mark.parametrize(("stamps", "text"), [
    ((0,), "expected a time stamp, got 0"),
    ((100, 100), "0.100 s twice"),
])
def test_stamps_that_say_nothing_are_refused(stamps, text):
    rig = Rig("off")
    for stamp in stamps:
        rig.color(stamp)
    assert rig.counter.totals().refused == 1 and text in rig.said[-1]


def test_time_that_goes_back_starts_anew():
    rig = Rig()
    for t in (5000, 5033):
        rig.color(t)
    rig.depth(5000)
    rig.color(100)  # a recording that starts again
    rig.depth(100)
    assert rig.found() == [(5000, 5000), (100, 100)]
    assert rig.counter.totals().unpaired == 1
    assert any("went back by 4.933 s" in text for text in rig.said)


def test_depth_without_stamp_is_named_and_ignored():
    rig = Rig()
    rig.color(100)
    rig.depth(0)
    rig.depth(100)
    assert rig.found() == [(100, 100)] and "time stamp" in rig.said[0]


def test_closing_ends_what_waits():
    rig = Rig()
    rig.color(100)
    rig.color(133)
    rig.intake.close()
    totals = rig.counter.totals()
    assert totals.unpaired == 2 and totals.waiting == 0


def test_newest_info_and_mask_go_along():
    rig = Rig("off", info=False)
    assert not rig.intake.has_info and not rig.intake.has_ignore
    rig.intake.on_info("info 1")
    rig.intake.on_info("info 2")
    rig.intake.on_ignore("mask")
    rig.color(100)
    assert (rig.pairs[0].info, rig.pairs[0].ignore) == ("info 2", "mask")
    assert rig.intake.has_info and rig.intake.has_ignore


def test_camera_info_may_come_a_moment_later():
    rig = Rig(info=False)
    rig.color(100)
    rig.depth(100)
    assert rig.pairs == [] and rig.counter.totals().unpaired == 1 and rig.said == []
    rig.now = 1.5
    rig.color(1600)
    rig.depth(1600)
    assert rig.pairs == []
    rig.now = 2.5  # after two seconds the pair goes on, and its conversion names what is missing
    rig.color(2600)
    rig.depth(2600)
    assert rig.pairs[0].info is None
    rig.intake.on_info("info")
    rig.color(2633)
    rig.depth(2633)
    assert rig.pairs[1].info == "info"
