"""The answers of a node that has run already, scored from a recording of them."""

from __future__ import annotations

import numpy as np
import pytest
from bagfiles import INFO, PERIOD_NS, START_NS, camera_info, frames, header, image, make, raw_messages, write_bag

from uois_sam_ros.cli import main
from uois_sam_ros.errors import InputError
from uois_sam_ros.replay.playback.recorded import read_answers
from uois_sam_ros.replay.playback.report import read_report
from uois_sam_ros.replay.playback.summary import summarise

LABEL = "/left/masks/label"
COUNTS = {"frames_received": 8, "frames_processed": 4, "frames_replaced": 1, "frames_unpaired": 1, "frames_refused": 1,
          "frames_waiting": 1, "preset": "compact-grid", "depth": "require"}


def diagnostics(stamp_ns, name, values):
    """A DiagnosticArray with one status."""
    pairs = [make("diagnostic_msgs/msg/KeyValue", key, str(value)) for key, value in values.items()]
    status = make("diagnostic_msgs/msg/DiagnosticStatus", 0, name, "", "", pairs)
    return make("diagnostic_msgs/msg/DiagnosticArray", header(stamp_ns), [status])


def answers(count, *, topic=LABEL, skip=(), offset_ns=0, shape=(48, 64)):
    """Label images equal to the truth, 20 ms after their CameraInfo; (topic, log time, message) triples."""
    for index, (stamp, _, _, label) in enumerate(frames(count, shape)):
        yield INFO, stamp + 10**10, camera_info(stamp, 64, 48)
        if index not in skip:
            yield topic, stamp + 10**10 + 20_000_000, image(stamp + offset_ns, "16UC1", label)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return write_bag(tmp_path_factory.mktemp("bags") / "run", raw_messages(6))


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_scores_accounting_and_latency(recording, tmp_path, capsys, storage):
    health = [("/diagnostics", START_NS + 2 * 10**10, diagnostics(START_NS, "/left/masks: segmentation", COUNTS)),
              ("/diagnostics", START_NS + 2 * 10**10 + 1, diagnostics(START_NS, "/other: node", {"preset": "x"}))]
    bag = write_bag(tmp_path / "answers", [*answers(6, skip=(2, 4)), *health], storage)
    assert main(["replay", str(recording), "--answers", str(bag), "--json", str(tmp_path / "r.json"),
                 "--html", str(tmp_path / "r.html")]) == 1, "the node refused a frame"
    report = read_report(tmp_path / "r.json")
    assert [frame.outcome for frame in report.frames] == [
        "processed", "processed", "unanswered", "processed", "unanswered", "processed"]
    assert all(frame.scores.overlap_f == 1 for frame in report.scored())
    count = report.accounting
    assert (count.sent, count.received, count.processed) == (6, 7, 4)
    assert (count.replaced, count.unpaired, count.refused) == (1, 1, 1)
    assert count.adds_up and report.node["frames_received"] == "8"
    assert (report.setup.mode, report.setup.preset, report.setup.depth) == ("recorded", "compact-grid", "require")
    assert summarise(report).stages_ms["wire"].p50 == pytest.approx(20.0)
    assert "recorded answers" in (tmp_path / "r.html").read_text()
    assert f"{LABEL}: 4 label images" in capsys.readouterr().err


def test_without_diagnostics_the_answers_are_counted(recording, tmp_path):
    messages = [entry for entry in answers(6, skip=(0,)) if entry[0] == LABEL]
    bag = write_bag(tmp_path / "answers", messages)
    assert main(["replay", str(recording), "--answers", str(bag), "--json", str(tmp_path / "r.json")]) == 0
    report = read_report(tmp_path / "r.json")
    assert (report.accounting.sent, report.accounting.received, report.accounting.processed) == (6, 5, 5)
    assert report.setup.preset == "unknown" and not report.frames[1].stages_ms


def test_answers_in_the_same_recording(tmp_path):
    """Seen with a robot: inputs, truth and answers in one bag, the truth on a topic that ends in /label, too."""
    bag = write_bag(tmp_path / "all", [*raw_messages(3), *[entry for entry in answers(3) if entry[0] == LABEL]])
    arguments = ["replay", str(bag), "--truth-topic", "/ground_truth/label", "--answers", str(bag)]
    assert main(arguments) == 2, "two topics end in /label"
    assert main([*arguments, "--answers-topic", "/none"]) == 2
    assert main([*arguments, "--answers-topic", LABEL, "--json", str(tmp_path / "r.json")]) == 0
    assert len(read_report(tmp_path / "r.json").scored()) == 3


@pytest.mark.parametrize("made, sentence", [
    (lambda: answers(6, offset_ns=PERIOD_NS // 2), "with the stamps of /cam/color/image_raw, got none of 6"),
    (lambda: answers(6, shape=(60, 80)), "expected labels of 64x48 like the colour image, got 80x60"),
    (lambda: [*answers(1), *answers(1, topic="/b/label")], "got 2 such topics; name it with --answers-topic"),
    (lambda: raw_messages(2, skip=("truth",)), "on one topic that ends in /label, got 0 such topics"),
])
def test_refusals(recording, tmp_path, capsys, made, sentence):
    bag = write_bag(tmp_path / "answers", made())
    assert main(["replay", str(recording), "--answers", str(bag)]) == 2
    assert sentence in capsys.readouterr().err


def test_one_way_to_get_answers(recording, tmp_path, capsys):
    for other in ("--live", "--track"):
        assert main(["replay", str(recording), "--answers", str(tmp_path), other]) == 2
        assert f"expected either --answers or {other}, got both" in capsys.readouterr().err
    with pytest.raises(InputError, match="expected a recording, got no such file"):
        read_answers(tmp_path / "none")


def test_what_is_read(tmp_path):
    """Labels without loss, the first time each image was there, notices of this node alone."""
    label = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) * 21
    said = [diagnostics(START_NS, "/left/masks: segmentation", {"notice_time": "time went back"}),
            diagnostics(START_NS, "/left/masks: segmentation", {"state": "active"}),
            diagnostics(START_NS, "/left/masks2: segmentation", {"notice_other": "another node's"})]
    read = read_answers(write_bag(tmp_path / "a", [
        (INFO, 5, camera_info(START_NS, 64, 48)), ("/right/info", 9, camera_info(START_NS, 64, 48)),
        (LABEL, START_NS + 7, image(START_NS, "16UC1", label)),
        *(("/diagnostics", 10 + k, status) for k, status in enumerate(said))]))
    assert np.array_equal(read.labels[START_NS].label(), label) and read.labels[START_NS].received_ns == START_NS + 7
    assert (read.asked, read.topic) == ({START_NS: 5}, LABEL)
    assert (read.health, read.notices) == ({"state": "active"}, ("time went back",))
