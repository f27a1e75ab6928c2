"""``uois-sam reproduce`` on stand-in trees: its tables, what it refuses, a killed run, what is kept and when."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from standintrees import write_housecat6d, write_ocid, write_osd, write_phocal
from tabletop import numpy_networks

from uois_sam_ros import Segmenter
from uois_sam_ros.cli import main
from uois_sam_ros.config import SegmenterConfig, preset, update
from uois_sam_ros.datasets.registry import open_dataset
from uois_sam_ros.errors import FrameError, InputError, ModelError
from uois_sam_ros.models.spec import COMPACT
from uois_sam_ros.replay.accuracy.compare_runs import compare_runs
from uois_sam_ros.replay.accuracy.run_file import read_run
from uois_sam_ros.replay.metrics import score_frame
from uois_sam_ros.replay.reproduce import published, render
from uois_sam_ros.replay.reproduce.commands import what_it_reads
from uois_sam_ros.replay.reproduce.keys import frame_key, network_names, run_facts, run_key, truth_key
from uois_sam_ros.replay.reproduce.runner import Run, run_dataset
from uois_sam_ros.replay.reproduce.score_log import ScoreLog
from uois_sam_ros.replay.reproduce.shared_models import LastAnswer, SharedModels
from uois_sam_ros.replay.reproduce.tables import COMPARISON, DOWNLOADS, TABLES
from uois_sam_ros.runtime.manifest import write_entry
from uois_sam_ros.types import Frame, Intrinsics

GEOMETRY = preset("geometry")


@pytest.fixture
def ocid(tmp_path):
    return open_dataset("ocid", write_ocid(tmp_path / "OCID-dataset"))


class Counting:
    """Makes segmenters on numpy networks and counts the frames that they see; ``fail`` raises at that frame."""

    def __init__(self, fail: int = 0, error: Exception | None = None) -> None:
        self.frames, self._fail, self._error = 0, fail, error

    def __call__(self, config):
        self._segmenter = Segmenter(config, numpy_networks())
        return self

    def segment(self, frame):
        self.frames += 1
        if self.frames == self._fail:
            raise self._error or KeyboardInterrupt
        return self._segmenter.segment(frame)


def run(config=GEOMETRY, label="one"):
    return Run.of(label, "geometry", config)


def go(dataset, runs, out, make):
    return run_dataset(dataset, range(len(dataset)), runs, out, progress=False, make_segmenter=make)


def fake_engines(folder: Path, **contents: str) -> Path:
    """A model folder whose files need not run."""
    folder.mkdir()
    for spec in COMPACT:
        (folder / f"{spec.name}.onnx").write_text(contents.get(spec.name, spec.name))
        write_entry(folder, spec.name, f"{spec.name}.onnx")
    return folder


# --- what is kept -----------------------------------------------------------------------------------------------------

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


# --- networks ---------------------------------------------------------------------------------------------------------

class Doubling:
    """A network that counts its runs."""

    spec, metadata = COMPACT[0], {}

    def __init__(self):
        self.runs = 0

    def run(self, inputs):
        self.runs += 1
        return {"y": 2 * inputs["x"]}


def test_an_encoder_remembers_its_last_answer():
    inner, x = Doubling(), np.ones((2, 3), np.float32)
    model = LastAnswer(inner)
    assert model.run({"x": x})["y"][0, 0] == 2 and model.run({"x": x.copy()})["y"][0, 0] == 2 and inner.runs == 1
    x[0, 0] = 5
    assert model.run({"x": x})["y"][0, 0] == 10 and inner.runs == 2
    model.run({"x": x.astype(np.float64)})
    model.run({"z": x, "x": x})
    assert inner.runs == 4 and model.spec is COMPACT[0]


def test_networks_are_shared_by_place(monkeypatch):
    from uois_sam_ros.replay.reproduce import shared_models

    loaded = []
    monkeypatch.setattr(shared_models, "load_model", lambda name, runtime: loaded.append(name) or Doubling())
    config = SegmenterConfig()
    other = update(config, {"rescoring": {"strategy": "decoder"}})
    elsewhere = update(config, {"runtime": {"model_dir": "x"}})
    shared = SharedModels([config, other, elsewhere])
    first, second, third = (shared.of(one) for one in (config, other, elsewhere))
    assert isinstance(first["compact_encoder"], LastAnswer) and first["compact_encoder"] is second["compact_encoder"]
    assert isinstance(first["compact_decoder"], Doubling) and isinstance(third["compact_encoder"], Doubling)
    assert len(loaded) == 6 and network_names(other) == ("compact_encoder", "compact_decoder")


def test_shared_encoders_give_the_same_labels(ocid, tmp_path):
    """The ladder of the shipped networks, once with shared encoders and once each by itself."""
    if not (Path(__file__).resolve().parents[1] / "engines/manifest.json").exists():
        pytest.skip("engines/manifest.json is not there: no trained model to run")
    configs = [SegmenterConfig(), update(SegmenterConfig(), {"rescoring": {"strategy": "decoder"}})]
    runs = [Run.of(str(k), "compact", config) for k, config in enumerate(configs)]
    together = run_dataset(ocid, [0], runs, tmp_path / "a", progress=False)
    alone = [run_dataset(ocid, [0], [one], tmp_path / "b", progress=False)[0] for one in runs]
    assert [r.report.frames[0].scores for r in together] == [r.report.frames[0].scores for r in alone]


# --- the command ------------------------------------------------------------------------------------------------------

def reproduce(tmp_path, table, *arguments, roots=()):
    return main(["reproduce", table, "--out", str(tmp_path / "out"),
                 *(part for name, root in dict(roots).items() for part in ("--root", f"{name}={root}")), *arguments])


def test_table2(tmp_path, capsys):
    roots = {"ocid": write_ocid(tmp_path / "o"), "osd": write_osd(tmp_path / "s")}
    assert reproduce(tmp_path, "table2", "--preset", "geometry", roots=roots) == 0
    shown = capsys.readouterr().out
    assert "OCID: 4 of 2390 published frames; NOT COMPARABLE" in shown and "OSD: 2 of 111" in shown
    assert re.search(r"^this run: geometry +RGB-D( +\d+\.\d){7}$", shown, re.M) and shown.count("+/-  ") == 1
    assert re.search(r"^UOIS-SAM +RGB +85\.8 +81\.0 +79\.9 +78\.1 +75\.2 +72\.5 +78\.3 +paper$", shown, re.M)
    assert re.search(r"^UOIS-SAM +RGB +75\.4 .* paper$", shown, re.M) and "of arXiv 2409.15481" in shown
    data = json.loads((tmp_path / "out/table2.json").read_text())
    ours = data["datasets"]["ocid"]["geometry"]
    assert ours["coverage"] == {"title": "OCID", "seen": 4, "found": 4, "published": 2390, "comparable": False}
    assert ours["columns"]["F"]["low"] <= ours["columns"]["F"]["mean"] <= ours["columns"]["F"]["high"]
    assert len(read_run(tmp_path / "out" / ours["scores_file"]).frames) == 4
    assert ours["published"][0]["origin"] == "the tables of arXiv 2409.15481"
    assert reproduce(tmp_path, "table2", "--preset", "geometry", "--only", "osd", roots=roots) == 0
    assert "2 scored (0 segmented now)" in capsys.readouterr().out


def test_table3(tmp_path, capsys):
    roots = {"phocal": write_phocal(tmp_path / "p"), "housecat6d": write_housecat6d(tmp_path / "h")}
    assert reproduce(tmp_path, "table3", "--preset", "geometry", roots=roots) == 0
    shown = capsys.readouterr().out
    assert "PhoCAL: 2 of 721" in shown and "HouseCat6D: 2 of 2503" in shown and shown.count("this run") == 2


def test_table4(tmp_path, capsys):
    """With the networks of the package; a rung that changes nothing is left out."""
    if not (Path(__file__).resolve().parents[1] / "engines/manifest.json").exists():
        pytest.skip("engines/manifest.json is not there: no trained model to run")
    roots = {"ocid": write_ocid(tmp_path / "o")}
    config = tmp_path / "plain.yaml"
    config.write_text("prompting: {grid_side: 4}\nselection: {plane_veto: false, min_size_m: 0, max_size_m: 10}\n")
    assert reproduce(tmp_path, "table4", "--config", str(config), "--frames", "3", roots=roots) == 0
    shown = capsys.readouterr().out
    rows = re.findall(r"^(\S.*?)  +3 +(\d+\.\d)", shown, re.M)
    assert [name for name, _ in rows] == list(published.LADDER)
    assert re.search(r"^\+ foreground .*\+\d+\.\d \[.*\] +39\.2 +24\.0 +25\.6$", shown, re.M)
    data = json.loads((tmp_path / "out/table4.json").read_text())["datasets"]["ocid"]
    assert set(data["rungs"]["+ heatmap"]["gain"]) == {"frames", "mean", "low", "high"}
    assert "gain" not in data["rungs"]["grid"] and data["published"]["grid"] == [26.5, 19.9, 35.3]


def test_table5(tmp_path, capsys):
    engines = Path(__file__).resolve().parents[1] / "engines"
    if not (engines / "manifest.json").exists():
        pytest.skip("engines/manifest.json is not there: no trained model to run")
    roots = {"ocid": write_ocid(tmp_path / "o")}
    assert reproduce(tmp_path, "table5", "--preset", "compact", "--frames", "2", "--fraction", f"100={engines}",
                     "--fraction", f"10={engines}", roots=roots) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^1 % +not run +77\.4$", shown, re.M)
    assert re.search(r"^10 % +2 +\d+\.\d +0\.0 +\+0\.0 +79\.9$", shown, re.M)
    assert re.search(r"^100 % +2 +\d+\.\d +0\.0 +80\.0$", shown, re.M) and "against 100 %" in shown


def test_missing_roots_say_what_to_download(tmp_path, capsys):
    for table, names in ((name, table.datasets) for name, table in TABLES.items()):
        assert reproduce(tmp_path, table, "--fraction", "1=x") == 2
        said = capsys.readouterr().err
        assert all(f"no --root {name}=DIR, download {DOWNLOADS[name]}" in said for name in names)
        assert f"uois-sam dataset check {names[0]} DIR" in said
    assert reproduce(tmp_path, "table2", roots={"ocid": tmp_path, "osd": tmp_path / "gone"}) == 2
    said = capsys.readouterr().err
    assert f"osd: no folder {tmp_path / 'gone'}" in said and "ocid:" not in said and "--only NAME" in said


@pytest.mark.parametrize(("table", "arguments", "message"), [
    ("table2", ["--root", "phocal=."], "--root: expected ocid and osd once each for table2, got 'phocal'"),
    ("table2", ["--root", "ocid=.", "--root", "ocid=."], "got it twice"),
    ("table2", ["--only", "phocal"], "--only: expected one of ocid, osd for table2, got 'phocal'"),
    ("table4", ["--root", "ocid=.", "--frames", "-1"], "--frames: expected 0 (all) or more, got -1"),
    ("table4", ["--root", "ocid=.", "--preset", "geometry"], "ladder: expected a preset with networks"),
    ("table4", ["--root", "ocid=.", "--preset", "nothing"], "preset: expected one of"),
    ("table4", ["--root", "ocid=.", "--preset", "compact", "--fraction", "1=x"], "--fraction: expected it with table5"),
    ("table5", ["--root", "ocid=.", "--preset", "compact"], "table5: expected --fraction PERCENT=DIR"),
    ("table5", ["--root", "ocid=.", "--fraction", "1=x", "--model-dir", "y"], "without --model-dir, got --model-dir"),
    ("table5", ["--root", "ocid=.", "--fraction", "0=x"], "a whole percentage from 1 to 100, each once, got '0'"),
    ("table5", ["--root", "ocid=.", "--fraction", "5=x", "--fraction", "5=y"], "each once, got '5'"),
    ("table2", ["--root", "ocid=.", "--only", "ocid", "--preset", "geometry"], "OCID .: expected {ARID20"),
    ("table2", ["--root", "ocid=.", "--only", "ocid", "--preset", "paper", "--config", "x"],
     "expected either --preset")])
def test_refusals(tmp_path, monkeypatch, capsys, table, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert reproduce(tmp_path, table, *arguments) == 2
    said = capsys.readouterr().err
    assert message in said and len(said.splitlines()) == 1
    assert not (tmp_path / "out/table2.json").exists()


def test_missing_networks_are_refused_before_any_picture_is_read(tmp_path, capsys):
    roots = {"ocid": write_ocid(tmp_path / "o")}
    engines = fake_engines(tmp_path / "engines")
    assert reproduce(tmp_path, "table4", "--model-dir", str(engines), roots=roots) == 2
    said = capsys.readouterr().err
    assert "expected an entry 'sam_vit_l_encoder'" in said and not (tmp_path / "out").exists(), "paper is the default"
    with pytest.raises(ModelError):
        Run.of("", "paper", update(preset("paper"), {"runtime": {"model_dir": str(engines)}}))


def test_pairs_are_parsed(capsys):
    for text in ("ocid", "=x", "ocid="):
        with pytest.raises(SystemExit):
            main(["reproduce", "table2", "--root", text])
        assert f"expected NAME=DIR, got '{text}'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["reproduce", "table1"])


def test_refused_frames_give_exit_code_1(tmp_path, capsys):
    root = write_osd(tmp_path / "osd")
    (root / "annotation/test1.png").unlink()
    assert reproduce(tmp_path, "table2", "--only", "osd", "--preset", "geometry", roots={"osd": root}) == 1
    out = capsys.readouterr()
    assert "refused test/test1" in out.err and "1 scored" in out.out and "1 refused" in out.out
    (root / "annotation/learn0.png").unlink()
    assert reproduce(tmp_path, "table2", "--only", "osd", "--preset", "geometry", roots={"osd": root}) == 1
    assert "0 scored" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "changes", "reads"), [
    ("paper", {}, "RGB"), ("paper-depth", {}, "RGB-D"), ("compact", {}, "RGB-D"), ("geometry", {}, "RGB-D"),
    ("compact", {"encoding": {"depth": "off"}}, "RGB"), ("paper", {"selection": {"plane_veto": True}}, "RGB-D")])
def test_what_a_configuration_reads(name, changes, reads):
    assert what_it_reads(update(preset(name), changes)) == reads


# --- published figures ------------------------------------------------------------------------------------------------

def test_published_rows_are_complete():
    assert set(published.COMPARISONS) == {name for table in TABLES.values() if table.kind == COMPARISON
                                          for name in table.datasets}
    assert set(DOWNLOADS) == {name for table in TABLES.values() for name in table.datasets}
    for rows in published.COMPARISONS.values():
        assert rows[0].method == "UOIS-SAM" and rows[0].origin is published.Origin.PAPER
        for row in rows:
            assert len(row.figures) == len(published.COLUMNS) and any(value is not None for value in row.figures)
            assert all(value is None or 0 < value < 100 for value in row.figures)
            assert row.input in ("RGB", "depth", "RGB-D")
            assert bool(row.place) == (row.origin in (published.Origin.CODE, published.Origin.ARRAYS)), row


def test_the_paper_agrees_with_itself():
    ocid = published.COMPARISONS["ocid"][0].figures
    assert published.LADDER["+ HDNet"] == (ocid[2], ocid[5], ocid[6]) and published.FRACTIONS[10] == ocid[2]


def test_coverage_in_words():
    assert render.Coverage("OSD", 111, 111, 111).describe() == "OSD: all 111 published frames"
    assert "NOT COMPARABLE" in render.Coverage("OSD", 100, 111, 111).describe()
    assert render.Coverage("X", 3, 3, None).describe().startswith("X: 3 frames; NOT COMPARABLE")
