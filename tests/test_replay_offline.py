"""The verb ``replay`` on real recordings, offline: determinism, accounting, refusals, files."""

from __future__ import annotations

import json
from pathlib import Path

import bagfiles as bags
import cv2
import numpy as np
import pytest
from bagfiles import COLOR, DEPTH, PERIOD_NS, START_NS, TRUTH, write_bag
from tabletop import BOXES, tabletop

from uois_sam_ros.cli import main
from uois_sam_ros.errors import FrameError
from uois_sam_ros.replay.bag import BagInput
from uois_sam_ros.replay.playback.collect import APART, Collector
from uois_sam_ros.replay.playback.offline import replay_offline
from uois_sam_ros.replay.playback.pictures import WIDTH_PX, draw_labels
from uois_sam_ros.replay.playback.report import Setup, read_report
from uois_sam_ros.replay.playback.summary import summarise
from uois_sam_ros.types import Instances

SETUP = Setup("run", "offline", "stand-in", "auto", 0.02)


class Answers:
    """Segments by handing out prepared label images; a text refuses."""

    def __init__(self, *labels):
        self._labels = list(labels)

    def segment(self, frame):
        label = self._labels.pop(0)
        if isinstance(label, str):
            raise FrameError(label)
        return Instances(label, tuple(range(int(label.max()))), {"encoding": 3.0, "total": 5.0})


def truths(count):
    return [label for _, _, _, label in bags.frames(count)]


def replayed(folder, *labels, **options):
    bag, collector = BagInput(folder), Collector(SETUP)
    return replay_offline(bag, Answers(*labels), collector, progress=False, **options), collector


def test_frames_and_their_fates(tmp_path):
    messages = [m for m in bags.raw_messages(6) if m[:2] != (DEPTH, START_NS + PERIOD_NS + 4_000_000)]
    for topic, stamp, message in messages:
        if topic == COLOR and stamp == START_NS + 3 * PERIOD_NS:
            message.data = message.data[:100]
    labels = truths(6)
    report, _ = replayed(write_bag(tmp_path / "run", messages), labels[0], labels[2], "depth: too little",
                         labels[5] * 0)
    assert [(frame.name, frame.outcome) for frame in report.frames] == [
        ("000000", "processed"), ("000001", "unpaired"), ("000002", "processed"), ("000003", "refused"),
        ("000004", "refused"), ("000005", "processed")]
    count = report.accounting
    assert (count.received, count.processed, count.replaced, count.unpaired, count.refused) == (6, 3, 0, 1, 2)
    assert count.adds_up and count.reasons["depth: too little"] == 1
    assert "cut off" in report.frames[3].reason and report.frames[4].stamp_ns == START_NS + 4 * PERIOD_NS
    assert [frame.skew_ms for frame in report.frames] == [4.0, None, 4.0, 4.0, 4.0, 4.0]
    assert [frame.scores.overlap_f for frame in report.processed()] == [1.0, 1.0, 0.0]
    assert set(report.frames[0].stages_ms) == {"convert", "encoding", "total"}
    (track,) = report.objects
    assert (track.frames, track.longest_gap) == ((0, 2, 5), 1)
    assert "1 of 6 colour images have no depth" in report.notes[-1]


def test_first_frames_only(tmp_path):
    report, _ = replayed(write_bag(tmp_path / "run", bags.raw_messages(5)), *truths(5), max_frames=2)
    assert report.accounting.received == 2


def test_answers_are_compared_with_the_one_before(tmp_path):
    labels = truths(4)
    report, _ = replayed(write_bag(tmp_path / "run", bags.raw_messages(4, skip=("truth",))), labels[0], labels[0] * 7,
                         labels[2] * 0, labels[2] * 0)
    assert [frame.match_iou for frame in report.frames] == [None, 1.0, 0.0, 1.0]
    assert [frame.found for frame in report.frames] == [1, 1, 0, 0]
    assert report.objects == () and summarise(report).accuracy is None


def test_a_new_scene_is_not_compared_with_the_old_one(tmp_path):
    messages = bags.raw_messages(4)
    for topic, stamp, message in messages:
        if topic == TRUTH and stamp >= START_NS + 2 * PERIOD_NS:
            message.data = np.roll(message.data.reshape(48, -1), -60, axis=1).ravel()
    report, _ = replayed(write_bag(tmp_path / "run", messages), *truths(4))
    assert [frame.match_iou is None for frame in report.frames] == [True, False, True, False]
    assert [(track.scene, track.id, track.frames) for track in report.objects] == [(0, 1, (0, 1)), (1, 1, (2, 3))]


