"""cv_bridge installations of every kind, sound and broken; each is a small module on the path."""

from __future__ import annotations

import sys

import bagfiles as bags
import numpy as np
import pytest

from uois_sam_ros.errors import FrameError
from uois_sam_ros.ros import bridge
from uois_sam_ros.ros.convert import decode_color

GREY = np.arange(16, dtype=np.uint8).reshape(4, 4)
SOUND = """
import numpy as np
class CvBridge:
    def imgmsg_to_cv2(self, message, encoding):
        pixels = np.ndarray((message.height, message.step), np.uint8, message.data)
        {step}
        return np.repeat(pixels[:, :message.width, None], 3, axis=2).astype({dtype})
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that puts a cv_bridge with the given source on the path."""
    def write(source):
        (tmp_path / "cv_bridge.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)

    bridge.probe_cv_bridge.cache_clear()
    yield write
    bridge.probe_cv_bridge.cache_clear()
    sys.modules.pop("cv_bridge", None)


def refusal(encoding="bayer_rggb8"):
    with pytest.raises(FrameError) as caught:
        decode_color(bags.image(0, encoding, GREY), "/cam")
    return str(caught.value)


@pytest.mark.parametrize(("source", "found"), [
    ("import os\nos.abort()", "ends the process with signal 6"),
    ("raise ImportError('libopencv_core.so.406: cannot open shared object')", "ImportError: libopencv_core.so.406"),
    ("raise AttributeError('_ARRAY_API not found')", f"built for NumPy 1 and this is NumPy {np.__version__}"),
    ("import cv_bridge_boost", "No module named 'cv_bridge_boost'"),
    (SOUND.format(step="import os; os.abort()", dtype="np.uint8"), "ends the process with signal 6"),  # on first use
    (SOUND.format(step="", dtype="np.float32"), "a grey picture came back as float32"),
    (SOUND.format(step="pixels = pixels // 2", dtype="np.uint8"), "a grey picture came back"),
    ("print('nothing of use')\nraise SystemExit(0)", "exit code 0"),
])
def test_a_broken_cv_bridge_is_told_and_never_imported_here(install, source, found):
    install(source)
    probe = bridge.probe_cv_bridge()
    assert probe.state == "unsound" and found in probe.found
    assert "cv_bridge" not in sys.modules
    text = refusal()
    assert text.startswith("/cam: ") and "'bayer_rggb8'" in text and probe.found in text and "image_proc" in text
    assert "cv_bridge" not in sys.modules


def test_a_cv_bridge_that_hangs(install):
    install("import time\ntime.sleep(60)")
    probe = bridge.probe_cv_bridge(timeout_s=1.5)
    assert (probe.state, probe.found) == ("unsound", "it gave no answer in 1.5 s")


def test_no_process_to_try_it_in(install, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/does/not/exist")
    probe = bridge.probe_cv_bridge()
    assert probe.state == "unsound" and "no process could be started" in probe.found


def test_no_cv_bridge_at_all(install):
    probe = bridge.probe_cv_bridge()
    if probe.state != "missing":
        pytest.skip(f"this machine has a cv_bridge: {probe.found}")
    assert "cv_bridge (it is not installed)" in refusal()


@pytest.mark.parametrize("encoding", ["bayer_grbg8", "yuv422"])
def test_a_sound_cv_bridge_is_used(install, encoding):
    install(SOUND.format(step="", dtype="np.uint8"))
    assert bridge.probe_cv_bridge().state == "sound"
    pixels = GREY if encoding.startswith("bayer") else np.dstack([GREY, GREY])
    message = bags.image(0, encoding, pixels, padding=2)  # it gets whole rows: not every release knows padding
    picture = decode_color(message, "/cam")
    assert picture[..., 0].tolist() == pixels.reshape(4, -1)[:, :4].tolist()


def test_own_encodings_never_ask_cv_bridge(install):
    install("import os\nos.abort()")
    decode_color(bags.image(0, "bgr8", np.dstack([GREY] * 3)), "/cam")
    assert bridge.probe_cv_bridge.cache_info().misses == 0


@pytest.mark.parametrize(("step", "found"), [
    ("if message.width == 5: raise RuntimeError('no such encoding')", "no such encoding"),
    ("if message.width == 5: pixels = pixels[1:]", r"uint8\[3, 5, 3\]"),
])
def test_a_sound_cv_bridge_that_refuses_one_image(install, step, found):
    install(SOUND.format(step=step, dtype="np.uint8"))
    with pytest.raises(FrameError, match=f"/cam: expected cv_bridge to .*{found}"):
        decode_color(bags.image(0, "bayer_rggb8", np.zeros((4, 5), np.uint8)), "/cam")


def test_short_data_is_refused_before_cv_bridge_sees_it(install):
    install(SOUND.format(step="", dtype="np.uint8"))
    message = bags.image(0, "bayer_rggb8", GREY)
    message.data = message.data[:-1]
    with pytest.raises(FrameError, match="the message is cut off"):
        decode_color(message, "/cam")
