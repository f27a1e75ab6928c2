"""Shards on disk: what is written comes back, and what is broken is refused."""

import json

import numpy as np
import pytest

from uois_sam_ros.errors import InputError
from uois_sam_ros.datasets.shards import DEPTH_SCALE, MANIFEST, ShardReader, ShardWriter, SyntheticFrame, pack_depth


def make_frame(seed: int, objects: int) -> SyntheticFrame:
    rng = np.random.default_rng(seed)
    height, width = 9, 13  # 117 pixels: not a multiple of 8
    return SyntheticFrame(
        color=rng.integers(0, 256, (height, width, 3), dtype=np.uint8),
        depth_m=(rng.integers(0, 8000, (height, width)) * DEPTH_SCALE).astype(np.float32),
        label=rng.integers(0, objects + 1, (height, width)).astype(np.uint16),
        part=rng.integers(0, 2 * objects + 1, (height, width)).astype(np.uint16),
        intrinsics=np.array([11.0, 12.0, 6.0, 4.0], np.float32),
        amodal=rng.random((objects, height, width)) < 0.5,
        meta={"scene": seed, "objects": [{"id": k + 1, "family": "box"} for k in range(objects)]},
    )


def write_folder(folder, counts=((0, 3), (2, 1, 4))):
    writer = ShardWriter(folder)
    entries, frames = [], []
    for number, objects in enumerate(counts):
        shard = [make_frame(10 * number + k, count) for k, count in enumerate(objects)]
        entries.append(writer.write(f"shard_{number:05d}.npz", shard))
        frames.extend(shard)
    (folder / MANIFEST).write_text(json.dumps({"format": 1, "arguments": {}, "shards": entries}))
    return frames


@pytest.mark.parametrize("manifest", [True, False])
def test_frames_come_back_as_written(tmp_path, manifest):
    frames = write_folder(tmp_path)
    if not manifest:
        (tmp_path / MANIFEST).unlink()
    reader = ShardReader(tmp_path, cache=1, verify=True)
    assert len(reader) == 5
    for index in (4, 0, 2, 3, 1):
        read, written = reader.frame(index), frames[index]
        for name in ("color", "label", "part", "intrinsics", "amodal"):
            assert np.array_equal(getattr(read, name), getattr(written, name)), name
            assert getattr(read, name).dtype == getattr(written, name).dtype
        assert np.allclose(read.depth_m, written.depth_m, atol=DEPTH_SCALE / 2) and read.depth_m.dtype == np.float32
        assert read.meta == written.meta


def test_index_out_of_range(tmp_path):
    write_folder(tmp_path)
    with pytest.raises(IndexError, match="expected 0 to 4, got 5"):
        ShardReader(tmp_path).frame(5)


@pytest.mark.parametrize("metres, steps", [
    (0.00025, 1), (1.0, 4000), (16.38, 65520),
    (16.5, 0),  # beyond the range
    (np.nan, 0), (np.inf, 0), (-1.0, 0),
])
def test_depth_packing(metres, steps):
    assert pack_depth(np.array([[metres]], np.float32))[0, 0] == steps


def test_truncated_shard_is_named(tmp_path):
    write_folder(tmp_path)
    path = tmp_path / "shard_00001.npz"
    path.write_bytes(path.read_bytes()[:600])
    reader = ShardReader(tmp_path)
    reader.frame(0)
    with pytest.raises(InputError, match="shard_00001.npz.*truncated"):
        reader.frame(2)


def test_changed_bytes_fail_verification(tmp_path):
    write_folder(tmp_path)
    path = tmp_path / "shard_00000.npz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="sha256"):
        ShardReader(tmp_path, verify=True)


def test_missing_shard_fails_verification(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "shard_00000.npz").unlink()
    with pytest.raises(InputError, match="shard_00000"):
        ShardReader(tmp_path, verify=True)


def test_foreign_archive_is_refused(tmp_path):
    np.savez(tmp_path / "shard_00000.npz", intrinsics=np.zeros((1, 4)), images=np.zeros(3))
    with pytest.raises(InputError, match="not made by"):
        ShardReader(tmp_path).frame(0)


def test_shard_of_another_length_is_refused(tmp_path):
    frames = write_folder(tmp_path)
    ShardWriter(tmp_path).write("shard_00001.npz", frames[:1])
    with pytest.raises(InputError, match="expected 3 frames"):
        ShardReader(tmp_path).frame(4)


def test_pickled_arrays_are_not_loaded(tmp_path):
    np.savez(tmp_path / "shard_00000.npz", intrinsics=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="shard_00000"):
        ShardReader(tmp_path)


@pytest.mark.parametrize("text, message", [
    ("{", "unreadable"), ("[]", "unreadable"), ('{"format": 99, "shards": []}', "format 1, got 99"),
])
def test_bad_manifest_is_refused(tmp_path, text, message):
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(InputError, match=message):
        ShardReader(tmp_path)


def test_empty_and_missing_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match="found none"):
        ShardReader(tmp_path)
    with pytest.raises(InputError, match="expected a folder"):
        ShardReader(tmp_path / "nowhere")


def test_a_shard_needs_frames(tmp_path):
    with pytest.raises(InputError, match="at least one frame"):
        ShardWriter(tmp_path).write("shard_00000.npz", [])


def test_no_temporary_file_stays(tmp_path):
    write_folder(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [MANIFEST, "shard_00000.npz", "shard_00001.npz"]
