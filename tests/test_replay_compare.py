"""Two replays of one recording compared frame by frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from replayreports import SETUP, START_NS, frame, report, scores

from uois_sam_ros.errors import InputError
from uois_sam_ros.replay.playback.compare import compare, require_same_start
from uois_sam_ros.replay.playback.text import format_comparison
from uois_sam_ros.replay.sources import Sample

VALUES = np.random.default_rng(0).uniform(0.4, 0.9, 30)
BEFORE = report(*(frame(k, f) for k, f in enumerate(VALUES)))


def after(gain=0.05, slower=20.0, **setup):
    frames = [frame(k, f + gain, stages_ms={"total": 50.0 + k + slower}) for k, f in enumerate(VALUES)]
    return report(*frames, setup=replace(SETUP, **setup))


def test_difference_and_interval():
    found = compare(BEFORE, after(preset="geometry"))
    changes = {change.name: change for change in found.changes}
    assert set(changes) == {"overlap F, %", "boundary F, %", "%75, %", "over-segmentation, %", "merged, %",
                            "frame-to-frame IoU, %", "total, ms"}  # convert is in one of them alone
    gain = changes["overlap F, %"]
    assert (gain.frames, gain.before, gain.difference.mean) == (
        30, pytest.approx(100 * VALUES.mean()), pytest.approx(5))
    assert (gain.verdict, changes["total, ms"].verdict) == ("better", "worse")
    assert changes["merged, %"].verdict == "no difference shown"
    assert [round(value, 6) for _, value in found.per_frame] == [5.0] * 30
    assert (found.before, found.after) == ("compact, depth auto, offline", "geometry, depth auto, offline")


def test_a_loss_and_a_gain_of_what_should_be_low():
    frames = [frame(k, f - 0.1, scores=scores(f - 0.1, merges=0.0)) for k, f in enumerate(VALUES)]
    changes = {change.name: change for change in compare(BEFORE, report(*frames)).changes}
    assert (changes["overlap F, %"].verdict, changes["merged, %"].verdict) == ("worse", "better")


def test_only_common_frames_count():
    other = report(*(frame(k, 0.5) for k in range(10)), frame(10, outcome="refused", scores=None))
    found = compare(BEFORE, other)
    assert {change.frames for change in found.changes if "F, %" in change.name} == {10}
    assert (found.only_before, found.only_after) == (20, 0)
    assert "answered by the other run only: 20 frames; by this run only: 0" in format_comparison(found)


def test_frames_after_different_ones_are_not_compared_in_constancy():
    lossy = report(frame(0), frame(1, outcome="unanswered", scores=None), frame(2, match_iou=0.1), frame(3))
    whole = report(*(frame(k) for k in range(4)))
    (change,) = [c for c in compare(whole, lossy).changes if "frame-to-frame" in c.name]
    assert (change.frames, change.difference.mean) == (1, 0.0)


def test_without_truth_the_rest_is_compared():
    one, two = report(frame(0, None), frame(1, None)), report(frame(0, None), frame(1, None, match_iou=0.5))
    found = compare(one, two)
    assert [change.name for change in found.changes] == ["frame-to-frame IoU, %", "convert, ms", "total, ms"]
    assert found.changes[0].difference.mean == pytest.approx(-40) and found.per_frame == ()
    assert found.changes[0].verdict == "too few frames"


def test_text():
    text = format_comparison(compare(BEFORE, after(mode="live", rate=2.0)))
    assert text.startswith("other: compact, depth auto, offline\nthis: compact, depth auto, live at rate 2\n")
    assert "+5.00 [+5.00, +5.00]               better" in text


@pytest.mark.parametrize(("before", "message"), [
    (report(frame(0, stamp_ns=START_NS + 1)), "a.json: expected a replay of 'kitchen', got one of 'kitchen': frame "
     f"000000 has stamp {START_NS + 1} there and {START_NS} here; replay the same recording"),
    (report(frame(700), setup=replace(SETUP, recording="hall")), "got one of 'hall' with no frame in common"),
    (report(frame(0, outcome="refused", scores=None)), "expected frames that both replays answered, got none among 0"),
])
def test_other_recordings_are_refused(before, message):
    with pytest.raises(InputError) as caught:
        compare(before, after(), "a.json")
    assert message in str(caught.value)


def test_another_recording_is_refused_at_its_first_frame():
    require_same_start(BEFORE, Sample("kitchen", "000000", stamp_ns=START_NS), "kitchen", "a.json")
    require_same_start(BEFORE, Sample("kitchen", "000999", stamp_ns=START_NS), "kitchen", "a.json")
    with pytest.raises(InputError, match="expected a replay of 'hall', got one of 'kitchen': frame 000000"):
        require_same_start(BEFORE, Sample("hall", "000000", stamp_ns=5), "hall", "a.json")
