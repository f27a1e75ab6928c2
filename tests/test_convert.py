"""Messages -> arrays: every encoding by hand and against cv_bridge, every refusal."""

from __future__ import annotations

import array
import struct
from types import SimpleNamespace

import bagfiles as bags
import cv2
import numpy as np
import pytest

from uois_sam_ros.errors import FrameError
from uois_sam_ros.ros.bridge import probe_cv_bridge
from uois_sam_ros.ros.convert import (
    COLOR_ENCODINGS, decode_color, decode_depth, decode_ignore, decode_intrinsics, decode_label, read_raw)
from uois_sam_ros.types import Intrinsics

#: 2 x 3 pixels, RGB; 16 bit: halfway between two 8-bit values the nearer one counts.
RGB8 = np.array([[[255, 0, 1], [10, 20, 30], [0, 0, 0]], [[1, 2, 3], [200, 100, 50], [255, 255, 255]]], np.uint8)
RGB16 = RGB8.astype(np.uint16) * 257 + np.array([[[0, 128, -128], [128, -128, 1], [0, 1, 128]],
                                                 [[0] * 3, [1] * 3, [0] * 3]], np.int16).astype(np.uint16)
GREY8 = np.array([[0, 7, 255], [1, 128, 254]], np.uint8)
ALPHA = np.full((2, 3, 1), 9)


def stored(encoding):
    """The pixels of the picture as a camera stores them in ``encoding``."""
    rgb, grey = (RGB16, GREY8.astype(np.uint16) * 257) if encoding.endswith("16") else (RGB8, GREY8)
    name = encoding.rstrip("0123456789")
    pixels = {"rgb": rgb, "bgr": rgb[..., ::-1], "rgba": np.dstack([rgb, ALPHA]), "mono": grey,
              "bgra": np.dstack([rgb[..., ::-1], ALPHA])}[name]
    return np.ascontiguousarray(pixels.astype(rgb.dtype))


def expected(encoding):
    return np.repeat(GREY8[..., None], 3, axis=2) if encoding.startswith("mono") else RGB8


@pytest.mark.parametrize("encoding", COLOR_ENCODINGS)
@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("big_endian", [False, True])
def test_colour(encoding, padding, big_endian):
    picture = decode_color(bags.image(0, encoding, stored(encoding), padding=padding, big_endian=big_endian), "t")
    assert picture.dtype == np.uint8 and picture.flags.c_contiguous
    assert picture.tolist() == expected(encoding).tolist()


