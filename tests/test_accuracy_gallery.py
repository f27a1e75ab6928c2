"""The gallery: which failures it picks, what it draws, how large the page gets, what the verb refuses."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from blockscenes import block_frame
from datasettrees import coco_json, save
from picturefiles import write_source

from uois_sam_ros.cli import main
from uois_sam_ros.datasets.registry import open_dataset
from uois_sam_ros.datasets.rle import encode_mask
from uois_sam_ros.datasets.shards import ShardWriter
from uois_sam_ros.errors import FrameError
from uois_sam_ros.replay.accuracy import examples, page
from uois_sam_ros.replay.accuracy.collect import collect
from uois_sam_ros.replay.accuracy.examples import KINDS, Gallery, close_up
from uois_sam_ros.replay.accuracy.facts import analyse
from uois_sam_ros.replay.accuracy.hidden import hidden_shares
from uois_sam_ros.replay.accuracy.page import build_page
from uois_sam_ros.replay.sources import Sample
from uois_sam_ros.replay.stored import StoredResult
from uois_sam_ros.types import Frame

SHAPE = (120, 160)


def label(*boxes) -> np.ndarray:
    """Objects 1, 2, ... as boxes (top, bottom, left, right)."""
    image = np.zeros(SHAPE, np.uint16)
    for number, (top, bottom, left, right) in enumerate(boxes, start=1):
        image[top:bottom, left:right] = number
    return image


BIG, NEXT, TINY = (20, 60, 20, 60), (20, 60, 60, 100), (100, 104, 140, 144)
TRUTH = label(BIG, NEXT, TINY)
ANSWERS = {
    "good": TRUTH,
    "pieces": label((20, 60, 20, 40), (20, 40, 40, 60), (40, 60, 40, 60), NEXT, TINY),
    "merged": label((20, 60, 20, 100), TINY),
    "missed": label(BIG, NEXT),
    "nothing": label(),
}


def sample(source, name, truth=TRUTH, **more):
    color = np.full((*SHAPE, 3), 90, np.uint8)
    return Sample(source, name, Frame(color, name=name), truth, **more)


def gallery_of(samples, most=3):
    gallery = Gallery(most)
    for one in samples:
        answer = ANSWERS[one.name.split("-")[0]]
        gallery.consider(one, answer, analyse(one, StoredResult(answer)))
    return gallery.examples()


def test_each_failure_is_found():
    found = gallery_of(sample("desk", name) for name in ANSWERS)
    assert [(e.kind, e.name) for e in found] == [
        ("worst", "nothing"), ("worst", "merged"), ("worst", "pieces"), ("pieces", "pieces"), ("merged", "merged"),
        ("missed", "missed"), ("missed", "nothing")]
    captions = {(e.kind, e.name): e.caption for e in found}
    assert captions["pieces", "pieces"] == "3 predictions in one object, the best has IoU 0.50"
    assert captions["merged", "merged"] == "one prediction over 2 objects"
    assert captions["missed", "missed"] == "16 pixels (0.08 % of the picture), best IoU 0.00"
    assert captions["worst", "nothing"].startswith("overlap F 0.0,") and "0 found of 3" in captions["worst", "nothing"]


def test_a_good_frame_has_no_example():
    assert gallery_of([sample("desk", "good")]) == () and gallery_of([sample("desk", "nothing")], most=0) == ()


def test_pictures_are_close_ups_with_a_box():
    (example,) = [e for e in gallery_of([sample("desk", "missed")]) if e.kind == "missed"]
    truth, answer = (cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1] for data in example.jpegs)
    assert truth.shape == answer.shape == (320, 320, 3)  # 96 pixels around the object, enlarged
    yellow = (np.abs(answer.astype(int) - examples.BOX).sum(axis=2) < 90)
    rows, columns = np.nonzero(yellow)
    scale = 320 / 96
    top, left = (100 - 24) * scale, (140 - 64) * scale  # the window ends with the picture
    assert rows.min() == pytest.approx(top, abs=6) and columns.min() == pytest.approx(left, abs=6)
    assert rows.max() - rows.min() == pytest.approx(4 * scale + 7, abs=4)
    red = (truth[..., 0] > 180) & (truth[..., 1] < 110)
    assert red.any() and not ((answer[..., 0] > 180) & (answer[..., 1] < 110)).any()  # no counterpart


@pytest.mark.parametrize(("box", "window"), [
    ((20, 60, 20, 60), (0, 104, 0, 104)), ((100, 104, 140, 144), (24, 120, 64, 160)),
    ((0, 120, 0, 160), (0, 120, 0, 160)), ((50, 52, 70, 72), (3, 99, 23, 119))])
def test_close_up(box, window):
    rows, columns = close_up(label(box) > 0)
    assert (rows.start, rows.stop, columns.start, columns.stop) == window


def test_no_source_takes_more_than_half_while_others_fail():
    names = [f"nothing-{k}" for k in range(5)]
    found = gallery_of([sample("a", name) for name in names] + [sample("b", "pieces-1")], most=4)
    assert [e.source for e in found if e.kind == "worst"] == ["a", "a", "a", "b"]  # too few others fill up from a
    found = gallery_of([sample("a", name) for name in names] + [sample("b", f"pieces-{k}") for k in range(3)], most=4)
    assert [e.source for e in found if e.kind == "worst"] == ["a", "a", "b", "b"]


def test_only_the_worst_of_a_source_are_kept():
    order = ["pieces-1", "merged-2", "nothing-3", "merged-4", "pieces-5"]
    found = gallery_of([sample("a", name) for name in order], most=2)
    assert [e.name for e in found if e.kind == "worst"] == ["nothing-3", "merged-2"]


def test_pictures_together_are_bounded(monkeypatch):
    """The worst of each kind come first."""
    every = gallery_of(sample("desk", name) for name in ANSWERS)
    first = [next(e for e in every if e.kind == kind) for kind in KINDS]
    monkeypatch.setattr(examples, "MOST_BYTES", sum(sum(map(len, e.jpegs)) for e in first))
    assert gallery_of(sample("desk", name) for name in ANSWERS) == tuple(first)


def test_hidden_shares_of_shards(tmp_path):
    frame = block_frame(3)
    amodal = frame.amodal.copy()
    first = frame.meta["objects"][0]["id"]
    visible = int((frame.label == first).sum())
    amodal[0] = False
    amodal[0].ravel()[:4 * visible] = True
    ShardWriter(tmp_path).write("shard_00000.npz", [block_frame(1), type(frame)(
        frame.color, frame.depth_m, frame.label, frame.part, frame.intrinsics, amodal, frame.meta)])
    samples = open_dataset("synthetic", tmp_path)
    shares = hidden_shares(samples)(1, samples.sample(1))
    assert shares.pop(first) == pytest.approx(0.75) and set(shares.values()) == {0.0}


def test_hidden_shares_of_amodal_annotations(tmp_path):
    """The label ids are those of the annotations; a mask without its whole is left out."""
    whole, front = np.zeros((48, 64), bool), np.zeros((48, 64), bool)
    whole[8:28, 8:28], front[8:28, 18:40] = True, True
    save(tmp_path / "a.png", np.zeros((48, 64, 3), np.uint8))
    coco_json(tmp_path / "annotations.json", [{"id": 5, "file_name": "a.png"}], [
        {"id": 1, "image_id": 5, "label_id": 4, "visible_mask": encode_mask(whole & ~front),
         "segmentation": encode_mask(whole)},
        {"id": 2, "image_id": 5, "label_id": 9, "visible_mask": encode_mask(front)}])
    samples = open_dataset("coco", tmp_path)
    sample = samples.sample(0)
    assert set(np.unique(sample.truth)) == {0, 4, 9}
    assert hidden_shares(samples)(0, sample) == {4: pytest.approx(0.5)}


def test_other_inputs_do_not_tell(tmp_path):
    assert hidden_shares(object())(0, sample("desk", "good")) is None


def test_frames_that_cannot_be_used():
    def answers(one):
        if one.name == "refused":
            raise FrameError("depth: expected some")
        return StoredResult(TRUTH[:60] if one.name == "small" else TRUTH)

    found = collect([sample("d", "a"), sample("d", "refused"), sample("d", "small"), sample("d", "blank", truth=None),
                     Sample("d", "cut", error="cut off")], answers, lambda index, one: None, examples=2, progress=False)
    assert [name for name, _ in found.refused] == ["d/refused", "d/small", "d/cut"]
    assert "expected 160x120 like the picture, got 160x60" in found.refused[1][1]
    assert (found.unlabelled, len(found.frames), found.report.rows()["all"].overlap_f) == (1, 1, 1.0)


class Outline(HTMLParser):
    """Checks that tags close in order; collects text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open, self.text = [], ""
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "img", "path", "rect"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def findings(count=5):
    names = list(ANSWERS)
    samples = [sample("<b>desk</b>", f"{names[k % 5]}-{k}") for k in range(count)]
    scores = {number: 0.5 for number in range(1, 9)}
    return collect([*samples, Sample("<i>", "cut", error="<script>")],
                   lambda one: StoredResult(ANSWERS[one.name.split("-")[0]], scores),
                   lambda index, one: {1: 0.3}, examples=3, progress=False)


