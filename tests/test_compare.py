"""Two runs over the same frames: controls with a known answer, files of every kind, what is refused."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from tabletop import tabletop

from uois_sam_ros import Instances
from uois_sam_ros.cli import main
from uois_sam_ros.errors import InputError
from uois_sam_ros.replay.accuracy.compare_page import build_page
from uois_sam_ros.replay.accuracy.compare_runs import compare_runs, format_comparison
from uois_sam_ros.replay.accuracy.run_file import LINES_FORMAT, read_run
from uois_sam_ros.replay.evaluate import evaluate
from uois_sam_ros.replay.sources import Sample

FRAME, TRUTH, _ = tabletop(height=120, width=160)


def report(change=lambda label, k: label, count=12, truth=TRUTH):
    """Frames of two sources, answered by the truth after ``change``."""
    samples = [Sample("desk" if k % 2 else "shelf", f"{k:03d}", FRAME, truth) for k in range(count)]
    labels = [change(truth.copy(), k) for k in range(count)]

    class Answers:
        def segment(self, frame):
            return Instances(labels.pop(0), ())

    return evaluate(Answers(), samples, progress=False).to_json()


def erode(label, k):
    """Take 1 to 3 pixels from every object."""
    kernel = np.ones((3, 3), np.uint8)
    mask = cv2.erode((label > 0).astype(np.uint8), kernel, iterations=1 + k % 3)
    return np.where(mask > 0, label, 0).astype(np.uint16)


def drop_one(label, k):
    """Lose an object in some frames, and as often a false one in the others: no mean difference is sure."""
    if k % 4 == 0:
        label[label == 1] = 0
    return label


def saved(path, data, **more):
    path.write_text(json.dumps({**data, **more}))
    return path


def lines(path, data, *, keys=("p", "t"), preset="compact", tail=""):
    """The same frames as the file of lines of ``reproduce``."""
    rows = [{"format": LINES_FORMAT, "preset": preset, "rung": "grid", "metric_key": "m"}]
    for frame in data["frames"]:
        scores = {k: v for k, v in frame.items() if k not in ("source", "name", "total_ms", "tags")}
        rows.append({"source": frame["source"], "name": frame["name"], "frame_key": keys[0], "truth_key": keys[1],
                     "scores": scores, "total_ms": 1.0})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + tail)
    return path


def compared(tmp_path, before, after):
    return compare_runs(read_run(saved(tmp_path / "a.json", before)), read_run(saved(tmp_path / "b.json", after)))


def test_a_run_against_itself_shows_no_difference(tmp_path):
    found = compared(tmp_path, report(drop_one), report(drop_one))
    assert list(found.changes) == ["shelf", "desk", "all"]
    for changes in found.changes.values():
        for change in changes:
            gap = change.difference
            assert (gap.mean, gap.low, gap.high) == (0, 0, 0) and not gap.excludes_zero
            assert change.verdict == "no difference shown"
    assert all(gap == 0 for _, gap in found.per_frame) and "most" not in format_comparison(found)


def test_eroded_labels_are_worse(tmp_path):
    found = compared(tmp_path, report(), report(erode))
    for changes in found.changes.values():
        overlap, boundary, *_ = changes
        assert overlap.difference.high < 0 and overlap.verdict == "worse" and boundary.verdict == "worse"
    total = found.changes["all"]
    assert total[0].before == 100 and total[0].after == pytest.approx(100 + total[0].difference.mean)
    assert total[3].verdict == total[4].verdict == "no difference shown"  # nothing in pieces, nothing merged
    back = compared(tmp_path, report(erode), report()).changes["all"][0]
    assert back.verdict == "better" and back.difference.mean == -total[0].difference.mean


def test_a_difference_in_few_frames_is_not_sure(tmp_path):
    found = compared(tmp_path, report(drop_one, count=9), report(lambda label, k: drop_one(label, k + 3), count=9))
    change = found.changes["all"][0]
    assert change.difference.low < 0 < change.difference.high and change.verdict == "no difference shown"


def test_more_merges_are_worse(tmp_path):
    def merge(label, k):
        return (label > 0).astype(np.uint16)

    merges = compared(tmp_path, report(), report(merge)).changes["all"][4]
    assert merges.lower_is_better and merges.difference.mean > 0 and merges.verdict == "worse"


def test_text_page_and_json(tmp_path, capsys):
    first, second = saved(tmp_path / "a.json", report(), preset="compact"), saved(
        tmp_path / "b.json", report(erode), preset="<b>", depth="off")
    html, numbers = tmp_path / "c.html", tmp_path / "c.json"
    assert main(["compare", str(first), str(second), "--html", str(html), "--json", str(numbers)]) == 0
    printed = capsys.readouterr().out
    assert "A: a.json (preset compact)" in printed and "B: b.json (preset <b>, off)" in printed
    assert printed.count("worse") >= 4 and "most lost, overlap F: shelf/" in printed
    page = html.read_text()
    assert "b.json (preset &lt;b&gt;, off)" in page and page.count("<svg") == 1 and "http" not in page
    style, body = page.split("</style>")
    for name in ("gain", "loss", "band", "worse", "soft"):
        assert f'class="{name}"' in body and f".{name}" in style
    data = json.loads(numbers.read_text())
    assert data["rows"]["all"]["overlap_f"]["verdict"] == "worse" and len(data["frames"]) == 12
    assert data["rows"]["desk"]["boundary_f"]["frames"] == 6


def test_page_of_equal_runs(tmp_path):
    assert "changed most" not in build_page(compared(tmp_path, report(), report()))


def test_lines_of_reproduce(tmp_path):
    """A half line at the end is what a kill leaves; of two lines of a frame the later one counts."""
    data = report()
    again = json.dumps({"source": "shelf", "name": "000", "frame_key": "p", "truth_key": "t",
                        "scores": {**read_run(saved(tmp_path / "x.json", data)).frames["shelf", "000"].scores.__dict__,
                                   "overlap_f": 0.25}, "total_ms": 1.0}) + "\n"
    refused = json.dumps({"source": "shelf", "name": "900", "refused": "cut off"}) + "\n"
    run = read_run(lines(tmp_path / "a.jsonl", data, tail=again + refused + '{"source": "she'))
    assert (len(run.frames), run.refused, run.title) == (12, 1, "a.jsonl (preset compact, grid)")
    assert run.frames["shelf", "000"].scores.overlap_f == 0.25
    found = compare_runs(read_run(saved(tmp_path / "b.json", data)), run)
    assert found.per_frame[0] == ("shelf/000", -75.0)


@pytest.mark.parametrize(("other", "message"), [
    (dict(count=10), r"expected the same frames in both runs, got 2 in a\.json alone \(first: shelf/010\); score"),
    (dict(count=14), r"got 2 in b\.json alone \(first: shelf/012\)"),
    (dict(truth=np.where(TRUTH == 1, 0, TRUTH)), "frame shelf/000: expected the same truth in both runs, got 3 and 2")])
def test_different_frames_are_refused(tmp_path, other, message):
    with pytest.raises(InputError, match=message):
        compared(tmp_path, report(), report(**other))


def test_frames_of_both_sides_are_named(tmp_path):
    second = report()
    for frame in second["frames"]:
        frame["source"] += "2"
    second["refused"] = [{"frame": "x", "reason": "y"}]
    with pytest.raises(InputError, match=r"12 in a\.json alone .* and 12 in b\.json alone .*that one of both refused"):
        compared(tmp_path, report(), second)


def test_other_pictures_of_equal_names_are_refused(tmp_path):
    first = read_run(lines(tmp_path / "a.jsonl", report()))
    second = read_run(lines(tmp_path / "b.jsonl", report(), keys=("q", "t")))
    with pytest.raises(InputError, match="frame shelf/000: expected the same picture and truth"):
        compare_runs(first, second)
    without = read_run(saved(tmp_path / "c.json", report()))  # knows no hashes
    assert compare_runs(first, without).changes["all"][0].difference.mean == 0


@pytest.mark.parametrize(("content", "message"), [
    (None, "expected scores that eval --json, gallery --json or reproduce wrote, got: .*No such file"),
    ("not json", "got something else"), ("[]", "got something else"), ("{}", "expected scored frames, got none"),
    ('{"frames": [{"source": "a", "name": "b"}]}', "got a frame without scores"), ('{"frames": [3]}', "without scores"),
    (json.dumps({"format": "uois-sam replay 1", "frames": []}), "got a replay report; use: uois-sam replay RECORDING"),
    (json.dumps({"format": LINES_FORMAT}) + "\n{broken\n{}\n", "got something else")])
def test_files_that_are_no_scores(tmp_path, content, message):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_run(path)


def test_a_frame_that_is_there_twice(tmp_path):
    data = report(count=2)
    data["frames"].append(data["frames"][0])
    with pytest.raises(InputError, match="expected every frame once, got shelf/000 twice"):
        read_run(saved(tmp_path / "a.json", data))


def test_the_verb_refuses_in_one_line(tmp_path, capsys):
    path = saved(tmp_path / "a.json", report(count=4))
    assert main(["compare", str(path), str(saved(tmp_path / "b.json", report(count=6)))]) == 2
    assert main(["compare", str(path), str(path), "--html", str(tmp_path)]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert "expected the same frames" in first and "--html" in second and "got a folder" in second
