"""``uois-sam reproduce`` on stand-in trees: its tables, the published figures in them, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from reproducerig import fake_engines
from standintrees import write_housecat6d, write_ocid, write_osd, write_phocal

from uois_sam_ros.cli import main
from uois_sam_ros.config import preset, update
from uois_sam_ros.errors import ModelError
from uois_sam_ros.replay.accuracy.run_file import read_run
from uois_sam_ros.replay.reproduce import published, render
from uois_sam_ros.replay.reproduce.commands import what_it_reads
from uois_sam_ros.replay.reproduce.runner import Run
from uois_sam_ros.replay.reproduce.tables import COMPARISON, DOWNLOADS, TABLES


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
    config.write_text("encoding: {focus: 'off'}\nprompting: {grid_side: 4}\n"
                      "selection: {plane_veto: false, min_size_m: 0, max_size_m: 10}\n")
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
