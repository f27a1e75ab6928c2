"""Data sets by name, as inputs of every verb, and what all readers have in common."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from datasettrees import save
from picturefiles import write_source
from tabletop import tabletop

from uois_sam_ros.cli import main
from uois_sam_ros.datasets import info, registry
from uois_sam_ros.datasets.base import natural, shorten
from uois_sam_ros.datasets.shards import ShardWriter, SyntheticFrame
from uois_sam_ros.errors import InputError
from uois_sam_ros.replay.sources import InputOptions, open_input
from uois_sam_ros.types import Intrinsics


@pytest.fixture
def osd(tmp_path) -> Path:
    """Two good frames of OSD on a real table, and a bad one between them."""
    frame, truth, _ = tabletop()
    root = tmp_path / "OSD-0.2-depth"
    for name in ("learn0", "test1", "test2"):
        save(root / f"annotation/{name}.png", truth.astype(np.uint8))
        save(root / f"image_color/{name}.png", frame.color)
        save(root / f"disparity/{name}.png", np.round(frame.depth_m * 1000).astype(np.uint16))
    (root / "image_color/test1.png").write_bytes(b"broken")
    return root


@pytest.mark.parametrize("name", registry.NAMES)
def test_every_reader_says_what_it_follows(name):
    reader = registry.reader(name)
    facts = reader.info
    assert facts.name == name and facts.title and facts.layout and facts.follows and facts.truth and facts.camera
    own = name in ("coco", "synthetic")
    assert own or facts.verified == info.UNVERIFIED == "unverified on the real files"
    assert own or facts.published[""] > 0
    assert all(word in facts.words for words in facts.published for word in words.split(",") if words)


def test_published_counts():
    counts = {name: registry.reader(name).info.published.get("") for name in registry.NAMES}
    assert counts == {"uoais-sim": 45000, "ocid": 2390, "osd": 111, "phocal": 721, "housecat6d": 2503,
                      "graspnet": 23040, "coco": None, "synthetic": None}


@pytest.mark.parametrize(("text", "expected"), [
    ("ocid:/data/OCID", ("ocid", "/data/OCID")), ("graspnet@kinect,test_seen:g", ("graspnet@kinect,test_seen", "g")),
    ("coco:a:b", ("coco", "a:b")), ("ocid@:x", ("ocid@", "x")), ("/data/a:b", None), ("folder", None), ("ocid:", None),
    ("c:/x", None)])
def test_specs(text, expected):
    assert registry.split_spec(text) == expected


def test_what_exists_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_source(tmp_path / "osd:x", ("a",))
    assert registry.split_spec("osd:x") is None and [s.name for s in open_input("osd:x")] == ["a"]


def test_refusals():
    with pytest.raises(InputError, match="data set 'ocdi': expected one of uoais-sim, ocid,"):
        open_input("ocdi:/data")
    with pytest.raises(InputError, match="OSD /none: expected its folder"):
        open_input("osd:/none")
    with pytest.raises(InputError, match="osd@tests: expected words out of learn, test, got 'tests'"):
        registry.open_dataset("osd@tests", "/")


def test_verbs_take_them(osd, tmp_path, capsys):
    """eval goes on past the bad frame, and says so."""
    scores = tmp_path / "scores.json"
    assert main(["eval", f"osd:{osd}", "--preset", "geometry", "--json", str(scores)]) == 1
    data = json.loads(scores.read_text())
    assert data["rows"]["all"]["frames"] == 2 and data["rows"]["all"]["detected_75"] > 0.6
    assert [entry["frame"] for entry in data["refused"]] == ["test/test1"]
    assert "refused test/test1: " in capsys.readouterr().err
    assert main(["eval", f"osd@learn:{osd}", "--preset", "geometry", "--max-frames", "1"]) == 0
    (osd / "disparity/learn0.png").unlink()
    assert main(["segment", f"osd@learn:{osd}", "--preset", "geometry", "--out", str(tmp_path / "o")]) == 1
    assert "OSD: 1 x no depth image" in capsys.readouterr().err


def test_random_access_and_lazy_reading(osd):
    dataset = registry.open_dataset("osd", osd)
    (osd / "image_color/learn0.png").unlink()  # listed, not read yet
    assert len(dataset) == 3 and dataset.sample(2).error is None and "learn0" in dataset.sample(0).error
    assert [sample.name for sample in dataset] == ["learn0", "test1", "test2"]


def test_shards_by_name_and_by_folder(tmp_path):
    frame, truth, _ = tabletop()
    k = frame.intrinsics
    stored = SyntheticFrame(frame.color, frame.depth_m, truth, truth, np.float32([k.fx, k.fy, k.cx, k.cy]),
                            np.stack([truth == 1]), {"layout": "tower", "sensor": "tof", "objects": []})
    ShardWriter(tmp_path).write("shard_00000.npz", [stored, stored])
    for path in (tmp_path, f"synthetic:{tmp_path}"):
        samples = list(open_input(path))
        assert [(s.source, s.name, dict(s.tags)) for s in samples] == [
            ("tower", "000000", {"sensor": "tof"}), ("tower", "000001", {"sensor": "tof"})]
        assert np.array_equal(samples[0].truth, truth)
    own = Intrinsics(500.0, 500.0, 100.0, 100.0)
    sample = registry.open_dataset("synthetic", tmp_path, InputOptions(intrinsics=own, read_depth=False)).sample(1)
    assert sample.frame.intrinsics == own and sample.frame.depth_m is None


def test_nothing_heavy_is_imported():
    code = ("import sys, pkgutil, importlib, uois_sam_ros.datasets as d\n"
            "for m in pkgutil.iter_modules(d.__path__): importlib.import_module(f'{d.__name__}.{m.name}')\n"
            "heavy = {'torch', 'onnxruntime', 'rosbags', 'PIL', 'pycocotools', 'scipy', 'matplotlib', 'mujoco'}\n"
            "assert not heavy & set(sys.modules), heavy & set(sys.modules)")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_natural_order_and_short_lists():
    names = ["a10", "a9", "b", "a", "1", "a9b"]
    assert sorted(names, key=natural) == ["a", "a9", "a9b", "a10", "b", "1"]
    assert shorten(["a", "b", "c"], 2) == "a, b and 1 more" and shorten(["a"]) == "a"


def test_the_document_knows_every_data_set():
    text = (Path(__file__).resolve().parents[1] / "docs" / "datasets.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1]: line for line in text.splitlines() if line.startswith("| `")}
    assert set(rows) == set(registry.NAMES) and info.UNVERIFIED in text
    for name in registry.NAMES:
        facts = registry.reader(name).info
        assert "" not in facts.published or f"{facts.published['']:,}" in rows[name]
        for word in facts.words if name != "graspnet" else ():
            assert f"`{word}`" in rows[name]
