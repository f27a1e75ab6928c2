"""Steps with fixed sizes and addresses, recorded as CUDA graphs: one launch a step instead of hundreds.

A step is a function without arguments that reads and writes tensors its owner holds. It runs as it is the first time,
is recorded the second time, and replayed from then on. What it makes while it is recorded keeps its place in memory.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable

import torch

LOG = logging.getLogger(__name__)


class Recorder:
    """Runs steps, as graphs where that is possible.

    Args:
        stream: where the steps run; ``None`` on a processor, where every step simply runs.
        enabled: ``False`` never records.

    Attributes:
        problem: why steps are not recorded any more; "" while they are, or where nothing is to be recorded.
    """

    def __init__(self, stream: torch.cuda.Stream | None, *, enabled: bool = True) -> None:
        self._stream, self._enabled = stream, enabled and stream is not None
        self._graphs: dict[Hashable, torch.cuda.CUDAGraph | None] = {}
        self._pool = torch.cuda.graph_pool_handle() if self._enabled else None
        self.problem = ""

    def run(self, key: Hashable, step: Callable[[], None]) -> None:
        """Run a step; ``key`` names it together with all sizes that may change."""
        if not self._enabled:
            step()
            return
        if key not in self._graphs:  # libraries choose their algorithms and workspaces now
            self._graphs[key] = None
            step()
            return
        if self._graphs[key] is None and not self._record(key, step):
            step()
            return
        self._graphs[key].replay()

    def forget(self) -> None:
        """Drop all recordings, because a size that the keys do not name has changed."""
        self._graphs.clear()

    def _record(self, key: Hashable, step: Callable[[], None]) -> bool:
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
                step()
        except RuntimeError as error:
            self._enabled = False
            self._graphs.clear()
            self.problem = f"step {key}: expected to record it as a CUDA graph, got: {error}; the steps run one by one"
            LOG.warning(self.problem)
            return False
        self._graphs[key] = graph
        return True
