"""Run-length codes and polygons: exact, and the same as pycocotools where it is installed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from uois_sam_ros.datasets.polygons import mask_to_polygons, polygons_to_mask
from uois_sam_ros.datasets.rle import decode_mask, encode_mask
from uois_sam_ros.errors import InputError


def masks(count: int = 60):
    """Blobs, noise, single pixels, full and empty masks of many sizes."""
    rng = np.random.default_rng(0)
    for k in range(count):
        shape = tuple(rng.integers(1, 90, 2))
        if k % 3 == 0:
            yield rng.random(shape) < rng.random()
        else:
            smooth = cv2.GaussianBlur(rng.random(shape).astype(np.float32), (0, 0), rng.uniform(0.5, 6))
            yield smooth > np.quantile(smooth, rng.uniform(0.05, 0.95))
    for shape in ((1, 1), (4, 4), (3, 7)):
        yield np.zeros(shape, bool)
        yield np.ones(shape, bool)


@pytest.mark.parametrize(("rows", "counts"), [
    (["0000", "0000"], "8"), (["1111", "1111"], "08"),
    (["0110", "0110"], "242"),  # column by column: 2 zeros, 4 ones, 2 zeros
    (["0010", "0100"], "323"),  # columns 00, 01, 10, 00: 3 zeros, 2 ones, 3 zeros
])
def test_codes_by_hand(rows, counts):
    mask = np.array([[cell == "1" for cell in row] for row in rows])
    assert encode_mask(mask) == {"size": [2, 4], "counts": counts}


def test_differences_and_long_runs_by_hand():
    """1 zero, 1 one, 2 zeros, 40 ones, 20 zeros: stored as 1, 1, 2, 40 - 1 = 39 = 7 + 32, 20 - 2 = 18."""
    flat = np.repeat([False, True, False, True, False], [1, 1, 2, 40, 20])
    code = encode_mask(flat.reshape(8, 8, order="F"))
    # 39 = 0b1_00111: low bits 7 + more (32) -> chr(48 + 39) = 'W', then 1 -> '1'
    # 18 = 0b10010: bit 16 would be a sign, so 18 + 32 -> chr(48 + 50) = 'b', then 0 -> '0'
    assert code["counts"] == "112" + "W1" + "b0"
    assert np.array_equal(decode_mask(code, "m"), flat.reshape(8, 8, order="F"))


def test_round_trip_as_text_and_as_list():
    for mask in masks():
        code = encode_mask(mask)
        assert np.array_equal(decode_mask(code, "m"), mask)
        flat = mask.ravel(order="F")
        edges = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1, [flat.size]])
        runs = np.diff(edges).tolist()
        assert np.array_equal(decode_mask({"size": list(mask.shape), "counts": [0] * bool(flat[0]) + runs}, "m"), mask)


def test_polygons_are_exact():
    for mask in masks(30):
        polygons = mask_to_polygons(mask)
        assert np.array_equal(polygons_to_mask(polygons, mask.shape, "m"), mask)
        assert all(len(polygon) >= 8 for polygon in polygons)


def test_polygons_by_hand():
    mask = np.zeros((4, 5), bool)
    mask[1:3, 1:4] = True
    assert mask_to_polygons(mask) == [[1, 1, 4, 1, 4, 3, 1, 3]]
    mask[2, 3] = False
    assert mask_to_polygons(mask) == [[1, 1, 4, 1, 4, 2, 3, 2, 3, 3, 1, 3]]
    ring = np.ones((3, 3), bool)
    ring[1, 1] = False
    polygons = mask_to_polygons(ring)
    assert len(polygons) == 2 and np.array_equal(polygons_to_mask(polygons, (3, 3), "m"), ring)
    diagonal = np.eye(2, dtype=bool)  # pixels that meet in a corner are two pieces
    assert sorted(mask_to_polygons(diagonal)) == [[0, 0, 1, 0, 1, 1, 0, 1], [1, 1, 2, 1, 2, 2, 1, 2]]


@pytest.mark.parametrize(("polygon", "pixels"), [
    ([0, 0, 4, 0, 0, 4], 6),  # a triangle: centres below the diagonal, 3 + 2 + 1
    ([0.6, 0.6, 3.4, 0.6, 3.4, 3.4, 0.6, 3.4], 4),  # centres 1.5 and 2.5 in x and y
    ([-50, -50, 90, -50, 90, 90, -50, 90], 64),  # larger than the picture
    ([20, 20, 30, 20, 30, 30], 0),  # beside it
    ([0, 0, 4, 4, 4, 0, 0, 4], 8),  # a bow tie: even-odd, the triangles left and right of its knot
])
def test_which_centres_lie_inside(polygon, pixels):
    assert polygons_to_mask([polygon], (8, 8), "m").sum() == pixels


NO_CODE, OTHER_SUM = "expected a run-length code with size and counts", "expected runs that add up to 4x4 pixels"


@pytest.mark.parametrize(("counts", "message"), [
    ("08", f"{OTHER_SUM}, got 8"), ("", OTHER_SUM), ([-1, 17], OTHER_SUM), ([[16]], OTHER_SUM), ("\x7f", NO_CODE),
    ("W", NO_CODE), (["a"], NO_CODE), ("日", NO_CODE), (None, NO_CODE)])
def test_damaged_counts(counts, message):
    with pytest.raises(InputError, match=f"a.png, annotation 3: {message}"):
        decode_mask({"size": [4, 4], "counts": counts}, "a.png, annotation 3")


@pytest.mark.parametrize(("code", "message"), [({"size": [4, 4]}, NO_CODE), ({"size": [4], "counts": "0"}, NO_CODE),
                                               (7, f"{NO_CODE}, got 7")])
def test_damaged_codes(code, message):
    with pytest.raises(InputError, match=message):
        decode_mask(code, "a.png, annotation 3")


@pytest.mark.parametrize(("polygon", "message"), [
    ([1, 2, 3, 4], "three corners or more, got 2"), ([1, 2, 3], "flat lists"), (["a"] * 6, "flat lists"),
    (3, "flat lists"), ([float("nan")] * 6, "three corners")])
def test_damaged_polygons(polygon, message):
    with pytest.raises(InputError, match=message):
        polygons_to_mask([polygon], (4, 4), "m")


def test_pycocotools_agrees():
    coco = pytest.importorskip("pycocotools.mask", reason="no pycocotools: codes are checked by hand alone")
    for mask in masks():
        theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        assert encode_mask(mask)["counts"] == theirs["counts"].decode()
        assert np.array_equal(decode_mask(theirs, "m"), mask)
        polygons = mask_to_polygons(mask)
        if polygons:
            merged = coco.merge(coco.frPyObjects(polygons, *mask.shape))
            assert np.array_equal(coco.decode(merged).astype(bool), mask), "our outlines mean the same there"