def test_narrowing_is_division_by_257_to_the_nearest():
    every = np.arange(1 << 16, dtype=np.uint16).reshape(256, 256)
    picture = decode_color(bags.image(0, "mono16", every), "t")
    assert np.array_equal(picture[..., 1], (every.astype(int) + 128) // 257)


@pytest.mark.parametrize("store", [bytes, bytearray, lambda data: array.array("B", data),
                                   lambda data: np.frombuffer(data, np.uint8)])
def test_plain_images_are_views_of_the_message(store):
    color = bags.image(0, "rgb8", RGB8)
    depth = bags.image(0, "32FC1", GREY8.astype(np.float32))
    for message, decode in ((color, lambda m: decode_color(m, "t")), (depth, lambda m: decode_depth(m, 0.001, "t"))):
        message.data = store(message.data.tobytes())
        image = decode(message)
        assert np.shares_memory(image, np.frombuffer(message.data, np.uint8))
        assert not image.flags.writeable  # nobody may change what other subscribers see
    assert decode_color(color, "t").tolist() == RGB8.tolist()


def test_data_at_an_odd_address_is_aligned():
    message = bags.image(0, "32FC1", GREY8.astype(np.float32))
    message.data = np.frombuffer(b"x" + message.data.tobytes(), np.uint8)[1:]
    depth = decode_depth(message, 0.001, "t")
    assert depth.flags.aligned and np.array_equal(depth, GREY8)


def test_a_last_row_without_its_padding_and_rows_of_unnamed_length():
    message = bags.image(0, "bgr8", stored("bgr8"), padding=6)
    message.data = message.data[:-6]
    assert decode_color(message, "t").tolist() == RGB8.tolist()
    message = bags.image(0, "bgr8", stored("bgr8"))
    message.step = 0
    assert decode_color(message, "t").tolist() == RGB8.tolist()


@pytest.mark.parametrize(("form", "pixels", "picture"), [
    ("rgb8; png compressed bgr8", RGB8[..., ::-1], RGB8),
    ("png", stored("bgra8"), RGB8),
    ("mono8; png compressed ", GREY8, expected("mono8")),
    ("bgr16; png compressed bgr16", RGB16[..., ::-1], RGB8),
    ("mono16; png compressed ", stored("mono16"), expected("mono8")),
])
def test_compressed_colour(form, pixels, picture):
    decoded = decode_color(bags.compressed(0, form, bags.png(np.ascontiguousarray(pixels))), "t")
    assert decoded.flags.c_contiguous and decoded.tolist() == picture.tolist()


def test_compressed_jpeg():
    rgb = np.full((32, 48, 3), (200, 90, 40), np.uint8)
    data = cv2.imencode(".jpg", np.ascontiguousarray(rgb[..., ::-1]))[1].tobytes()
    for store in (bytes, lambda raw: array.array("B", raw)):
        message = SimpleNamespace(format="bgr8; jpeg compressed bgr8", data=store(data))
        assert np.abs(decode_color(message, "t").astype(int) - rgb).max() <= 3


DEPTH_MM = np.array([[0, 500, 65535], [1, 1234, 2]], np.uint16)


@pytest.mark.parametrize("padding", [0, 4])
@pytest.mark.parametrize("big_endian", [False, True])
def test_depth(padding, big_endian):
    for encoding in ("16UC1", "mono16"):
        message = bags.image(0, encoding, DEPTH_MM, padding=padding, big_endian=big_endian)
        for scale in (0.001, 0.00025):
            depth = decode_depth(message, scale, "t")
            assert depth.dtype == np.float32 and np.array_equal(depth, DEPTH_MM * np.float32(scale))
    metres = np.array([[0, 0.5, np.nan], [np.inf, 1.25, 7]], np.float32)
    message = bags.image(0, "32FC1", metres, padding=padding, big_endian=big_endian)
    assert np.array_equal(decode_depth(message, 0.001, "t"), metres, equal_nan=True)  # metres already: no scale


def test_compressed_depth():
    png = bags.png(DEPTH_MM)
    for form, data in (("16UC1; compressedDepth png", bytes(12) + png), ("16UC1; compressedDepth", bytes(12) + png),
                       ("16UC1; png compressed ", png)):
        assert np.array_equal(decode_depth(bags.compressed(0, form, data), 0.001, "t"), DEPTH_MM * np.float32(0.001))


def test_compressed_float_depth():
    # A publisher with 100 quantisation steps and 10 m: a = 100 * 101, b = 1 - a / 10.
    a, b = 10100.0, -1009.0
    values = np.array([[0, 1, 1010], [9091, 65535, 19191]], np.uint16)
    message = bags.compressed(0, "32FC1; compressedDepth png", struct.pack("<iff", 0, a, b) + bags.png(values))
    by_hand = [[0, 10, a / 2019], [1, a / 66544, 0.5]]
    assert np.allclose(decode_depth(message, 0.001, "t"), by_hand, rtol=1e-5)
    # values up to b are beyond infinity
    message = bags.compressed(0, "32FC1; compressedDepth png", struct.pack("<iff", 0, 100, 1) + bags.png(values[:1]))
    assert np.allclose(decode_depth(message, 0.001, "t"), [[0, 0, 100 / 1009]])


@pytest.mark.parametrize(("encoding", "pixels"), [
    ("mono8", GREY8), ("8UC1", GREY8), ("16UC1", DEPTH_MM), ("mono16", DEPTH_MM)])
def test_labels(encoding, pixels):
    label = decode_label(bags.image(0, encoding, pixels, padding=2), "t")
    assert label.dtype == np.uint16 and np.array_equal(label, pixels)
    label = decode_label(bags.compressed(0, f"{encoding}; png compressed ", bags.png(pixels)), "t")
    assert label.dtype == np.uint16 and np.array_equal(label, pixels)


@pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
def test_ignore_mask(encoding):
    mask = decode_ignore(bags.image(0, encoding, GREY8, padding=1), (2, 3), "t")
    assert mask.tolist() == [[False, True, True], [True, True, True]]


def depth(message, what):
    return decode_depth(message, 0.001, what)


def ignore(message, what):
    return decode_ignore(message, (2, 3), what)


def inverse_depth(a, b=0.0, pixels=DEPTH_MM):
    return bags.compressed(0, "32FC1; compressedDepth png", struct.pack("<iff", 0, a, b) + bags.png(pixels))


@pytest.mark.parametrize(("decode", "message", "complaint"), [
    (decode_color, bags.image(0, "8UC3", RGB8), "/t: expected encoding rgb8, .*got '8UC3'; choose another colour"),
    (decode_color, bags.image(0, "16UC1", DEPTH_MM), "got '16UC1'"),
    (decode_color, bags.image(0, "nv12", GREY8), "got 'nv12'; .*image_proc"),
    (decode_color, bags.image(0, "bayer_gbrg12", GREY8), "got 'bayer_gbrg12'; .*image_proc's debayer node"),
    (decode_color, bags.compressed(0, "bayer_rggb8; jpeg compressed ", bags.png(GREY8)), "Bayer mosaic .*image_proc"),
    (decode_color, bags.compressed(0, "16UC1; png compressed ", bags.png(DEPTH_MM)), "8-bit colour.*may be depth"),
    (decode_color, bags.compressed(0, "h264", b"\0\0\0\1gA"), "cannot be decoded; the message says 'h264'"),
    (decode_color, bags.compressed(0, "png", bags.png(RGB8)[:-9]), "cut off; .*check its publisher and the link"),
    (decode_color, bags.compressed(0, "jpeg", b""), "got 0 bytes"),
    (depth, bags.image(0, "mono8", GREY8), "expected depth as 16UC1 or 32FC1, got 'mono8'; choose another depth"),
    (depth, bags.image(0, "64FC1", GREY8), "got '64FC1'"),
    (depth, bags.compressed(0, "16UC1; compressedDepth rvl", bytes(40)), "as PNG, got .*rvl'; set the publisher's"),
    (depth, bags.compressed(0, "jpeg", b"\xff\xd8\xff"), "as PNG, got 'jpeg'"),
    (depth, bags.compressed(0, "16UC1; compressedDepth", bytes(12) + bags.png(DEPTH_MM)[:-9]), "cut off"),
    (depth, bags.compressed(0, "16UC1; compressedDepth", bytes(12) + bags.png(GREY8)), "expected depth as uint16"),
    (depth, inverse_depth(0.0), "quantisation a > 0, got uint16.*a = 0, b = 0; the message is damaged"),
    (depth, inverse_depth(float("nan")), "a = nan"),
    (depth, inverse_depth(1.0, float("inf")), "b = inf"),
    (depth, inverse_depth(1.0, pixels=GREY8), "got uint8"),
    (decode_label, bags.image(0, "rgb8", RGB8), "expected labels as 16UC1.*got 'rgb8'"),
    (decode_label, bags.image(0, "32FC1", GREY8.astype(np.float32)), "expected labels as 16UC1.*got '32FC1'"),
    (decode_label, bags.compressed(0, "jpeg", b"\xff\xd8\xff"), "JPEG changes ids"),
    (decode_label, bags.compressed(0, "png", bags.png(RGB8)), "ids, not colours"),
    (ignore, bags.image(0, "rgb8", RGB8), "expected a mask as raw mono8 or 8UC1, got 'rgb8'"),
    (ignore, bags.compressed(0, "png", bags.png(GREY8)), "got 'compressed'"),
    (ignore, bags.image(0, "mono8", GREY8[:, :2]), "expected a mask of 3x2 like the colour image, got 2x2"),
    (read_raw, bags.image(0, "bayer_rggb8", GREY8), "expected one of mono8, rgb8.*got encoding 'bayer_rggb8'"),
    (read_raw, bags.image(0, "rgb8", RGB8[:, :0].reshape(2, 0, 3)), "expected an image with pixels, got 0x2"),
])
def test_refusals(decode, message, complaint):
    with pytest.raises(FrameError, match=complaint) as refusal:
        decode(message, "/t")
    assert "--" not in str(refusal.value)  # a node has topics and parameters, no command line options


def test_rows_that_do_not_fit():
    message = bags.image(0, "rgb8", RGB8)
    message.step = 8
    with pytest.raises(FrameError, match=r"rows of at least 9 bytes \(3 pixels rgb8\), got step 8"):
        decode_color(message, "t")
    message = bags.image(0, "rgb8", RGB8)
    message.data = message.data[:-1]
    with pytest.raises(FrameError, match="expected 2 rows of 9 bytes .*got 17 bytes; the message is cut off"):
        decode_color(message, "t")


def info(width=640, height=480, *, roi=(0, 0, 0, 0), binning=(0, 0), k=(600, 0, 319.5, 0, 610, 239.5, 0, 0, 1)):
    """A camera info; ``roi`` is x, y, width, height."""
    area = SimpleNamespace(x_offset=roi[0], y_offset=roi[1], width=roi[2], height=roi[3])
    return SimpleNamespace(width=width, height=height, k=np.array(k, float), roi=area, binning_x=binning[0],
                           binning_y=binning[1])


@pytest.mark.parametrize(("message", "size", "result"), [
    (info(), (640, 480), (600, 610, 319.5, 239.5)),
    (info(0, 0), (320, 240), (600, 610, 319.5, 239.5)),  # no size: K is the picture's
    (info(), (320, 240), (300, 305, 159.5, 119.5)),  # resized; the centre of the picture stays its centre
    (info(), (1280, 960), (1200, 1220, 639.5, 479.5)),
    (info(binning=(2, 2)), (320, 240), (300, 305, 159.5, 119.5)),
    (info(binning=(1, 1)), (640, 480), (600, 610, 319.5, 239.5)),
    (info(binning=(2, 2)), (640, 480), (600, 610, 319.5, 239.5)),  # width and height name the binned picture
    (info(binning=(2, 1)), (320, 480), (300, 610, 159.5, 239.5)),
    (info(roi=(100, 50, 200, 300)), (200, 300), (600, 610, 219.5, 189.5)),
    (info(roi=(100, 50, 200, 300), binning=(2, 2)), (100, 150), (300, 305, 109.5, 94.5)),
    (info(roi=(100, 50, 200, 300)), (100, 150), (300, 305, 109.5, 94.5)),  # and resized
    (info(roi=(100, 50, 200, 300)), (640, 480), (600, 610, 319.5, 239.5)),  # the picture is the whole one
])
def test_intrinsics(message, size, result):
    found = decode_intrinsics(message, size[::-1], "t")
    assert (found.fx, found.fy, found.cx, found.cy) == pytest.approx(result)


@pytest.mark.parametrize(("message", "complaint"), [
    (info(k=[0] * 9), r"/t: .*fx, fy > 0 .*got \(0.0, 0.0, 0.0, 0.0\).*calibrate the camera"),
    (info(k=[np.nan, 0, 1, 0, 5, 1, 0, 0, 1]), "finite fx"),
    (info(k=[5, 0, np.inf, 0, 5, 1, 0, 0, 1]), "finite cx"),
    (info(k=[-5, 0, 1, 0, 5, 1, 0, 0, 1]), "-5"),
    (info(1280, 720), "expected camera info for 640x480, got one for 1280x720; choose the info topic"),
    (info(0, 480), "got one for 0x480"),
    (info(1280, 960, roi=(0, 0, 600, 600), binning=(2, 2)),
     r"got one for 1280x960 \(300x300 after its region of interest and binning\)"),
])
def test_intrinsics_that_are_refused(message, complaint):
    with pytest.raises(FrameError, match=complaint):
        decode_intrinsics(message, (480, 640), "/t")


def test_intrinsics_in_the_spelling_of_ros1():
    message = SimpleNamespace(K=[60, 0, 32, 0, 60, 24, 0, 0, 1], width=64, height=48)
    assert decode_intrinsics(message, (48, 64), "t") == Intrinsics(60, 60, 32, 24)


@pytest.fixture(scope="module")
def cv_bridge():
    probe = probe_cv_bridge()
    if probe.state != "sound":
        pytest.skip(f"cv_bridge: {probe.found}")
    import cv_bridge as module

    return module.CvBridge()


@pytest.mark.parametrize("encoding", COLOR_ENCODINGS)
def test_colour_equals_cv_bridge(cv_bridge, encoding):
    message = bags.image(0, encoding, stored(encoding))
    assert np.array_equal(decode_color(message, "t"), cv_bridge.imgmsg_to_cv2(message, "rgb8"))


@pytest.mark.parametrize(("encoding", "pixels"), [
    ("16UC1", DEPTH_MM), ("mono16", DEPTH_MM), ("mono8", GREY8), ("8UC1", GREY8), ("32FC1", GREY8.astype(np.float32))])
def test_single_channels_equal_cv_bridge(cv_bridge, encoding, pixels):
    message = bags.image(0, encoding, pixels)
    assert np.array_equal(read_raw(message, "t"), cv_bridge.imgmsg_to_cv2(message))


@pytest.mark.parametrize(("encoding", "pixels"), [
    ("bayer_rggb8", np.arange(64, dtype=np.uint8).reshape(8, 8)),
    ("bayer_gbrg16", np.arange(64, dtype=np.uint16).reshape(8, 8) * 900),
    ("yuv422", np.arange(128, dtype=np.uint8).reshape(8, 8, 2))])
def test_what_cv_bridge_converts_for_us(cv_bridge, encoding, pixels):
    picture = cv_bridge.imgmsg_to_cv2(bags.image(0, encoding, pixels), "rgb8")
    padded = bags.image(0, encoding, pixels, padding=4, big_endian=pixels.dtype == np.uint16)
    assert np.array_equal(decode_color(padded, "t"), picture)