def test_ids_are_kept_when_tracked(tmp_path):
    two = np.zeros((48, 64), np.uint16)
    two[5:20, 5:30], two[25:45, 20:60] = 1, 2
    swapped = np.asarray([0, 2, 1], np.uint16)[two]
    messages = bags.raw_messages(3, skip=("truth",))
    messages += [(TRUTH, stamp, bags.image(stamp, "16UC1", two)) for stamp, *_ in bags.frames(3)]
    folder = write_bag(tmp_path / "run", messages)
    switches = {tracked: sum(track.id_switches for track in replayed(
        folder, two, swapped, two, tracked=tracked)[0].objects) for tracked in (False, True)}
    assert switches == {False: 4, True: 0}


def test_a_recording_that_breaks(tmp_path, capsys):
    folder = write_bag(tmp_path / "run", bags.raw_messages(30, (120, 160)))
    file = next(folder.glob("*.mcap"))
    data = bytearray(file.read_bytes())
    middle = len(data) * 6 // 10
    data[middle:middle + 70_000] = b"\xff" * 70_000
    file.write_bytes(data)
    assert main(["replay", str(folder), "--preset", "geometry", "--json", str(tmp_path / "a.json")]) == 1
    report = read_report(tmp_path / "a.json")
    assert 5 <= report.accounting.received < 30 and report.accounting.refused == 0 and report.accounting.adds_up
    assert "the recording breaks here" in report.notes[-1] and "the recording breaks here" in capsys.readouterr().err


def test_worst_frames_are_the_worst_and_apart(tmp_path):
    labels = truths(14)
    bad = {2: 0.5, 3: 0.2, 9: 0.4}
    answers = [label * (np.arange(64) < 10 + k + 20 * bad.get(k, 1.0)) for k, label in enumerate(labels)]
    _, collector = replayed(write_bag(tmp_path / "run", bags.raw_messages(14)), *(a.astype(np.uint16) for a in answers))
    assert [frame.name for frame in collector.worst][:2] == ["000003", "000009"]
    places = sorted(int(frame.name) for frame in collector.worst)
    assert all(b - a >= APART for a, b in zip(places, places[1:]))
    worst = collector.worst[0]
    assert worst.titles == ("answer", "truth") and "overlap F 33.3" in worst.caption
    for jpeg in worst.jpegs:
        assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape == (48, 64, 3)


def test_without_truth_the_least_constant_frame_is_shown(tmp_path):
    labels = truths(3)
    _, collector = replayed(write_bag(tmp_path / "run", bags.raw_messages(3, skip=("truth",))), labels[0], labels[0],
                            labels[2] * 0)
    (worst,) = collector.worst
    assert (worst.name, worst.value, worst.titles) == ("000002", 0.0, ("answer", "answer before"))


