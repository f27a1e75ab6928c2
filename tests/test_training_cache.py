"""The feature cache: what goes in comes out, damage is noticed, the budget is kept."""

from __future__ import annotations

import os
import resource
import signal

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the train extra")

from uois_sam_ros.errors import InputError  # noqa: E402
from uois_sam_ros.training.cache import GB, FeatureCache  # noqa: E402

ARRAYS = {"features": np.arange(500, dtype=np.float16).reshape(5, 100)}
ENTRY_GB = 1000 / GB  # the arrays of one entry; its file is a little larger


def age(shelf, key, seconds=3600):
    """Make an entry look as if an earlier run had used it."""
    path = shelf.folder / f"{key}.npz"
    os.utime(path, (path.stat().st_atime - seconds, path.stat().st_mtime - seconds))


def test_an_entry_comes_back(tmp_path):
    shelf = FeatureCache(tmp_path, 1).shelf("net-abc")
    assert shelf.get("one") is None
    shelf.put("one", ARRAYS)
    back = FeatureCache(tmp_path, 1).shelf("net-abc").load("one")
    assert back["features"].dtype == np.float16
    np.testing.assert_array_equal(back["features"], ARRAYS["features"])
    assert FeatureCache(tmp_path, 1).shelf("net-other").get("one") is None


@pytest.mark.parametrize("damage", [
    lambda raw: raw[:200], lambda raw: b"", lambda raw: b"junk" * 50,
    lambda raw: raw[:700] + bytes([raw[700] ^ 255]) + raw[701:],  # one byte of the values
])
def test_a_damaged_entry_counts_as_missing_and_goes(tmp_path, damage):
    shelf = FeatureCache(tmp_path, 1).shelf("net")
    shelf.put("one", ARRAYS)
    path = shelf.folder / "one.npz"
    path.write_bytes(damage(path.read_bytes()))
    assert shelf.get("one") is None
    assert not path.exists()
    with pytest.raises(InputError, match="run the same command again"):
        shelf.load("one")


def test_a_full_cache_drops_what_earlier_runs_left_oldest_first(tmp_path):
    earlier = FeatureCache(tmp_path, 1).shelf("old-net")
    for number, key in enumerate("abc"):
        earlier.put(key, ARRAYS)
        age(earlier, key, seconds=3600 - 60 * number)
    size = (earlier.folder / "a.npz").stat().st_size
    cache = FeatureCache(tmp_path, 3.5 * size / GB)
    assert cache.shelf("old-net").get("b") is not None  # used by this run
    cache.shelf("net").put("one", ARRAYS)
    assert {path.stem for path in earlier.folder.iterdir()} == {"b", "c"}
    cache.shelf("net").put("two", ARRAYS)
    assert {path.stem for path in earlier.folder.iterdir()} == {"b"}
    with pytest.raises(InputError, match="raise --cache-gb"):
        cache.shelf("net").put("three", ARRAYS)
    assert {path.stem for path in (tmp_path / "net").iterdir()} == {"one", "two"}


def test_several_writers_leave_room_for_each_other(tmp_path):
    cache = FeatureCache(tmp_path, 3 * ENTRY_GB, writers=4)
    with pytest.raises(InputError, match="budget"):
        cache.shelf("net").put("one", ARRAYS)


@pytest.mark.parametrize("budget", [0, -1, float("nan")])
def test_budgets_that_hold_nothing_are_refused(tmp_path, budget):
    with pytest.raises(InputError, match="more than 0 GB"):
        FeatureCache(tmp_path, budget)


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="another --cache"):
        FeatureCache(tmp_path / "file" / "cache", 1)


def test_a_full_disk_is_told_and_leaves_no_half_entry(tmp_path):
    """A limit on the size of files stands for a full disk: the system refuses to write on."""
    shelf = FeatureCache(tmp_path, 1).shelf("net")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600, hard))
    try:
        with pytest.raises(InputError, match="expected to write an entry"):
            shelf.put("one", ARRAYS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert list(shelf.folder.iterdir()) == []
