"""How long a fresh process takes until its first mask.

Run as a module in that process: it reads a configuration and a frame, and prints what passed as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ..config import SegmenterConfig, update
from ..errors import BackendError
from ..types import Frame, Intrinsics

TIMEOUT_S = 600


def measure_startup(config: SegmenterConfig, frame: Frame, processes: int) -> dict[str, float]:
    """Start that many processes, one after another, and return medians in milliseconds.

    Returns:
        "start" (Python and this package), "load" (libraries and networks), "first_frame", "configure_to_first_mask"
        (load and first frame) and "process_to_first_mask" (all three).

    Raises:
        BackendError: a process that failed; with what it said.
    """
    with TemporaryDirectory() as folder:
        given = Path(folder) / "given.npz"
        camera = frame.intrinsics
        np.savez(given, color=frame.color, depth_m=np.zeros(0) if frame.depth_m is None else frame.depth_m,
                 intrinsics=np.zeros(0) if camera is None else np.float64([camera.fx, camera.fy, camera.cx, camera.cy]),
                 config=np.str_(json.dumps(asdict(config))))
        rows = [_start(given) for _ in range(processes)]
    return {name: round(float(np.median([row[name] for row in rows])), 1) for name in rows[0]}


def _start(given: Path) -> dict[str, float]:
    command = [sys.executable, "-m", __name__, str(given), repr(time.time())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode:
        raise BackendError(f"first mask: expected a fresh process to segment a frame, got exit code {done.returncode}: "
                           f"{done.stderr.strip()[-300:]}; --starts 0 leaves this measurement out")
    return json.loads(done.stdout.splitlines()[-1])


def main(argv: Sequence[str]) -> None:
    """Load, segment once, print the milliseconds of each; ``argv`` is the file and the time of the start."""
    started = time.time()
    given: dict[str, Any] = dict(np.load(argv[0]))
    config = update(SegmenterConfig(), json.loads(str(given["config"])))
    camera = Intrinsics(*map(float, given["intrinsics"])) if given["intrinsics"].size else None
    frame = Frame(given["color"], given["depth_m"] if given["depth_m"].size else None, camera)
    ready = time.time()

    from ..pipeline import Segmenter

    segmenter = Segmenter(config)
    loaded = time.time()
    segmenter.segment(frame)
    done = time.time()
    start, load, first = started - float(argv[1]), loaded - ready, done - loaded
    parts = {"start": start, "load": load, "first_frame": first, "configure_to_first_mask": load + first,
             "process_to_first_mask": start + load + first}
    print(json.dumps({name: 1000 * seconds for name, seconds in parts.items()}))


if __name__ == "__main__":
    main(sys.argv[1:])
