"""A recording played to the node over DDS on loopback, each in a process of its own."""

from __future__ import annotations

import os
import sys

import bagfiles as bags
import numpy as np
import pytest
from bagfiles import COLOR, PERIOD_NS, START_NS, write_bag
from rosgraph import own_domain

from uois_sam_ros.cli import main
from uois_sam_ros.config import preset
from uois_sam_ros.errors import InputError
from uois_sam_ros.replay.bag import BagInput
from uois_sam_ros.replay.playback import live
from uois_sam_ros.replay.playback.answers import Answers, Heard, score_answers
from uois_sam_ros.replay.playback.collect import Collector
from uois_sam_ros.replay.playback.domain import environment, free_domain, loopback_environment
from uois_sam_ros.replay.playback.sent import Sent
from uois_sam_ros.replay.playback.listener import Listener
from uois_sam_ros.replay.playback.report import Setup, read_report
from uois_sam_ros.replay.playback.summary import summarise
from uois_sam_ros.replay.results import encode_png
from uois_sam_ros.ros import api

SETUP = Setup("run", "live", "geometry", "auto", 0.02, 1.0)
SLEEPS = [sys.executable, "-c", "import time; time.sleep(60)"]


def options(**changes):
    return live.LiveOptions(**{"rate": 1.0, "max_frames": 0, "slop_s": 0.02, "depth_scale": None, "track": False,
                               "variables": loopback_environment(own_domain()), **changes})


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Twelve frames of a tabletop at 30 Hz, with truth."""
    return write_bag(tmp_path_factory.mktemp("bags") / "table", bags.tabletop_messages(12, truth=True))


def test_over_the_wire(recording, tmp_path, capsys):
    """Labels are those of the offline replay; every image sent is accounted for."""
    before = dict(os.environ)
    base = ["replay", str(recording), "--preset", "geometry"]
    assert main([*base, "--json", str(tmp_path / "a.json")]) == 0
    capsys.readouterr()
    assert main([*base, "--live", "--domain", str(own_domain()), "--rate", "0.5", "--max-frames", "10", "--against",
                 str(tmp_path / "a.json"), "--json", str(tmp_path / "b.json"), "--html", str(tmp_path / "b.html")]) == 0
    out = capsys.readouterr().out
    offline, wired = read_report(tmp_path / "a.json"), read_report(tmp_path / "b.json")
    count = wired.accounting
    assert count.adds_up and (count.sent, count.received) == (10, 10) and count.processed >= 1
    answered = wired.processed()
    assert len(answered) == count.processed
    truth = {frame.name: frame for frame in offline.frames}
    assert all(frame.scores == truth[frame.name].scores and frame.stamp_ns == truth[frame.name].stamp_ns
               for frame in answered)
    wire = summarise(wired).stages_ms["wire"]
    assert 1 < wire.low <= wire.high < 20_000
    assert wired.node["state"] == "inactive" and wired.node["preset"] and wired.setup.rate == 0.5
    assert "overlap F, %" in out and f"= {count.processed} processed + {count.replaced} replaced" in out
    assert "colour sent to label received" in (tmp_path / "b.html").read_text()
    assert dict(os.environ) == before


def test_node_that_cannot_become_active(recording, tmp_path, capsys):
    assert main(["replay", str(recording), "--live", "--domain", str(own_domain()), "--preset", "compact", "--model-dir",
                 str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert "--live: expected the node to become active, got: configure failed" in err and str(tmp_path) in err


@pytest.mark.parametrize(("node", "player", "message"), [
    ("raise SystemExit('no memory')", SLEEPS[-1], "expected the node to run until the end of the recording, got exit "
     "code 1; it said: no memory"),
    (SLEEPS[-1], "raise SystemExit('no disk')", "expected the player to run until the end of the recording, got exit "
     "code 1; it said: no disk"),
    (SLEEPS[-1], "pass", "expected diagnostics of the node within 180 s, got none"),
])
def test_processes_that_fail(recording, monkeypatch, node, player, message):
    monkeypatch.setattr(live, "_node_command", lambda *_: [sys.executable, "-c", node])
    monkeypatch.setattr(live, "_player_command", lambda *_: [sys.executable, "-c", player])
    with pytest.raises(InputError) as caught:
        live.replay_live(recording, BagInput(recording), preset("geometry"), options(), Collector(SETUP))
    assert message in str(caught.value)


@pytest.fixture
def graph():
    """This process in a loopback graph of its own."""
    with environment(loopback_environment(own_domain())):
        api.init(args=[])
        yield
        api.try_shutdown()


def test_what_the_listener_keeps(graph):
    """Labels by stamp, the newest diagnostics of the node, and notices that were not there before the first label."""
    listener, node = Listener("/a/n"), api.Node("n", namespace="/a")
    pair, status, array = (api.message(f"diagnostic_msgs/msg/{kind}") for kind in (
        "KeyValue", "DiagnosticStatus", "DiagnosticArray"))
    image = api.message("sensor_msgs/msg/Image")
    health, labels = (node.create_publisher(kind, topic, api.QoSProfile(depth=10)) for kind, topic in (
        (array, "/diagnostics"), (image, "~/label")))
    try:
        assert listener.wait_for(lambda: all(p.get_subscription_count() for p in (health, labels)), 30)
        old = {"notice_old": "no publisher"}
        for number, notices in enumerate((old, {**old, "notice_new": "cut"})):
            for name in ("/a/n: segmentation", "/a/n2: segmentation"):
                values = [pair(key=key, value=value if name.startswith("/a/n:") else "another node's")
                          for key, value in notices.items()]
                health.publish(array(status=[status(name=name, values=values)]))
            assert listener.wait_for(lambda: listener.reports == number + 1, 30)
            assert dict(listener.health) == notices
            for encoding, size in (("16UC1", 2), ("8UC3", 3)):
                message = image(height=2, width=3, encoding=encoding, step=3 * size, data=bytes(6 * size))
                message.header.stamp.sec = 5 + number
                labels.publish(message)
            assert listener.wait_for(lambda: len(listener.answers().labels) == number + 1, 30)
        assert listener.wait_for(lambda: len(listener.answers().notices) == 2, 30)
        answers = listener.answers()
        assert set(answers.labels) == {5_000_000_000, 6_000_000_000}
        assert answers.labels[5_000_000_000].label().shape == (2, 3)
        assert sorted(answers.notices)[0] == "cut" and "8UC3" in sorted(answers.notices)[1]
        assert not listener.deactivate(0.2)
    finally:
        listener.close()
        node.destroy_node()


def test_scoring_of_what_was_heard(tmp_path):
    """Four images sent: one answered, one lost, one unpaired, one unreadable; a label that fits none of them."""
    gap_ns = START_NS + 2 * PERIOD_NS + 4_000_000
    messages = [m for m in bags.raw_messages(4) if m[:2] != (bags.DEPTH, gap_ns)]
    for topic, stamp, message in messages:
        if topic == COLOR and stamp == START_NS + 3 * PERIOD_NS:
            message.data = message.data[:10]
    bag = BagInput(write_bag(tmp_path / "run", messages))
    shift = 50_000_000_000
    stamps = [START_NS + k * PERIOD_NS for k in range(4)]
    sent = [Sent(COLOR, stamp, stamp + shift, 1_000_000 * k) for k, stamp in enumerate(stamps)]
    label = next(iter(bags.frames(1)))[3]
    answers = Answers(
        labels={stamps[0] + shift: Heard(7_500_000, encode_png(label)), 99: Heard(8_000_000, encode_png(label))},
        detections={stamps[0] + shift: 1}, notices=("colour without depth (1 times)",),
        health={"frames_received": "3", "frames_processed": "1", "frames_replaced": "0", "frames_unpaired": "1",
                "frames_refused": "1", "state": "inactive"})
    report = score_answers(bag, answers, Collector(SETUP), {entry.recorded_ns: entry for entry in sent})
    assert [frame.outcome for frame in report.frames] == ["processed", "unanswered", "unpaired", "refused"]
    assert (report.frames[0].stages_ms, report.frames[0].scores.overlap_f) == ({"wire": 7.5}, 1.0)
    count = report.accounting
    assert (count.sent, count.received, count.processed, count.unpaired, count.refused) == (4, 3, 1, 1, 1)
    assert count.adds_up
    assert report.notes[-3:] == (
        "node: colour without depth (1 times)", "1 labels have no pair in the recording and are not scored",
        "1 labels came without detections")


def test_parameters_of_the_node():
    yaml = pytest.importorskip("yaml")
    names = {"color": "/replay/color/compressed", "info": "/replay/info"}
    config = preset("geometry")
    text = live._parameters(config, names, options(track=True, depth_scale=0.0001))
    values = yaml.safe_load(text)["/**"]["ros__parameters"]
    assert (values["color_topic"], values["depth_topic"], values["camera_info_topic"]) == (
        "/replay/color/compressed", "", "/replay/info")
    assert (values["track"], values["depth_scale"], values["slop_s"]) == (True, 0.0001, 0.02)
    assert values["qos.label"] == "reliable"
    from uois_sam_ros.ros.params import read_settings

    assert read_settings(values)[1] == config


def test_part_of_a_recording(recording):
    assert live._duration_s(BagInput(recording), options(max_frames=4)) == pytest.approx(3 * PERIOD_NS / 1e9 + 0.02)


def test_packed_labels_are_exact():
    label = np.random.default_rng(0).integers(0, 65536, (20, 30)).astype(np.uint16)
    assert np.array_equal(Heard(0, encode_png(label)).label(), label)


def test_environment_is_put_back(monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", "9")
    monkeypatch.delenv("CYCLONEDDS_URI", raising=False)
    with environment(loopback_environment(5)):
        assert os.environ["ROS_DOMAIN_ID"] == "5" and "127.0.0.1" in os.environ["CYCLONEDDS_URI"]
    assert os.environ["ROS_DOMAIN_ID"] == "9" and "CYCLONEDDS_URI" not in os.environ
    assert 1 <= free_domain() <= 100


@pytest.mark.parametrize(("middleware", "names"), [("rmw_cyclonedds_cpp", 2), ("rmw_fastrtps_cpp", 4), ("", 4)])
def test_every_middleware_is_pinned(monkeypatch, middleware, names):
    monkeypatch.setenv("RMW_IMPLEMENTATION", middleware)
    assert len(loopback_environment()) == names
