"""Reports to JSON and back, their figures and their text."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from replayreports import SETUP, START_NS, frame, report

from uois_sam_ros.errors import InputError
from uois_sam_ros.replay.playback.report import Accounting, from_json, read_report
from uois_sam_ros.replay.playback.stability import ObjectTrack
from uois_sam_ros.replay.playback.summary import distribution, recorded_rate, summarise
from uois_sam_ros.replay.playback.text import format_replay

TRACK = ObjectTrack(0, 3, (0, 1, 2), (0.9, 0.1, 0.9), 2 / 3, 0.6333, 0.8, 1, 1)
LOST = ObjectTrack(0, 4, (0, 1), (0.0, 0.0), 0.0, 0.0, 0.0, 2, 0)
FULL = report(frame(0), frame(1, 0.6), frame(2, None), frame(3, outcome="refused", reason="cut off", scores=None,
                                                            stages_ms={}, match_iou=None),
              frame(4, outcome="unpaired", reason="no depth", scores=None, skew_ms=None, stages_ms={}, match_iou=None),
              objects=(TRACK, LOST), notes=("a note",), node={"state": "inactive"})


def test_json_and_back(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(FULL.to_json()))
    assert read_report(path) == FULL


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "uois-sam replay 1"}', '{"format": "another"}',
                                  '{"format": "uois-sam replay 1", "frames": [1]}'])
def test_other_files_are_refused(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match="a.json: expected a report that .* wrote, got something"):
        read_report(tmp_path / "a.json")


def test_missing_report_is_refused(tmp_path):
    with pytest.raises(InputError, match="none.json: expected a report .*, got: No such file"):
        read_report(tmp_path / "none.json")


def test_unknown_fields_are_refused():
    data = FULL.to_json()
    with pytest.raises(TypeError):
        from_json({**data, "setup": {**data["setup"], "more": 1}})


def test_distribution():
    found = distribution([float(value) for value in range(101)])
    assert (found.count, found.mean, found.p50, found.p90, found.p99, found.low, found.high) == (
        101, 50, 50, 90, 99, 0, 100)
    assert distribution([]) is None


@pytest.mark.parametrize(("stamps_ms", "rate"), [
    ([0, 100, 200, 900], 10.0),  # a gap does not matter
    ([0, 0, 50], 20.0), ([5], 0.0), ([], 0.0), ([7, 7], 0.0)])
def test_recorded_rate(stamps_ms, rate):
    assert recorded_rate([value * 1_000_000 for value in stamps_ms]) == pytest.approx(rate)


def test_figures():
    summary = summarise(FULL)
    assert (summary.scored, summary.accuracy.overlap_f) == (2, pytest.approx(0.7))
    assert summary.stages_ms["total"].p50 == 51.0 and summary.stages_ms["total"].count == 3
    assert (summary.skew_ms.count, summary.skew_ms.mean) == (4, 1.0)
    assert (summary.recorded_hz, summary.processed_hz) == pytest.approx((10.0, 1.5))
    stable = summary.stability
    assert (stable.objects, stable.longest_gap, stable.id_switches) == (2, 2, 1)
    assert stable.found_share == pytest.approx(1 / 3)
    assert (stable.match_iou.mean, stable.count_flicker) == (0.9, 1.0)  # counts 5, 6, 5


def test_figures_of_nothing():
    summary = summarise(report(wall_s=0.0))
    assert (summary.accuracy, summary.stages_ms, summary.skew_ms, summary.processed_hz) == (None, {}, None, 0.0)
    assert (summary.stability.objects, summary.stability.match_iou) == (0, None)
    assert "frames: 0 received" in format_replay(report())


def test_text():
    text = format_replay(FULL)
    assert "2       70.0  70.0  70.0" in text and "total    51.0" in text
    assert "frames: 5 received = 3 processed + 0 replaced + 1 unpaired + 1 refused\n  1 x cut off\n  1 x no" in text
    assert "2 true objects, found in 33.3 % of their frames" in text and "id switches" not in text
    tracked = replace(FULL, setup=replace(SETUP, tracked=True))
    assert "longest gap 2 frames, 1 id switches" in format_replay(tracked)


def test_text_tells_what_the_wire_lost_and_what_does_not_add_up():
    text = format_replay(replace(FULL, accounting=Accounting(9, 7, 3, 2, 1, 0)))
    assert "frames: 7 received of 9 sent = 3 processed + 2 replaced + 1 unpaired + 0 refused (DOES NOT ADD UP)" in text
    assert Accounting(9, 7, 3, 2, 1, 1).adds_up and not Accounting(9, 7, 3, 2, 1, 0).adds_up


def test_stamps_are_kept_exactly():
    assert from_json(json.loads(json.dumps(FULL.to_json()))).frames[1].stamp_ns == START_NS + 100_000_000