def test_page_is_whole_and_loads_nothing():
    html = build_page(findings(), "Failures on <here>", "preset & more")
    text = Outline(html).text
    assert not re.search(r"https?:|//|url\(|@import|<link|<script", re.sub(r'"data:image/jpeg;base64,[^"]*"', "", html))
    assert html.count("<img") == 2 * 7 and html.count("<svg") == 4
    assert "prefers-color-scheme:dark" in html and "width=device-width" in html
    for word in ("Failures on <here>", "preset & more", "<b>desk</b>/nothing-4", "Score calibration", "<script>",
                 "F against object size", "F against occlusion", "Over-segmented", "Merged", "Missed small objects",
                 "5 frames scored, 0 without labels, 1 refused"):
        assert word in text


def test_classes_and_coordinates_of_the_page():
    style, body = build_page(findings(), "t", "").split("</style>")
    used = {name for group in re.findall(r'class="([^"]+)"', body) for name in group.split()}
    assert not {name for name in used if f".{name}" not in style}
    for box, inner in re.findall(r'<svg viewBox="0 0 ([\d. ]+)"[^>]*>(.*?)</svg>', body, re.DOTALL):
        width, height = map(float, box.split())
        places = re.findall(r' x="([-\d.]+)" y="([-\d.]+)"', inner) + re.findall(r"[ML]([-\d.]+) ([-\d.]+)", inner)
        assert places and all(0 <= float(x) <= width and 0 <= float(y) <= height for x, y in places)


