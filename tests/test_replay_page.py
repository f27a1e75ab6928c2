"""The report page: self-contained, well-formed, bounded in size, and its charts inside their frames."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from replayreports import SETUP, frame, report

from uois_sam_ros.replay.playback import svg
from uois_sam_ros.replay.playback.charts import object_chart
from uois_sam_ros.replay.playback.compare import compare
from uois_sam_ros.replay.playback.page import MOST_REASONS, build_page
from uois_sam_ros.replay.playback.pictures import WorstFrame
from uois_sam_ros.replay.playback.report import Accounting
from uois_sam_ros.replay.playback.stability import ObjectTrack

WORST = WorstFrame("000001", 0.4, ("answer", "truth"), (b"\xff\xd8one", b"\xff\xd8two"), "overlap F 40.0 & <more>")
OBJECTS = (ObjectTrack(0, 1, (0, 1, 2), (0.9, 0.7, 0.1), 2 / 3, 0.57, 0.4, 1, 4),
           ObjectTrack(1, 1, (3,), (0.5,), 0.0, 0.5, 0.0, 1, 0))
REFUSED = frame(4, outcome="refused", reason="<script>alert(1)</script>", scores=None, stages_ms={}, match_iou=None)
REPORT = report(*(frame(k, 0.5 + 0.1 * k) for k in range(4)), REFUSED, objects=OBJECTS, notes=("topics & more",),
                setup=replace(SETUP, recording="<b>bag</b>"))


class Outline(HTMLParser):
    """Checks that tags close in order; collects tags and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "path", "rect"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def headings(outline):
    return re.findall("Against the other run|Accuracy|Worst frames|Latency|Frames|Stability|How to read", outline.text)


def test_page_is_whole_and_loads_nothing():
    page = build_page(REPORT, [WORST], compare(REPORT, REPORT))
    outline = Outline(page)
    assert not re.search(r"https?:|//|url\(|@import|<link|<script", page.replace("data:image/jpeg;base64,", ""))
    pictures = [attrs["src"] for tag, attrs in outline.tags if tag == "img"]
    assert len(pictures) == 2 and all(source.startswith("data:image/jpeg;base64,/9h") for source in pictures)
    assert sum(tag == "svg" for tag, _ in outline.tags) == 8
    assert "prefers-color-scheme:dark" in page and "width=device-width" in page
    for text in ("Replay of <b>bag</b>", "<script>alert(1)</script>", "topics & more", "overlap F 40.0 & <more>",
                 "a <fast> one", "4/5", "65.0"):
        assert text in outline.text
    assert "<b>bag" not in page


def test_classes_of_the_charts_have_a_style():
    page = build_page(REPORT, [WORST], compare(REPORT, REPORT))
    style, body = page.split("</style>")
    used = {name for group in re.findall(r'class="([^"]+)"', body) for name in group.split()}
    assert {name for name in used if f".{name}" not in style} <= {"soft"} and ".soft" in style


def test_every_coordinate_lies_in_its_view_box():
    page = build_page(REPORT, [WORST], compare(REPORT, report(*(frame(k, 0.9 - 0.2 * k) for k in range(4)),
                                                          setup=REPORT.setup)))
    for box, inner in re.findall(r'<svg viewBox="([^"]+)"[^>]*>(.*?)</svg>', page, re.DOTALL):
        _, _, width, height = map(float, box.split())
        for x, y in re.findall(r'<(?:text|rect)[^>]* x="([-\d.]+)" y="([-\d.]+)"', inner):
            assert -1 <= float(x) <= width and 0 <= float(y) <= height
        for path in re.findall(r' d="([^"]+)"', inner):
            for x, y in re.findall(r"[ML]([-\d.]+) ([-\d.]+)", path):
                assert svg.LEFT - 5 <= float(x) <= width and svg.TOP - 1 <= float(y) <= height


def test_a_report_without_truth():
    blind = report(frame(0, None), frame(1, None))
    outline = Outline(build_page(blind, [WORST]))
    assert "The recording has no truth" in outline.text and "frame-to-frame IoU" in outline.text
    assert "overlap F over" not in outline.text


def test_a_report_without_an_answer():
    nothing = report(frame(0, outcome="unpaired", reason="no depth", scores=None, stages_ms={}, skew_ms=None,
                           match_iou=None))
    outline = Outline(build_page(nothing))
    assert "0/1" in outline.text and "Latency" not in headings(outline)
    Outline(build_page(report()))


