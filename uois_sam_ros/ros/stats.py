"""How the node does: sliding windows of latencies, skew and valid depth. Pure and thread-safe."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic

import numpy as np

#: Results that the windows hold.
WINDOW = 300
#: Seconds over which the rate is taken.
RATE_WINDOW_S = 5.0


@dataclass(frozen=True)
class Sample:
    """One processed pair.

    Attributes:
        stages_ms: pairing, queue, conversion, each stage of the pipeline, publishing; latency: colour
            message here -> result published; overhead: pair complete and worker free -> result published,
            without segmentation.
        skew_ms: depth stamp minus colour stamp.
        valid_depth: share of pixels with a reading; 0 without depth.
        objects: instances found.
        depth_used: depth took part.
    """

    stages_ms: Mapping[str, float]
    skew_ms: float
    valid_depth: float
    objects: int
    depth_used: bool


@dataclass(frozen=True)
class Summary:
    """Statistics of the windows.

    Attributes:
        rate_hz: results a second, lately.
        stages_ms: stage -> (p50, p99).
        skew_ms: (median, largest) absolute skew.
        valid_depth: mean share.
        objects: in the newest result.
        depth_used: by the newest result.
        samples: results that the windows hold.
    """

    rate_hz: float = 0.0
    stages_ms: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    skew_ms: tuple[float, float] = (0.0, 0.0)
    valid_depth: float = 0.0
    objects: int = 0
    depth_used: bool = False
    samples: int = 0


class Stats:
    """Collects samples of the newest results."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._samples: deque[Sample] = deque(maxlen=WINDOW)
        self._times: deque[float] = deque()

    def add(self, sample: Sample) -> None:
        """Take one processed pair."""
        with self._lock:
            self._samples.append(sample)
            self._times.append(monotonic())

    def summary(self) -> Summary:
        """Return percentiles over the windows."""
        now = monotonic()
        with self._lock:
            while self._times and now - self._times[0] > RATE_WINDOW_S:
                self._times.popleft()
            times, samples = list(self._times), list(self._samples)
        if not samples:
            return Summary()
        stages = {name: tuple(np.percentile([s.stages_ms[name] for s in samples if name in s.stages_ms], (50, 99)))
                  for name in samples[-1].stages_ms}
        skews = np.abs([s.skew_ms for s in samples])
        span = now - times[0] if times else 0.0
        return Summary(len(times) / max(span, 1.0), stages, (float(np.median(skews)), float(skews.max())),
                       float(np.mean([s.valid_depth for s in samples])), samples[-1].objects,
                       samples[-1].depth_used, len(samples))
