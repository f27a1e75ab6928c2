"""Label image files: ids in every form a tool writes them, and what is refused."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest

from uois_sam_ros.errors import FrameError
from uois_sam_ros.images import read_label

PIL = pytest.importorskip("PIL.Image")
IDS = np.array([[0, 1, 2, 3], [3, 2, 1, 0], [0, 0, 1, 1]], np.uint8)
PALETTE = [255, 255, 255, 200, 0, 0, 0, 200, 0, 0, 0, 200]  # nothing grey, and 0 is white


def indexed(ids=IDS, palette=PALETTE, **options) -> bytes:
    image = PIL.fromarray(ids).convert("L")
    image.putpalette(palette)
    stream = io.BytesIO()
    image.save(stream, "PNG", **options)
    return stream.getvalue()


@pytest.mark.parametrize("options", [{}, {"bits": 4}, {"bits": 2}, {"transparency": 0}, {"optimize": True}])
def test_pixels_of_an_indexed_png_are_the_ids(tmp_path, options):
    (tmp_path / "l.png").write_bytes(indexed(**options))
    label = read_label(tmp_path / "l.png")
    assert label.dtype == np.uint16 and np.array_equal(label, IDS)


def test_one_bit_palette(tmp_path):
    (tmp_path / "l.png").write_bytes(indexed(np.minimum(IDS, 1), bits=1))
    assert np.array_equal(read_label(tmp_path / "l.png"), np.minimum(IDS, 1))


def test_all_256_ids(tmp_path):
    ids = np.random.default_rng(0).integers(0, 256, (48, 300)).astype(np.uint8)
    ids[:, 100:200] = np.arange(48)[:, None]
    (tmp_path / "l.png").write_bytes(indexed(ids, np.random.default_rng(1).integers(0, 256, 768).tolist()))
    assert np.array_equal(read_label(tmp_path / "l.png"), ids)


@pytest.mark.parametrize("image", [IDS, IDS.astype(np.uint16) * 300, np.repeat(IDS[..., None], 3, 2)])
def test_plain_forms(tmp_path, image):
    cv2.imwrite(str(tmp_path / "l.png"), image)
    assert np.array_equal(read_label(tmp_path / "l.png"), image if image.ndim == 2 else image[..., 0])


@pytest.mark.parametrize(("content", "message"), [
    (b"", "cannot be decoded"), (indexed()[:-20], "is cut off"), (indexed()[:30], "is cut off"),
    (cv2.imencode(".png", np.dstack([IDS, IDS * 0, IDS]))[1].tobytes(), "write ids, not colours")])
def test_what_is_no_label(tmp_path, content, message):
    (tmp_path / "l.png").write_bytes(content)
    with pytest.raises(FrameError, match=message):
        read_label(tmp_path / "l.png")
    with pytest.raises(FrameError, match="none.png: expected a readable image file"):
        read_label(tmp_path / "none.png")
