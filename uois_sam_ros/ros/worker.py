"""One thread that works on the newest job, so that latency stays bounded under overload."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Generic, TypeVar

Job = TypeVar("Job")


@dataclass
class _Demand:
    done: threading.Event = field(default_factory=threading.Event)
    result: Any = None


class LatestWorker(Generic[Job]):
    """Runs ``handle`` on the newest offered job; a job that waits when a newer one comes is replaced.

    Args:
        handle: does the work in this worker's thread. What it returns goes to ``demand``.
        replaced: called with every job that gives way, from the thread that offers or stops.
        failed: called with a job and what ``handle`` raised; what it returns goes to ``demand``.
        continuous: work on every newest job; False: only when demanded.
        min_period_s: start jobs at least this far apart.
    """

    def __init__(self, handle: Callable[[Job], Any], replaced: Callable[[Job], None],
                 failed: Callable[[Job, Exception], Any], *, continuous: bool = True,
                 min_period_s: float = 0.0) -> None:
        self._handle, self._replaced, self._failed = handle, replaced, failed
        self._continuous, self._min_period_s = continuous, min_period_s
        self._change = threading.Condition()
        self._job: Job | None = None
        self._demands: list[_Demand] = []
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="segment", daemon=True)
        self._thread.start()

    def offer(self, job: Job) -> None:
        """Hand over a job; the one that still waits is replaced."""
        with self._change:
            old, self._job = self._job, job
            self._change.notify()
        if old is not None:
            self._replaced(old)

    def demand(self, timeout_s: float) -> Any:
        """Have the newest job done, or the next one when there is none; return what ``handle`` returned.

        Raises:
            TimeoutError: nothing was done in time.
        """
        demand = _Demand()
        with self._change:
            self._demands.append(demand)
            self._change.notify()
        if not demand.done.wait(timeout_s):
            with self._change:
                if demand in self._demands:
                    self._demands.remove(demand)
            if not demand.done.is_set():
                raise TimeoutError(f"expected a result within {timeout_s:g} s")
        return demand.result

    def set_pace(self, *, continuous: bool, min_period_s: float) -> None:
        """Change when jobs start."""
        with self._change:
            self._continuous, self._min_period_s = continuous, min_period_s
            self._change.notify()

    def clear(self) -> None:
        """Replace the waiting job by nothing."""
        with self._change:
            old, self._job = self._job, None
        if old is not None:
            self._replaced(old)

    def stop(self) -> None:
        """End the thread after the job it is at; what waits is replaced."""
        with self._change:
            self._stopping = True
            self._change.notify()
        self._thread.join()
        self.clear()

    def _run(self) -> None:
        started = -float("inf")
        while True:
            with self._change:
                while not self._stopping and not self._is_due(started):
                    waits = self._job is not None and self._continuous and not self._demands
                    self._change.wait(started + self._min_period_s - monotonic() if waits else None)
                if self._stopping:
                    return
                job, self._job = self._job, None
                demands, self._demands = self._demands, []
            started = monotonic()
            try:
                result = self._handle(job)
            except Exception as error:  # the thread outlives every job
                result = self._failed(job, error)
            for demand in demands:
                demand.result = result
                demand.done.set()

    def _is_due(self, started: float) -> bool:
        if self._job is None:
            return False
        return bool(self._demands) or (self._continuous and monotonic() >= started + self._min_period_s)
