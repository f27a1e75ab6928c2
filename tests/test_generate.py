"""Generation as a whole: deterministic, resumable, and what a frame's labels promise."""

import json

import cv2
import numpy as np
import pytest

pytest.importorskip("embreex", reason="generation needs embreex: pip install embreex")
pytest.importorskip("mujoco", reason="generation needs mujoco: pip install mujoco")

from uois_sam_ros.errors import BackendError, ConfigError, InputError
from uois_sam_ros.synthetic import generate as generation
from uois_sam_ros.synthetic.generate import generate, to_frame
from uois_sam_ros.synthetic.model import Camera, ObjectModel, Piece, Placed, Render, Scene, Surface
from uois_sam_ros.synthetic.preview import colour_depth, colour_labels, montage
from uois_sam_ros.synthetic.sensor import HOLDOUT_SENSOR, SENSORS
from uois_sam_ros.datasets.shards import MANIFEST, ShardReader
from uois_sam_ros.synthetic.shapes import HOLDOUT_FAMILIES, SCORE_FAMILIES, TRAIN_FAMILIES

SMALL = {"views_per_scene": 2, "width": 96, "height": 72, "progress": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("synthetic")
    generate(path, scenes=3, seed=11, **SMALL)
    return path


def frames_of(folder):
    reader = ShardReader(folder, verify=True)
    return [reader.frame(index) for index in range(len(reader))]


def test_frames_are_consistent(folder):
    frames = frames_of(folder)
    assert 3 <= len(frames) <= 6
    for frame in frames:
        ids = [item["id"] for item in frame.meta["objects"]]
        assert ids == list(range(1, len(ids) + 1))
        assert set(np.unique(frame.label)) - {0} == set(ids)
        assert frame.amodal.shape == (len(ids), 72, 96)
        assert frame.meta["sensor"] in SENSORS
        assert ((frame.part > 0) == (frame.label > 0)).all()
        for item in frame.meta["objects"]:
            visible = frame.label == item["id"]
            assert visible.sum() == item["visible_px"]
            assert not (visible & ~frame.amodal[item["id"] - 1]).any()
            assert item["amodal_px"] >= item["visible_px"]
            assert set(np.unique(frame.part[visible])) <= set(item["parts"])
            assert item["family"] in TRAIN_FAMILIES
        valid = frame.depth_m > 0
        assert valid.mean() > 0.2 and frame.depth_m[valid].min() > 0.05
        assert frame.color.std() > 3


def test_workers_and_shard_size_do_not_change_the_frames(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(generation, "SCENES_PER_SHARD", 2)
    manifest = generate(tmp_path, scenes=3, seed=11, workers=2, **SMALL)
    assert len(manifest["shards"]) == 2 and manifest["complete"]
    for frame, other in zip(frames_of(folder), frames_of(tmp_path), strict=True):
        assert np.array_equal(frame.color, other.color) and np.array_equal(frame.depth_m, other.depth_m)
        assert frame.meta == other.meta


def test_an_interrupted_run_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(generation, "SCENES_PER_SHARD", 1)
    tiny = {**SMALL, "views_per_scene": 1, "width": 48, "height": 36}
    whole = generate(tmp_path, scenes=3, seed=11, **tiny)
    kept = tmp_path / whole["shards"][0]["file"]
    before = kept.stat().st_mtime_ns
    (tmp_path / whole["shards"][1]["file"]).unlink()
    broken = tmp_path / whole["shards"][2]["file"]
    broken.write_bytes(broken.read_bytes()[:500])
    made = []
    original = generation.make_shard
    monkeypatch.setattr(generation, "make_shard",
                        lambda number, **rest: made.append(number) or original(number, **rest))
    again = generate(tmp_path, scenes=3, seed=11, **tiny)
    assert made == [1, 2]
    assert again == whole and kept.stat().st_mtime_ns == before


def test_manifest_tells_what_was_made(folder):
    manifest = json.loads((folder / MANIFEST).read_text())
    assert manifest["arguments"] == {"scenes": 3, "seed": 11, "views_per_scene": 2, "width": 96, "height": 72,
                                     "split": "train", "renderer": "raycast", "layout": "any"}
    assert manifest["complete"] and manifest["frames"] == len(frames_of(folder))
    assert sum(manifest["families"].values()) == manifest["objects"]


def test_other_arguments_are_refused(folder):
    with pytest.raises(InputError, match="'seed': 11"):
        generate(folder, scenes=3, seed=12, **SMALL)


def test_unknown_shards_are_not_overwritten(tmp_path):
    (tmp_path / "shard_00000.npz").write_bytes(b"mine")
    with pytest.raises(InputError, match="found shards without it"):
        generate(tmp_path, scenes=1, seed=0, **SMALL)


def test_one_layout_for_every_scene(tmp_path):
    generate(tmp_path, scenes=2, seed=3, layout="sparse", **SMALL)
    reader = ShardReader(tmp_path)
    assert {reader.frame(i).meta["layout"] for i in range(len(reader))} == {"sparse"}


def test_test_split_shows_unseen_families_and_sensor(tmp_path):
    generate(tmp_path, scenes=1, seed=5, split="test", **SMALL)
    frames = frames_of(tmp_path)
    assert all(frame.meta["sensor"] == HOLDOUT_SENSOR for frame in frames)
    seen = {item["family"] for frame in frames for item in frame.meta["objects"]}
    assert seen & set(HOLDOUT_FAMILIES)


def test_scores_split_shows_mostly_families_of_its_own_through_training_sensors(tmp_path):
    scenes = [generation._build(np.random.default_rng((7, number)), "scores", "pile") for number in range(3)]
    families = [placed.model.family for scene in scenes for placed in scene.objects]
    own = sum(family in SCORE_FAMILIES for family in families)
    assert 0.45 < own / len(families) < 0.9 and not set(families) & HOLDOUT_FAMILIES
    generate(tmp_path / "a", scenes=1, seed=5, split="scores", **SMALL)
    generate(tmp_path / "b", scenes=1, seed=5, split="scores", **SMALL)
    for frame, again in zip(frames_of(tmp_path / "a"), frames_of(tmp_path / "b"), strict=True):
        assert frame.meta["sensor"] in SENSORS and frame.meta["split"] == "scores"
        assert np.array_equal(frame.color, again.color) and np.array_equal(frame.part, again.part)


@pytest.mark.parametrize("change, message", [
    ({"scenes": 0}, "scenes: expected a whole number of at least 1, got 0"),
    ({"workers": 0}, "workers"), ({"width": 8}, "width"), ({"seed": -1}, "seed"), ({"scenes": 1.5}, "scenes"),
    ({"split": "val"}, "split: expected one of train, test, scores, got 'val'"),
    ({"layout": "heap"}, "layout: expected one of any, sparse"),
    ({"renderer": "raster"}, "renderer: expected one of raycast, pathtrace"),
])
def test_bad_arguments_are_refused(tmp_path, change, message):
    with pytest.raises(ConfigError, match=message):
        generate(tmp_path / "out", **{"scenes": 1, "seed": 0, **SMALL, **change})
    assert not (tmp_path / "out").exists()


def test_pathtrace_without_mitsuba_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mitsuba", None)
    with pytest.raises(BackendError, match="pip install mitsuba"):
        generate(tmp_path / "out", scenes=1, seed=0, renderer="pathtrace", **SMALL)


def test_hardly_visible_objects_lose_their_label():
    label = np.zeros((240, 320), np.uint16)
    label[:5, :4], label[100:110, :10], label[200, :19] = 1, 2, 3  # 20, 100 and 19 pixels
    part = np.where(label > 0, label + 10, 0).astype(np.uint16)
    amodal = np.stack([label == value for value in (1, 2, 3)])
    blank = np.zeros((240, 320), np.float32)
    render = Render(np.zeros((240, 320, 3), np.uint8), blank, label, part, np.zeros((240, 320, 3), np.float32),
                    np.zeros((240, 320), np.uint8), amodal)
    piece = Piece(np.zeros((3, 3), np.float32), np.array([[0, 1, 2]], np.int32))
    placed = [Placed(ObjectModel(name, (piece,), surfaces=(Surface("metal"),)), np.eye(4)) for name in "abc"]
    scene = Scene(tuple(placed), (), (), np.ones(3))
    frame = to_frame(render, blank, Camera(320, 240, (300, 300, 160, 120), np.eye(4)), scene, {"view": 0})
    assert [item["family"] for item in frame.meta["objects"]] == ["a", "b"]
    assert frame.meta["objects"][1] == {"id": 2, "family": "b", "group": -1, "parts": [2], "visible_px": 100,
                                        "amodal_px": 100, "material": "metal"}
    assert set(np.unique(frame.label)) == {0, 1, 2} and len(frame.amodal) == 2
    assert frame.part[200, 0] == 0, "its part goes too"


def test_preview_draws_colour_depth_and_labels(folder, tmp_path):
    reader = ShardReader(folder)
    montage(reader, 2, tmp_path / "preview.png", columns=2)
    picture = cv2.imread(str(tmp_path / "preview.png"))
    assert picture.shape == (72, 2 * 3 * 96, 3)
    assert np.array_equal(picture[:, :96, ::-1], reader.frame(0).color)


def test_preview_colours():
    depth = np.array([[0.0, 1.0, 2.0]], np.float32)
    image = colour_depth(depth)
    assert (image[0, 0] == 0).all() and image[0, 1, 0] > image[0, 2, 0], "near is warm, no reading is black"
    assert (colour_depth(np.zeros((2, 2), np.float32)) == 0).all()
    labels = colour_labels(np.array([[0, 1, 2]], np.uint16), np.full((1, 3, 3), 100, np.uint8))
    assert (labels[0, 0] == 50).all() and not np.array_equal(labels[0, 1], labels[0, 2])
