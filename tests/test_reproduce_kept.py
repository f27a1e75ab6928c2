"""What ``uois-sam reproduce`` keeps of an earlier run, killed or whole, and what makes it compute again."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from reproducerig import GEOMETRY, Counting, fake_engines, go, ocid, run  # noqa: F401 (a fixture)
from standintrees import write_ocid, write_osd

from uois_sam_ros.config import SegmenterConfig, update
from uois_sam_ros.datasets.registry import open_dataset
from uois_sam_ros.errors import FrameError, InputError
from uois_sam_ros.replay.accuracy.compare_runs import compare_runs
from uois_sam_ros.replay.accuracy.run_file import read_run
from uois_sam_ros.replay.metrics import score_frame
from uois_sam_ros.replay.reproduce.keys import frame_key, run_facts, run_key, truth_key
from uois_sam_ros.replay.reproduce.runner import Run
from uois_sam_ros.replay.reproduce.score_log import ScoreLog
from uois_sam_ros.types import Frame, Intrinsics


def test_a_second_start_computes_nothing(ocid, tmp_path):
    first, second = Counting(), Counting()
    (before,) = go(ocid, [run()], tmp_path / "out", first)
    (after,) = go(ocid, [run()], tmp_path / "out", second)
    assert (first.frames, before.computed, second.frames, after.computed) == (4, 4, 0, 0)
    assert before.report == after.report and before.report.frames[0].scores.overlap_f > 0.9
    assert [(f.source, f.name) for f in after.report.frames] == [ocid.where(k) for k in range(4)]


def test_a_run_that_stops_goes_on_where_it_was(ocid, tmp_path):
    whole = go(ocid, [run()], tmp_path / "whole", Counting())[0]
    with pytest.raises(KeyboardInterrupt):
        go(ocid, [run()], tmp_path / "out", Counting(fail=3))
    (log,) = (tmp_path / "out").rglob("ocid.jsonl")
    assert len(log.read_text().splitlines()) == 3
    log.write_text(log.read_text() + '{"source": "ARID20-fl')  # what a kill in the middle of a line leaves
    rest = Counting()
    (result,) = go(ocid, [run()], tmp_path / "out", rest)
    assert rest.frames == 2
    assert [f.scores for f in result.report.frames] == [f.scores for f in whole.report.frames]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line.get("name") for line in lines] == [None, *(ocid.where(k)[1] for k in range(4))]


def test_a_killed_process_goes_on_where_it_was(tmp_path):
    """SIGKILL in the middle of a run of the command itself; the second start takes over what is on disk."""
    write_osd(tmp_path / "osd", frames=10)
    command = [sys.executable, "-m", "uois_sam_ros.cli", "reproduce", "table2", "--only", "osd", "--root",
               f"osd={tmp_path / 'osd'}", "--preset", "geometry", "--out", str(tmp_path / "out")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up and process.poll() is None:
        done = len(list((tmp_path / "out").rglob("*_label.png")))
        if done >= 2:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.005)
    process.wait(30)
    assert done >= 2
    again = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    (now,) = re.findall(r"10 scored \((\d+) segmented now\)", again)
    assert int(now) <= 10 - done


@pytest.mark.parametrize("harm", ["label cut", "label of another frame", "no label", "json cut", "json of others"])
def test_damaged_predictions_are_made_again(ocid, tmp_path, harm):
    (before,) = go(ocid, [run()], tmp_path / "out", Counting())
    before.scores_file.unlink()  # else nobody would look at the predictions
    folder = before.scores_file.parent / "ocid/ARID20-floor-top"
    label, facts, other = folder / "seq01_r0_label.png", folder / "seq01_r0.json", folder / "seq01_r1_label.png"
    {"label cut": lambda: label.write_bytes(label.read_bytes()[:60]),
     "label of another frame": lambda: shutil.copy(other, label), "no label": label.unlink,
     "json cut": lambda: facts.write_text(facts.read_text()[:40]), "json of others": lambda: facts.write_text("[1]"),
     }[harm]()
    again = Counting()
    (after,) = go(ocid, [run()], tmp_path / "out", again)
    assert again.frames == 1 and [f.scores for f in after.report.frames] == [f.scores for f in before.report.frames]


def test_predictions_alone_are_enough(ocid, tmp_path):
    """Scores of another metric are not taken over; the predictions are scored again."""
    (before,) = go(ocid, [run()], tmp_path / "out", Counting())
    log = before.scores_file
    header, *lines = (json.loads(line) for line in log.read_text().splitlines())
    for line in lines:
        line["scores"]["overlap_f"] = 0.5
    rows = [{**header, "metric_key": "old"}, *lines]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    again = Counting()
    (after,) = go(ocid, [run()], tmp_path / "out", again)
    assert again.frames == 0 and [f.scores for f in after.report.frames] == [f.scores for f in before.report.frames]
    log.write_text("no header\n" + log.read_text())
    assert go(ocid, [run()], tmp_path / "out", again)[0].report == after.report and again.frames == 0


def test_a_score_is_on_disk_at_once(tmp_path):
    path = tmp_path / "a.jsonl"
    scores, log = score_frame(np.eye(9, dtype=int), np.eye(9, dtype=int)), ScoreLog(path, {"metric_key": "m"})
    log.add("desk", "a", "frame", "truth", scores, 5.0)
    assert ScoreLog(path, {"metric_key": "m"}).find("desk", "a", "frame", "truth") == (scores, 5.0)
    log.close()
    path.write_text(path.read_text().replace('"overlap_f": 1.0', '"overlap_f": null'))
    assert ScoreLog(path, {"metric_key": "m"}).find("desk", "a", "frame", "truth") is None
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match="expected a writable file"):
        log.add("desk", "b", "frame", "truth", scores, 5.0)


def test_other_settings_compute_again(ocid, tmp_path):
    other = update(GEOMETRY, {"selection": {"min_area": 0.001}})
    makes = Counting(), Counting(), Counting()
    (first,) = go(ocid, [run()], tmp_path / "out", makes[0])
    (second,) = go(ocid, [run(other)], tmp_path / "out", makes[1])
    assert makes[1].frames == 4 and first.scores_file != second.scores_file
    go(ocid, [run(update(GEOMETRY, {"runtime": {"threads": 1}}))], tmp_path / "out", makes[2])
    assert makes[2].frames == 0, "the number of threads changes no answer"


def test_other_networks_compute_again(tmp_path):
    def key(folder, **changes):
        return Run.of("", "compact", update(SegmenterConfig(), {"runtime": {"model_dir": str(folder)}, **changes})).key

    first = fake_engines(tmp_path / "a")
    same, other = fake_engines(tmp_path / "b"), fake_engines(tmp_path / "c", compact_hdnet="other weights")
    assert key(first) == key(same) != key(other)
    decoder = {"rescoring": {"strategy": "decoder"}}  # without HDNet its weights do not matter
    assert key(first, **decoder) == key(other, **decoder) != key(first)
    entry = json.loads((first / "manifest.json").read_text())
    entry["models"]["compact_encoder"]["data"] = {"file": "compact_encoder.onnx.data", "sha256": "0" * 64, "bytes": 1}
    (first / "manifest.json").write_text(json.dumps(entry))
    assert key(first) != key(same), "weights beside the file count, too"


def test_other_code_computes_again(monkeypatch):
    from uois_sam_ros.replay.reproduce import keys

    before = run_key(run_facts(GEOMETRY))
    monkeypatch.setattr(keys, "_SEGMENTING", (*keys._SEGMENTING, "overlay.py"))
    assert run_key(run_facts(GEOMETRY)) != before


def test_other_pictures_and_other_truth(tmp_path):
    root = write_ocid(tmp_path / "OCID-dataset")
    go(open_dataset("ocid", root), [run()], tmp_path / "out", Counting())
    floor = root / "ARID20/floor/top/seq01"
    shutil.copy(floor / "depth/r1.png", floor / "depth/r0.png")
    shutil.copy(root / "ARID20/table/top/seq01/label/r1.png", floor / "label/r1.png")
    again = Counting()
    (result,) = go(open_dataset("ocid", root), [run()], tmp_path / "out", again)
    assert again.frames == 1, "one picture is new"
    assert result.report.frames[1].scores.objects == 4, "the other label is scored: its surface is an object on a floor"


def test_frame_keys():
    color, depth, k = np.zeros((20, 30, 3), np.uint8), np.ones((20, 30), np.float32), Intrinsics(30, 30, 15, 10)
    keys = [frame_key(frame) for frame in (
        Frame(color, depth, k, "a"), Frame(color + 1, depth, k), Frame(color, depth * 1.01, k), Frame(color),
        Frame(color, depth, Intrinsics(31, 30, 15, 10)))]
    assert len(set(keys)) == 5 and frame_key(Frame(color, depth, k, "another name")) == keys[0]
    truth = np.eye(20, dtype=np.uint16)
    assert len({truth_key(truth, None), truth_key(truth * 2, None), truth_key(truth, truth > 0),
                truth_key(truth, truth < 1)}) == 4


def test_refused_frames_are_tried_again(ocid, tmp_path):
    (first,) = go(ocid, [run()], tmp_path / "out", Counting(fail=2, error=FrameError("depth: expected some")))
    assert len(first.report.frames) == 3 and first.report.refused == (("ARID20-floor-top/seq01_r1",
                                                                      "depth: expected some"),)
    assert read_run(first.scores_file).refused == 1
    again = Counting()
    (second,) = go(ocid, [run()], tmp_path / "out", again)
    assert again.frames == 1 and len(second.report.frames) == 4


def test_unreadable_frames_and_frames_without_truth(tmp_path):
    root = write_ocid(tmp_path / "OCID-dataset")
    (root / "ARID20/floor/top/seq01/rgb/r0.png").write_bytes(b"no picture")
    (result,) = go(open_dataset("ocid", root), [run()], tmp_path / "out", Counting())
    ((name, reason),) = result.report.refused
    assert name == "ARID20-floor-top/seq01_r0" and "r0.png" in reason and len(result.report.frames) == 3


def test_two_processes_do_not_write_at_once(ocid, tmp_path):
    class Nested(Counting):
        def segment(self, frame):
            with pytest.raises(InputError, match="expected no other process that works on ocid there"):
                go(ocid, [run()], tmp_path / "out", Counting())
            return super().segment(frame)

    go(ocid, [run()], tmp_path / "out", Nested())
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--out .*file: expected a writable folder"):
        go(ocid, [run()], tmp_path / "file", Counting())


def test_runs_of_equal_settings_run_once(ocid, tmp_path):
    make = Counting()
    first, second = go(ocid, [run(label="a"), run(label="b")], tmp_path / "out", make)
    assert make.frames == 4 and first.report == second.report


def test_files_of_two_runs_can_be_compared(ocid, tmp_path):
    small = update(GEOMETRY, {"selection": {"max_area": 0.01}})
    first, second = go(ocid, [run(), run(small)], tmp_path / "out", lambda config: Counting()(config))
    found = compare_runs(read_run(first.scores_file), read_run(second.scores_file))
    assert found.changes["all"][0].verdict == "worse" and list(found.changes) == [
        "ARID20-floor-top", "ARID20-table-top", "all"]
