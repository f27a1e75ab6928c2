"""Hand-made replay reports for the tests that summarise, compare and draw them."""

from __future__ import annotations

from dataclasses import replace

from uois_sam_ros.replay.metrics import FrameScores
from uois_sam_ros.replay.playback.report import Accounting, ReplayFrame, ReplayReport, Setup
from uois_sam_ros.replay.playback.stability import ObjectTrack

START_NS = 1_700_000_000_000_000_000
SETUP = Setup("kitchen", "offline", "compact", "auto", 0.02, topics={"color": "/c", "depth": "/d", "truth": ""},
              machine={"cpu": "a <fast> one"}, version="0.1.0")


def scores(f: float, **changes) -> FrameScores:
    """Scores whose shares are all ``f``."""
    return replace(FrameScores(f, f, f, f, f, f, f, 0.1, 0.05, 5.0, 6.0), **changes)


def frame(number: int, f: float | None = 0.8, **changes) -> ReplayFrame:
    """A processed frame; ``f`` None is one without truth."""
    return replace(ReplayFrame(
        f"{number:06d}", START_NS + number * 100_000_000, "processed", found=5 + number % 2,
        scores=None if f is None else scores(f), stages_ms={"convert": 2.0, "total": 50.0 + number}, skew_ms=1.0,
        match_iou=None if number == 0 else 0.9), **changes)


def report(*frames: ReplayFrame, objects: tuple[ObjectTrack, ...] = (), **changes) -> ReplayReport:
    """A report whose accounting fits its frames."""
    of = [one.outcome for one in frames]
    count = Accounting(len(of), len(of), *(of.count(name) for name in ("processed", "replaced", "unpaired", "refused")),
                       {one.reason: 1 for one in frames if one.reason})
    return replace(ReplayReport(SETUP, count, frames, objects, wall_s=2.0), **changes)
