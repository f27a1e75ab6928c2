"""The newest job wins, every other one is told, and demands are answered."""

from __future__ import annotations

import threading
from time import monotonic

import pytest

from uois_sam_ros.ros.worker import LatestWorker


class Rig:
    """A worker whose jobs wait until the test lets them go."""

    def __init__(self, **options):
        self.started, self.go = threading.Semaphore(0), threading.Semaphore(0)
        self.done, self.replaced = [], []
        self.finished = threading.Condition()
        self.worker = LatestWorker(self.handle, self.replaced.append, lambda job, error: f"{job} failed: {error}",
                                   **options)

    def handle(self, job):
        self.started.release()
        assert self.go.acquire(timeout=5)
        with self.finished:
            self.done.append(job)
            self.finished.notify()
        if job < 0:
            raise ValueError("negative")
        return f"result {job}"

    def wait_done(self, number):
        with self.finished:
            assert self.finished.wait_for(lambda: len(self.done) >= number, timeout=5)


@pytest.fixture
def rig():
    rigs = []

    def make(**options):
        rigs.append(Rig(**options))
        return rigs[-1]

    yield make
    for one in rigs:
        one.go.release(100)
        one.worker.stop()


def test_the_newest_job_wins(rig):
    one = rig()
    one.worker.offer(1)
    assert one.started.acquire(timeout=5)
    for job in (2, 3, 4):
        one.worker.offer(job)
    assert one.replaced == [2, 3]
    one.go.release(2)
    one.wait_done(2)
    assert one.done == [1, 4]


def test_demand_takes_the_waiting_job(rig):
    one = rig(continuous=False)
    one.go.release(10)
    one.worker.offer(1)
    one.worker.offer(2)
    assert one.worker.demand(5) == "result 2"
    assert one.done == [2] and one.replaced == [1]


def test_demand_waits_for_a_job(rig):
    one = rig(continuous=False)
    one.go.release(10)
    found = []
    thread = threading.Thread(target=lambda: found.append(one.worker.demand(5)))
    thread.start()
    one.worker.offer(7)
    thread.join(5)
    assert found == ["result 7"]


def test_demand_gives_up(rig):
    one = rig()
    with pytest.raises(TimeoutError, match="0.05 s"):
        one.worker.demand(0.05)
    one.go.release(10)
    one.worker.offer(1)  # nobody waits any more; the job is done all the same
    one.wait_done(1)


def test_pace_limits_the_rate(rig):
    one = rig(min_period_s=0.15)
    one.go.release(10)
    begin = monotonic()
    one.worker.offer(1)
    one.wait_done(1)
    one.worker.offer(2)
    one.worker.offer(3)
    one.wait_done(2)
    assert monotonic() - begin >= 0.15 and one.done == [1, 3] and one.replaced == [2]
    one.worker.set_pace(continuous=False, min_period_s=0.0)
    one.worker.offer(4)
    one.worker.set_pace(continuous=True, min_period_s=0.0)
    one.wait_done(3)
    assert one.done == [1, 3, 4]


def test_stop_and_clear_replace_what_waits(rig):
    one = rig(continuous=False)
    one.worker.offer(1)
    one.worker.clear()
    one.worker.clear()
    one.worker.offer(2)
    one.worker.stop()
    assert one.replaced == [1, 2] and one.done == []


def test_a_job_that_fails_costs_one_job(rig):
    one = rig()
    one.go.release(10)
    one.worker.offer(-1)
    one.wait_done(1)
    one.worker.offer(1)
    one.wait_done(2)
    one.worker.offer(-2)
    one.wait_done(3)
    one.worker.set_pace(continuous=False, min_period_s=0.0)
    one.worker.offer(-3)
    assert one.worker.demand(5) == "-3 failed: negative"
