"""Runs callbacks on threads. One thread at a time waits on DDS; whoever gets work hands the waiting on."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from . import dds
from .context import Context, GraphListener, default_context
from .timing import Timer

_BATCH = 32


class ExternalShutdownException(Exception):
    """Raised by ``spin`` when the context was shut down, also by SIGINT or SIGTERM."""


class MutuallyExclusiveCallbackGroup:
    """Callbacks that never run at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.parked: list[Waitable] = []
        self.timer_waits = False

    def begin(self) -> bool:
        """Claim the group; false while another callback of it runs."""
        return self._lock.acquire(blocking=False)

    def end(self) -> None:
        """Release the group."""
        self._lock.release()


class Waitable(Protocol):
    """What an executor serves: ``handle`` triggers it, ``take`` returns the call that the data asks for."""

    handle: int
    callback_group: MutuallyExclusiveCallbackGroup

    def take(self) -> Callable[[], None] | None:
        """Return what to run, ``None`` when there is nothing."""


class MultiThreadedExecutor:
    """Serves the callbacks of its nodes on ``num_threads`` threads (default: the number of cores)."""

    def __init__(self, num_threads: int | None = None, *, context: Context | None = None) -> None:
        self._context = context or default_context()
        self._count = num_threads or os.cpu_count() or 1
        self._lock, self._waiting = threading.RLock(), threading.Lock()
        self._members: dict[int, Waitable] = {}
        self._timers: list[Timer] = []
        self._nodes: list[Any] = []
        self._ready: deque[int] = deque()
        self._threads: list[threading.Thread] = []
        self._stop, self._closed = False, False
        self._error: Exception | None = None
        self._finished = self._context.new_gate()
        self._triggered = (ctypes.c_int64 * _BATCH)()
        participant, lib = self._context.participant, dds.library()
        self._waitset = dds.check(lib.dds_create_waitset(participant.handle), "waitset")
        self._guard = dds.check(lib.dds_create_guardcondition(participant.handle), "guard condition")
        dds.check(lib.dds_waitset_attach(self._waitset, self._guard, self._guard), "waitset")
        self._graph_listener = GraphListener(self._context.graph, MutuallyExclusiveCallbackGroup())
        self.add(self._graph_listener)

    def add_node(self, node: Any) -> bool:
        """Serve a node; false when it already is."""
        with self._lock:
            if node in self._nodes:
                return False
            self._nodes.append(node)
            node.executor = self
            for member in node.waitables():
                self.add(member)
        return True

    def remove_node(self, node: Any) -> None:
        """Serve a node no longer."""
        with self._lock:
            if node not in self._nodes:
                return
            self._nodes.remove(node)
            node.executor = None
            for member in node.waitables():
                self.remove(member)

    def add(self, member: Waitable | Timer) -> None:
        """Serve one entity; nodes call this for what they create while they are served."""
        with self._lock:
            if isinstance(member, Timer):
                self._timers = [*(timer for timer in self._timers if timer is not member), member]
                self._wake()
            elif member.handle not in self._members:
                self._members[member.handle] = member
                self._attach(member)

    def remove(self, member: Waitable | Timer) -> None:
        """Serve one entity no longer; a callback of it may still be running."""
        with self._lock:
            if isinstance(member, Timer):
                self._timers = [timer for timer in self._timers if timer is not member]
            elif self._members.pop(member.handle, None) is not None:
                dds.library().dds_waitset_detach(self._waitset, member.handle)

    def spin(self) -> None:
        """Serve callbacks until ``shutdown``.

        Raises:
            ExternalShutdownException: the context was shut down, also by SIGINT or SIGTERM.
            Exception: whatever a callback raised.
        """
        with self._lock:
            if not self._threads and not self._stop:
                self._threads = [threading.Thread(target=self._work, name=f"executor-{index}", daemon=True)
                                 for index in range(self._count)]
                for thread in self._threads:
                    thread.start()
        self._finished.wait()
        if self._error is not None:
            error, self._error = self._error, None
            self.shutdown(timeout_sec=1.0)
            raise error
        if not self._context.ok():
            self._stop = True  # start no further callback
            self._wake()
            raise ExternalShutdownException

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        """Stop serving and wait for running callbacks; true when all have ended in time."""
        self._stop = True
        self._finished.open()
        self._wake()
        until = None if timeout_sec is None else time.monotonic() + timeout_sec
        with self._lock:
            others = [thread for thread in self._threads if thread is not threading.current_thread()]
        for thread in others:
            thread.join(None if until is None else max(0.0, until - time.monotonic()))
        ended = not any(thread.is_alive() for thread in others)
        with self._lock:
            if ended and not self._closed:
                self._closed = True
                for node in list(self._nodes):
                    self.remove_node(node)
                for entity in (self._waitset, self._guard, self._graph_listener.handle):
                    dds.library().dds_delete(entity)
        return ended

    def _work(self) -> None:
        while not self._stop:
            try:
                with self._waiting:
                    job = self._next_job()
                if job is None:
                    return
                group, call = job
                try:
                    call()
                finally:
                    self._release(group)
            except Exception as error:  # raised again where the user is: in spin
                if self._context.ok():  # else DDS went away below a callback
                    self._error = self._error or error
                self._finished.open()

    def _next_job(self) -> tuple[MutuallyExclusiveCallbackGroup, Callable[[], None]] | None:
        """Wait for the next callback whose group is free, and claim the group; ``None`` at the end."""
        lib = dds.library()
        while not self._stop:
            now_ns = time.monotonic_ns()
            job = self._due_timer(now_ns)
            while job is None and self._ready:
                job = self._claim(self._ready.popleft())
            if job is not None:
                return job
            due_ns = [timer.due_ns for timer in self._timers if timer.due_ns > now_ns and not timer.cancelled]
            timeout_ns = max(min(due_ns) - time.monotonic_ns(), 0) if due_ns else dds.INFINITE
            count = lib.dds_waitset_wait(self._waitset, self._triggered, _BATCH, timeout_ns)
            if count < 0 and (self._stop or not self._context.ok()):
                break
            for index in range(dds.check(count, "wait")):
                handle = self._triggered[index]
                if handle == self._guard:
                    lib.dds_set_guardcondition(self._guard, False)
                else:
                    self._ready.append(handle)
        return None

    def _due_timer(self, now_ns: int) -> tuple[MutuallyExclusiveCallbackGroup, Callable[[], None]] | None:
        for timer in self._timers:
            if timer.due_ns <= now_ns and not timer.cancelled:
                with self._lock:
                    if timer.callback_group.begin():
                        timer.advance(now_ns)
                        return timer.callback_group, timer.callback
                    timer.callback_group.timer_waits = True
        return None

    def _claim(self, handle: int) -> tuple[MutuallyExclusiveCallbackGroup, Callable[[], None]] | None:
        with self._lock:
            member = self._members.get(handle)
            if member is None:
                return None
            group = member.callback_group
            if not group.begin():  # leave its data in DDS, and do not wake up for it, until the group is free
                dds.library().dds_waitset_detach(self._waitset, handle)
                group.parked.append(member)
                return None
        try:
            call = member.take()
        except Exception:
            self._release(group)
            raise
        if call is None:
            self._release(group)
            return None
        return group, call

    def _release(self, group: MutuallyExclusiveCallbackGroup) -> None:
        group.end()
        with self._lock:
            parked, group.parked = group.parked, []
            for member in parked:
                if member.handle in self._members:
                    self._attach(member)
            if group.timer_waits:
                group.timer_waits = False
                self._wake()

    def _attach(self, member: Waitable) -> None:
        code = dds.library().dds_waitset_attach(self._waitset, member.handle, member.handle)
        dds.check(code, f"waitset ({type(member).__name__})")

    def _wake(self) -> None:
        if not self._closed:
            dds.library().dds_set_guardcondition(self._guard, True)