def test_what_the_wire_lost_and_what_does_not_add_up():
    live = replace(REPORT, accounting=Accounting(9, 7, 3, 2, 1, 0), setup=replace(SETUP, mode="live", rate=2.0),
                   node={"state": "inactive", "queue_ms_p50": "1.00"})
    outline = Outline(build_page(live))
    assert "lost on the wire 2" in outline.text and "do not add up" in outline.text
    assert "live at rate 2" in outline.text and "queue_ms_p50" in outline.text


def test_id_switches_mean_something_only_when_tracked():
    assert "id switches" not in Outline(build_page(REPORT)).text.split("How to read")[0]
    tracked = replace(REPORT, setup=replace(SETUP, tracked=True))
    assert "id switches" in Outline(build_page(tracked)).text.split("How to read")[0]


def test_size_is_bounded():
    """A thousand frames and two hundred objects take no more room than the charts' limits allow."""
    count = 1000
    rng = np.random.default_rng(0)
    objects = tuple(ObjectTrack(0, k, tuple(range(count)), tuple(rng.uniform(0, 1, count).round(4).tolist()), 0.5, 0.5,
                                0.3, 5, 9) for k in range(1, 201))
    frames = [frame(k, f, reason=f"reason {k}", stages_ms={"total": 100 * f}) for k, f in
              enumerate(rng.uniform(0, 1, count).tolist())]
    long = report(*frames, objects=objects)
    other = report(*(replace(one, scores=frames[-k].scores) for k, one in enumerate(frames)))
    page = build_page(long, [replace(WORST, jpegs=(bytes(40_000), bytes(40_000)))] * 6, compare(other, long))
    Outline(page)
    assert len(page) < 1_400_000
    assert "160 more objects" in page and page.count("reason ") == MOST_REASONS


def test_strip_of_an_object():
    found = object_chart(report(*(frame(k) for k in range(4)), objects=OBJECTS))
    assert re.findall(r'<rect class="(q\d)"', found.picture) == ["q3", "q2", "q0", "q1"]
    assert ">1/1<" in found.picture and ">2/1<" in found.picture


@pytest.mark.parametrize(("low", "high", "ticks"), [
    (0, 100, [0, 20, 40, 60, 80, 100]), (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]), (-3, 7, [-2, 0, 2, 4, 6]),
    (0, 0.013, [0, 0.005, 0.01]), (119, 121, [119, 119.5, 120, 120.5, 121])])
def test_round_ticks(low, high, ticks):
    assert svg.nice_ticks(low, high) == pytest.approx(ticks)


def test_long_lines_keep_their_extremes():
    values = [0.0] * 5000
    values[1234], values[4321] = 9.0, -9.0
    kept = svg.thin(values)
    assert len(kept) <= svg.MOST_POINTS and {0, 1234, 4321} <= set(kept) and kept == sorted(kept)
    assert svg.thin([None] * 5000)[0] == 0
    assert svg.thin([1.0, None, 2.0]) == [0, 1, 2]


def test_gaps_break_a_line():
    chart = svg.line_chart([0, 1, 2, 3], [svg.Series("a", [1.0, 2.0, None, 3.0])], x_title="x", y_title="y")
    (line,), (dot,) = re.findall(r'class="s1" d="([^"]+)"', chart), re.findall(r'class="s1 dot" d="([^"]+)"', chart)
    assert (line.count("M"), line.count("L"), dot.count("M")) == (1, 1, 1)
    (bridge,) = re.findall(r'class="s1 bridge" d="([^"]+)"', chart)
    assert bridge.split("L")[1] == dot[1:-4] and bridge.count("M") == 1


def test_histogram_counts_in_whole_frames():
    chart = svg.histogram([1.0, 4.0, 9.0], x_title="ms")
    assert re.findall(r'text-anchor="end">([\d.]+)<', chart) == ["0", "1"]


def test_charts_of_constant_and_single_values():
    for values in ([5.0], [5.0, 5.0], [0.0]):
        assert 'class="bar"' in svg.histogram(values, x_title="ms")
        svg.line_chart([0.0] * len(values), [svg.Series("a", values)], x_title="x", y_title="y")
        svg.difference_chart(values, 0.0, 0.0, 0.0, y_title="points")
    svg.line_chart([0.0], [svg.Series("a", [None])], x_title="x", y_title="y")


def test_bins_of_means():
    assert svg.bin_means([1.0, 3.0, 5.0, 7.0], 2) == [2.0, 6.0] and svg.bin_means([1.0, 2.0], 2) == [1.0, 2.0]
