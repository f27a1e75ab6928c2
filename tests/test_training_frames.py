"""Which frames train and which validate, from data sets and from plain folders."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the train extra")
from blockscenes import write_block_shards  # noqa: E402
from picturefiles import write_source  # noqa: E402

from uois_sam_ros.errors import ConfigError, InputError  # noqa: E402
from uois_sam_ros.training.frames import LabelledFrames, split_frames  # noqa: E402

SOURCES = ["bin"] * 10 + ["table"] * 20


def split(sources=SOURCES, *, held_out=0.1, percent=100.0, seed=0):
    return split_frames(sources, held_out=held_out, percent=percent, seed=seed)


def test_the_last_frames_of_every_source_validate():
    chosen = split()
    assert chosen.valid == (9, 28, 29)
    assert chosen.train == tuple(k for k in range(30) if k not in chosen.valid)


def test_a_smaller_fraction_is_part_of_a_larger_one_and_validation_stays():
    parts = [split(percent=percent, seed=3) for percent in (1, 10, 50, 100)]
    assert [len(part.train) for part in parts] == [1, 3, 14, 27]
    for small, large in zip(parts[:-1], parts[1:]):
        assert set(small.train) < set(large.train)
        assert small.valid == large.valid
    assert split(percent=50, seed=3) == parts[2] != split(percent=50, seed=4)


def test_two_frames_are_enough_and_a_separate_input_may_validate():
    assert split(["own"] * 2) == split_frames(["own"] * 2, held_out=0.1, percent=100, seed=1)
    assert split(["own"] * 2).valid == (1,)
    assert split(["own"] * 3, held_out=0.0).valid == ()


@pytest.mark.parametrize("change, message", [
    ({"percent": 0}, "1 to 100 percent"), ({"percent": 100.5}, "got 100.5"), ({"percent": float("nan")}, "--fraction"),
    ({"held_out": 1.0}, "below 1"), ({"held_out": -0.1}, "--held-out")])
def test_numbers_out_of_range_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        split(**change)


@pytest.mark.parametrize("sources", [[], ["own"]])
def test_one_frame_is_not_enough(sources):
    with pytest.raises(InputError, match="at least 2"):
        split(sources)


def test_data_sets_and_folders_are_read_by_number(tmp_path):
    shards = LabelledFrames(str(write_block_shards(tmp_path / "shards", shards=1, frames=4)))
    assert [index for index, _ in shards.read([3, 1])] == [1, 3]
    own = LabelledFrames(str(write_source(tmp_path / "own", ("a", "b", "c"))))
    assert own.sources == ("own",) * 3
    ((index, sample),) = own.read([1])
    assert (index, sample.name) == (1, "b")
    assert sample.truth.max() > 0


def test_what_has_no_masks_is_counted_and_refused_when_nothing_is_left(tmp_path):
    write_source(tmp_path, ("bare", "good", "torn"))
    (tmp_path / "bare_label.png").unlink()
    (tmp_path / "torn_color.png").write_bytes((tmp_path / "good_color.png").read_bytes()[:100])
    frames = LabelledFrames(str(tmp_path))
    assert [sample.name for _, sample in frames.read(range(3))] == ["good"]
    told = str(frames.none_labelled())
    assert "expected labelled frames" in told and "without masks" in told and "cut off" in told
