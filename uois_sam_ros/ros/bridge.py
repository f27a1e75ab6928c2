"""Bayer and YUV 4:2:2 images through cv_bridge, where one is installed and sound.

``convert`` covers every other encoding itself. A cv_bridge that was built for another NumPy or
OpenCV ends the process that calls it, so a child process calls it first, with the same libraries in
the same order; only one that answers there is ever imported here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..errors import FrameError
from .pixels import read_pixels

#: encoding -> (dtype, channels) of what cv_bridge converts and ``convert`` does not
LAYOUTS: dict[str, tuple[type, int]] = {
    **{f"bayer_{order}{bits}": (kind, 1) for order in ("rggb", "bggr", "gbrg", "grbg")
       for bits, kind in ((8, np.uint8), (16, np.uint16))},
    **{name: (np.uint8, 2) for name in ("yuv422", "yuv422_yuy2", "uyvy", "yuyv")},
}
CAMERA_REMEDY = ("let the camera driver publish rgb8, or put image_proc's debayer node in front and take its "
                 "image_color topic")
#: A child that says nothing for this long hangs.
PROBE_TIMEOUT_S = 30.0
#: Runs in the child: imports as this process does, then converts one grey picture of each kind.
_PROBE = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
except (ImportError, ValueError, OSError):
    pass
import numpy, cv2
from types import SimpleNamespace
try:
    from cv_bridge import CvBridge
except ModuleNotFoundError as error:
    if error.name != "cv_bridge":
        raise
    print("missing")
    sys.exit()
for encoding, size in (("bayer_rggb8", 1), ("yuv422", 2)):
    grey = SimpleNamespace(height=4, width=4, step=4 * size, encoding=encoding, is_bigendian=0,
                           data=bytes([128] * (16 * size)))
    image = CvBridge().imgmsg_to_cv2(grey, "rgb8")
    if (image.dtype, image.shape) != (numpy.uint8, (4, 4, 3)) or abs(image.astype(int) - 128).max() > 4:
        raise ValueError(f"{encoding}: a grey picture came back as {image.dtype}{list(image.shape)}")
print("sound")
"""


@dataclass(frozen=True)
class Probe:
    """What became of the child: ``state`` is "sound", "missing" or "unsound", ``found`` says why in words."""

    state: str
    found: str


@lru_cache(maxsize=1)
def probe_cv_bridge(timeout_s: float = PROBE_TIMEOUT_S) -> Probe:
    """Try cv_bridge in a child process, once; takes about a second."""
    try:
        child = subprocess.run([sys.executable, "-c", _PROBE, json.dumps(sys.path)], capture_output=True, text=True,
                               timeout=timeout_s, stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired:
        return Probe("unsound", f"it gave no answer in {timeout_s:g} s")
    except OSError as error:
        return Probe("unsound", f"no process could be started to try it: {error}")
    answer = child.stdout.split()[-1:]
    if child.returncode == 0 and answer in (["sound"], ["missing"]):
        return Probe(answer[0], {"sound": "it converts", "missing": "it is not installed"}[answer[0]])
    if "compiled using NumPy 1.x" in child.stderr or "_ARRAY_API" in child.stderr:
        return Probe("unsound", f"it was built for NumPy 1 and this is NumPy {np.__version__}")
    if child.returncode < 0:
        return Probe("unsound", f"it ends the process with signal {-child.returncode}")
    lines = child.stderr.strip().splitlines()
    return Probe("unsound", lines[-1][:200] if lines else f"it ends the process with exit code {child.returncode}")


def decode_color(message: Any, what: str) -> np.ndarray:
    """Return uint8[H, W, 3] RGB of an Image in one of ``LAYOUTS``.

    Raises:
        FrameError: cv_bridge is missing, unsound or refuses; short data.
    """
    probe = probe_cv_bridge()
    if probe.state != "sound":
        raise FrameError(f"{what}: expected encoding rgb8 or one near to it, got '{message.encoding}', which needs "
                         f"cv_bridge ({probe.found}); {CAMERA_REMEDY}")
    from cv_bridge import CvBridge

    dtype, channels = LAYOUTS[message.encoding]
    pixels = read_pixels(message, np.dtype(dtype), channels, what)
    plain = SimpleNamespace(height=message.height, width=message.width, step=pixels.nbytes // message.height,
                            encoding=message.encoding, is_bigendian=int(sys.byteorder == "big"), data=pixels.tobytes())
    try:
        image = np.asarray(CvBridge().imgmsg_to_cv2(plain, "rgb8"))
    except Exception as error:  # CvBridgeError, and whatever its older versions raise
        raise FrameError(f"{what}: expected cv_bridge to convert '{message.encoding}', got: {error}; "
                         f"{CAMERA_REMEDY}") from error
    if image.dtype != np.uint8 or image.shape != (message.height, message.width, 3):
        raise FrameError(f"{what}: expected cv_bridge to make 8-bit RGB of '{message.encoding}', got "
                         f"{image.dtype}{list(image.shape)}; {CAMERA_REMEDY}")
    return image
