"""The process as a whole: ``init`` and ``shutdown``, signals, and what all nodes share."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any

from ...errors import RosError
from . import dds
from .arguments import Arguments, parse
from .graph import Graph
from .participant import Participant, domain_id as default_domain


class Gate:
    """Opens once. Safe to open in a signal handler, which may interrupt a wait on the same gate."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def open(self) -> None:
        """Let everyone pass, now and later."""
        try:
            self._lock.release()
        except RuntimeError:
            pass  # it is open

    def wait(self) -> None:
        """Wait until it opens; signals are handled meanwhile."""
        self._lock.acquire()
        self.open()


class GraphListener:
    """Keeps the graph cache up to date while an executor runs; each executor has one."""

    def __init__(self, graph: Graph, group: Any) -> None:
        self._graph, self.callback_group = graph, group
        self.handle = dds.check(dds.library().dds_create_readcondition(graph.reader, dds.ANY_STATE), "graph")

    def take(self) -> Any:
        """Return the refresh of the graph."""
        return self._graph.refresh


class Context:
    """One participant, its graph and the command line's arguments, from ``init`` to ``shutdown``."""

    def __init__(self, args: Sequence[str] | None, domain: int | None) -> None:
        self.arguments: Arguments = parse(sys.argv[1:] if args is None else args)
        self._down, self._gates, self._handlers = False, [], {}
        self.participant = Participant(default_domain() if domain is None else domain)
        self.graph = Graph(self.participant)
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._interrupted)

    def ok(self) -> bool:
        """Tell whether the context is up: no signal came and nobody shut it down."""
        return not self._down

    def new_gate(self) -> Gate:
        """Return a gate that opens when the context goes down."""
        gate = Gate()
        self._gates.append(gate)
        if self._down:
            gate.open()
        return gate

    def close(self) -> None:
        """Wake whoever spins, give the signals back and release DDS."""
        self._go_down()
        self._restore()
        self.participant.close()

    def _interrupted(self, number: int, frame: Any) -> None:
        self._go_down()
        self._restore()  # a second signal ends the process as usual

    def _go_down(self) -> None:
        self._down = True
        for gate in self._gates:
            gate.open()

    def _restore(self) -> None:
        if threading.current_thread() is threading.main_thread():
            while self._handlers:
                number, handler = self._handlers.popitem()
                signal.signal(number, handler)


_CONTEXTS: list[Context] = []


def init(args: Sequence[str] | None = None, *, domain_id: int | None = None) -> None:
    """Join the graph. ``args`` is a command line (default ``sys.argv``) that may hold ``--ros-args``.

    Raises:
        BackendError: Cyclone DDS is missing.
        RosError: it was called before, or an argument or the environment is wrong.
    """
    if _CONTEXTS:
        raise RosError("init: expected one call before shutdown, got another; call shutdown() first")
    _CONTEXTS.append(Context(args, domain_id))


def ok() -> bool:
    """Tell whether ``init`` was called and nothing ended it since."""
    return bool(_CONTEXTS) and _CONTEXTS[0].ok()


def default_context() -> Context:
    """Return the context of ``init``.

    Raises:
        RosError: ``init`` was not called.
    """
    if not _CONTEXTS:
        raise RosError("ROS: expected init() before nodes and executors, got none; call it first")
    return _CONTEXTS[0]


def shutdown() -> None:
    """Leave the graph.

    Raises:
        RosError: ``init`` was not called.
    """
    default_context()
    try_shutdown()


def try_shutdown() -> None:
    """Leave the graph if ``init`` was called."""
    if _CONTEXTS:
        _CONTEXTS.pop().close()
