"""The lock between builders: real processes, also one that is killed."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from uois_sam_ros.errors import BackendError
from uois_sam_ros.runtime import engine_lock
from uois_sam_ros.runtime.engine_lock import hold, holder, locked

HOLD = """
import sys
from pathlib import Path
from uois_sam_ros.runtime.engine_lock import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""
COUNT = """
import sys
from pathlib import Path
from uois_sam_ros.runtime.engine_lock import hold
lock, built = Path(sys.argv[1]), Path(sys.argv[2])
with hold(lock) as waited:
    if not built.exists():
        built.write_text("x")
        print("built")
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds the lock until its stdin gets a line."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "a.lock")], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait(30)


def test_free_lock(tmp_path):
    path = tmp_path / "a.lock"
    assert not locked(path)
    with hold(path) as waited:
        assert not waited and locked(path)
        assert json.loads(path.read_text())["pid"]
    assert not locked(path)


def test_waits_for_another_process_and_says_so(tmp_path, other):
    path, said = tmp_path / "a.lock", []
    assert locked(path)

    def on_wait(text):
        said.append(text)
        other.stdin.write("go\n")
        other.stdin.flush()

    with hold(path, timeout_s=60, on_wait=on_wait) as waited:
        assert waited
    host = json.loads(path.read_text())["host"]
    assert said == [f"waiting for process {other.pid} on {host}, which builds this engine"]


def test_killed_holder_leaves_no_lock(tmp_path, other):
    other.kill()
    other.wait(30)
    assert (tmp_path / "a.lock").exists()
    with hold(tmp_path / "a.lock", timeout_s=10) as waited:
        assert not waited


def test_timeout_names_the_holder(tmp_path, other):
    with pytest.raises(BackendError, match=f"expected process {other.pid} on .* to finish within 0.3 s"):
        with hold(tmp_path / "a.lock", timeout_s=0.3):
            pass


def test_many_processes_build_once(tmp_path):
    command = [sys.executable, "-c", COUNT, str(tmp_path / "a.lock"), str(tmp_path / "built")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
                 for _ in range(3)]
    output = [process.communicate(timeout=120)[0] for process in processes]
    assert sorted(output) == ["", "", "built\n"]


def test_threads_of_one_process_exclude_each_other(tmp_path):
    inside, most = [], []

    def work():
        with hold(tmp_path / "a.lock", timeout_s=60):
            inside.append(1)
            most.append(len(inside))
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == [1, 1, 1]


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BackendError, match="expected a file that can be written.*--cache"):
        with hold(tmp_path / "file" / "a.lock"):
            pass


def test_file_system_without_locks(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(engine_lock.fcntl, "flock", refuse)
    with pytest.raises(BackendError, match="expected a file system with locks, got: No locks available"):
        with hold(tmp_path / "a.lock"):
            pass


def test_holder_of_an_empty_or_odd_file(tmp_path):
    path = tmp_path / "a.lock"
    for text in ("", "3", "{}"):
        path.write_text(text)
        assert holder(path) == "another process"
