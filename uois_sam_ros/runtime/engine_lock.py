"""One builder at a time for one engine, over all processes of a machine.

The lock is the kernel's (``flock``): it goes with the process that holds it, however that process ends, so a
crash leaves nothing to clean up. The file says who holds it, for the message of those who wait.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import BackendError

#: Seconds between two tries.
POLL_S = 0.2


@contextmanager
def hold(path: Path, *, timeout_s: float = 3600.0, on_wait: Callable[[str], None] | None = None) -> Iterator[bool]:
    """Hold the lock ``path``; yields True when another process held it before, so that its work may be done.

    Args:
        timeout_s: seconds to wait for another holder.
        on_wait: called once with the holder's description when there is one.

    Raises:
        BackendError: the file cannot be made or locked, or the holder did not finish in time.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise BackendError(f"lock {path}: expected a file that can be written, got: {error.strerror}; choose another "
                           "folder with runtime.cache or --cache") from error
    waited = False
    try:
        deadline = time.monotonic() + timeout_s
        while not _try_lock(handle, path):
            if not waited and on_wait is not None:
                on_wait(f"waiting for {holder(path)}, which builds this engine")
            waited = True
            if time.monotonic() > deadline:
                raise BackendError(f"lock {path}: expected {holder(path)} to finish within {timeout_s:g} s, it did "
                                   "not; see its log, or end it")
            time.sleep(POLL_S)
        text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": int(time.time())})
        os.ftruncate(handle, 0)
        os.pwrite(handle, text.encode(), 0)
        yield waited
    finally:
        os.close(handle)  # releases the lock; the file stays, because another process may have it open


def locked(path: Path) -> bool:
    """Return whether a process holds the lock now."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(handle, path)
    finally:
        os.close(handle)


def holder(path: Path) -> str:
    """Describe who holds the lock, from what the file says."""
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        return f"process {entry['pid']} on {entry['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _try_lock(handle: int, path: Path) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise BackendError(f"lock {path}: expected a file system with locks, got: {error.strerror}; choose a local "
                           "folder with runtime.cache or --cache") from error
    return True
