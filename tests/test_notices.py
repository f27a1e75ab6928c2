"""Trouble is named once, counted while it lasts, and its end is told."""

from __future__ import annotations

from uois_sam_ros.ros.notices import ERROR, Notices


class Rig:
    def __init__(self):
        self.now, self.log = 0.0, []
        self.notices = Notices(lambda level, text: self.log.append((level, text)), repeat_s=30, expire_s=5,
                               clock=lambda: self.now)


def test_a_flood_becomes_one_line_and_a_count():
    rig = Rig()
    for k in range(100):
        rig.now = 0.1 * k
        rig.notices.report("frame", f"bad {k}", ERROR)
    assert rig.log == [("error", "bad 0")]
    assert rig.notices.active()["frame"].count == 100 and rig.notices.active()["frame"].text == "bad 99"
    rig.now = 31.0
    rig.notices.report("frame", "bad still", ERROR)
    assert rig.log[-1] == ("error", "bad still (99 more times)")


def test_the_end_is_told_once():
    rig = Rig()
    rig.notices.report("depth", "gone")
    rig.now = 2.0
    rig.notices.clear("depth")
    rig.notices.clear("depth")
    assert rig.log == [("warning", "gone"), ("info", "over after 2.0 s: gone")]
    rig.notices.report("depth", "gone again")
    assert rig.log[-1] == ("warning", "gone again")


def test_what_is_not_reported_any_more_expires():
    rig = Rig()
    rig.notices.report("a", "short")
    rig.now = 4.0
    rig.notices.report("b", "later")
    rig.now = 6.0
    rig.notices.expire()
    assert set(rig.notices.active()) == {"b"}