def test_colours_of_the_pictures():
    color = np.full((240, 960, 3), 100, np.uint8)
    label = np.zeros((240, 960), np.uint16)
    label[40:200, 100:400], label[40:200, 500:800] = 3, 9
    picture = cv2.imdecode(np.frombuffer(draw_labels(color, label, {3: 1, 70000: 2}), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (120, WIDTH_PX, 3)
    assert np.abs(picture[5, 5].astype(int) - 100).max() < 12
    matched, alone, edge = picture[60, 120].astype(int), picture[60, 320].astype(int), picture[60, 250].astype(int)
    assert np.ptp(matched) > 40  # tinted
    assert np.ptp(alone) < 25 and edge[2] > 150 and edge[2] - edge[0] > 60  # left alone, outlined in red


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    """Twelve frames of a tabletop that slides under the camera, with truth."""
    messages = []
    for index in range(12):
        moved = tuple((x0 + 0.004 * index, y0, x1 + 0.004 * index, y1, top) for x0, y0, x1, y1, top in BOXES)
        frame, label, _ = tabletop(moved)
        stamp = START_NS + index * PERIOD_NS
        depth = np.round(frame.depth_m * 1000).astype(np.uint16)
        messages += [(COLOR, stamp, bags.image(stamp, "rgb8", frame.color)),
                     (DEPTH, stamp + 3_000_000, bags.image(stamp + 3_000_000, "16UC1", depth)),
                     (bags.INFO, stamp, bags.camera_info(stamp, 320, 240, focal=288)),
                     (TRUTH, stamp, bags.image(stamp, "mono8", label.astype(np.uint8)))]
    return write_bag(tmp_path_factory.mktemp("bags") / "table", messages)


def test_the_verb_and_its_files(recording, tmp_path, capsys):
    json_file, html_file = tmp_path / "out" / "a.json", tmp_path / "out" / "a.html"
    assert main(["replay", str(recording), "--preset", "geometry", "--json", str(json_file), "--html",
                 str(html_file)]) == 0
    out = capsys.readouterr().out
    assert "frames: 12 received = 12 processed + 0 replaced" in out and "3 true objects, found in 100.0 %" in out
    report = read_report(json_file)
    assert report.setup.recording == "table" and report.setup.topics["truth"] == TRUTH
    assert summarise(report).accuracy.detected_75 == 1.0
    assert "Replay of table" in html_file.read_text()
    assert sorted(path.name for path in json_file.parent.iterdir()) == ["a.html", "a.json"]


def test_the_same_again_is_the_same(recording, tmp_path, capsys):
    """Everything but the times repeats exactly, and the comparison shows no difference."""
    seen = []
    for name in ("a", "b"):
        assert main(["replay", str(recording), "--preset", "geometry", "--json", str(tmp_path / f"{name}.json"),
                     *(["--against", str(tmp_path / "a.json")] if name == "b" else [])]) == 0
        data = json.loads((tmp_path / f"{name}.json").read_text())
        for frame in data["frames"]:
            del frame["stages_ms"]
        seen.append((data["frames"], data["objects"], data["accounting"]))
    assert seen[0] == seen[1]
    assert "overlap F, %" in (out := capsys.readouterr().out) and "+0.00 [+0.00, +0.00]  no difference shown" in out


def test_against_another_recording(recording, tmp_path, capsys):
    folder = write_bag(tmp_path / "other", bags.tabletop_messages(2, truth=True))
    path = tmp_path / "a.json"
    assert main(["replay", str(folder), "--preset", "geometry", "--json", str(path)]) == 0
    data = json.loads(path.read_text())
    data["frames"][0]["stamp_ns"] += 1
    path.write_text(json.dumps(data))
    assert main(["replay", str(recording), "--preset", "geometry", "--against", str(path)]) == 2
    assert "expected a replay of 'table', got one of 'other': frame 000000 has stamp" in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "message"), [
    (["none.mcap"], "none.mcap: expected a recording, got no such file or folder"),
    (["BAG", "--rate", "2"], "--rate 2: expected it together with --live"),
    (["BAG", "--against", "none.json"], "none.json: expected a report that 'uois-sam replay --json' wrote, got: No"),
    (["BAG", "--truth-topic", "/nothing"], "--truth-topic /nothing: expected a topic"),
    (["BAG", "--html", "."], "--html .: expected a writable file, got a folder"),
    (["BAG", "--preset", "none"], "none"),
    (["BAG", "--max-frames", "-1"], "--max-frames: expected 0 (all) or more, got -1"),
    (["BAG", "--live", "--rate", "0"], "--rate: expected 0.001 or more, got 0"),
    (["BAG", "--live", "--domain", "233"], "--domain: expected 0 to 232, got 233"),
    (["BAG", "--live", "--intrinsics", "1,1,1,1"], "--intrinsics: expected an offline replay, got --live"),
    (["PICTURES"], "expected a rosbag2 recording (folder, .mcap or .db3), got pictures; score them with 'uois-sam"),
])
def test_refusals(recording, tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("x_color.png", np.zeros((20, 20, 3), np.uint8))
    places = {"BAG": str(recording), "PICTURES": str(tmp_path)}
    assert main(["replay", *(places.get(word, word) for word in arguments)]) == 2
    assert message in capsys.readouterr().err


def test_recording_without_frames(tmp_path, capsys):
    folder = write_bag(tmp_path / "empty", [(COLOR, "sensor_msgs/msg/Image")])
    assert main(["replay", str(folder)]) == 2
    assert "expected recorded messages, got none" in capsys.readouterr().err
