"""OCID: where its frames are, and the background that its floor and its table make."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from datasettrees import errors, ids, save, save_triple

from uois_sam_ros.datasets.base import NO_DEPTH_FILE
from uois_sam_ros.datasets.ocid import MISPLACED, XTION, Ocid, place_of
from uois_sam_ros.errors import InputError
from uois_sam_ros.replay.metrics import score_frame
from uois_sam_ros.replay.sources import InputOptions
from uois_sam_ros.types import Intrinsics

FOLDERS = ("rgb", "depth", "label")
GROUPS = [f"{subset}/{surface}/{view}" for subset in ("ARID20", "ARID10", "YCB10") for surface in ("floor", "table")
          for view in ("bottom", "top")]


def write(root: Path, groups=GROUPS, *, label=ids(1, 2, 3, 4), indexed=True) -> Path:
    """One sequence of two frames in every group; those of YCB10 below a category, as on disk."""
    for group in groups:
        folder = root / group / ("cuboid/seq01" if group.startswith("YCB10") else "seq01")
        for k in range(2):
            save_triple(folder, FOLDERS, f"result_2018-08-21-11-06-0{k}", label, seed=k, indexed=indexed)
    return root


def test_frames_in_order_with_names_of_their_own(tmp_path):
    dataset = Ocid(write(tmp_path / "OCID-dataset"))
    samples = list(dataset)
    assert len(dataset) == dataset.count == len(samples) == 24 and not errors(samples)
    assert samples[0].source == "ARID10-floor-bottom" and samples[0].name == "seq01_result_2018-08-21-11-06-00"
    assert samples[-1].source == "YCB10-table-top"
    assert samples[-1].name == "cuboid_seq01_result_2018-08-21-11-06-01"
    assert len({(s.source, s.name) for s in samples}) == 24
    frame = samples[0].frame
    assert np.allclose(frame.depth_m, 0.8) and frame.intrinsics == XTION and frame.color.shape == (48, 64, 3)


def test_the_surface_is_background(tmp_path):
    for sample in Ocid(write(tmp_path / "d")):
        kept = set(np.unique(sample.truth)) - {0}
        assert sample.truth.dtype == np.uint16
        assert kept == ({3, 4} if sample.tags["surface"] == "table" else {2, 3, 4}), sample.source


@pytest.mark.parametrize("above", ["tabletop", "data/table", "floor", "table/top"])
def test_the_root_does_not_decide(tmp_path, above):
    dataset = Ocid(write(tmp_path / above / "OCID"))
    assert len(dataset) == 24
    floor = next(sample for sample in dataset if "floor" in sample.source)
    assert set(np.unique(floor.truth)) == {0, 2, 3, 4}


@pytest.mark.parametrize(("root", "count"), [("ARID20/floor", 4), ("ARID20/floor/top", 2), ("YCB10/table/top", 2),
                                             ("ARID20/floor/top/seq01", 2), ("YCB10", 8)])
def test_a_root_inside_the_tree_knows_its_surface(tmp_path, root, count):
    dataset = Ocid(write(tmp_path) / root)
    assert len(dataset) == count
    for sample in dataset:
        assert f"-{sample.tags['surface']}-" in sample.source
        assert sample.truth.max() == 4 and (2 in sample.truth) == (sample.tags["surface"] == "floor")


@pytest.mark.parametrize(("path", "place"), [
    ("/a/ARID20/floor/bottom/seq05", ("ARID20", "floor", "bottom", "")),
    ("/a/YCB10/table/top/curved/seq20", ("YCB10", "table", "top", "curved")),
    ("/a/YCB10/floor/top/top/seq20", ("YCB10", "floor", "top", "top")),  # a category of this name
    ("/a/tabletop/top/seq01", None), ("/a/table/seq01", None), ("/seq01", None), ("/top/seq01", None)])
def test_place_in_the_tree(path, place):
    assert place_of(Path(path)) == place


def test_words_choose_the_surface(tmp_path):
    write(tmp_path)
    assert {sample.tags["surface"] for sample in Ocid(tmp_path, ["table"])} == {"table"}
    assert Ocid(tmp_path, ["floor"]).inventory().missing == ()


def test_a_perfect_prediction_scores_one(tmp_path):
    """The whole protocol: predicting the table as an object costs precision, the objects alone are perfect."""
    sample = next(iter(Ocid(write(tmp_path), ["table"])))
    assert score_frame(ids(0, 0, 3, 4), sample.truth).overlap_f == 1.0
    assert score_frame(ids(0, 2, 3, 4), sample.truth).overlap_precision == pytest.approx(2 / 3)


def test_what_is_missing_is_named(tmp_path):
    write(tmp_path, [group for group in GROUPS if group != "ARID10/table/top"])
    (tmp_path / "ARID20/floor/top/seq01/label/result_2018-08-21-11-06-00.png").unlink()
    (tmp_path / "ARID20/floor/top/seq01/depth/result_2018-08-21-11-06-01.png").unlink()
    inventory = Ocid(tmp_path).inventory()
    assert (inventory.found, inventory.published, inventory.complete) == (22, 2390, False)
    assert inventory.missing == (
        "all of ARID10-table-top", "1 label image: ARID20-floor-top/seq01_result_2018-08-21-11-06-00",
        "1 depth image: ARID20-floor-top/seq01_result_2018-08-21-11-06-01")
    assert inventory.groups["ARID20-floor-top"] == 2


def test_bad_frames_do_not_end_the_run(tmp_path):
    write(tmp_path, ["ARID20/floor/top", "ARID20/table/top"])
    folder = tmp_path / "ARID20/floor/top/seq01"
    (folder / "rgb/result_2018-08-21-11-06-00.png").write_bytes(b"no picture")
    save(folder / "label/result_2018-08-21-11-06-01.png", ids(1, 2, shape=(24, 32)))
    (tmp_path / "ARID20/table/top/seq01/label/result_2018-08-21-11-06-00.png").unlink()
    dataset = Ocid(tmp_path)
    samples = list(dataset)
    refused = errors(samples)
    assert len(samples) == 4 and len(refused) == 3 and samples[3].frame is not None
    reasons = list(refused.values())
    assert "cannot be decoded" in reasons[0]
    assert "expected 64x48 like the colour image, got 32x24" in reasons[1]
    assert "expected a readable image file" in reasons[2]


def test_missing_depth_is_colour_only_and_counted(tmp_path):
    write(tmp_path, ["ARID20/floor/top"])
    (tmp_path / "ARID20/floor/top/seq01/depth/result_2018-08-21-11-06-01.png").unlink()
    dataset = Ocid(tmp_path)
    first, second = dataset
    assert first.frame.depth_m is not None and second.frame.depth_m is None and second.error is None
    list(dataset)  # a second pass counts nothing twice
    assert dataset.tally.count(NO_DEPTH_FILE) == 1
    assert dataset.notes == ["OCID: 1 x no depth image: read as colour only (first: ARID20-floor-top/"
                             "seq01_result_2018-08-21-11-06-01)"]


def test_options_override_the_files(tmp_path):
    write(tmp_path, ["ARID20/floor/top"])
    own = Intrinsics(500.0, 500.0, 32.0, 24.0)
    sample = Ocid(tmp_path, options=InputOptions(intrinsics=own, depth_scale=0.002)).sample(0)
    assert sample.frame.intrinsics == own and np.allclose(sample.frame.depth_m, 1.6)
    assert Ocid(tmp_path, options=InputOptions(read_depth=False)).sample(1).frame.depth_m is None
    with pytest.raises(IndexError, match="expected 0 to 1, got 2"):
        Ocid(tmp_path).sample(2)


def test_sequences_out_of_place_are_counted(tmp_path):
    write(tmp_path, ["ARID20/floor/top"])
    save_triple(tmp_path / "extra" / "seq07", FOLDERS, "a", ids(1, 2))
    dataset = Ocid(tmp_path)
    assert len(dataset) == 2 and dataset.tally.count(MISPLACED) == 1
    assert MISPLACED in dataset.notes[0]


def test_what_is_no_ocid(tmp_path):
    with pytest.raises(InputError, match="expected its folder, got no such file"):
        Ocid(tmp_path / "none")
    with pytest.raises(InputError, match="got none of it; pass the folder that holds it"):
        Ocid(tmp_path)
    with pytest.raises(InputError, match="expected words out of floor, table, got 'ceiling'"):
        Ocid(tmp_path, ["ceiling"])