def test_page_without_scored_frames():
    found = collect([Sample("d", "cut", error="no")], None, None, examples=2, progress=False)
    text = Outline(build_page(found, "t", "")).text
    assert "No labelled frame was scored" in text and "Score calibration" not in text


def test_page_of_many_sources_is_bounded(monkeypatch):
    monkeypatch.setattr(page, "MOST_SOURCES", 5)
    found = collect((sample(f"source {k}", f"nothing-{k}") for k in range(9)),
                    lambda one: StoredResult(ANSWERS["nothing"]), lambda index, one: None, examples=2, progress=False)
    text = Outline(build_page(found, "t", "")).text
    assert "4 more sources are left out" in text and len(found.examples) == 4 and "9 frames scored" in text


def test_verb(tmp_path, capsys):
    write_source(tmp_path / "in" / "desk", ("a", "b"))
    out, numbers = tmp_path / "g.html", tmp_path / "g.json"
    command = ["gallery", str(tmp_path / "in"), "--out", str(out), "--json", str(numbers)]
    assert main([*command, "--preset", "geometry", "--examples", "1"]) == 0
    printed = capsys.readouterr().out
    assert "expected calibration error" in printed and "visible area" in printed and f"page: {out}" in printed
    data = json.loads(numbers.read_text())
    assert data["rows"]["all"]["frames"] == 2 and len(data["by_size_percent"]) == 7 and data["by_hidden_percent"] == []
    assert data["calibration"]["count"] == sum(b["count"] for b in data["calibration"]["bins"])
    assert str(tmp_path) not in out.read_text() + numbers.read_text(), "no paths of this machine"
    assert main(["segment", str(tmp_path / "in"), "--preset", "geometry", "--out", str(tmp_path / "found")]) == 0
    again = tmp_path / "again.json"
    assert main(["gallery", str(tmp_path / "in"), "--labels", str(tmp_path / "found"), "--out", str(out), "--json",
                 str(again), "--max-frames", "1"]) == 0
    stored = json.loads(again.read_text())
    assert stored["frames"][0] == {**data["frames"][0], "total_ms": stored["frames"][0]["total_ms"]}
    assert len(stored["frames"]) == 1 and stored["calibration"]["count"] > 0


@pytest.mark.parametrize(("arguments", "message"), [
    (["--examples", "21"], "--examples: expected 0 to 20, got 21"),
    (["--max-frames", "-1"], "--max-frames: expected 0"),
    (["--labels", "nowhere"], "--labels nowhere: expected an output folder"),
    (["--labels", ".", "--preset", "geometry"], "expected it without --preset"),
    (["--json", "."], "--json .: expected a writable file, got a folder")])
def test_refusals_of_the_verb(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(write_source(tmp_path / "desk", ("a",)))
    assert main(["gallery", ".", "--out", "g.html", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_labels_that_are_missing_or_broken(tmp_path, capsys):
    folder = write_source(tmp_path / "desk", ("a", "b"))
    found = tmp_path / "found"
    assert main(["segment", str(folder), "--preset", "geometry", "--out", str(found)]) == 0
    (found / "desk/a_label.png").unlink()
    (found / "desk/b.json").write_text("{}")
    assert main(["gallery", str(folder), "--labels", str(found), "--out", str(tmp_path / "g.html")]) == 1
    said = capsys.readouterr().err
    assert "refused desk/a:" in said and "b.json: expected the instances that 'uois-sam segment' wrote" in said
