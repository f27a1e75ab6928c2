"""Milliseconds a stage: by events of the GPU's own clock, or by the wall clock on a processor."""

from __future__ import annotations

from time import perf_counter

import torch


class StageClock:
    """Marks between the stages of one run.

    Args:
        device: a CUDA device is asked through events, which do not make anybody wait.
    """

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._names: list[str] = []
        self._marks: list[torch.cuda.Event | float] = []

    def start(self) -> None:
        """Begin a run."""
        self._names, self._marks = [], [self._now()]

    def mark(self, name: str) -> None:
        """End the stage ``name``, which began at the mark before."""
        self._names.append(name)
        self._marks.append(self._now())

    def timings_ms(self) -> dict[str, float]:
        """Return stage -> milliseconds; stages that ran twice count together. The last mark must have been reached."""
        timings: dict[str, float] = {}
        for name, before, after in zip(self._names, self._marks, self._marks[1:]):
            passed = before.elapsed_time(after) if self._cuda else 1000 * (after - before)
            timings[name] = timings.get(name, 0.0) + passed
        return timings

    def _now(self) -> torch.cuda.Event | float:
        if not self._cuda:
            return perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event
